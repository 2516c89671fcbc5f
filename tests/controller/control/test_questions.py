"""Asking before wishing: which paths would do, and what would become of what runs."""

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import fields, is_dataclass, replace

import pytest

from keyweave_controller.control import supposing
from keyweave_controller.control.candidates import PathWish, compute_paths, place
from keyweave_controller.control.configuration import Policy
from keyweave_controller.control.events import AssociationRequested
from keyweave_controller.control.mesh import Mesh
from keyweave_controller.control.service import Constraints, Disjointness, Protection, Service
from keyweave_controller.control.what_if import Demand, Fate, Question, what_if
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate, simulated_id, simulated_link_id
from keyweave_core.model.application import AppQos

A, B, C, D = (simulated_id(name) for name in "ABCD")
AB, BD, AC, CD = (simulated_link_id(*pair) for pair in ("AB", "BD", "AC", "CD"))


@pytest.fixture
def show() -> Rehearsal:
    """A square A-B-D, A-C-D; the way over C is the narrower one."""
    spans = [Span(a="A", b="B"), Span(a="B", b="D"), Span(a="A", b="C"), Span(a="C", b="D", skr_bps=20_000)]
    rehearsal = Rehearsal(nodes=simulate(spans, {one: (f"sae:{one.lower()}",) for one in "ABCD"}))
    rehearsal.start()
    return rehearsal


def open_one(show: Rehearsal, source: str, destination: str, rate: int) -> str:
    event = AssociationRequested(
        at=show.now,
        request_id=source + destination,
        source=source,
        destination=destination,
        qos=AppQos(min_bandwidth_bps=rate),
    )
    show.feed(event)
    show.settle()
    app_id = show.answers()[source + destination].app_id
    assert app_id is not None
    return app_id


class TestPaths:
    def ask(self, show: Rehearsal, *, rate_bps: int | None = None, number: int = 1, **bounds: object):
        service = Service(constraints=Constraints(**bounds))
        wish = PathWish(source=A, destination=D, rate_bps=rate_bps, number=number, service=service)
        return compute_paths(show.network.state, show.network.mesh, wish, at=show.now + 1000)

    def test_best_first_with_what_matters(self, show: Rehearsal) -> None:
        open_one(show, "sae:c", "sae:d", 2_000)  # with its tags 2 125 bit/s of 18 000
        found, reasons = self.ask(show, rate_bps=1_000, number=5)
        assert [one.nodes for one in found] == [(A, B, D), (A, C, D)]
        assert [one.links for one in found] == [(AB, BD), (AC, CD)]
        assert [one.bottleneck_bps for one in found] == [900_000, 15_875]
        assert found[0].cost < found[1].cost
        assert found[0].hops == 2
        assert found[0].distance_km is None
        assert reasons == ("there are no more than 2 such paths",)

    @pytest.mark.parametrize(
        ("relays", "disjointness", "reason"),
        [
            ("BCE", Disjointness.NODES, "there are no more than 3 such paths"),
            ("BC", Disjointness.RISKS, "there is no other such path"),
            ("BCEFG", Disjointness.RISKS, "there may be more: the search for them ended at its bound"),
        ],
    )
    def test_only_a_search_that_came_to_its_end_says_that_there_is_no_more(
        self, relays: str, disjointness: Disjointness, reason: str
    ) -> None:
        spans = [Span(a=end, b=relay, skr_bps=100_000) for end in "AD" for relay in relays]
        show = Rehearsal(nodes=simulate(spans))
        show.start(Policy())
        service = Service(protection=Protection.ONE_TO_ONE, disjointness=disjointness)
        wish = PathWish(source=A, destination=D, number=16, service=service)
        found, reasons = compute_paths(show.network.state, show.network.mesh, wish, at=show.now)
        assert found
        assert reasons == (reason,)

    def test_an_id_is_of_the_links(self, show: Rehearsal) -> None:
        first = self.ask(show)[0][0].id
        assert self.ask(show, rate_bps=5_000)[0][0].id == first
        assert self.ask(show, exclude_links=frozenset({AB}))[0][0].id != first

    @pytest.mark.parametrize(
        ("wish", "nodes"),
        [
            ({"exclude_nodes": frozenset({B})}, (A, C, D)),
            ({"exclude_links": frozenset({BD})}, (A, C, D)),
            ({"include_nodes": frozenset({C})}, (A, C, D)),
            ({"include_links": frozenset({CD})}, (A, C, D)),
        ],
    )
    def test_constraints(self, show: Rehearsal, wish: dict, nodes: tuple) -> None:
        found, _ = self.ask(show, rate_bps=1_000, **wish)
        assert [one.nodes for one in found] == [nodes]

    def test_none_and_why(self, show: Rehearsal) -> None:
        assert self.ask(show, exclude_nodes=frozenset({B, C}))[1] == ("node B is excluded",)
        found, reasons = self.ask(show, rate_bps=2_000_000)
        assert not found
        assert any("lacks" in reason for reason in reasons)
        inside = PathWish(source=A, destination=A)
        reasons = compute_paths(show.network.state, show.network.mesh, inside, at=0.0)[1]
        assert "keys cross no link" in reasons[0]
        show.disconnect(D)
        assert self.ask(show)[1] == ("node D cannot be reached by the controller",)

    def test_a_link_repaired_lately_comes_last(self, show: Rehearsal) -> None:
        state = show.network.state
        state.links[AB].restored_at = show.now
        wish = PathWish(source=A, destination=D, rate_bps=1_000, number=2)
        found, _ = compute_paths(state, Mesh.of(state), wish, at=show.now + 1)
        assert [one.nodes for one in found] == [(A, C, D), (A, B, D)]

    def test_places_have_many_names(self, show: Rehearsal) -> None:
        state = show.network.state
        assert [place(state, text) for text in ("sae:a", A, "A", "nobody")] == [A, A, A, None]


