"""The two ends of an agreement, letter by letter: what is lost, repeated, forged, reflected or too old."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.agents.keys.network import HandClock, uid
from tests.agents.keys.pqc_network import identities, pqc_settings

from keyweave_agents.keys.pqc.destination import MOST_PENDING, WINDOW, DestinationEnd
from keyweave_agents.keys.pqc.identity import PqcIdentity, Untrusted
from keyweave_agents.keys.pqc.kem import Ephemeral
from keyweave_agents.keys.pqc.letters import (
    Answer,
    Confirm,
    Declined,
    Lost,
    Propose,
    Proved,
    Why,
    decode_letter,
    encode_letter,
    encode_said,
)
from keyweave_agents.keys.pqc.ports import AGREEMENT_LIFE_S, RETIRED_S, Ends, Party
from keyweave_agents.keys.pqc.settings import Kem, PqcSettings
from keyweave_agents.keys.pqc.source import SourceEnd
from keyweave_agents.keys.relaying.frames import Batch
from keyweave_agents.material import Secret
from keyweave_core.errors import MalformedMessage
from keyweave_core.model.application import KeyOrigin
from keyweave_core.model.ids import AppId, LinkId, NodeId, SaeId

SOURCE, DESTINATION, OTHER = NodeId(uid(1)), NodeId(uid(2)), NodeId(uid(3))
ENDS = Ends(app_id=AppId(uid(0xA)), source=SOURCE, destination=DESTINATION)
CLIENTS = (SaeId("slave"),)


class Host:
    """Associations of one node; letters go where the test looks for them."""

    def __init__(self) -> None:
        self.keeper = b"k" * 16
        self.sent: deque[bytes] = deque()
        self.keys: dict[bytes, bytes] = {}
        self.answers: dict[bytes, bytes] = {}
        self.refuses: Why | None = None
        self.agreements = 0
        self.gone: set[bytes] = set()
        self.reasons: list[str] = []
        self.proved = 0

    def write(self, app_id: AppId, body: bytes) -> bool:
        assert app_id == ENDS.app_id
        self.sent.append(body)
        return True

    def offered(self, batch: Batch, clients: tuple[SaeId, ...], make: Callable[[], Secret]) -> Why | None:
        assert clients == CLIENTS
        if self.refuses is None:
            assert batch.batch_id not in self.keys, "stored twice"
            self.keys[batch.batch_id] = bytes(make().reveal())
        return self.refuses

    def stored(self, batch_id: bytes, keeper: bytes) -> None:
        self.answers[batch_id] = keeper

    def declined(self, batch_id: bytes, reason: str) -> None:
        self.reasons.append(reason)

    def agreed(self, app_id: AppId) -> None:
        self.agreements += 1

    def forgotten(self, app_id: AppId, names: frozenset[bytes], keeper: bytes) -> None:
        self.gone |= names

    def forged(self, app_id: AppId, reason: str) -> None:
        self.reasons.append(reason)

    def authentic(self, app_id: AppId) -> None:
        self.proved += 1


class Pair:
    """A source and a destination, and the wire between them in the hands of the test."""

    def __init__(self, settings: PqcSettings | None = None, far: PqcSettings | None = None) -> None:
        self.clock = HandClock()
        self.known = identities(SOURCE, DESTINATION, OTHER)
        self.near_host, self.far_host = Host(), Host()
        self.settings = settings or pqc_settings()
        self.far_settings = far or self.settings
        self.source = SourceEnd(ENDS, self.party(SOURCE, self.settings), self.near_host)
        self.destination = self.answering()
        self.serial = 0

    def party(self, node_id: NodeId, settings: PqcSettings, identity: PqcIdentity | None = None) -> Party:
        def fresh(number: int) -> bytes:
            self.serial += 1
            return self.serial.to_bytes(4, "big") * (number // 4)

        self.serial = 0
        return Party(
            identity=identity or self.known[node_id],
            settings=settings,
            clock=self.clock,
            random_bytes=fresh,
        )

    def answering(self) -> DestinationEnd:
        return DestinationEnd(ENDS, self.party(DESTINATION, self.far_settings), self.far_host)

    def pass_time(self, duration_s: float) -> None:
        self.clock.time_s += duration_s
        self.source.tick(self.clock.time_s)
        self.destination.tick(self.clock.time_s)

    def forward(self) -> bytes:
        """The oldest letter of the source reaches the destination."""
        body = self.near_host.sent.popleft()
        self.destination.handle(decode_letter(body), self.clock.time_s)
        return body

    def back(self) -> bytes:
        """The oldest letter of the destination reaches the source."""
        body = self.far_host.sent.popleft()
        self.source.handle(decode_letter(body), self.clock.time_s)
        return body

    def settle(self) -> None:
        while self.near_host.sent or self.far_host.sent:
            if self.near_host.sent:
                self.forward()
            if self.far_host.sent:
                self.back()

    def agree(self) -> bytes:
        self.pass_time(0.0)
        self.settle()
        secret = self.source.secret
        assert secret is not None
        assert self.destination.known(secret.name) is not None
        return secret.name

    def offer(self, number: int = 1, keys: int = 2) -> Batch:
        secret = self.source.secret
        assert secret is not None
        batch = Batch(
            batch_id=number.to_bytes(16, "big"),
            app_id=ENDS.app_id,
            link_id=LinkId(uid(5)),
            key_bytes=32,
            key_ids=bytes(16 * keys),
            secret_id=secret.name,
            origin=KeyOrigin.PQC,
        )
        self.made = bytes(self.source.offer(batch, CLIENTS, self.clock.time_s).reveal())
        return batch


@pytest.mark.parametrize("kem", list(Kem))
def test_both_ends_come_to_the_same_secret(kem: Kem) -> None:
    pair = Pair(pqc_settings(kem=kem))
    pair.agree()
    batch = pair.offer()
    pair.settle()
    assert pair.far_host.keys == {batch.batch_id: pair.made}
    assert pair.near_host.answers == {batch.batch_id: pair.far_host.keeper}
    assert len(pair.made) == 64
    assert pair.made[:32] != pair.made[32:]


def test_nothing_is_used_before_the_destination_confirmed() -> None:
    pair = Pair()
    pair.pass_time(0.0)
    pair.forward()
    pair.back()
    assert pair.source.secret is None
    pair.forward()
    assert pair.source.secret is None
    assert pair.far_host.agreements == 1
    pair.back()
    assert pair.source.secret is not None


@pytest.mark.parametrize("lost", [0, 1, 2, 3])
def test_any_letter_may_be_lost(lost: int) -> None:
    pair = Pair()
    pair.pass_time(0.0)
    for step in range(4):
        sender = pair.near_host if step % 2 == 0 else pair.far_host
        if step == lost:
            sender.sent.popleft()
            pair.pass_time(1.0)
            break
        (pair.forward if step % 2 == 0 else pair.back)()
    pair.settle()
    assert pair.source.secret is not None


def test_every_letter_may_come_twice() -> None:
    pair = Pair()
    pair.pass_time(0.0)
    while pair.near_host.sent or pair.far_host.sent:
        if pair.near_host.sent:
            body = pair.forward()
            pair.destination.handle(decode_letter(body), pair.clock.time_s)
        if pair.far_host.sent:
            body = pair.back()
            pair.source.handle(decode_letter(body), pair.clock.time_s)
    assert pair.near_host.agreements == 1
    batch = pair.offer()
    body = pair.forward()
    pair.destination.handle(decode_letter(body), pair.clock.time_s)
    assert len(pair.far_host.sent) == 2, "each is answered"
    pair.settle()
    assert list(pair.far_host.keys) == [batch.batch_id]


def test_a_proposal_of_another_node_is_declined() -> None:
    pair = Pair()
    pair.source = SourceEnd(ENDS, pair.party(SOURCE, pair.settings, pair.known[OTHER]), pair.near_host)
    pair.pass_time(0.0)
    with pytest.raises(Untrusted, match="not of node"):
        pair.forward()
    pair.back()
    assert "does not believe" in pair.source.trouble


def test_an_answer_of_another_node_is_not_taken_and_the_true_one_is() -> None:
    pair = Pair()
    pair.pass_time(0.0)
    false = DestinationEnd(ENDS, pair.party(DESTINATION, pair.settings, pair.known[OTHER]), pair.far_host)
    false.handle(decode_letter(pair.near_host.sent[0]), pair.clock.time_s)
    with pytest.raises(Untrusted, match="not of node"):
        pair.back()
    pair.settle()
    assert pair.source.secret is not None


@pytest.mark.parametrize("place", range(60))
def test_no_changed_letter_of_an_agreement_is_taken(place: int) -> None:
    pair = Pair()
    pair.pass_time(0.0)
    bodies = [pair.near_host.sent[0]]
    pair.forward()
    bodies.append(pair.far_host.sent[0])
    fresh = Pair()
    fresh.pass_time(0.0)
    for body, end in zip(bodies, (fresh.destination, pair.source), strict=True):
        changed = bytearray(body)
        changed[len(body) * place // 60] ^= 1 << place % 8
        try:
            end.handle(decode_letter(bytes(changed)), pair.clock.time_s)
        except (Untrusted, MalformedMessage):
            continue
    assert not [one for one in fresh.far_host.sent if isinstance(decode_letter(one), Answer)]
    assert pair.source._proposal is not None
    assert pair.source._proposal.answered is None


def test_letters_are_not_taken_back_by_who_sent_them() -> None:
    pair = Pair()
    pair.pass_time(0.0)
    proposal = decode_letter(pair.near_host.sent[0])
    with pytest.raises(Untrusted):
        pair.source.handle(proposal, pair.clock.time_s)
    pair.agree()
    pair.offer()
    offer = decode_letter(pair.near_host.sent[0])
    with pytest.raises(Untrusted, match="wrong mac"):
        pair.source.handle(offer, pair.clock.time_s)
    pair.forward()
    stored = decode_letter(pair.far_host.sent[0])
    with pytest.raises(Untrusted, match="wrong mac"):
        pair.destination.handle(stored, pair.clock.time_s)


def test_a_recorded_proposal_leads_to_nothing() -> None:
    pair = Pair()
    pair.pass_time(0.0)
    recorded = pair.near_host.sent[0]
    name = pair.agree()
    pair.pass_time(100.0)
    pair.destination.handle(decode_letter(recorded), pair.clock.time_s)
    pair.destination = pair.answering()  # even by one that forgot everything
    pair.destination.handle(decode_letter(recorded), pair.clock.time_s)
    answer = decode_letter(pair.far_host.sent[-1])
    assert isinstance(answer, Answer)
    pair.source.handle(answer, pair.clock.time_s)
    assert pair.source.secret is not None
    assert pair.source.secret.name == name
    assert pair.far_host.agreements == 1


def test_work_and_memory_for_proposals_are_bounded() -> None:
    pair = Pair()
    for number in range(40):
        pair.source = SourceEnd(ENDS, pair.party(SOURCE, pair.settings), pair.near_host)
        pair.serial = 1000 * number
        pair.pass_time(0.0)
        pair.forward()
    assert len(pair.far_host.sent) == 8, "so many at once, the rest must wait"
    assert len(pair.destination._pending) == MOST_PENDING
    pair.pass_time(AGREEMENT_LIFE_S)
    assert not pair.destination._pending


def test_a_weaker_kem_than_wanted_is_declined() -> None:
    pair = Pair(pqc_settings(kem=Kem.ML_KEM_768), far=pqc_settings(kem=Kem.ML_KEM_1024))
    pair.pass_time(0.0)
    pair.settle()
    assert pair.source.secret is None
    assert "a stronger KEM" in pair.source.trouble
    pair = Pair(pqc_settings(kem=Kem.ML_KEM_1024), far=pqc_settings(kem=Kem.ML_KEM_768))
    pair.agree()


def test_an_offer_under_a_wrong_mac_or_an_old_counter_is_not_taken() -> None:
    pair = Pair()
    pair.agree()
    pair.offer(1)
    first = decode_letter(pair.near_host.sent[0])
    assert isinstance(first, Proved)
    for changed in (
        replace(first, counter=first.counter + 1),
        replace(first, body=first.body[:-1] + b"x"),
        replace(first, mac=bytes(48)),
    ):
        with pytest.raises(Untrusted, match="wrong mac"):
            pair.destination.handle(changed, pair.clock.time_s)
    pair.settle()
    for number in range(2, 2 * WINDOW + 10):
        pair.offer(number, keys=1)
        pair.settle()
    stored = len(pair.far_host.keys)
    pair.far_host.keys.clear()
    pair.destination.handle(first, pair.clock.time_s)
    assert stored == 2 * WINDOW + 9
    assert not pair.far_host.keys
    assert len(pair.destination._known[0].taken) <= 2 * WINDOW + 1


def test_what_cannot_be_stored_is_declined_and_offered_again() -> None:
    pair = Pair()
    pair.agree()
    pair.far_host.refuses = Why.FULL
    batch = pair.offer()
    pair.settle()
    assert pair.near_host.reasons == ["the other key manager declined: no place for more keys"]
    pair.far_host.refuses = None
    pair.pass_time(1.0)
    pair.settle()
    assert pair.near_host.answers == {batch.batch_id: pair.far_host.keeper}


def test_a_withdrawn_offer_is_not_repeated_and_its_answer_says_nothing() -> None:
    pair = Pair()
    pair.agree()
    batch = pair.offer()
    pair.source.withdraw(batch.batch_id)
    pair.settle()
    pair.pass_time(10.0)
    pair.settle()
    assert not pair.near_host.answers


def test_a_destination_that_forgot_is_agreed_with_anew_and_says_what_it_lacks() -> None:
    pair = Pair()
    name = pair.agree()
    pair.destination = pair.answering()
    pair.pass_time(3.0)
    pair.offer()
    pair.settle()
    assert pair.source._lost
    pair.pass_time(0.5)
    pair.settle()
    assert pair.near_host.gone == {name}
    assert pair.source.secret is not None
    assert pair.source.secret.name != name


def test_a_destination_that_forgot_before_it_confirmed_is_soon_asked_anew() -> None:
    pair = Pair()
    pair.pass_time(0.0)
    pair.forward()
    pair.back()
    pair.destination = pair.answering()
    pair.settle()
    assert pair.source.secret is None
    pair.pass_time(2.0)
    pair.settle()
    assert pair.source.secret is not None


def test_hints_of_a_loss_make_no_storm() -> None:
    pair = Pair()
    pair.agree()
    for _ in range(50):
        secret = pair.source.secret
        assert secret is not None
        pair.source.handle(Lost(secret_id=secret.name), pair.clock.time_s)
        pair.pass_time(0.1)
        pair.settle()
    assert pair.near_host.agreements <= 4, "in five seconds"
    pair.source.handle(Lost(secret_id=bytes(16)), pair.clock.time_s)


def test_a_secret_is_replaced_in_time_and_the_one_before_is_understood_a_while() -> None:
    pair = Pair(pqc_settings(renew_after_s=100.0))
    first = pair.agree()
    batch = pair.offer()
    waiting = pair.near_host.sent.popleft()
    pair.pass_time(100.0)
    pair.settle()
    assert pair.source.secret is not None
    assert pair.source.secret.name != first
    pair.destination.handle(decode_letter(waiting), pair.clock.time_s)
    pair.settle()
    assert pair.near_host.answers == {batch.batch_id: pair.far_host.keeper}
    pair.pass_time(RETIRED_S)
    assert pair.destination.known(first) is None


def test_a_secret_is_never_used_beyond_twice_its_time_or_keys() -> None:
    pair = Pair(pqc_settings(renew_after_s=100.0, renew_after_keys=10))
    name = pair.agree()
    pair.source.count(19)
    assert pair.source.secret is not None
    pair.source.count(1)
    assert pair.source.secret is None
    pair.pass_time(0.5)
    pair.settle()
    assert pair.source.secret is not None
    pair.pass_time(200.0)
    assert pair.source.secret is None
    assert "too old" in pair.source.trouble
    assert pair.destination.known(name) is None


def test_wiped_ends_know_nothing() -> None:
    pair = Pair()
    name = pair.agree()
    pair.source.wipe()
    pair.destination.wipe()
    assert pair.source.secret is None
    assert pair.destination.known(name) is None


def test_an_encapsulation_key_opens_once() -> None:
    ephemeral = Ephemeral(Kem.ML_KEM_768, bytes)
    with pytest.raises(MalformedMessage):
        ephemeral.open(b"short")
    with pytest.raises(ValueError, match="used twice"):
        ephemeral.open(bytes(1088))


def test_a_confirmation_under_an_unknown_secret_is_answered_with_a_hint() -> None:
    pair = Pair()
    letter = Proved(secret_id=bytes(16), counter=0, body=encode_said(Confirm()), mac=bytes(48))
    for _ in range(20):
        pair.destination.handle(letter, pair.clock.time_s)
    hints = [decode_letter(body) for body in pair.far_host.sent]
    assert hints == [Lost(secret_id=bytes(16))] * 8


def test_letters_that_no_source_writes_are_refused() -> None:
    pair = Pair()
    for letter in (Lost(secret_id=bytes(16)), Declined(about=bytes(16), why=Why.FULL)):
        with pytest.raises(Untrusted):
            pair.destination.handle(letter, pair.clock.time_s)
    pair.pass_time(0.0)
    written = decode_letter(pair.near_host.sent[0])
    assert isinstance(written, Propose)
    assert decode_letter(encode_letter(written)) == written


def test_an_answer_whose_proof_is_false_ends_the_agreement_and_the_next_one_works() -> None:
    pair = Pair()
    pair.pass_time(0.0)
    pair.forward()
    answer = decode_letter(pair.far_host.sent.popleft())
    assert isinstance(answer, Answer)
    with pytest.raises(Untrusted, match="does not prove its secret"):
        pair.source.handle(replace(answer, proof=bytes(48)), pair.clock.time_s)
    pair.source.handle(answer, pair.clock.time_s)
    assert pair.source.secret is None
    pair.pass_time(0.5)
    pair.settle()
    assert pair.source.secret is not None
