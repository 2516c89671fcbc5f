"""The 020 suite against a key manager that is right but for one defect."""

import datetime as dt
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.lab.conform.tiny_https import TinyHttps

from keyweave_core.model.ids import NodeId
from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.conform.etsi020.bench import Options
from keyweave_lab.conform.etsi020.suite import run_suite
from keyweave_lab.conform.https import place_of
from keyweave_lab.conform.report import Report
from keyweave_lab.pki import LabPki
from keyweave_lab.ports import free_ports

from .kme import Kme

US, PEER = (NodeId(f"0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a0{number}") for number in (1, 2))


class Papers:
    """Certificates of the two networks (of one authority) and of a stranger."""

    def __init__(self, folder: Path) -> None:
        now = dt.datetime.now(dt.UTC)
        pki = LabPki(folder / "pki", now=now)
        self.us, self.peer = pki.node("us", US), pki.node("peer", PEER)
        self.stranger = LabPki(folder / "other", now=now)
        self.foreign = self.stranger.node("us", US)


@pytest.fixture(scope="session")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(tmp_path_factory.mktemp("papers"))


@pytest.fixture
def judged(papers: Papers) -> Callable[..., Awaitable[Report]]:
    """A report about a key manager with one defect."""

    async def run(defect: str = "", *, synchronous: bool = True, **more: Any) -> Report:
        kme = Kme(papers.peer, defect, synchronous=synchronous)
        (kme.callback_port,) = free_ports(1)
        server = TinyHttps(
            papers.peer,
            kme.handle,
            also_trust=[str(papers.stranger.ca_path)] if defect == "foreign" else [],
            certificate_wanted=defect != "no-certificate",
            only_1_3=defect != "tls-1.2",
        )
        async with server as port:
            options = Options(
                peer=place_of(f"https://localhost:{port}"),
                tls=papers.us,
                initiator="alice",
                target="bob",
                listen_host="localhost",
                listen_port=kme.callback_port,
                pinned=True,
                foreign=papers.foreign,
                message_limit_s=3.0,
                patience_s=2.0,
                **more,
            )
            try:
                return await run_suite(options, SystemClock())
            finally:
                await kme.close()

    return run
