"""The 014 suite against key managers that are right but for one defect."""

import datetime as dt
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.lab.conform.tiny_https import TinyHttps

from keyweave_core.model.ids import NodeId, SaeId
from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.conform.etsi014.lines import Options, Sae
from keyweave_lab.conform.etsi014.suite import run_suite
from keyweave_lab.conform.https import place_of
from keyweave_lab.conform.report import Report
from keyweave_lab.pki import LabPki

from .kme import Kme

NODE = NodeId("0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a01")


class Papers:
    """Certificates of the laboratory and of a stranger."""

    def __init__(self, folder: Path) -> None:
        now = dt.datetime.now(dt.UTC)
        self.pki = LabPki(folder / "pki", now=now)
        self.node = self.pki.node("here", NODE)
        self.sae = {name: self.pki.application(SaeId(name)) for name in ("alice", "bob", "carol")}
        self.stranger = LabPki(folder / "other", now=now)
        self.foreign = self.stranger.application(SaeId("alice"))

    def options(self, west: str, east: str, **more: Any) -> Options:
        def sae(name: str, url: str) -> Sae:
            return Sae(id=name, place=place_of(url), tls=self.sae[name])

        return Options(
            **{
                "master": sae("alice", west),
                "slave": sae("bob", east),
                "third": sae("carol", east),
                "foreign": self.foreign,
                "message_limit_s": 3.0,
                "patience_s": 0.5,
                **more,
            }
        )


@pytest.fixture(scope="session")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(tmp_path_factory.mktemp("papers"))


@pytest.fixture
def judged(papers: Papers) -> Callable[..., Awaitable[Report]]:
    """A report about key managers with one defect."""

    async def run(defect: str = "", **more: Any) -> Report:
        kme = Kme(defect)
        limit_s = more.pop("limit_s", 3.0)
        async with AsyncExitStack() as stack:
            ports = [
                await stack.enter_async_context(
                    TinyHttps(
                        papers.node,
                        kme.site(name),
                        also_trust=[str(papers.stranger.ca_path)] if defect == "foreign" else [],
                        certificate_wanted=defect != "no-certificate",
                        old=defect == "old-tls",
                    )
                )
                for name in ("west", "east")
            ]
            west, east = (f"https://localhost:{port}" for port in ports)
            options = papers.options(west, east, message_limit_s=limit_s)
            return await run_suite(options, SystemClock(), **more)

    return run
