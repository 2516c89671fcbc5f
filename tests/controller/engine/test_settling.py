"""Averages of rates through the engine: what is told once is followed, and a replay counts the same."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from keyweave_controller.control.configuration import Policy
from keyweave_controller.control.events import Event, InventoryNode, LinkMeasure, LinksMeasured, NodeRead
from keyweave_controller.control.network import Network
from keyweave_controller.engine.loop import ControllerEngine
from keyweave_controller.engine.settling import Settling
from keyweave_controller.engine.simulation import (
    SimulatedAgents,
    Span,
    simulate,
    simulated_id,
    simulated_link_id,
)
from keyweave_core.model.link import LinkPerformance
from keyweave_core.runtime.clock import ManualClock, SystemClock

AB, A = simulated_link_id("A", "B"), simulated_id("A")
SPANS = [Span(a="A", b="B", skr_bps=10_000)]


def told(at: float, skr_bps: int | None) -> LinksMeasured:
    measure = LinkMeasure(link_id=AB, performance=LinkPerformance(skr_bps=skr_bps))
    return LinksMeasured(at=at, node_id=A, links=(measure,))


async def until(condition: Callable[[], bool], limit_s: float = 5.0) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.002)


async def test_a_rate_told_once_is_followed_and_a_replay_counts_the_same(tmp_path: Path) -> None:
    clock, nodes = SystemClock(), simulate(SPANS)
    inventory = tuple(InventoryNode(name=node.name) for node in nodes.values())

    def engine() -> ControllerEngine:
        return ControllerEngine(
            store_url=f"sqlite:///{tmp_path / 's.db'}",
            clock=clock,
            policy=Policy(rate_smoothing_s=0.1),
            inventory=inventory,
        )

    first = engine()
    agents = SimulatedAgents(nodes, clock, first.submit)
    task = asyncio.create_task(first.run(agents))
    agents.connect_all()
    await until(lambda: len(first.network.links.get(AB).ends) == 2 if AB in first.network.links else False)
    seq = first.seq
    first.submit(told(clock.now(), 4_000))
    await until(lambda: first.network.links[AB].ends[A].performance.skr_bps == 4_000)
    assert first.network.links[AB].skr_bps > 4_000  # what was true until now weighs more
    await until(lambda: first.network.links[AB].skr_bps <= 4_200)
    journaled, counted = first.seq - seq, first.network.links[AB].skr_bps
    assert 1 <= journaled <= 5
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    second = engine()
    try:
        assert second.network.links[AB].skr_bps == counted
    finally:
        task = asyncio.create_task(second.run(agents))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_reports_are_submitted_only_while_an_average_moves() -> None:
    clock, nodes, network = ManualClock(), simulate(SPANS), Network()
    for node in nodes.values():
        network.handle(NodeRead(at=clock.now(), name=node.name, node=node.tree()))
    submitted: list[Event] = []
    settling = Settling(clock, submitted.append)
    task = asyncio.create_task(settling.run(lambda: network.state))
    settling.follow(NodeRead(at=clock.now(), name="A", node=nodes[A].tree()), network.state)
    await clock.advance(60)
    assert submitted == []
    news = network.weighed(told(clock.now(), 4_000))
    while True:
        network.handle(news)
        settling.follow(news, network.state)
        count = len(submitted)
        await asyncio.sleep(0.001)  # for the task to begin to wait
        await clock.advance(1.25)
        await asyncio.sleep(0.001)
        if len(submitted) == count:
            break
        news = network.weighed(submitted[-1])
    assert 10 < len(submitted) < 40
    assert network.links[AB].skr_bps < 4_050
    await clock.advance(60)
    assert len(submitted) == count
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
