"""Relay orders of an agent and the plan of a key manager, to and fro."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_agents.keys.plan import AssociationPlan, KeyPlan, Route
from keyweave_agents.quicks.messages import Qos004, Qos014, QosRequest, RelayChange, RelayOrder, read
from keyweave_agents.quicks.orders import Exists, OrderBook, Unknown, association_of, link_of
from keyweave_agents.quicks.wanted import orders
from keyweave_core.errors import InvalidInput
from keyweave_core.model.application import AppQos, KeyMode, RelayMethod
from keyweave_core.model.ids import AppId, LinkId, NodeId, SaeId

NODES = [NodeId(f"{number:08x}-0000-4000-8000-000000000000") for number in range(4)]
AUTHORITY = {node: f"kms{number}:700{number}" for number, node in enumerate(NODES)}
STREAM = LinkId("33333333-0000-4000-8000-000000000001")
QOS = QosRequest(type="etsi_004", etsi_004=Qos004(key_chunk_size=32, max_bps=0, min_bps=2000, ttl=60))


def book(index: int, *served: str, relays: bool = True) -> OrderBook:
    near = {AUTHORITY[node]: node for node in NODES if node != NODES[index]}
    return OrderBook(NODES[index], frozenset(SaeId(one) for one in served), near, relays=relays)


def order(*near: int, source: str = "alice", destination: tuple[str, ...] = ("bob",)) -> RelayOrder:
    return RelayOrder(
        source=source,
        destination=destination,
        next_node_info=tuple(AUTHORITY[NODES[one]] for one in near),
        qos_request=QOS,
    )


def test_who_serves_the_source_begins_the_path_and_makes_the_keys() -> None:
    at_a = book(0, "alice")
    assert at_a.add(STREAM, order(1))
    plan = at_a.plan()
    assert plan.routes == (Route(link_id=STREAM, prev_hop=None, next_hop=NODES[1]),)
    (association,) = plan.associations
    assert association.source
    assert association.links == (STREAM,)
    assert association.qos == AppQos(min_bandwidth_bps=2000, ttl_s=60)


def test_the_two_ends_mean_the_same_association() -> None:
    at_a, at_c = book(0, "alice"), book(2, "bob")
    at_a.add("any text of a vendor", order(1))
    at_c.add("any text of a vendor", order(1))
    ends = [each.plan().associations[0] for each in (at_a, at_c)]
    assert ends[0].app_id == ends[1].app_id == association_of("alice", ("bob",))
    assert ends[0].links == ends[1].links == (link_of("any text of a vendor"),)
    assert not ends[1].source


def test_between_two_neighbours_keys_are_passed_on() -> None:
    at_b = book(1)
    at_b.add(STREAM, order(0, 2))
    assert at_b.plan().associations == ()
    assert at_b.plan().routes == (
        Route(link_id=STREAM, prev_hop=NODES[0], next_hop=NODES[2], either_way=True),
    )


def test_two_applications_of_one_key_manager_need_no_path() -> None:
    at_a = book(0, "alice", "bob")
    at_a.add(STREAM, order())
    (association,) = at_a.plan().associations
    assert association.remote_node == NODES[0]
    assert at_a.plan().routes == ()


@pytest.mark.parametrize(
    ("index", "served", "wish", "complaint"),
    [
        (1, (), order(0), "at least two neighbours"),
        (0, ("alice",), order(), "at least one neighbour"),
        (0, ("alice", "bob"), order(1), "nobody is next"),
        (1, (), order(0, 0), "named twice"),
        (
            1,
            (),
            RelayOrder(source="a", destination=("b",), next_node_info=("stranger:1",), qos_request=QOS),
            "stranger:1 is no neighbour",
        ),
    ],
)
def test_an_order_that_makes_no_sense_changes_nothing(
    index: int, served: tuple[str, ...], wish: RelayOrder, complaint: str
) -> None:
    here = book(index, *served)
    with pytest.raises(InvalidInput, match=complaint):
        here.add(STREAM, wish)
    assert here.plan() == KeyPlan()


def test_a_node_that_does_not_relay_says_so() -> None:
    with pytest.raises(InvalidInput, match="does not relay"):
        book(1, relays=False).add(STREAM, order(0, 2))


def test_the_same_order_twice_is_once_and_another_under_its_name_is_refused() -> None:
    here = book(0, "alice")
    assert here.add(STREAM, order(1))
    assert not here.add(STREAM, order(1))
    with pytest.raises(Exists):
        here.add(STREAM, order(2))
    here.change(STREAM, RelayChange(next_node_info=(AUTHORITY[NODES[2]],)))
    assert here.plan().routes[0].next_hop == NODES[2]
    here.remove(STREAM)
    with pytest.raises(Unknown):
        here.remove(STREAM)
    with pytest.raises(Unknown):
        here.change(STREAM, RelayChange(source="x"))


def test_a_stream_that_replaces_another_feeds_the_same_buffer() -> None:
    here, other = book(0, "alice"), LinkId("33333333-0000-4000-8000-000000000002")
    here.add(STREAM, order(1))
    here.add(other, order(2))
    (association,) = here.plan().associations
    assert association.links == (other,)
    assert {route.link_id for route in here.plan().routes} == {STREAM, other}


def whole(index: int, **changes: object) -> KeyPlan:
    values: dict[str, object] = {
        "app_id": AppId("22222222-0000-4000-8000-000000000001"),
        "server": SaeId("alice"),
        "clients": (SaeId("bob"),),
        "source": index == 0,
        "links": (STREAM,),
        "remote_node": NODES[2 - index],
        "qos": AppQos(min_bandwidth_bps=2000, ttl_s=60),
        **changes,
    }
    route = Route(
        link_id=STREAM,
        prev_hop=NODES[index - 1] if index else None,
        next_hop=NODES[index + 1] if index < 2 else None,
    )
    ends = () if index == 1 else (AssociationPlan(**values),)  # type: ignore[arg-type]  # a test's fields
    return KeyPlan(routes=(route,), associations=ends)


@pytest.mark.parametrize(("index", "served"), [(0, ("alice",)), (1, ()), (2, ("bob",))])
def test_what_our_agent_orders_is_what_our_key_manager_does(index: int, served: tuple[str, ...]) -> None:
    near = {node: AUTHORITY[node] for node in NODES if node != NODES[index]}
    ordered = orders(whole(index), near, NODES[index], 32)
    here = book(index, *served)
    for stream, each in ordered.items():
        here.add(stream, each)
    assert [replace(each, either_way=False) for each in here.plan().routes] == list(whole(index).routes)
    for made, meant in zip(here.plan().associations, whole(index).associations, strict=True):
        assert (made.server, made.clients, made.source, made.links, made.qos) == (
            meant.server,
            meant.clients,
            meant.source,
            meant.links,
            meant.qos,
        )


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"links": (STREAM, LinkId("33333333-0000-4000-8000-000000000002"))}, "not split"),
        ({"mode": KeyMode.HYBRID}, "no word for mode hybrid"),
        ({"clients": (SaeId("bob"), SaeId("carol"))}, "one client"),
    ],
)
def test_what_the_interface_has_no_words_for_is_refused(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        orders(whole(0, **changes), AUTHORITY, NODES[0], 32)


def test_a_relay_method_without_a_word_is_refused() -> None:
    plan = KeyPlan(
        routes=(Route(link_id=STREAM, prev_hop=None, next_hop=NODES[1], method=RelayMethod.AES_256_GCM),)
    )
    with pytest.raises(InvalidInput, match="aes-256-gcm"):
        orders(plan, AUTHORITY, NODES[0], 32)


def test_an_association_that_is_not_active_is_not_ordered() -> None:
    assert orders(whole(0, remote_node=None), AUTHORITY, NODES[0], 32) == {}


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput, match="RelayOrder"):
        read(body, RelayOrder)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b'{"type": "etsi_014"}', "no member of that name"),
        (b'{"type": "kmip"}', "Invalid enum value"),
        (b'{"type": "etsi_014", "etsi_014": {"number": -1, "size": 256}}', "etsi_014.number"),
    ],
)
def test_a_wrong_wish_is_named(body: bytes, complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        read(body, QosRequest)


def test_a_014_wish_names_no_rate() -> None:
    here = book(0, "alice")
    wish = QosRequest(type="etsi_014", etsi_014=Qos014(number=3, size=256))
    here.add(
        STREAM,
        RelayOrder(
            source="alice", destination=("bob",), next_node_info=(AUTHORITY[NODES[1]],), qos_request=wish
        ),
    )
    assert here.plan().associations[0].qos == AppQos()
