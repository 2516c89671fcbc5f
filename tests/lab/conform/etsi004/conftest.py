"""The 004 suite against key managers that are right but for one defect."""

import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from keyweave_core.model.ids import NodeId, SaeId
from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.tls import TlsSettings
from keyweave_lab.conform.etsi004.bench import Options, Side
from keyweave_lab.conform.etsi004.suite import run_suite
from keyweave_lab.conform.report import Report
from keyweave_lab.pki import LabPki

from .streams import Hub

NODE = NodeId("0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a01")


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TlsSettings]:
    pki = LabPki(tmp_path_factory.mktemp("pki"), now=dt.datetime.now(dt.UTC))
    found = {name: pki.application(SaeId(name)) for name in ("alice", "bob")}
    return found | {"node": pki.node("here", NODE)}


@pytest.fixture
def judged(tls: dict[str, TlsSettings]) -> Callable[..., Awaitable[Report]]:
    """A report about key managers with one defect; over TLS when wished."""

    async def run(defect: str = "", *, secure: bool = False, **more: Any) -> Report:
        hub = Hub(defect, tls["node"] if secure else None)
        ports = await hub.start()

        def side(port: int, name: str) -> Side:
            return Side(
                host="localhost",
                port=port,
                tls=tls[name] if secure else None,
                source="urn:sae:alice",
                destination="urn:sae:bob",
            )

        options = Options(
            first=side(ports[0], "alice"),
            second=side(ports[1], "bob"),
            message_limit_s=3.0,
            patience_s=0.3,
        )
        try:
            return await run_suite(options, SystemClock(), **more)
        finally:
            await hub.close()

    return run
