"""Keys that cross the border of two networks: every rule, on key planes with hand-driven time and faults."""

import dataclasses

import pytest
from tests.agents.keys.border_pair import MASTER, SLAVE, Pair, Side
from tests.agents.keys.network import APP, HandClock, uid
from tests.agents.keys.pqc_network import identities, pqc_settings

from keyweave_agents.keys.border.failures import Problem, Refusal
from keyweave_agents.keys.border.values import (
    Acked,
    AckStatus,
    Answer,
    Beyond,
    BorderRules,
    Domain,
    HandedKey,
    Offer,
    Parties,
    VoidOrder,
)
from keyweave_agents.keys.failures import KeysNotFound
from keyweave_agents.keys.plan import (
    AssociationPlan,
    AssociationWanted,
    KeyPlan,
    RelayRestored,
    RelayTrouble,
)
from keyweave_agents.keys.pqc.identity import PqcIdentity
from keyweave_agents.material import Secret
from keyweave_agents.service import write020 as write
from keyweave_core.model.application import AppQos, KeyMode, KeyOrigin
from keyweave_core.model.ids import LinkId, NodeId, SaeId

PARTIES = Parties(initiator=MASTER, targets=(SLAVE,))
CALLBACK = "https://x/kmapi/v1/ext_keys/ack"


def uuid(number: int) -> str:
    return f"11111111-0000-4000-8000-{number:012x}"


def offer(*numbers: int, value: bytes = b"\x5a" * 32, **more: object) -> Offer:
    keys = tuple(HandedKey(key_id=uuid(number), value=Secret(value)) for number in numbers)
    return Offer(**{"keys": keys, "parties": PARTIES, "callback": CALLBACK, **more})  # type: ignore[arg-type]


def void(*numbers: int, parties: Parties = PARTIES) -> VoidOrder:
    return VoidOrder(key_ids=tuple(uuid(number) for number in numbers), parties=parties, callback=None)


def in_y(pair: Pair, number: int) -> bool:
    """Whether SLAVE can fetch a key; it has fetched it then."""
    try:
        (key,) = pair.y.planes[2].serving.fetch(SLAVE, MASTER, (uuid(number),))
    except KeysNotFound:
        return False
    return len(key.key) > 0


def said(pair: Pair, *numbers: int) -> list[str]:
    found = [pair.y.border.said("x", PARTIES, (uuid(number),)) for number in numbers]
    return [each[0].status.value if each else "nothing yet" for each in found]


def refused(pair: Pair, what: Offer) -> Refusal:
    with pytest.raises(Refusal) as caught:
        pair.y.border.accept("x", what)
    return caught.value


# --- from end to end ------------------------------------------------------------------------------


def test_a_key_is_supplied_when_the_other_network_holds_it() -> None:
    pair = Pair().begin()
    pair.x.settle()
    assert pair.draw() == ()  # nobody in Y has been asked yet
    pair.wait(2)
    keys = pair.draw(3)
    assert len(keys) == 3
    for near, far in zip(keys, pair.fetch(keys), strict=True):
        assert near.key_id == far.key_id
        assert near.key.same_as(far.key)
    with pytest.raises(KeysNotFound):
        pair.fetch(keys)


def test_the_buffer_is_filled_again_and_again() -> None:
    pair = Pair().begin()
    for _ in range(5):
        pair.wait(2)
        keys = pair.draw(4)
        assert len(keys) == 4
        pair.fetch(keys)


def test_no_key_leaves_before_the_acknowledgement() -> None:
    pair = Pair().begin()
    pair.fault = lambda post: "lost" if post.kind == "ack" else "ok"
    pair.wait(5)
    assert pair.key_ids()
    assert pair.draw() == ()
    pair.fault = lambda _: "ok"
    pair.wait(10)
    assert pair.draw()


def test_given_keys_are_the_only_ones_of_an_association_that_began_abroad() -> None:
    pair = Pair().begin()
    pair.wait(3)
    association = pair.y.planes[1].snapshot().associations[APP]
    assert association.stored_keys == 0
    assert pair.y.planes[2].snapshot().associations[APP].stored_keys == len(pair.key_ids())


