"""Associations that streams ask for: under the id of a stream, for all of a pair, given back."""

from collections.abc import Callable
from dataclasses import dataclass, field

from keyweave_agents.keys.plan import AssociationEnds, AssociationWanted, StoreStatus, SuppliedKey
from keyweave_agents.keys.relaying.frames import LetterKind
from keyweave_agents.keys.storage.ledger import MemoryLedger, Shelf
from keyweave_agents.service.streams.borrowed import (
    ASK_MOST,
    REST_AFTER_START_S,
    REST_S,
    Borrowed,
    together,
)
from keyweave_agents.service.streams.values import StreamQos
from keyweave_core.model.application import AppQos
from keyweave_core.model.ids import AppId, SaeId

PAIR = (SaeId("alice"), SaeId("urn:sae:bob"))
KSID = bytes(range(16))
ID = AppId("00010203-0405-0607-0809-0a0b0c0d0e0f")
ONE = StreamQos(max_bps=1000, min_bps=100, ttl_s=60, priority=1)
TWO = StreamQos(max_bps=2000, min_bps=0, ttl_s=600, priority=3)


@dataclass
class Network:
    """What is asked of the network, and the association that there is."""

    association: AssociationEnds | None = None
    told: list[object] = field(default_factory=list)

    def want(self, wanted: AssociationWanted) -> None:
        self.told.append(wanted)

    def change(self, app_id: AppId, qos: AppQos, priority: int) -> None:
        self.told.append((app_id, qos, priority))

    def give_back(self, app_id: AppId) -> None:
        self.told.append(app_id)

    def grant(self, app_id: AppId, qos: AppQos) -> None:
        self.association = AssociationEnds(
            app_id=app_id, server=PAIR[0], clients=PAIR[1:], direct=True, qos=qos
        )

    def between(self, server: SaeId, client: SaeId) -> AssociationEnds | None:
        assert (server, client) == PAIR
        return self.association

    def ends(self, app_id: AppId) -> AssociationEnds | None:
        raise AssertionError

    def send_letter(self, app_id: AppId, kind: LetterKind, body: bytes) -> bool:
        raise AssertionError

    def on_letters(self, kind: LetterKind, handler: Callable[[AppId, bytes], None]) -> None:
        raise AssertionError

    def status(self, caller: SaeId, other: SaeId) -> StoreStatus | None:
        raise AssertionError

    async def get_keys(
        self,
        caller: SaeId,
        client: SaeId,
        number: int,
        size_bits: int,
        deadline_s: float,
        *,
        qos: AppQos | None = None,
        priority: int = 0,
        also: tuple[SaeId, ...] = (),
    ) -> tuple[SuppliedKey, ...]:
        raise AssertionError

    async def get_keys_by_id(
        self, caller: SaeId, master: SaeId, key_ids: tuple[str, ...]
    ) -> tuple[SuppliedKey, ...]:
        raise AssertionError


def made(shelf: Shelf | None = None, now_s: float = 0.0) -> tuple[Network, Borrowed]:
    network = Network()
    return network, Borrowed(network, shelf, now_s)


def test_several_streams_are_one_association() -> None:
    assert together([ONE, TWO]) == (
        AppQos(min_bandwidth_bps=100, max_bandwidth_bps=3000, ttl_s=600),
        3,
    )
    assert together([TWO])[0].min_bandwidth_bps is None
    assert together([StreamQos(max_bps=2**32 - 1, min_bps=2**32 - 1, ttl_s=1)] * 3)[0] == AppQos(
        min_bandwidth_bps=2**32 - 1, max_bandwidth_bps=2**32 - 1, ttl_s=1
    )


def test_an_association_is_wanted_under_the_id_of_the_stream_and_given_back() -> None:
    network, borrowed = made()
    borrowed.want(KSID, PAIR, [ONE])
    (wanted,) = network.told
    assert wanted == AssociationWanted(
        server=PAIR[0], clients=PAIR[1:], qos=together([ONE])[0], priority=1, app_id=ID
    )
    network.grant(ID, together([ONE])[0])
    borrowed.want(b"x" * 16, PAIR, [ONE, ONE])
    for now_s in (1.0, 2.0, 3.0):
        borrowed.tick({PAIR: [ONE]}, now_s)
    borrowed.tick({}, 4.0)
    borrowed.tick({}, 4.0 + REST_S - 0.1)
    borrowed.tick({PAIR: [ONE]}, 9.0)
    borrowed.tick({}, 10.0)
    assert len(network.told) == 1
    borrowed.tick({}, 10.0 + REST_S)
    borrowed.tick({}, 100.0)
    assert network.told[1:] == [ID]


def test_an_association_of_others_is_left_alone() -> None:
    network, borrowed = made()
    network.grant(AppId("another"), AppQos(min_bandwidth_bps=50))
    borrowed.want(KSID, PAIR, [ONE])
    assert borrowed.reserved_bps(PAIR, [ONE], 1.0) == 50
    borrowed.tick({PAIR: [ONE]}, 1.0)
    borrowed.tick({}, 2.0)
    borrowed.tick({}, 20.0)
    assert network.told == []
    assert not borrowed.ours(PAIR)


def test_one_that_the_controller_gave_another_id_is_not_given_back() -> None:
    network, borrowed = made()
    borrowed.want(KSID, PAIR, [ONE])
    network.grant(AppId("chosen by the controller"), AppQos())
    for now_s in (1.0, 2.0, 30.0, 60.0):
        borrowed.tick({}, now_s)
    assert len(network.told) == 1


def test_qualities_follow_the_streams_and_are_asked_for_a_few_times() -> None:
    network, borrowed = made()
    borrowed.want(KSID, PAIR, [ONE])
    network.grant(ID, together([ONE])[0])
    both = together([ONE, ONE])
    assert borrowed.reserved_bps(PAIR, [ONE, ONE], 1.0) == 100
    for step in range(200):
        borrowed.tick({PAIR: [ONE, ONE]}, 1.0 + step / 10)
    assert network.told[1:] == [(ID, *both)] * ASK_MOST, "the controller does not answer"
    network.grant(ID, both[0])
    assert borrowed.reserved_bps(PAIR, [ONE, ONE], 30.0) == 200
    borrowed.tick({PAIR: [ONE]}, 31.0)
    assert network.told[-1] == (ID, *together([ONE]))
    network.grant(ID, together([ONE])[0])
    asked = len(network.told)
    for now_s in (33.0, 35.0, 40.0):
        borrowed.tick({PAIR: [ONE]}, now_s)
    assert len(network.told) == asked, "granted"


def test_what_a_killed_agent_asked_for_is_given_back() -> None:
    shelf = MemoryLedger().shelf("streams")
    _, borrowed = made(shelf)
    borrowed.want(KSID, PAIR, [ONE])
    network, after = made(shelf, 1000.0)
    network.grant(ID, together([ONE])[0])
    after.tick({}, 1000.0 + REST_AFTER_START_S - 1)
    assert network.told == []
    after.tick({}, 1000.0 + REST_AFTER_START_S)
    assert network.told == [ID]
    assert list(shelf.items()) == []


def test_applications_that_come_back_keep_it() -> None:
    shelf = MemoryLedger().shelf("streams")
    _, borrowed = made(shelf)
    borrowed.want(KSID, PAIR, [ONE])
    network, after = made(shelf, 1000.0)
    network.grant(ID, together([ONE])[0])
    after.want(b"n" * 16, PAIR, [ONE])
    for now_s in (1001.0, 1100.0, 1200.0):
        after.tick({PAIR: [ONE]}, now_s)
    assert network.told == [], "the same qualities under the same id"
