"""A session that breaks again and again costs nothing that stays, and never outlives the fleet."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from keyweave_controller.control.events import NodeLost, NodeRead
from keyweave_controller.settings import SouthboundSettings
from keyweave_controller.southbound.supervised import SupervisedAgent
from keyweave_core.errors import PeerUnreachable
from keyweave_core.model.ids import NodeId
from keyweave_core.model.node import Node
from keyweave_core.model.notifications import Notification
from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.retry import Backoff
from keyweave_yang.encode import encode_state

NODE = NodeId("0a000000-0000-4000-8000-000000000001")
WARM, MORE = 20, 60


@pytest.fixture
def southbound(southbound: SouthboundSettings) -> SouthboundSettings:
    """Settings that come back at once and do not poll."""
    return replace(southbound, backoff=Backoff(first_s=0.001, most_s=0.002), poll_interval_s=3600)


async def test_reconnecting_leaves_nothing_behind(new_agent: Any, run_fleet: Any, heard: Any) -> None:
    agent = new_agent()
    # The server of the agent lives in this process too, and its log of events is to be full at once.
    await agent.start(limits=NetconfLimits(notification_log_events=5))

    def dropping() -> Sequence[etree._Element]:
        for facts in agent.server.facts():
            session = agent.server.find(facts.session_id)
            asyncio.get_running_loop().call_later(0.005, session.end, "dropped")
        return [encode_state(agent.node)]

    agent.raw_state = dropping
    run_fleet(agent)

    async def objects_after(count: int) -> int:
        async with asyncio.timeout(60):
            while len(heard.of(NodeRead)) < count:
                await asyncio.sleep(0.01)
        heard.events.clear()
        gc.collect()
        return len(gc.get_objects())

    before = await objects_after(WARM)
    grown = await objects_after(MORE) - before
    # One session is some thousand objects; at the moment of counting it may be at another stage of its life.
    assert grown < 20 * MORE, f"{grown} objects more after {MORE} reconnections"


class BreakingDialogue:
    """A session that breaks when it is told to."""

    ways = ()
    replaying = False

    def __init__(self) -> None:
        self.breaks = asyncio.Event()

    async def subscribe(self, since: str) -> None:
        """Nothing to subscribe to."""

    async def read_node(self) -> tuple[Node, tuple[str, ...]]:
        return Node(node_id=NODE), ()

    read_figures = read_usage = read_node

    async def notifications(self) -> AsyncIterator[tuple[str, Notification]]:
        await self.breaks.wait()
        raise PeerUnreachable("broken")
        yield  # what makes it a generator

    async def close(self) -> None:
        """Closing takes a moment."""
        await asyncio.sleep(0)


@pytest.mark.parametrize("steps", range(8))
async def test_an_agent_lost_in_the_moment_of_stopping_is_stopped(
    southbound: SouthboundSettings, heard: Any, steps: int
) -> None:
    dialogue = BreakingDialogue()

    async def dial() -> Any:
        return dialogue

    agent = SupervisedAgent(
        name="a",
        dial=dial,
        settings=southbound,
        clock=SystemClock(),
        uniform=lambda: 0.5,
        submit=heard,
        claim=lambda _: "",
    )
    running = asyncio.ensure_future(agent.run())
    await heard.wait(NodeRead)
    dialogue.breaks.set()
    for _ in range(steps):
        await asyncio.sleep(0)
    running.cancel()
    _, still = await asyncio.wait({running}, timeout=2)
    for task in still:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert not still
    assert len(heard.of(NodeLost)) <= 1