def test_both_border_nodes_count_what_crossed() -> None:
    pair = Pair().begin()
    pair.wait(130)
    crossed = 256 * len(pair.key_ids())
    for side, number in ((pair.x, 2), (pair.y, 1)):
        periods = side.planes[number].snapshot().associations[APP].statistics
        assert sum(period.consumed_bits for period in periods) == crossed
        assert all(period.paths for period in periods)


def test_a_master_at_the_border_node_itself_waits_too() -> None:
    pair = Pair()
    pair.x.associate([2])
    pair.x.gather()
    assert pair.x.draw(at=2) == ()
    pair.wait(3)
    keys = pair.x.draw(2, at=2)
    assert len(keys) == 2
    assert [key.key_id for key in pair.fetch(keys)] == [key.key_id for key in keys]


def test_a_target_at_the_border_node_itself_gets_it_at_once() -> None:
    pair = Pair(grants=False).begin()
    pair.y.associate([1])
    pair.wait(2)
    keys = pair.draw(2)
    assert [key.key_id for key in pair.y.fetch(keys, at=1)] == [key.key_id for key in keys]


def test_a_target_beyond_a_third_network_is_handed_on() -> None:
    third = SaeId("sae-third")
    pair = Pair(grants=False)
    plane = pair.y.planes[1]
    plane.border.domains["z"] = Domain(name="z", sae_ids=(third,))
    parties = Parties(initiator=MASTER, targets=(third,))
    association = AssociationPlan(
        app_id=APP, server=MASTER, clients=(third,), source=True, links=(), remote_node=pair.y.node(1)
    )
    plane.configure(KeyPlan(associations=(association,)))
    plane.border.accept("x", offer(1, 2, parties=parties, optional=b'{"E99999_note":1}'))
    pair.y.gather()
    (post,) = plane.border.due()
    assert (post.peer, post.kind) == ("z", "keys")
    assert post.offer is not None
    assert post.offer.optional == b'{"E99999_note":1}'
    assert [key.key_id for key in post.offer.keys] == [uuid(1), uuid(2)]
    assert post.offer.keys[0].value.same_as(Secret(b"\x5a" * 32))
    plane.border.posted(post, Answer(status=202))
    pair.y.gather()
    assert plane.border.said("x", parties, (uuid(1),)) is None  # not before the last network has it
    plane.border.acked("z", (ack([uuid(1), uuid(2)], parties=parties),))
    pair.y.gather()
    (acked,) = plane.border.said("x", parties, (uuid(1), uuid(2))) or ()
    assert acked.status is AckStatus.RELAYED


def test_one_key_for_several_targets_where_that_is_allowed() -> None:
    third = SaeId("sae-third")
    rules = BorderRules(targets=2)
    pair = Pair(rules=rules, grants=False)
    parties = Parties(initiator=MASTER, targets=(SLAVE, third))
    pair.y.border.accept("x", offer(1, parties=parties))
    (wanted,) = [event for event in pair.y.events[1] if isinstance(event, AssociationWanted)]
    assert set(wanted.clients) == {SLAVE, third}
    pair.y.associate([1, 2])
    plan = pair.y.plans[1]
    for number in (1, 2):
        plan = pair.y.plans[number]
        (one,) = plan.associations
        both = dataclasses.replace(one, clients=(SLAVE, third))
        pair.y.planes[number].configure(dataclasses.replace(plan, associations=(both,)))
    pair.wait(2)
    (acked,) = pair.y.border.said("x", parties, (uuid(1),)) or ()
    assert acked.status is AckStatus.RELAYED
    assert in_y(pair, 1)
    assert len(pair.y.planes[2].serving.fetch(third, MASTER, (uuid(1),))) == 1


