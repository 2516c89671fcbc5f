"""Two bridges in one process with everything around them, that can be killed between any two operations.

An *operation* is a request to a key manager, to a Vault or to the other bridge, a change of a file sink, or a
row of a journal. A fuse counts them; when it burns through, the bridge that was about to do the operation, or
has just done it, is gone with all that it had in memory, and a new one opens the same journal.
"""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
from tests.agents.bridge.kv_server import KvServer
from tests.lab.conform.etsi014.kme import Kme
from tests.lab.conform.tiny_https import Request

from keyweave_agents.bridge.calls import Answer
from keyweave_agents.bridge.files import FileSink
from keyweave_agents.bridge.journal import Journal, Rotation, Stage
from keyweave_agents.bridge.kme import KeyManagerClient
from keyweave_agents.bridge.master import Master
from keyweave_agents.bridge.peer import Activate, PeerAnswer, PeerClient, Prepare
from keyweave_agents.bridge.settings import FilesSettings, RetrySettings, SecretSettings, VaultSettings
from keyweave_agents.bridge.sinks import Held, Sink
from keyweave_agents.bridge.slave import Slave
from keyweave_agents.bridge.vault import VaultSink
from keyweave_core.errors import PeerUnreachable, Unavailable
from keyweave_core.runtime.clock import SystemClock

SiteName = Literal["west", "east"]
SAE = {"west": "alice", "east": "bob"}


class Crash(BaseException):
    """The process is gone."""


class Fuse:
    """Burns through before or after the operation number `at`; never when that is None."""

    def __init__(self) -> None:
        self.at: int | None = None
        self.after = False
        self.count = 0
        self.burnt = False

    def set(self, at: int, *, after: bool) -> None:
        self.at, self.after, self.count, self.burnt = at, after, 0, False

    async def around(self, work: Callable[[], Awaitable[Any]]) -> Any:
        mine = self.at is not None and self.count == self.at
        self.count += 1
        if mine and not self.after:
            self._burn()
        result = await work()
        if mine:
            self._burn()
        return result

    def _burn(self) -> None:
        self.at, self.burnt = None, True
        raise Crash


class DirectCaller:
    """A `calls.Caller` without sockets: `handle` is the server."""

    def __init__(self, handle: Callable[[Request], Awaitable[Any]], sae: str, fuse: Fuse) -> None:
        self._handle = handle
        self._sae = sae
        self._fuse = fuse

    async def ask(self, method: str, path: str, body: Any = None, headers: Any = None) -> Answer:
        content = b"" if body is None else msgspec.json.encode(body)
        said = {name.casefold(): text for name, text in (headers or {}).items()}
        request = Request(method, path, "", content, self._sae, said)
        response = await self._fuse.around(lambda: self._handle(request))
        return Answer(status=response.status, body=response.body)

    async def close(self) -> None:
        return None


class FusedJournal(Journal):
    """A journal whose writes count as operations."""

    def __init__(self, path: Path, fuse: Fuse) -> None:
        super().__init__(path)
        self._fuse = fuse

    def put(self, rotation: Rotation) -> None:
        async def work() -> None:
            super(FusedJournal, self).put(rotation)

        coroutine = self._fuse.around(work)
        try:
            coroutine.send(None)  # nothing in it waits
        except StopIteration:
            return
        raise AssertionError("a write that waits")


class FusedFiles(FileSink):
    """A file sink whose changes count as operations."""

    def __init__(self, settings: FilesSettings, fuse: Fuse) -> None:
        super().__init__(settings)
        self._fuse = fuse

    async def stage(self, secret: SecretSettings, held: Held) -> None:
        await self._fuse.around(lambda: super(FusedFiles, self).stage(secret, held))

    async def activate(self, secret: SecretSettings, event_id: str, key_id: str) -> int:
        found: int = await self._fuse.around(
            lambda: super(FusedFiles, self).activate(secret, event_id, key_id)
        )
        return found


