"""The engine as a whole, over simulated agents: crash, replay, fencing, answers, watching."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from keyweave_controller.control import admission, planning
from keyweave_controller.control.actions import Changed
from keyweave_controller.control.configuration import Policy
from keyweave_controller.control.events import (
    AssociationClosed,
    AssociationRequested,
    InventoryNode,
    LinkMeasure,
    LinksMeasured,
    NodeLost,
    Notified,
    UsageReported,
)
from keyweave_controller.control.state import AssociationState
from keyweave_controller.engine import loop as loop_module
from keyweave_controller.engine.journal import Journal
from keyweave_controller.engine.lease import Fenced
from keyweave_controller.engine.loop import ControllerEngine
from keyweave_controller.engine.simulation import (
    SimulatedAgents,
    SimulatedNode,
    Span,
    simulate,
    simulated_id,
    simulated_link_id,
)
from keyweave_core.errors import DeadlineExceeded, SettingsError, Unavailable
from keyweave_core.model.application import AppQos, AppStatistics
from keyweave_core.model.ids import NodeId
from keyweave_core.model.link import KeyPool, LinkPerformance, LinkStatus
from keyweave_core.model.notifications import ApplicationNew, LinkDown
from keyweave_core.runtime.clock import ManualClock, SystemClock

MADRID = [
    Span(a=a, b=b)
    for a, b in (
        ("Quiron", "Quijote"),
        ("Quijote", "Quintin"),
        ("Quijote", "Quevedo"),
        ("Quevedo", "Norte"),
        ("Norte", "Concepcion"),
        ("Norte", "Distrito"),
        ("Concepcion", "Distrito"),
        ("Quevedo", "Quijano"),
        ("Quijano", "Quinto"),
    )
]
CONSUMERS = {"Quiron": ("sae:a",), "Distrito": ("sae:d",), "Quinto": ("sae:q",)}


def madrid() -> dict[NodeId, SimulatedNode]:
    return simulate(MADRID, CONSUMERS)


def engine_for(path: Path, nodes: dict[NodeId, SimulatedNode], clock, **more) -> ControllerEngine:
    inventory = tuple(InventoryNode(name=node.name) for node in nodes.values())
    policy = more.pop("policy", Policy())
    return ControllerEngine(
        store_url=f"sqlite:///{path}", clock=clock, policy=policy, inventory=inventory, **more
    )


@asynccontextmanager
async def running(
    engine: ControllerEngine, nodes: dict[NodeId, SimulatedNode], clock
) -> AsyncIterator[SimulatedAgents]:
    agents = SimulatedAgents(nodes, clock, engine.submit)
    task = asyncio.create_task(engine.run(agents))
    agents.connect_all()
    try:
        yield agents
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def wish(request_id: str, rate_bps: int = 100_000, **more) -> AssociationRequested:
    return AssociationRequested(
        at=1.0,
        request_id=request_id,
        source="sae:a",
        destination="sae:d",
        qos=AppQos(min_bandwidth_bps=rate_bps),
        **more,
    )


async def until(condition: Callable[[], bool], limit_s: float = 5.0) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.001)


def held(nodes: dict[NodeId, SimulatedNode]) -> set[str]:
    return {node.name for node in nodes.values() if node.links}


async def test_an_association_is_opened_moved_billed_and_closed(tmp_path: Path) -> None:
    clock, nodes = SystemClock(), madrid()
    engine = engine_for(tmp_path / "s.db", nodes, clock)
    async with running(engine, nodes, clock):
        answer = await engine.ask(wish("r1"))
        assert answer.reasons == ()
        association = engine.network.associations[answer.app_id]
        assert held(nodes) == {"Quiron", "Quijote", "Quevedo", "Norte", "Distrito"}
        cut = simulated_link_id("Norte", "Distrito")
        for name in ("Norte", "Distrito", "Norte"):
            down = LinkDown(link_id=cut, reason="loss of light")
            engine.submit(Notified(at=clock.now(), node_id=simulated_id(name), notification=down))
        await until(lambda: association.path.hops == 5)
        await until(
            lambda: held(nodes) == {"Quiron", "Quijote", "Quevedo", "Norte", "Concepcion", "Distrito"}
        )
        (alarm,) = engine.management.alarms()
        assert alarm.affected == (answer.app_id,)
        period = AppStatistics(end_time="2026-01-01T00:00:00Z", consumed_bits=2_560)
        for name in ("Quiron", "Distrito", "Quiron"):
            engine.submit(
                UsageReported(at=1.0, node_id=simulated_id(name), app_id=answer.app_id, periods=(period,))
            )
        closed = await engine.ask(AssociationClosed(at=1.0, request_id="c1", app_id=answer.app_id))
        assert closed.app_id == answer.app_id
        assert sum(record.bits for record in engine.management.usage()) == 2_560
        assert not held(nodes)
        assert not any(link.reserved_bps for link in engine.network.links.values())


async def test_an_application_of_an_agent_is_served_and_refused(tmp_path: Path) -> None:
    clock, nodes = SystemClock(), madrid()
    engine = engine_for(tmp_path / "s.db", nodes, clock)
    async with running(engine, nodes, clock):
        source = simulated_id("Quiron")
        for client in ("sae:d", "sae:nobody"):
            application = ApplicationNew(
                server_app_id="sae:a", client_app_ids=(client,), local_node_id=source
            )
            engine.submit(Notified(at=clock.now(), node_id=source, notification=application))
        await until(lambda: bool(nodes[source].refused) and bool(nodes[source].applications))
        assert nodes[source].refused == [
            ("sae:a", ("sae:nobody",), ("no node serves application sae:nobody",))
        ]
        await until(lambda: len(nodes[simulated_id("Distrito")].applications) == 2)


async def test_killed_at_every_journal_entry_it_goes_on(tmp_path: Path) -> None:
    """Whatever was durable when the process died, a new one ends in the same place."""
    clock, whole = SystemClock(), madrid()
    engine = engine_for(tmp_path / "whole.db", whole, clock)
    async with running(engine, whole, clock):
        await engine.ask(wish("r1", 400_000))
        await engine.ask(wish("r2", 900_000))  # does not fit beside the first
    source = Journal(f"sqlite:///{tmp_path / 'whole.db'}", holder="reader", at=1.0)
    entries = list(source.entries_after(0))
    source.close()
    assert len(entries) > 15
    for cut in range(1, len(entries)):
        path = tmp_path / f"cut{cut}.db"
        journal = Journal(f"sqlite:///{path}", holder="dead", at=1.0)
        journal.append(entries[:cut], at=1.0)
        journal.close()
        # The nodes may have been told anything that was decided by then; the worst case is all of it.
        for nodes in (madrid(), _as_told(path)):
            again = engine_for(path, nodes, clock)
            async with running(again, nodes, clock):
                answer = await again.ask(wish("r1", 400_000))
                assert answer.app_id is not None
                await until(lambda state=again.network.state: state.steps == {})
                network = again.network
                assert sum(one.live for one in network.associations.values()) == 1
                for link in network.links.values():
                    assert admission.reserved_bps(link) in (0, 425_000)  # its keys and their tags
                for node_id, node in nodes.items():
                    assert (node.links, node.applications) == planning.wanted(network.state, node_id)


def _as_told(path: Path) -> dict[NodeId, SimulatedNode]:
    """Nodes that carried out every edit the journal so far led to."""
    nodes = madrid()
    engine = ControllerEngine.__new__(ControllerEngine)
    engine._journal = Journal(f"sqlite:///{path}", holder="reader", at=1.0)
    engine._network, engine._management = loop_module.Network(), loop_module.Management()
    engine._seq = engine._snapshot_seq = 0
    plain_step = ControllerEngine._step

    def step(event):
        actions = plain_step(engine, event)
        for action in actions:
            if hasattr(action, "edit"):
                nodes[action.node_id].apply(action.edit)
        return actions

    engine._step = step
    engine._restore()
    engine._journal.close()
    return nodes


async def test_a_restart_from_a_snapshot_keeps_associations_alarms_and_usage(tmp_path: Path) -> None:
    clock, nodes = SystemClock(), madrid()
    engine = engine_for(tmp_path / "s.db", nodes, clock, snapshot_every=5)
    async with running(engine, nodes, clock) as agents:
        answer = await engine.ask(wish("r1"))
        cut = simulated_link_id("Quiron", "Quijote")
        down = LinkDown(link_id=cut)
        engine.submit(Notified(at=clock.now(), node_id=simulated_id("Quiron"), notification=down))
        period = AppStatistics(end_time="2026-01-01T00:00:00Z", consumed_bits=512)
        usage = UsageReported(at=1.0, node_id=simulated_id("Quiron"), app_id=answer.app_id, periods=(period,))
        engine.submit(usage)
        await until(lambda: bool(engine.management.usage()))
        seq = engine.seq
        assert agents.nodes is nodes
    again = engine_for(tmp_path / "s.db", nodes, clock)
    assert again.seq == seq
    assert again.epoch == engine.epoch + 1
    assert again.network.state == engine.network.state
    assert [one.text for one in again.management.alarms()] == [one.text for one in engine.management.alarms()]
    async with running(again, nodes, clock):
        again.submit(usage)
        assert (await again.ask(wish("r1"))).app_id == answer.app_id
        assert [record.bits for record in again.management.usage()] == [512]


async def test_the_second_controller_stops_the_first(tmp_path: Path) -> None:
    clock, nodes = SystemClock(), madrid()
    first = engine_for(tmp_path / "s.db", nodes, clock)
    agents = SimulatedAgents(nodes, clock, first.submit)
    task = asyncio.create_task(first.run(agents))
    agents.connect_all()
    answer = await first.ask(wish("r1"))
    second = engine_for(tmp_path / "s.db", nodes, clock, holder="second")
    with pytest.raises(Unavailable, match=r"the controller stops: .*second"):
        await first.ask(wish("r2", 1))
    with pytest.raises(Fenced, match="second"):
        await task
    async with running(second, nodes, clock):
        assert (await second.ask(wish("r1"))).app_id == answer.app_id
        assert set(second.network.associations) == {answer.app_id}


async def test_a_question_without_outcome_ends_by_its_deadline(tmp_path: Path) -> None:
    clock, nodes = ManualClock(), madrid()
    engine = engine_for(tmp_path / "s.db", nodes, clock, ask_limit_s=7.0)
    async with running(engine, nodes, clock):
        await until(lambda: len(engine.network.nodes) == len(nodes) and not engine.network.state.settling)
        nodes[simulated_id("Norte")].latency_s = 25.0
        question = asyncio.create_task(engine.ask(wish("r1")))
        await until(lambda: bool(engine.network.associations))
        await asyncio.sleep(0.02)
        await clock.advance(8.0)
        with pytest.raises(DeadlineExceeded, match="r1"):
            await question
        await clock.advance(30.0)
        await until(lambda: bool(engine.network.state.requests))
        assert (await engine.ask(wish("r1"))).app_id is not None


async def test_a_node_that_cannot_be_reached_is_tried_again_then_given_up(tmp_path: Path) -> None:
    clock, nodes = ManualClock(), madrid()
    engine = engine_for(tmp_path / "s.db", nodes, clock)
    async with running(engine, nodes, clock):
        await until(lambda: len(engine.network.nodes) == len(nodes) and not engine.network.state.settling)
        nodes[simulated_id("Norte")].reachable = False
        question = asyncio.create_task(engine.ask(wish("r1")))
        for _ in range(60):
            await asyncio.sleep(0.005)
            await clock.advance(0.25)
            if question.done():
                break
        answer = await question
        assert answer.app_id is None
        assert "Norte could not be reached" in answer.reasons[0]
        await until(lambda: not held(nodes))
        assert not any(link.reserved_bps for link in engine.network.links.values())


async def test_watchers_get_changes_merged_and_end_with_the_engine(tmp_path: Path) -> None:
    clock, nodes = SystemClock(), madrid()
    engine = engine_for(tmp_path / "s.db", nodes, clock)
    slow, seen = engine.watch(), []

    async def follow() -> None:
        async for changed in engine.watch():
            seen.append(changed)  # noqa: PERF401 - it ends when the engine does

    async with running(engine, nodes, clock):
        task = asyncio.create_task(follow())
        answer = await engine.ask(wish("r1"))
        first = await anext(slow)
        assert first.node_ids == set(nodes)
        assert first.app_ids == {answer.app_id}
    await asyncio.wait_for(task, 5)
    merged = Changed(node_ids=frozenset().union(*(one.node_ids for one in seen)))
    assert merged.node_ids == set(nodes)


async def test_figures_that_say_nothing_new_are_shown_and_not_journaled(tmp_path: Path) -> None:
    clock, nodes = SystemClock(), madrid()
    engine = engine_for(tmp_path / "s.db", nodes, clock, policy=Policy(rate_smoothing_s=0.0))
    link_id, source = simulated_link_id("Quiron", "Quijote"), simulated_id("Quiron")

    def figures(skr_bps: int, stored_bits: int) -> LinksMeasured:
        measure = LinkMeasure(
            link_id=link_id,
            status=LinkStatus.ACTIVE,
            performance=LinkPerformance(skr_bps=skr_bps),
            pool=KeyPool(stored_bits=stored_bits, capacity_bits=8_000_000),
        )
        return LinksMeasured(at=clock.now(), node_id=source, links=(measure,))

    async with running(engine, nodes, clock):
        await until(lambda: len(engine.network.nodes) == len(nodes))
        await until(lambda: len(engine.network.links[link_id].ends) == 2)
        await asyncio.sleep(0.05)
        seq, link = engine.seq, engine.network.links[link_id]
        engine.submit(figures(990_000, 5))
        await until(lambda: link.ends[source].pool.stored_bits == 5)
        assert (engine.seq, link.skr_bps) == (seq, 1_000_000)
        engine.submit(figures(500_000, 5))
        await until(lambda: link.skr_bps == 500_000)
        assert engine.seq == seq + 1


async def test_a_defect_while_handling_stops_nobody(tmp_path: Path, monkeypatch) -> None:
    clock, nodes = SystemClock(), madrid()
    engine = engine_for(tmp_path / "s.db", nodes, clock)
    plain = engine.network.handle

    def broken(event):
        if isinstance(event, UsageReported):
            raise RuntimeError("a defect")  # noqa: TRY004
        return plain(event)

    monkeypatch.setattr(engine.network, "handle", broken)
    async with running(engine, nodes, clock):
        engine.submit(UsageReported(at=1.0, node_id=simulated_id("Norte"), app_id="x", periods=()))
        assert (await engine.ask(wish("r1"))).app_id is not None


async def test_a_store_with_an_unreadable_event_is_refused(tmp_path: Path) -> None:
    clock, nodes = SystemClock(), madrid()
    journal = Journal(f"sqlite:///{tmp_path / 's.db'}", holder="x", at=1.0)
    journal.append([loop_module.Entry(seq=1, at=1.0, kind="TimerFired", body="{}")], at=1.0)
    journal.close()
    with pytest.raises(SettingsError, match="event 1 cannot be read"):
        engine_for(tmp_path / "s.db", nodes, clock)
    journal = Journal(f"sqlite:///{tmp_path / 's.db'}", holder="x", at=1.0)
    journal.save_snapshot(seq=1, at=1.0, body='{"network": 7}')
    journal.close()
    with pytest.raises(SettingsError, match="snapshot 1 cannot be read"):
        engine_for(tmp_path / "s.db", nodes, clock)


async def test_states_are_reached_under_a_hand_driven_clock(tmp_path: Path) -> None:
    clock, nodes = ManualClock(), madrid()
    engine = engine_for(tmp_path / "s.db", nodes, clock)
    async with running(engine, nodes, clock):
        await until(lambda: len(engine.network.nodes) == len(nodes) and not engine.network.state.settling)
        request = wish("r1", expires_at=clock.now() + 60)
        answer = await engine.ask(request)
        association = engine.network.associations[answer.app_id]
        await asyncio.sleep(0.02)
        await clock.advance(61)
        await until(lambda: association.state is AssociationState.CLOSED)
        assert not held(nodes)


async def test_watchers_hear_of_alarms_and_usage_alone(tmp_path: Path) -> None:
    clock, nodes = SystemClock(), madrid()
    engine = engine_for(tmp_path / "s.db", nodes, clock)
    async with running(engine, nodes, clock):
        answer = await engine.ask(wish("r1"))
        await until(lambda: not engine.network.state.steps)
        engine.watch()  # never read from: it costs nobody anything
        changes = engine.watch()
        period = AppStatistics(end_time="2026-01-01T00:00:00Z", consumed_bits=8)
        source = simulated_id("Quiron")
        engine.submit(UsageReported(at=1.0, node_id=source, app_id=answer.app_id, periods=(period,)))
        assert (await asyncio.wait_for(anext(changes), 5)).app_ids == {answer.app_id}
        engine.submit(NodeLost(at=1.0, name="Nowhere", reason="no such host"))
        assert await asyncio.wait_for(anext(changes), 5) == Changed()
        assert [alarm.resource for alarm in engine.management.alarms()] == ["agent:Nowhere"]