def test_a_batch_for_two_networks_goes_nowhere() -> None:
    pair = Pair()
    pair.x.border.domains["z"] = Domain(name="z", sae_ids=(SaeId("sae-third"),))
    pair.x.associate([1, 2])
    for number in (1, 2):
        plan = pair.x.plans[number]
        both = dataclasses.replace(plan.associations[0], clients=(SLAVE, SaeId("sae-third")))
        pair.x.planes[number].configure(dataclasses.replace(plan, associations=(both,)))
    pair.wait(2)
    assert pair.key_ids() == []
    assert pair.draw() == ()


def test_a_great_many_keys_are_acknowledged_piece_by_piece() -> None:
    pair = Pair(rules=BorderRules(retry_first_s=0.01))
    pair.y.associate([1])
    for first in range(0, 5000, 500):
        pair.y.border.accept("x", offer(*range(first, first + 500)))
        pair.y.gather()
    posts = pair.y.border.due()
    assert [post.kind for post in posts] == ["ack"]
    assert sum(len(acked.key_ids) for acked in posts[0].acks) == 2048
    assert all(len(acked.key_ids) <= 1024 for acked in posts[0].acks)
    assert len(write.acks_body(posts[0].acks)) < 256 * 1024


def test_a_full_disk_holds_everything_back() -> None:
    pair = Pair().begin()
    pair.y.disks[1].full = True
    pair.wait(3)
    assert pair.draw() == ()
    pair.y.disks[1].full = False
    pair.wait(5)
    keys = pair.draw(2)
    assert len(pair.fetch(keys)) == 2


class PqcSide(Side):
    """A network whose nodes can make keys by ML-KEM; `dark`: and no other."""

    dark = False

    def __init__(self, clock: HandClock, border_node: int, beyond: Beyond, seed: int) -> None:
        self.identities = identities(*(NodeId(uid(number)) for number in (1, 2)))
        super().__init__(clock, border_node, beyond, seed, pqc=pqc_settings())

    def identity(self, number: int) -> PqcIdentity | None:
        return self.identities[self.node(number)]

    def fill(self, link_id: LinkId | None = None, size: int = 512) -> None:
        if not self.dark:
            super().fill(link_id, size)


class DarkSide(PqcSide):
    dark = True


@pytest.mark.parametrize(
    ("side", "mode", "origin"),
    [
        (PqcSide, KeyMode.PQC_FALLBACK, KeyOrigin.QKD),
        (PqcSide, KeyMode.HYBRID, KeyOrigin.HYBRID),
        (DarkSide, KeyMode.PQC_FALLBACK, KeyOrigin.PQC),
    ],
)
def test_what_keys_are_made_of_is_told_and_may_keep_them_at_home(
    side: type[PqcSide], mode: KeyMode, origin: KeyOrigin
) -> None:
    for allowed in (frozenset({origin}), frozenset[KeyOrigin]()):
        pair = Pair(side=PqcSide, origins=allowed)
        if side is DarkSide:
            pair.x = DarkSide(pair.clock, 2, pair.x.beyond(2) or Beyond(), 9)
            pair.x.start()
        pair.x.associate([1, 2], mode=mode)
        pair.wait(20)
        keys = pair.draw(2)
        assert [key.origin for key in keys] == ([origin] * 2 if origin in allowed else [])
        assert len(pair.fetch(keys)) == len(keys)
        assert {post.offer.origin for post in pair.seen if post.offer} == ({origin} & allowed)


# --- a peer in trouble ----------------------------------------------------------------------------


def test_a_peer_that_is_down_is_told_of_and_asked_again() -> None:
    pair = Pair().begin()
    pair.fault = lambda _: "lost"
    request = pair.x.request()
    pair.wait(12)
    assert "does not answer" in (pair.x.planes[1].serving.why(request) or "")
    troubles = [event for event in pair.x.events[2] if isinstance(event, RelayTrouble)]
    assert troubles
    assert "the network y" in troubles[0].reason
    pair.fault = lambda _: "ok"
    pair.wait(10)
    assert request.keys is not None
    assert any(isinstance(event, RelayRestored) for event in pair.x.events[2])


@pytest.mark.parametrize("fate", ["deaf", "busy"])
def test_a_peer_that_answers_badly_is_asked_again(fate: str) -> None:
    pair = Pair().begin()
    fates = iter([fate] * 6)
    pair.fault = lambda _: next(fates, "ok")
    pair.wait(20)
    keys = pair.draw(2)
    assert len(keys) == 2
    pair.fetch(keys)