class World:
    """Both sites. `vaults` are of the sites; files lie in `folder`."""

    def __init__(self, folder: Path, kind: Literal["vault", "file"] = "vault") -> None:
        self.folder = folder
        self.kme = Kme()
        self.vaults = {"west": KvServer(), "east": KvServer()}
        self.fuses = {"west": Fuse(), "east": Fuse()}
        self.secret = SecretSettings(name="link", sink=kind, path="keys/link", key_bits=256)
        self.peer_away = False
        self.peer_away_after = False
        self.confirmed: set[str] = set()
        (folder / "token").write_text("s.token\n")
        self._journals: dict[str, Journal] = {}
        self.master = self._make_master()
        self.slave = self._make_slave()

    def sink(self, site: SiteName) -> Sink:
        fuse = self.fuses[site]
        if self.secret.sink == "file":
            return FusedFiles(FilesSettings(directory=self.folder / site), fuse)
        settings = VaultSettings(
            address="https://vault", token_file=self.folder / "token", ca=self.folder / "ca"
        )
        return VaultSink(settings, DirectCaller(self.vaults[site].handle, "", fuse))  # type: ignore[arg-type]  # as far as it is used

    def _journal(self, site: SiteName) -> Journal:
        if site in self._journals:
            self._journals[site].close()
        self._journals[site] = FusedJournal(self.folder / f"{site}.db", self.fuses[site])
        return self._journals[site]

    def _keys(self, site: SiteName) -> KeyManagerClient:
        other: SiteName = "east" if site == "west" else "west"
        caller = DirectCaller(self.kme.site(site), SAE[site], self.fuses[site])
        return KeyManagerClient(caller, SAE[other])  # type: ignore[arg-type]  # as far as it is used

    def _make_master(self) -> Master:
        caller = DirectCaller(self._peer, "", self.fuses["west"])
        return Master(
            {"link": self.secret},
            {"link": self.sink("west")},
            self._journal("west"),
            self._keys("west"),
            PeerClient(caller),  # type: ignore[arg-type]  # as far as it is used
            RetrySettings(),
            SystemClock(),
            lambda: 0.0,
        )

    def _make_slave(self) -> Slave:
        return Slave(
            {"link": self.secret},
            {"link": self.sink("east")},
            self._journal("east"),
            self._keys("east"),
            SystemClock(),
        )

    async def _peer(self, request: Request) -> Answer:
        """The other bridge; when it dies, the caller sees a connection that ends."""
        if self.peer_away:
            raise PeerUnreachable("nobody answers")
        event_id = request.path.split("/")[3]
        try:
            if request.method == "PUT":
                said = msgspec.json.decode(request.body, type=Prepare)
                answer: PeerAnswer = await self.slave.prepare(event_id, said)
                if answer.status == "staged":
                    self.confirmed.add(said.key_id)
            else:
                answer = await self.slave.activate(event_id, msgspec.json.decode(request.body, type=Activate))
        except Crash:
            self.slave = self._make_slave()
            raise PeerUnreachable("it died") from None
        except Unavailable as trouble:
            return Answer(status=503, body=json.dumps({"message": str(trouble)}).encode())
        if self.peer_away_after:
            raise PeerUnreachable("the answer was lost")
        return Answer(status=200, body=msgspec.json.encode(answer))

    def active(self, site: SiteName) -> dict[str, Any] | None:
        """What an application reads."""
        if self.secret.sink == "vault":
            return self.vaults[site].active("keys/link")
        path = self.folder / site / "keys/link"
        found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else None  # type: ignore[assignment]
        return found

    def check(self) -> None:
        """What must hold at every moment: the slave is never behind the master, and what is active anywhere
        was confirmed before. Events are called e1, e2, ... in their order."""
        west, east = (
            None if one is None or "by" in one else one  # somebody wrote by hand
            for one in (self.active("west"), self.active("east"))
        )
        for one in (west, east):
            assert one is None or one["key_id"] in self.confirmed
        if west is not None:
            assert east is not None
            assert int(east["event_id"][1:]) >= int(west["event_id"][1:])
            if west["event_id"] == east["event_id"]:
                assert west["key"] == east["key"]

    async def deliver(self, event_id: str, *, most: int = 60) -> Rotation:
        """Deliver an event again and again and do what it takes, whoever dies on the way."""
        for _ in range(most):
            try:
                rotation = self.master.accept(event_id, "link")
                if rotation.stage is Stage.DONE:
                    return rotation
                found = self._journals["west"].oldest_open("link")
                assert found is not None
                await self.master._try(found, self.secret)
            except Crash:
                self.master = self._make_master()
            self.check()
        raise AssertionError(f"not done: {self._journals['west'].get(event_id)}")

    def row(self, site: SiteName, event_id: str) -> Rotation | None:
        return self._journals[site].get(event_id)

    def close(self) -> None:
        for journal in self._journals.values():
            journal.close()
