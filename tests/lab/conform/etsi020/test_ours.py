"""The 020 suite against the border node of a network of ours, and as a command."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.agents.keys.network import MASTER, SLAVE
from tests.agents.keys.running import Chain
from typer.testing import CliRunner

from keyweave_agents.keys.manager import KeyManager
from keyweave_agents.keys.plan import AssociationWanted
from keyweave_agents.service.etsi020 import Etsi020Server
from keyweave_agents.service.settings020 import Etsi020Settings, PeerSettings
from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.cli import app
from keyweave_lab.conform.etsi020.bench import Options
from keyweave_lab.conform.etsi020.suite import run_suite
from keyweave_lab.conform.https import place_of
from keyweave_lab.conform.report import Verdict
from keyweave_lab.ports import free_ports

from .conftest import US, Papers


class BorderChain(Chain):
    """Two key managers; the first one stands at the border."""

    def __init__(self, border: Etsi020Settings) -> None:
        self._border = border
        super().__init__(2, None)

    def _make(self, index: int) -> KeyManager:
        return KeyManager(
            self.settings(index),
            node_id=self.nodes[index],
            clock=SystemClock(),
            random_bytes=os.urandom,
            tls_server=None,
            tls_client=None,
            beyond=self._border.beyond if index == 0 else None,
        )


@pytest.fixture
async def border(papers: Papers) -> AsyncIterator[tuple[int, int]]:
    """The port of the door, and the one where the suite is to be acknowledged to."""
    (callback_port,) = free_ports(1)
    settings = Etsi020Settings(
        listen_host="localhost",
        listen_port=0,
        tls=papers.peer,
        peers=(
            PeerSettings(
                name="us",
                url=f"https://localhost:{callback_port}",
                certificate_name=f"urn:uuid:{US}",
                sae_ids=(MASTER,),
            ),
        ),
    )
    chain = BorderChain(settings)
    for index in range(2):
        await chain.start(index)
    await chain.connected()
    chain.fill()
    chain.associate()

    async def refuse() -> None:
        """What a controller says that knows nobody else."""
        async for event in chain.managers[0].events():
            if isinstance(event, AssociationWanted) and event.clients != (SLAVE,):
                chain.managers[0].refuse(event.server, event.clients, ("nobody is called that",))

    refusing = asyncio.create_task(refuse())
    door = Etsi020Server(settings, chain.managers[0], SystemClock())
    yield await door.start(), callback_port
    await door.close()
    refusing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await refusing
    for index in range(2):
        await chain.stop(index)


async def test_our_border_passes(papers: Papers, border: tuple[int, int]) -> None:
    options = Options(
        peer=place_of(f"https://localhost:{border[0]}"),
        tls=papers.us,
        initiator=MASTER,
        target=SLAVE,
        listen_host="localhost",
        listen_port=border[1],
        pinned=True,
        foreign=papers.foreign,
        patience_s=8.0,
    )
    report = await run_suite(options, SystemClock())
    assert {r.id: r.seen for r in report.results if r.result is Verdict.FAIL} == {}
    assert {r.id: r.seen for r in report.results if r.result is Verdict.NOT_APPLICABLE} == {}


async def test_the_command(papers: Papers, border: tuple[int, int], tmp_path: Path) -> None:
    tls = papers.us
    arguments = [
        "conform", "020", f"https://localhost:{border[0]}", "--cert", str(tls.certificate),
        "--key", str(tls.private_key), "--ca", str(tls.ca), "--initiator-sae", MASTER, "--target-sae", SLAVE,
        "--listen", f"localhost:{border[1]}", "--only", "A1,A3,B1.ack", "--json", str(tmp_path / "x.json"),
    ]  # fmt: skip
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    assert result.exit_code == 0, result.output
    wrong = [*arguments, "--listen", "nowhere"]
    result = await asyncio.to_thread(CliRunner().invoke, app, wrong)
    assert result.exit_code == 2, result.output