def test_every_post_may_come_twice_and_late() -> None:
    pair = Pair().begin()
    for _ in range(3):
        pair.wait(1)
        for number in range(len(pair.seen)):
            pair.repeat(number)
            pair.turn()
    keys = pair.draw(4)
    assert len(pair.fetch(keys)) == 4
    assert said(pair, 99) == ["key not present"]


def test_a_refusal_guarantees_that_nothing_is_there_and_ends_the_batch() -> None:
    pair = Pair().begin()
    pair.y.border.domains["x"] = type(pair.y.border.domains["x"])(name="x", sae_ids=(SaeId("other"),))
    pair.wait(5)
    assert pair.draw() == ()
    assert not [post for post in pair.seen if post.kind == "void"]
    assert any(isinstance(event, RelayTrouble) for event in pair.x.events[2])


def test_keys_that_did_not_get_through_are_given_up_and_others_made() -> None:
    pair = Pair(rules=BorderRules(relay_s=5.0), grants=False).begin()
    pair.wait(5.25)
    failed = pair.key_ids()
    pair.wait(3)
    assert failed
    assert said_of(pair, failed) == {"failed"}
    assert {event.qos for event in pair.y.events[1] if isinstance(event, AssociationWanted)} == {AppQos()}
    pair.grants = True
    pair.wait(10)
    keys = pair.draw(2)
    assert len(keys) == 2
    assert not {key.key_id for key in keys} & set(failed)
    pair.fetch(keys)


def test_a_network_that_refuses_is_asked_ever_less_often() -> None:
    pair = Pair().begin()
    pair.y.border.domains["x"] = type(pair.y.border.domains["x"])(name="x", sae_ids=(SaeId("other"),))
    request = pair.x.request()
    pair.wait(20)
    early = len(pair.seen)
    assert "refused keys" in (pair.x.planes[1].serving.why(request) or "")
    pair.wait(60)
    assert early >= 4
    assert len(pair.seen) - early <= 4


def said_of(pair: Pair, key_ids: list[str]) -> set[str]:
    acks = pair.y.border.said("x", PARTIES, tuple(key_ids)) or ()
    return {acked.status.value for acked in acks}


def test_a_refused_association_fails_the_keys_with_its_reason() -> None:
    pair = Pair(grants=False)
    pair.y.border.accept("x", offer(1))
    pair.y.planes[1].serving.refuse(MASTER, (SLAVE,), ("no way to it",))
    pair.wait(1)
    (acked,) = pair.y.border.said("x", PARTIES, (uuid(1),)) or ()
    assert acked.status is AckStatus.FAILED
    assert "no way to it" in acked.message


def test_what_nobody_waits_for_any_more_is_voided() -> None:
    pair = Pair(grants=False).begin()
    pair.wait(3)
    before = pair.key_ids()
    pair.x.associate([2])  # the association moves away from X1
    pair.fault = lambda _: "ok"
    pair.wait(60)
    assert said_of(pair, before) <= {"voided", "failed"}
    assert any(post.kind == "void" for post in pair.seen)


# --- what is taken over ---------------------------------------------------------------------------


def test_the_same_again_changes_nothing_and_is_told_again() -> None:
    pair = Pair()
    pair.y.border.accept("x", offer(1, 2))
    pair.wait(2)
    assert said(pair, 1, 2) == ["relayed", "relayed"]
    before = len([post for post in pair.seen if post.kind == "ack"])
    pair.y.border.accept("x", offer(2, 1))
    pair.wait(1)
    assert len([post for post in pair.seen if post.kind == "ack"]) > before
    assert in_y(pair, 1)
    assert in_y(pair, 2)
    pair.y.border.accept("x", offer(1, 2))
    pair.wait(1)
    assert not in_y(pair, 1)  # once supplied, never again


