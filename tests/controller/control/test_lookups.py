"""Judging only what an agent speaks of gives what judging everything gives, whoever lies about what."""

import json
import random
from time import process_time

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from keyweave_controller.control import discovery, judging
from keyweave_controller.control.configuration import Policy
from keyweave_controller.control.events import (
    ControllerStarted,
    InventoryNode,
    LinkMeasure,
    LinksMeasured,
    NodeLost,
    NodeRead,
    NodeRejected,
)
from keyweave_controller.control.lookups import ConsumerLookup, Lookups
from keyweave_controller.control.mesh import Mesh
from keyweave_controller.control.network import Network
from keyweave_controller.control.turn import Turn
from keyweave_core.model.ids import InterfaceId, LinkId, NodeId, SaeId
from keyweave_core.model.link import Endpoint, Link, LinkPerformance, LinkStatus, LinkType, PhysicalSpec
from keyweave_core.model.node import Node, NodeStatus

IDS = [NodeId(f"{place}0000000-0000-4000-8000-000000000000") for place in range(5)]
LINKS = [LinkId(f"{place}1111111-0000-4000-8000-000000000000") for place in range(6)]
AGENTS = [f"agent {place}" for place in range(5)]


def tree(pick: random.Random, place: int) -> Node:
    """A tree as an agent may send it: mostly of itself, sometimes of others."""
    node_id = IDS[place] if pick.random() < 0.9 else pick.choice(IDS)
    links = {}
    for number in range(pick.randrange(4)):
        near, far = place, pick.randrange(len(IDS))
        true_link = LINKS[(near + far) % len(LINKS)]
        link_id = true_link if pick.random() < 0.8 else pick.choice(LINKS)
        links[link_id] = Link(
            link_id=link_id,
            type=pick.choice((LinkType.PHYS, LinkType.PHYS, LinkType.VIRT)),
            status=pick.choice((LinkStatus.ACTIVE, LinkStatus.PASSIVE, None)),
            local=Endpoint(node_id=node_id, interface_id=InterfaceId(number)),
            remote=Endpoint(node_id=IDS[far]) if pick.random() < 0.9 else None,
            physical=PhysicalSpec(channel_att_db=pick.choice((1.0, 1.5, 30.0)), distance_km=10.0),
            performance=LinkPerformance(skr_bps=pick.choice((None, 0, 5_000, 10**10)), qber=0.02),
        )
    return Node(
        node_id=node_id,
        status=pick.choice((NodeStatus.OPERATING, NodeStatus.DOWN)),
        version="1",
        location_id="here",
        consumers=tuple(SaeId(f"sae {one}") for one in pick.sample(range(5), pick.randrange(3))),
        interfaces=(),
        links=tuple(links.values()),
    )


def step(pick: random.Random, at: float) -> object:
    """Something that happens."""
    place = pick.randrange(len(AGENTS))
    name = AGENTS[place]
    match pick.choice(("read",) * 8 + ("lost", "rejected", "started", "measured", "measured")):
        case "read":
            return NodeRead(at=at, name=name, node=tree(pick, place), reconnected=pick.random() < 0.5)
        case "lost":
            return NodeLost(at=at, name=name, reason="no route")
        case "rejected":
            return NodeRejected(at=at, name=name, faults=("no tree",))
        case "measured":
            measure = LinkMeasure(
                link_id=pick.choice(LINKS),
                status=pick.choice((LinkStatus.ACTIVE, LinkStatus.OFF)),
                performance=LinkPerformance(skr_bps=pick.choice((0, 5_000, 90_000, 10**10))),
            )
            return LinksMeasured(at=at, node_id=IDS[place], links=(measure,))
        case _:
            listed = pick.sample(AGENTS, pick.randrange(len(AGENTS) + 1))
            inventory = tuple(
                InventoryNode(name=one, consumers=(SaeId("sae 0"),) if pick.random() < 0.3 else ())
                for one in listed
            )
            return ControllerStarted(at=at, policy=Policy(), inventory=inventory)


def text(network: Network) -> str:
    """The whole state; sets have no order, links have one."""
    plain = msgspec.to_builtins(network.state, str_keys=True, order="deterministic")
    return json.dumps((plain, list(network.links)))


