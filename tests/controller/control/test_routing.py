"""Routing against networkx, and the reasons it gives."""

import itertools
import random

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyweave_controller.control import admission, routing, topology
from keyweave_controller.control.configuration import Policy
from keyweave_controller.control.mesh import Mesh
from keyweave_controller.control.routing import Route, RouteWish
from keyweave_controller.control.service import Constraints
from keyweave_controller.control.state import PathRecord
from keyweave_controller.control.strategies import STRATEGIES
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate, simulated_id, simulated_link_id
from keyweave_core.model.link import LinkStatus
from keyweave_core.model.node import Capabilities, TrustLevel

NAMES = tuple("ABCDEFGH")


def network(spans: list[Span], policy: Policy | None = None) -> Rehearsal:
    show = Rehearsal(nodes=simulate(spans))
    show.start(policy)
    return show


def drawn(seed: int) -> Rehearsal:
    """A random network with random promises, hurdles and outages."""
    pick = random.Random(seed)  # noqa: S311 - drawn networks, no secrets
    pairs = list(itertools.combinations(NAMES, 2))
    spans = [
        Span(a=a, b=b, skr_bps=pick.choice((10_000, 50_000, 200_000)))
        for a, b in pick.sample(pairs, pick.randint(7, 20))
    ]
    show = network(spans, Policy(max_relay_hops=pick.choice((2, 3, 16)), usable_share=1.0))
    for link in show.network.links.values():
        link.reserved_bps["other"] = pick.choice((0, 0, link.skr_bps // 2, link.skr_bps))
        if pick.random() < 0.1:
            link.status = LinkStatus.OFF
    for node in show.network.nodes.values():
        if pick.random() < 0.15:
            node.trust_level = TrustLevel.UNTRUSTED
        elif pick.random() < 0.15:
            node.capabilities = Capabilities(key_relay_mode_enable=False)
    return show


def wished(a: str, b: str, rate_bps: int, constraints: Constraints | None = None) -> RouteWish:
    return RouteWish(
        source=simulated_id(a),
        destination=simulated_id(b),
        rate_bps=rate_bps,
        constraints=constraints or Constraints(),
    )


def found_in(
    show: Rehearsal, a: str, b: str, rate_bps: int, constraints: Constraints | None = None, at: float = 0.0
) -> Route | None:
    """The route over the network as its records are now."""
    state = show.network.state
    return routing.find_route(state, Mesh.of(state), wished(a, b, rate_bps, constraints), at=at or show.now)


@given(st.integers(0, 2**32), st.sampled_from((1_000, 20_000, 60_000)))
@settings(max_examples=300, deadline=None)
def test_the_route_is_as_cheap_as_networkx_finds_it(seed: int, rate_bps: int) -> None:
    show = drawn(seed)
    state = show.network.state
    source, destination = simulated_id("A"), simulated_id("B")
    if source not in state.nodes or destination not in state.nodes:
        return
    found = found_in(show, "A", "B", rate_bps)
    mesh = Mesh.of(state)
    prices = STRATEGIES["balanced"].prices(mesh).prices
    graph = nx.Graph()
    graph.add_nodes_from((source, destination))
    for link in state.links.values():
        fits = admission.available_bps(link, state.policy) >= rate_bps
        inner = {link.a, link.b} - {source, destination}
        if fits and topology.usable(link) and all(topology.may_relay(state.nodes[one]) for one in inner):
            graph.add_edge(link.a, link.b, cost=prices[mesh.link_place[link.link_id]])
    bound = state.policy.max_relay_hops
    costs = [
        nx.path_weight(graph, path, "cost")
        for path in nx.all_simple_paths(graph, source, destination, cutoff=bound)
    ]
    if found is None:
        assert not costs
        assert all(routing.explain(state, wished("A", "B", rate_bps), at=show.now))
        return
    assert sum(prices[mesh.link_place[link_id]] for link_id in found.links) == min(costs)
    assert found.nodes[0] == source
    assert found.nodes[-1] == destination
    assert len(found.links) == len(found.nodes) - 1 <= bound
    for link_id, near, far in zip(found.links, found.nodes, found.nodes[1:], strict=False):
        assert {state.links[link_id].a, state.links[link_id].b} == {near, far}


def test_among_equals_the_smallest_ids_win_whatever_the_order_of_discovery() -> None:
    spans = [
        Span(a=a, b=b) for a, b in (("S", "X"), ("S", "Y"), ("S", "Z"), ("X", "T"), ("Y", "T"), ("Z", "T"))
    ]
    ways = set()
    for order in itertools.permutations(spans, len(spans)):
        show = network(list(order))
        way = found_in(show, "S", "T", 1_000)
        ways.add(way.nodes[1])
        if len(ways) > 1 or order[0] != spans[0]:
            break
    assert ways == {min(simulated_id(name) for name in "XYZ")}


def test_a_loaded_link_is_avoided_among_ways_of_like_length_and_a_repaired_one_until_trusted() -> None:
    square = [Span(a="S", b="X"), Span(a="X", b="T"), Span(a="S", b="Y"), Span(a="Y", b="T")]
    show = network(square)
    state = show.network.state
    first = found_in(show, "S", "T", 1_000)
    state.links[first.links[0]].reserved_bps["other"] = 500_000
    second = found_in(show, "S", "T", 1_000)
    assert second.nodes[1] != first.nodes[1]
    state.links[second.links[0]].restored_at = show.now
    assert found_in(show, "S", "T", 1_000).nodes == first.nodes
    assert found_in(show, "S", "T", 800_000).nodes == second.nodes
    assert found_in(show, "S", "T", 1_000, at=show.now + 31).nodes == second.nodes


def line(**more) -> Rehearsal:
    return network([Span(a="A", b="B"), Span(a="B", b="C"), Span(a="C", b="D")], **more)


def explained(show: Rehearsal, a: str, b: str, rate_bps: int = 1_000) -> tuple[str, ...]:
    assert found_in(show, a, b, rate_bps) is None
    return routing.explain(show.network.state, wished(a, b, rate_bps), at=show.now)


def test_the_reason_names_the_link_and_what_it_lacks() -> None:
    show = line()
    show.network.links[simulated_link_id("B", "C")].reserved_bps["other"] = 600_000
    assert explained(show, "A", "D", 420_000) == ("link B-C lacks 120000 bit/s: 300000 free of 900000",)
    assert explained(show, "D", "A", 420_000) == ("link C-B lacks 120000 bit/s: 300000 free of 900000",)


def test_the_reason_takes_the_way_that_lacks_least() -> None:
    show = network(
        [Span(a="S", b="X"), Span(a="X", b="T"), Span(a="S", b="Y", skr_bps=10), Span(a="Y", b="T")]
    )
    assert explained(show, "S", "T", 900_005) == (
        "link S-X lacks 5 bit/s: 900000 free of 900000",
        "link X-T lacks 5 bit/s: 900000 free of 900000",
    )


def test_other_reasons() -> None:
    show = line()
    link = show.network.links[simulated_link_id("B", "C")]
    link.status, link.down_reason = LinkStatus.OFF, "loss of light"
    assert explained(show, "A", "D") == ("link B-C is OFF (loss of light)",)
    link.status, link.faults = LinkStatus.ACTIVE, ("B lies",)
    assert explained(show, "A", "D") == ("link B-C is not believed: B lies",)
    link.faults = ()
    link.ends[simulated_id("B")].enable = False
    assert explained(show, "A", "D") == ("link B-C is switched off",)
    link.ends[simulated_id("B")].enable = True
    node = show.network.nodes[simulated_id("B")]
    node.capabilities = Capabilities(key_relay_mode_enable=False)
    assert explained(show, "A", "D") == ("node B does not relay keys",)
    node.capabilities, node.trust_level = Capabilities(), TrustLevel.UNTRUSTED
    assert explained(show, "A", "D") == ("node B is not trusted to relay keys",)
    node.trust_level, node.connected = TrustLevel.TRUSTED, False
    assert explained(show, "A", "D") == ("node B cannot be reached by the controller",)
    assert explained(show, "B", "D") == ("node B cannot be reached by the controller",)
    assert explained(show, "A", "Q") == (f"node {simulated_id('Q')} is not known",)


def test_islands_and_the_hop_bound() -> None:
    islands = network([Span(a="A", b="B"), Span(a="C", b="D")])
    assert explained(islands, "A", "D") == ("no chain of links joins A and D",)
    short = line(policy=Policy(max_relay_hops=2))
    assert explained(short, "A", "D") == ("A and D are 3 links apart; at most 2 are allowed",)


def test_the_hop_bound_takes_a_dearer_shorter_way() -> None:
    spans = [
        Span(a="S", b="X"),
        Span(a="X", b="Y"),
        Span(a="Y", b="T"),
        Span(a="S", b="W"),
        Span(a="W", b="T"),
    ]
    show = network(spans, Policy(max_relay_hops=2))
    for pair in (("S", "W"), ("W", "T")):
        show.network.links[simulated_link_id(*pair)].reserved_bps["other"] = 899_000
    way = found_in(show, "S", "T", 500)
    assert way.nodes[1] == simulated_id("W")


def test_what_a_path_holds_counts_as_free_for_its_successor() -> None:
    show = line()
    link_id = simulated_link_id("A", "B")
    path = PathRecord(
        link_id="v1", nodes=(), links=(link_id,), bandwidth_bps=800_000, hop_bps=800_000, since=0.0
    )
    admission.reserve(show.network.state, [path])
    link = show.network.links[link_id]
    assert admission.available_bps(link, show.network.policy) == 100_000
    assert admission.available_bps(link, show.network.policy, (path,)) == 900_000
    new = PathRecord(
        link_id="v2", nodes=(), links=(link_id,), bandwidth_bps=850_000, hop_bps=850_000, since=0.0
    )
    admission.reserve(show.network.state, [new], [path])
    assert admission.reserved_bps(link) == 850_000
    admission.settle(show.network.state, [new], [path])
    assert link.reserved_bps == {"v2": 850_000}
    admission.release(show.network.state, new)
    admission.release(show.network.state, new)
    assert link.reserved_bps == {}


@pytest.mark.parametrize("rate_bps", [1, 10**9])
def test_no_route_is_asked_of_a_node_that_is_rejected(rate_bps: int) -> None:
    show = line()
    show.network.nodes[simulated_id("A")].rejected = ("nonsense",)
    assert explained(show, "A", "D", rate_bps) == ("node A is not believed: nonsense",)