@pytest.mark.parametrize("known", [1, 2, 3])
def test_another_value_under_a_known_id_is_refused_with_the_whole_request(known: int) -> None:
    pair = Pair(grants=known < 3)
    pair.y.border.accept("x", offer(1))
    if known == 2:
        pair.wait(2)
    error = refused(
        pair,
        Offer(
            keys=(
                HandedKey(key_id=uuid(7), value=Secret(b"\x01" * 32)),
                HandedKey(key_id=uuid(1), value=Secret(b"\x02" * 32)),
            ),
            parties=PARTIES,
            callback=CALLBACK,
        ),
    )
    assert error.problem is Problem.INVALID_PARAMETER
    assert error.details == {"key_id": uuid(1)}
    assert said(pair, 7) == ["key not present"]


def test_other_applications_under_a_known_id_are_refused() -> None:
    pair = Pair()
    pair.y.border.accept("x", offer(1))
    others = Parties(initiator=MASTER, targets=(SaeId("sae-third"),))
    assert refused(pair, offer(1, parties=others)).problem is Problem.INVALID_PARAMETER


def test_routes_that_lead_nowhere() -> None:
    pair = Pair()
    third = SaeId("sae-third")
    back = refused(pair, offer(1, parties=Parties(initiator=MASTER, targets=(MASTER,))))
    assert (back.problem, set(back.details)) == (Problem.ROUTING, {"invalid_routing"})
    stranger = refused(pair, offer(1, parties=Parties(initiator=third, targets=(SLAVE,))))
    assert (stranger.problem, set(stranger.details)) == (Problem.INVALID_PARAMETER, {"initiator_sae_id"})
    many = refused(pair, offer(1, parties=Parties(initiator=MASTER, targets=(SLAVE, third))))
    assert (many.problem, set(many.details)) == (Problem.NO_ROUTE, {"no_route_multiple_targets"})
    assert many.problem.status == 503
    domain = pair.y.border.domains["x"]
    pair.y.border.domains["x"] = type(domain)(name="x", sae_ids=(MASTER,), may_reach=("office-",))
    unknown = refused(pair, offer(1))
    assert (unknown.problem, set(unknown.details)) == (Problem.ROUTING, {"target_sae_id_not_recognized"})


def test_no_more_is_remembered_of_a_peer_than_allowed() -> None:
    pair = Pair(rules=BorderRules(records=3))
    pair.y.border.accept("x", offer(1, 2))
    assert refused(pair, offer(3, 4)).problem is Problem.GENERAL
    assert said(pair, 3) == ["key not present"]
    pair.y.border.accept("x", offer(1, 2, 3))


def test_settled_keys_make_room_and_can_still_be_taken_back() -> None:
    pair = Pair(rules=BorderRules(records=3))
    pair.y.border.accept("x", offer(1, 2, 3))
    pair.wait(2)
    assert refused(pair, offer(4)).problem is Problem.GENERAL
    pair.y.associate([1, 2])
    pair.fault = lambda _: "ok"
    for post in pair.y.border.due():  # X knows nothing of these keys: in this test it says that it does
        pair.y.border.posted(post, Answer(status=200))
    for _ in range(3):
        pair.wait(20)
        for post in pair.y.border.due():
            pair.y.border.posted(post, Answer(status=200))
    pair.wait(310)
    pair.y.border.accept("x", offer(4))
    assert said(pair, 1) == ["key not present"]  # forgotten at the border
    job = pair.y.border.void("x", void(1))
    pair.wait(2)
    assert [acked.status.value for acked in job.acks()] == ["voided"]
    assert not in_y(pair, 1)
    assert in_y(pair, 2)


def test_a_peer_takes_back_nothing_that_another_one_handed_over() -> None:
    pair = Pair()
    pair.y.border.domains["z"] = Domain(name="z", sae_ids=(SaeId("sae-third"),))
    pair.y.border.accept("x", offer(1))
    pair.wait(2)
    job = pair.y.border.void("z", void(1, 2))
    pair.wait(2)
    assert [acked.status.value for acked in job.acks()] == ["key not present"]
    assert in_y(pair, 1)
    pair.y.border.accept("x", offer(2))  # what another peer says of an id is nothing to this one
    pair.wait(2)
    assert in_y(pair, 2)


