"""The stream of notifications: everything that matters, nothing too often, the last word always."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace

import pytest
from lxml import etree

from keyweave_agents.control.reporter import Reporter
from keyweave_agents.keys.plan import (
    AssociationWanted,
    KeyEvent,
    KeyPlan,
    KeyState,
    PoolEmptied,
    PoolFilled,
)
from keyweave_agents.quantum.observed import DownCause, FiguresChanged, LinkDown, LinkUp
from keyweave_core.model import notifications as told
from keyweave_core.model.application import AppQos
from keyweave_core.model.ids import LinkId, NodeId, SaeId
from keyweave_core.model.link import Link, LinkPerformance, LinkStatus, LinkType
from keyweave_core.model.node import Node
from keyweave_core.runtime.clock import ManualClock
from keyweave_yang.decode import decode_notification
from keyweave_yang.schema import load_schema

ME = NodeId("aaaaaaaa-0000-4000-8000-000000000000")
FIBRE = LinkId("11111111-0000-4000-8000-000000000001")


class Keys:
    """A key manager that has events and nothing else."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[KeyEvent] = asyncio.Queue()

    def configure(self, _plan: KeyPlan) -> None:
        raise AssertionError("not a reporter's business")

    def refuse(self, _server: SaeId, _clients: tuple[SaeId, ...], _reasons: tuple[str, ...]) -> None:
        raise AssertionError("not a reporter's business")

    def snapshot(self) -> KeyState:
        raise AssertionError("not a reporter's business")

    async def next_event(self) -> KeyEvent:
        return await self.queue.get()


@dataclass
class Bench:
    """A node with one fibre whose rate can be set, and what was published."""

    keys: Keys = field(default_factory=Keys)
    clock: ManualClock = field(default_factory=ManualClock)
    sent: list[told.Notification] = field(default_factory=list)
    link: Link = field(default_factory=lambda: Link(link_id=FIBRE, type=LinkType.PHYS, status=LinkStatus.OFF))

    @property
    def direct(self) -> Mapping[LinkId, LinkId]:
        return {}

    def node(self) -> Node:
        return Node(node_id=ME, links=(self.link,))

    def rate(self, skr_bps: int) -> None:
        self.link = replace(self.link, performance=LinkPerformance(skr_bps=skr_bps))

    def publish(self, element: etree._Element) -> None:
        self.sent.append(decode_notification(element))

    def of(self, kind: type[told.Notification]) -> list[told.Notification]:
        return [each for each in self.sent if isinstance(each, kind)]


Reported = tuple[Bench, Reporter]


@pytest.fixture
async def reported() -> AsyncIterator[Reported]:
    bench = Bench()
    reporter = Reporter(bench, bench.keys, schema=load_schema("agent"), clock=bench.clock)
    task = asyncio.create_task(reporter.run(bench.publish))
    yield bench, reporter
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_events_of_both_sides_are_published(reported: Reported) -> None:
    bench, reporter = reported
    bench.keys.queue.put_nowait(
        AssociationWanted(server=SaeId("alice"), clients=(SaeId("bob"),), qos=AppQos(ttl_s=9))
    )
    reporter.happened(LinkUp(link_id=FIBRE))
    reporter.happened(LinkDown(link_id=FIBRE, cause=DownCause.FIBRE, reason="no light"))
    await bench.clock.advance(0)
    kinds = {type(each) for each in bench.sent}
    assert kinds == {told.ApplicationNew, told.Event, told.LinkPerfUpdate, told.LinkDown, told.Alarm}


async def test_figures_are_told_at_most_once_a_second_and_the_last_ones_surely(reported: Reported) -> None:
    bench, reporter = reported
    for step in range(1, 50):
        bench.rate(step * 1_000)
        reporter.happened(FiguresChanged(link_id=FIBRE))
        await bench.clock.advance(0.05)
    await bench.clock.advance(2)
    updates = bench.of(told.LinkPerfUpdate)
    rates = [each.performance.skr_bps for each in updates if isinstance(each, told.LinkPerfUpdate)]
    assert len(rates) <= 5
    assert (rates[0], rates[-1]) == (1_000, 49_000)


async def test_small_changes_are_not_told(reported: Reported) -> None:
    bench, reporter = reported
    for rate in (10_000, 10_100, 9_900, 10_400):
        bench.rate(rate)
        reporter.happened(FiguresChanged(link_id=FIBRE))
        await bench.clock.advance(2)
    assert len(bench.sent) == 1


@pytest.mark.parametrize("last", [PoolEmptied, PoolFilled])
async def test_a_pool_at_the_edge_is_told_now_and_then_and_the_last_turn_surely(
    reported: Reported, last: type[PoolEmptied | PoolFilled]
) -> None:
    bench, _ = reported
    for _ in range(20):
        bench.keys.queue.put_nowait(PoolEmptied(link_id=FIBRE))
        bench.keys.queue.put_nowait(PoolFilled(link_id=FIBRE))
        await bench.clock.advance(0.25)
    bench.keys.queue.put_nowait(last(link_id=FIBRE))
    await bench.clock.advance(20)
    turns = [each for each in bench.sent if not isinstance(each, told.LinkPerfUpdate)]
    assert len(turns) <= 3
    assert isinstance(turns[-1], told.Alarm if last is PoolEmptied else told.Event)


async def test_what_the_modules_refuse_is_left_out_and_the_rest_goes_on(reported: Reported) -> None:
    bench, reporter = reported
    bench.keys.queue.put_nowait(AssociationWanted(server=SaeId("alice"), clients=(), qos=AppQos(ttl_s=2**40)))
    await bench.clock.advance(0)
    assert bench.sent == []
    reporter.happened(LinkUp(link_id=FIBRE))
    await bench.clock.advance(0)
    assert len(bench.sent) == 2
