"""Bridges as processes: settings files, start, kill -9; Vault and key managers stay in the test's loop."""

import asyncio
import datetime as dt
import json
import os
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
from tests.agents.bridge.kv_server import KvServer
from tests.lab.conform.etsi014.kme import Kme
from tests.lab.conform.tiny_https import TinyHttps

from keyweave_core.model.ids import NodeId, SaeId
from keyweave_core.runtime.tls import TlsSettings, client_context
from keyweave_lab.pki import LabPki
from keyweave_lab.ports import free_ports
from keyweave_lab.toml_text import to_toml

IDS = {
    "west": NodeId("0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a11"),
    "east": NodeId("0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a12"),
}
SAE = {"west": "alice", "east": "bob"}
ROLE = {"west": "master", "east": "slave"}


class Site:
    """One bridge process and its files."""

    def __init__(self, name: str, folder: Path, port: int) -> None:
        self.name = name
        self.folder = folder
        self.port = port
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, and wait until its door is open."""
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "keyweave_agents.bridge",
                "--config", str(self.folder / "bridge.toml"), "--ready-file", str(ready),
                stdout=log, stderr=log,
            )  # fmt: skip
        async with asyncio.timeout(40):
            while not ready.exists():
                if self.process.returncode is not None:
                    raise AssertionError((self.folder / "log").read_text()[-2000:])
                await asyncio.sleep(0.02)

    async def kill(self) -> None:
        """kill -9."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
            await self.process.wait()

    async def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            return await self.process.wait()


class Stage:
    """Both sites. `urls` are the key managers'; without them two of the tests' own are started."""

    def __init__(
        self, folder: Path, *, pki: LabPki | None = None, urls: dict[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.pki = pki or LabPki(folder / "pki", now=dt.datetime.now(dt.UTC))
        self.urls = urls or {}
        self.kme = Kme()
        self.vaults = {"west": KvServer(namespace="team"), "east": KvServer()}
        self.operator = self.pki.operator()
        ports = free_ports(2)
        self.sites = {name: Site(name, folder / name, port) for name, port in zip(IDS, ports, strict=True)}
        self._stack = AsyncExitStack()
        self.every_s: float | None = None

    async def __aenter__(self) -> "Stage":
        node = self.pki.node("servers", NodeId("0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a13"))
        enter = self._stack.enter_async_context
        for name in IDS:
            port = await enter(TinyHttps(node, self.vaults[name].handle, certificate_wanted=False))
            if name not in self.urls:
                self.urls[name] = f"https://localhost:{await enter(TinyHttps(node, self.kme.site(name)))}"
            self._write(name, f"https://localhost:{port}")
        return self

    async def __aexit__(self, *_: object) -> None:
        for site in self.sites.values():
            await site.kill()
        await self._stack.aclose()

    def _write(self, name: str, vault: str) -> None:
        site, other = self.sites[name], "east" if name == "west" else "west"
        site.folder.mkdir()
        (site.folder / "token").write_text("s.token\n")
        secrets: list[dict[str, Any]] = [
            {"name": "link", "sink": "vault", "path": "keys/link"},
            {"name": "disk", "sink": "file", "path": "disk.json", "key_bits": 128},
        ]
        if name == "west" and self.every_s is not None:
            secrets[1]["every_s"] = self.every_s
        settings = {
            "role": ROLE[name],
            "state_dir": "state",
            "door": {
                "listen_port": site.port,
                "callers": ["operator"],
                "tls": _table(self.pki.node(f"bridge-{name}", IDS[name])),
            },
            "peer": {
                "url": f"https://localhost:{self.sites[other].port}",
                "name": f"urn:uuid:{IDS[other]}",
            },
            "kme": {
                "url": self.urls[name],
                "peer_sae_id": SAE[other],
                "tls": _table(self.pki.application(SaeId(SAE[name]))),
            },
            "vault": {
                "address": vault,
                "token_file": "token",
                "namespace": "team" if name == "west" else "",
                "ca": str(self.pki.ca_path),
            },
            "files": {"directory": "secrets"},
            "retry": {"first_s": 0.02, "most_s": 0.2, "answer_s": 5.0},
            "secrets": secrets,
        }
        (site.folder / "bridge.toml").write_text(to_toml(settings))

    async def ask(
        self, name: str, method: str, path: str, body: Any = None, *, tls: TlsSettings | None = None
    ) -> tuple[int, Any]:
        """One request to a bridge's door, as the operator unless told; (0, None) when it does not answer."""
        context = client_context(tls or self.operator)
        try:
            async with httpx.AsyncClient(verify=context, timeout=5, trust_env=False) as client:
                url = f"https://localhost:{self.sites[name].port}{path}"
                response = await client.request(method, url, json=body)
        except httpx.HTTPError:
            return 0, None
        return response.status_code, response.json() if response.content else None

    async def rotated(self, event_id: str, name: str = "link", *, within_s: float = 40.0) -> dict[str, Any]:
        """Deliver an event until it is done; what the master tells of it."""
        async with asyncio.timeout(within_s):
            while True:
                status, said = await self.ask("west", "POST", f"/rotations/{event_id}", {"secret": name})
                if status == 200:
                    found: dict[str, Any] = said
                    return found
                await asyncio.sleep(0.02)

    def disk(self, name: str) -> dict[str, Any] | None:
        """The file of the secret `disk`."""
        path = self.sites[name].folder / "secrets" / "disk.json"
        if not path.exists():
            return None
        assert path.stat().st_mode & 0o777 == 0o600
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def logs(self) -> str:
        """All that both have logged."""
        return "".join((site.folder / "log").read_text() for site in self.sites.values())

    def kept(self) -> bytes:
        """All bytes of both journals."""
        return b"".join(
            path.read_bytes() for site in self.sites.values() for path in (site.folder / "state").iterdir()
        )


def _table(tls: TlsSettings) -> dict[str, str]:
    return {
        "certificate": os.fspath(tls.certificate),
        "private_key": os.fspath(tls.private_key),
        "ca": os.fspath(tls.ca),
    }