def changeable(value: object) -> Iterator[object]:
    """Every object inside a value that can be changed."""
    inner: Iterable[object] = ()
    if isinstance(value, dict):
        inner = value.values()
    elif isinstance(value, (list, set, tuple, frozenset)):
        inner = value
    elif is_dataclass(value):
        inner = [getattr(value, field.name) for field in fields(value)]
    if not isinstance(value, Hashable):
        yield value
    for one in inner:
        yield from changeable(one)


class TestWhatIf:
    def ask(self, show: Rehearsal, **question: object):
        return {one.id: one for one in what_if(show.network.state, Question(**question), at=show.now)}

    def test_a_link_fails(self, show: Rehearsal) -> None:
        small, large = open_one(show, "sae:a", "sae:d", 10_000), open_one(show, "sae:d", "sae:a", 50_000)
        other = open_one(show, "sae:a", "sae:c", 1_000)
        told = self.ask(show, fail_links=(AB,))
        assert {one: told[one].fate for one in (small, large, other)} == {
            small: Fate.MOVED,
            large: Fate.LOST,
            other: Fate.CARRIED,
        }
        assert told[small].links == (AC, CD)
        assert told[small].nodes == (A, C, D)
        assert any("lacks" in reason for reason in told[large].reasons)

    def test_a_node_fails_and_takes_its_ends_with_it(self, show: Rehearsal) -> None:
        through, ending = open_one(show, "sae:a", "sae:d", 10_000), open_one(show, "sae:a", "sae:b", 1_000)
        told = self.ask(show, fail_nodes=(B,))
        assert told[through].nodes == (A, C, D)
        assert told[ending].fate is Fate.LOST
        assert told[ending].reasons == ("node B cannot be reached by the controller",)

    def test_demands_fit_by_priority_after_the_failures(self, show: Rehearsal) -> None:
        small = Demand(id="small", source="sae:a", destination="sae:d", rate_bps=15_000, priority=1)
        large = replace(small, id="large", destination="sae:c", source="sae:d", rate_bps=15_000, priority=9)
        nobody = replace(small, id="nobody", destination="sae:x")
        told = self.ask(show, fail_links=(AB,), demands=(small, large, nobody))
        assert list(told) == ["small", "large", "nobody"]
        assert told["large"].fate is Fate.CARRIED
        assert told["small"].fate is Fate.LOST
        assert any("lacks" in reason for reason in told["small"].reasons)
        assert told["nobody"].reasons == ("no node serves application sae:x",)

    def test_nothing_is_changed(self, show: Rehearsal) -> None:
        open_one(show, "sae:a", "sae:d", 10_000)
        before = show.network.to_snapshot()
        self.ask(
            show,
            fail_links=(AB,),
            fail_nodes=(C,),
            demands=(Demand(id="1", source="sae:b", destination="sae:d"),),
        )
        assert show.network.to_snapshot() == before

    def test_a_copy_shares_nothing_that_can_be_changed(self, show: Rehearsal) -> None:
        open_one(show, "sae:a", "sae:d", 10_000)
        state = show.network.state
        assert supposing.copied(state) == replace(
            state, configuring=None, parked=[], requests={}, settling=set()
        )
        shared = set(map(id, changeable(state))) & set(map(id, changeable(supposing.copied(state))))
        assert not shared

    def test_what_is_on_its_way_counts_as_granted(self, show: Rehearsal) -> None:
        show.feed(
            AssociationRequested(
                at=show.now, request_id="1", source="sae:a", destination="sae:d", qos=AppQos()
            )
        )
        (only,) = self.ask(show).values()
        assert only.fate is Fate.CARRIED
        assert only.nodes == (A, B, D)