def drawn(mesh: Mesh) -> dict[str, object]:
    """Everything that a search sees."""
    names = ("node_ids", "link_ids", "a", "b", "usable", "reserved", "room", "shy_until", "km", "latency_us")
    return {name: getattr(mesh, name) for name in (*names, "stored", "capacity", "inside", "around")}


def judged_anew(network: Network, at: float) -> Network:
    """The same state with everything in it judged again, by lookups made anew."""
    copy = Network.from_snapshot(json.loads(json.dumps(network.to_snapshot())))
    turn = Turn(copy.state, Lookups(copy.state), at)
    judging.judge_links(turn, copy.links)
    discovery.name_faults(turn)
    assert not turn.finish(), "nothing looks different"
    return copy


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_judging_everything_again_changes_nothing(seed: int) -> None:
    pick = random.Random(seed)  # noqa: S311 - drawn histories, no secrets
    network, at = Network(), 1.0
    start = tuple(InventoryNode(name=name) for name in AGENTS)
    network.handle(ControllerStarted(at=at, policy=Policy(), inventory=start))
    for _ in range(25):
        at += 1.0
        network.handle(step(pick, at))
        assert text(judged_anew(network, at)) == text(network)
        assert drawn(network.mesh) == drawn(Mesh.of(network.state))
        state = network.state
        for sae, holder in state.consumers.items():
            serving = [
                one.node_id
                for one in state.nodes.values()
                if sae in one.consumers
                or (one.name in state.inventory and sae in state.inventory[one.name].consumers)
            ]
            assert holder in serving
        told = {sae for one in state.nodes.values() for sae in one.consumers}
        assert told <= state.consumers.keys()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32))
def test_a_restored_network_decides_as_the_one_that_went_on(seed: int) -> None:
    pick = random.Random(seed)  # noqa: S311 - drawn histories, no secrets
    network, at = Network(), 1.0
    start = tuple(InventoryNode(name=name) for name in AGENTS)
    network.handle(ControllerStarted(at=at, policy=Policy(), inventory=start))
    for place in range(20):
        if place % 5 == 4:
            restored = Network.from_snapshot(json.loads(json.dumps(network.to_snapshot())))
            at += 1.0
            event = step(pick, at)
            assert restored.handle(event) == network.handle(event)
            assert text(restored) == text(network)
            network = restored
        else:
            at += 1.0
            network.handle(step(pick, at))


def test_who_serves_an_application_is_known_without_looking_at_all() -> None:
    lookup = ConsumerLookup()
    a, b = IDS[:2]
    assert lookup.note(b, ("x", "y", "x")) == ["x", "y"]
    assert lookup.note(b, ("y", "x")) == []
    assert lookup.note(a, ("x",)) == ["x"]
    assert (lookup.of(SaeId("x")), lookup.contested) == ([a, b], {"x"})
    assert lookup.note(b, ()) == ["x", "y"]
    assert (lookup.of(SaeId("x")), lookup.of(SaeId("y")), lookup.contested) == ([a], [], set())


def test_reading_an_agent_costs_what_it_speaks_of() -> None:
    """A ring of many nodes: reading one of them again is as quick as in a small network."""
    network, count = Network(), 600
    ids = [NodeId(f"aaaaaaaa-0000-4000-8000-{place:012d}") for place in range(count)]
    names = tuple(InventoryNode(name=f"n{place}") for place in range(count))
    network.handle(ControllerStarted(at=1.0, policy=Policy(), inventory=names))
    began = process_time()
    for place, node_id in enumerate(ids):
        links = tuple(
            Link(
                link_id=LinkId(f"bbbbbbbb-0000-4000-8000-{fibre:012d}"),
                type=LinkType.PHYS,
                status=LinkStatus.ACTIVE,
                local=Endpoint(node_id=node_id, interface_id=InterfaceId(fibre % 2)),
                remote=Endpoint(node_id=ids[far % count]),
                performance=LinkPerformance(skr_bps=5_000),
            )
            for fibre, far in ((place, place + 1), ((place - 1) % count, place - 1))
        )
        node = Node(node_id=node_id, status=NodeStatus.OPERATING, version="1", location_id="x", links=links)
        network.handle(NodeRead(at=2.0, name=f"n{place}", node=node))
    took = process_time() - began
    assert all(link.status is LinkStatus.ACTIVE for link in network.links.values())
    assert took < 2.0, f"{took:.1f} s: 600 agents took 8 s when each made all links be judged"