def test_the_agreed_end_of_a_key_ends_it_at_its_destination() -> None:
    pair = Pair()
    pair.y.border.accept("x", offer(1, ttl_s=30.0))
    pair.y.border.accept("x", offer(2))
    pair.wait(40)
    assert not in_y(pair, 1)
    assert in_y(pair, 2)


# --- taken back -----------------------------------------------------------------------------------


def test_a_voided_key_is_not_supplied_and_never_comes_back() -> None:
    pair = Pair()
    pair.y.border.accept("x", offer(1, 2))
    pair.wait(2)
    job = pair.y.border.void("x", void(1))
    pair.wait(1)
    assert job.done
    assert [(acked.status.value, acked.key_ids) for acked in job.acks()] == [("voided", (uuid(1),))]
    assert not in_y(pair, 1)
    assert in_y(pair, 2)
    assert refused(pair, offer(1)).details == {"key_id": uuid(1)}
    pair.wait(2)
    assert not in_y(pair, 1)


def test_a_key_that_was_delivered_stays() -> None:
    pair = Pair()
    pair.y.border.accept("x", offer(1))
    pair.wait(2)
    assert in_y(pair, 1)
    job = pair.y.border.void("x", void(1))
    pair.wait(1)
    assert [acked.status.value for acked in job.acks()] == ["failed to void"]


def test_a_key_that_is_still_on_its_way_is_voided() -> None:
    pair = Pair(grants=False)
    pair.y.border.accept("x", offer(1, 2))
    job = pair.y.border.void("x", void(1))
    assert [acked.status.value for acked in job.acks()] == ["voided"]
    pair.grants = True
    pair.wait(2)
    assert not in_y(pair, 1)
    assert in_y(pair, 2)


def test_a_key_under_way_in_our_network_is_voided_before_it_arrives() -> None:
    pair = Pair(grants=False)
    pair.y.border.accept("x", offer(1, 2))
    pair.y.associate([1, 2])
    pair.y.tick()
    frames = {key: list(queue) for key, queue in pair.y.wires.items()}
    assert sum(map(len, frames.values())) == 1  # the batch is on the wire
    for queue in pair.y.wires.values():
        queue.clear()
    job = pair.y.border.void("x", void(1))
    pair.y.settle()  # the letter overtakes the batch
    for key, queue in frames.items():
        pair.y.wires[key].extend(queue)
    pair.wait(2)
    assert job.done
    assert [acked.status.value for acked in job.acks()] == ["voided"]
    assert not in_y(pair, 1)
    assert in_y(pair, 2)


def test_a_key_that_never_came_is_not_there_and_never_will_be() -> None:
    pair = Pair()
    job = pair.y.border.void("x", void(5))
    assert [acked.status.value for acked in job.acks()] == ["key not present"]
    refused(pair, offer(5))
    again = pair.y.border.void("x", void(5))
    assert [acked.status.value for acked in again.acks()] == ["key not present"]


def test_all_keys_between_two_applications_are_voided() -> None:
    pair = Pair()
    pair.y.border.accept("x", offer(1, 2, 3))
    pair.wait(2)
    other = pair.y.border.void("x", void(parties=Parties(initiator=MASTER, targets=(SaeId("nobody"),))))
    assert other.acks() == ()
    job = pair.y.border.void("x", void())
    pair.wait(1)
    assert [(acked.status.value, len(acked.key_ids)) for acked in job.acks()] == [("voided", 3)]
    assert not any(in_y(pair, number) for number in (1, 2, 3))


def test_a_void_that_nobody_answers_failed() -> None:
    pair = Pair()
    pair.y.border.accept("x", offer(1))
    pair.wait(2)
    pair.y.disconnect(pair.y.link(1, 2))
    job = pair.y.border.void("x", void(1))
    pair.wait(25)
    assert [acked.status.value for acked in job.acks()] == ["failed to void"]


