"""Who is found by what in the register; the limit and the doubt of one association."""

from dataclasses import replace

from keyweave_agents.keys.association import DOUBT_S, Association
from keyweave_agents.keys.plan import AssociationPlan
from keyweave_agents.keys.register import Register
from keyweave_agents.keys.usage import Usage
from keyweave_core.model.ids import AppId, LinkId, NodeId, SaeId

A, B, C = SaeId("sae-a"), SaeId("sae-b"), SaeId("sae-c")
ONE, TWO = LinkId("one"), LinkId("two")
FAR = NodeId("far")


def association(
    name: str, *clients: SaeId, source: bool = True, priority: int = 0, links: tuple[LinkId, ...] = (ONE,)
) -> Association:
    plan = AssociationPlan(
        app_id=AppId(name),
        server=A,
        clients=clients,
        source=source,
        links=links,
        remote_node=FAR,
        priority=priority,
    )
    return Association(plan, Usage(60.0))


def register(*associations: Association) -> Register:
    found = Register()
    found.by_id.update({one.plan.app_id: one for one in associations})
    found.index()
    return found


def test_a_pair_finds_what_goes_to_nobody_else() -> None:
    alone, both = association("alone", B), association("both", B, C)
    held = register(alone, both)
    assert list(held.of_pair(A, B)) == [alone]
    assert list(held.of_pair(A, C)) == []
    assert list(held.of_pair(B, A)) == []


def test_a_group_is_found_in_any_order_and_only_whole() -> None:
    both = association("both", B, C)
    held = register(both, association("alone", B))
    assert list(held.of_group(A, (C, B))) == list(held.of_group(A, (B, C))) == [both]
    assert list(held.of_group(A, (C,))) == []


def test_within_a_group_is_every_part_of_it() -> None:
    alone, both = association("alone", B), association("both", B, C)
    held = register(alone, both)
    assert list(held.within(A, (B,))) == [alone]
    assert list(held.within(A, (C, B))) == [alone, both]
    assert list(held.within(C, (A, B))) == []


def test_a_destination_is_found_between_both_and_serves_no_pair() -> None:
    here = association("here", B, source=False)
    held = register(here)
    assert held.between(A, B) is here
    assert list(held.of_pair(A, B)) == list(held.of_group(A, (B,))) == []
    assert list(held.sources_over(ONE)) == []


def test_between_two_the_best_that_lives_is_found() -> None:
    low, high = association("low", B, priority=1), association("high", B, priority=2)
    held = register(low, high)
    assert held.between(A, B) is high
    high.expired = True
    assert held.between(A, B) is low
    low.expired = True
    assert held.between(A, B) is None


def test_sources_are_found_by_each_link_that_backs_them() -> None:
    one, two = association("x", B), association("y", C, links=(ONE, TWO))
    held = register(one, two)
    assert list(held.sources_over(ONE)) == [one, two]
    assert list(held.sources_over(TWO)) == [two]


def test_changes_are_found_after_the_next_index() -> None:
    one = association("x", B)
    held = register(one)
    one.replan(replace(one.plan, clients=(C,)), 0.0)
    assert list(held.of_pair(A, B)) == [one]
    held.index()
    assert list(held.of_pair(A, B)) == []
    assert list(held.of_pair(A, C)) == [one]


def test_a_limit_keeps_what_was_taken_of_it() -> None:
    one = association("x", B)
    one.limit(100, 400, 0.0)
    assert one.bucket is not None
    assert one.bucket.take(400, 0.0), "a full buffer at once"
    one.limit(200, 400, 0.0)
    assert not one.bucket.take(1, 0.0)
    assert one.bucket.take(200, 1.0)
    one.limit(None, 400, 1.0)
    assert one.bucket is None


def test_doubt_ends_by_itself() -> None:
    one = association("x", B)
    assert not one.doubtful(0.0)
    one.doubt(1.0)
    assert one.doubtful(1.0)
    one.doubt(2.0)
    assert one.doubtful(0.9 + DOUBT_S)
    assert not one.doubtful(1.0 + DOUBT_S), "counted from the first"