def test_the_peer_takes_back_what_we_handed_over() -> None:
    pair = Pair().begin()
    pair.wait(2)
    keys = pair.draw(1)
    gone, kept = keys[0].key_id, [each for each in pair.key_ids() if each != keys[0].key_id]
    job = pair.x.border.void("y", VoidOrder(key_ids=(gone, kept[0]), parties=PARTIES, callback=None))
    pair.wait(1)
    states = {key_id: acked.status.value for acked in job.acks() for key_id in acked.key_ids}
    assert states == {gone: "failed to void", kept[0]: "voided"}
    pair.fault = lambda _: "lost"
    drawn = [key.key_id for _ in range(3) for key in pair.draw(1)]
    assert kept[0] not in drawn
    assert drawn


def test_the_peer_takes_back_what_it_has_not_acknowledged() -> None:
    pair = Pair(grants=False).begin()
    pair.wait(2)
    (first, *_) = pair.key_ids()
    job = pair.x.border.void("y", VoidOrder(key_ids=(first,), parties=PARTIES, callback=None))
    assert [acked.status.value for acked in job.acks()] == ["voided"]
    pair.grants = True
    pair.wait(70)
    assert first not in [key.key_id for key in pair.draw(2)]


# --- acknowledgements -----------------------------------------------------------------------------


def ack(key_ids: list[str], status: AckStatus = AckStatus.RELAYED, parties: Parties = PARTIES) -> Acked:
    return Acked(key_ids=tuple(key_ids), status=status, parties=parties)


def test_an_acknowledgement_of_a_stranger_supplies_nothing() -> None:
    pair = Pair(grants=False).begin()
    pair.wait(1)
    ids = pair.key_ids()
    with pytest.raises(Refusal) as caught:
        pair.x.border.acked("z", (ack(ids),))
    assert caught.value.problem is Problem.KEY_NOT_PRESENT
    with pytest.raises(Refusal):
        pair.x.border.acked("y", (ack(ids, parties=Parties(initiator=SLAVE, targets=(MASTER,))),))
    with pytest.raises(Refusal):
        pair.x.border.acked("y", (ack([uuid(77)]),))
    pair.x.settle()
    assert pair.draw() == ()


def test_acknowledgements_may_be_split_and_merged() -> None:
    pair = Pair(grants=False).begin()
    pair.wait(1)
    ids = pair.key_ids()
    assert len(ids) > 1
    for key_id in ids[:-1]:
        pair.x.border.acked("y", (ack([key_id]),))
        pair.x.settle()
        assert pair.draw() == ()  # not before the last one of the batch
    pair.x.border.acked("y", (ack([uuid(88), ids[-1]]), ack([])))
    pair.x.settle()
    assert pair.draw()


def test_targets_may_acknowledge_one_by_one() -> None:
    third = SaeId("sae-third")
    pair = Pair(grants=False)
    y = pair.x.border.domains["y"]
    pair.x.border.domains["y"] = dataclasses.replace(y, sae_ids=(SLAVE, third))
    pair.x.associate([1, 2])
    for number in (1, 2):
        plan = pair.x.plans[number]
        both = dataclasses.replace(plan.associations[0], clients=(third, SLAVE))
        pair.x.planes[number].configure(dataclasses.replace(plan, associations=(both,)))
    pair.y.border.rules = BorderRules(targets=2)
    pair.x.settle()
    (post,) = pair.x.border.due()
    assert post.offer is not None
    ids = [key.key_id for key in post.offer.keys]
    pair.x.border.posted(post, Answer(status=202))
    for target in (SLAVE, third):
        pair.x.settle()
        waiting = pair.x.request(also=(third,))
        assert waiting.keys is None
        pair.x.planes[1].serving.abandon(waiting)
        pair.x.border.acked("y", (ack(ids, parties=Parties(initiator=MASTER, targets=(target,))),))
    pair.x.settle()
    assert pair.x.request(also=(third,)).keys


def test_an_acknowledgement_after_the_end_changes_nothing() -> None:
    pair = Pair(grants=False).begin()
    pair.wait(1)
    ids = pair.key_ids()
    pair.x.border.acked("y", (ack(ids[:1], AckStatus.FAILED),))
    pair.x.border.acked("y", (ack(ids),))
    pair.wait(3)
    assert pair.draw() == ()


# --- crashes --------------------------------------------------------------------------------------


def test_what_was_accepted_survives_a_crash() -> None:
    pair = Pair(grants=False)
    pair.y.border.accept("x", offer(1, 2))
    pair.y.kept()
    pair.y.crash()
    pair.grants = True
    pair.wait(4)
    assert said(pair, 1, 2) == ["relayed", "relayed"]
    assert in_y(pair, 1)


def test_what_was_not_on_record_is_as_if_it_had_never_come() -> None:
    pair = Pair(grants=False)
    pair.y.border.accept("x", offer(1))
    pair.y.crash()
    assert said(pair, 1) == ["key not present"]
    pair.y.border.accept("x", offer(1, value=b"\x77" * 32))


def test_tombstones_and_values_survive_a_crash() -> None:
    pair = Pair()
    pair.y.border.accept("x", offer(1, 2))
    pair.wait(2)
    pair.y.border.void("x", void(1, 5))
    pair.wait(1)
    pair.y.crash()
    assert said(pair, 1, 2, 5) == ["voided", "relayed", "key not present"]
    refused(pair, offer(1))
    refused(pair, offer(5))
    refused(pair, offer(2, value=b"\x01" * 32))
    pair.y.border.accept("x", offer(2))


def test_a_void_goes_on_after_a_crash() -> None:
    pair = Pair()
    pair.y.border.accept("x", offer(1))
    pair.wait(2)
    pair.y.disconnect(pair.y.link(1, 2))
    pair.y.border.void("x", void(1))
    pair.y.kept()
    pair.y.crash()
    pair.wait(3)
    assert said(pair, 1) == ["voided"]
    assert not in_y(pair, 1)


def test_an_acknowledgement_that_was_not_heard_is_said_again_after_a_crash() -> None:
    pair = Pair().begin()
    pair.fault = lambda post: "lost" if post.kind == "ack" else "ok"
    pair.wait(3)
    pair.y.crash()
    pair.fault = lambda _: "ok"
    pair.wait(3)
    keys = pair.draw(2)
    assert len(pair.fetch(keys)) == 2


def test_the_sender_goes_on_after_a_crash() -> None:
    pair = Pair().begin()
    pair.fault = lambda post: "lost" if post.kind == "ack" else "ok"
    pair.wait(3)
    pair.x.crash()
    pair.fault = lambda _: "ok"
    pair.wait(20)
    keys = pair.draw(2)
    assert len(pair.fetch(keys)) == 2


def test_the_sender_voids_after_a_crash_what_its_network_forgot() -> None:
    pair = Pair(grants=False).begin()
    pair.wait(2)
    ids = pair.key_ids()
    pair.x.crash()
    pair.x.plans = {1: type(pair.x.plans[1])(), 2: pair.x.plans[2]}
    pair.x.planes[1].configure(pair.x.plans[1])
    pair.wait(60)
    assert said_of(pair, ids) <= {"voided", "failed"}
    assert any(post.kind == "void" for post in pair.seen)


def test_a_network_that_is_gone_from_the_settings_is_left_alone() -> None:
    pair = Pair(grants=False).begin()
    pair.wait(2)
    for side in (pair.x, pair.y):
        side._beyond = Beyond(domains=(Domain(name="new", sae_ids=(SaeId("sae-new"),)),))
        side.crash()
    pair.x.associate([2])
    heard = len(pair.seen)
    pair.wait(70)
    assert len(pair.seen) == heard


def test_answers_of_a_peer_that_make_no_sense_are_no_acknowledgement() -> None:
    pair = Pair(grants=False).begin()
    pair.x.gather()
    for post in pair.x.border.due():
        strange = Acked(key_ids=(uuid(1),), status=AckStatus.RELAYED, parties=PARTIES)
        pair.x.border.posted(post, Answer(status=200, acks=(strange,)))
    pair.x.settle()
    assert pair.draw() == ()
