"""A chain of running key managers on loopback, with mutual TLS and hand-made key."""

import asyncio
import contextlib
import datetime as dt
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from ssl import SSLContext

from tests.agents.keys.network import APP, MASTER, SLAVE, uid

from keyweave_agents.keys.manager import KeyManager
from keyweave_agents.keys.plan import AssociationPlan, KeyPlan, Route
from keyweave_agents.keys.settings import KeySettings, Neighbour
from keyweave_agents.material import Secret
from keyweave_agents.quantum.intake import KeyBlock
from keyweave_core.model.ids import LinkId, NodeId
from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.tls import client_context, server_context
from keyweave_lab.pki import LabPki


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Chain:
    """Key managers 0..n-1 in a row."""

    def __init__(self, length: int, pki: LabPki | None, **settings: object) -> None:
        self.pki = pki
        self.nodes = [NodeId(uid(index + 1)) for index in range(length)]
        self.links = [LinkId(uid(0x100 + index)) for index in range(length - 1)]
        self.ports = [free_port() for _ in range(length)]
        self._settings = settings
        self._block = 0
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self.managers = [self._make(index) for index in range(length)]

    def tls(self, index: int) -> tuple[SSLContext | None, SSLContext | None]:
        if self.pki is None:
            return None, None
        files = self.pki.node(f"n{index}", self.nodes[index])
        return server_context(files), client_context(files, check_hostname=False)

    def settings(self, index: int) -> KeySettings:
        neighbours = [
            Neighbour(
                node_id=self.nodes[other], link_id=self.links[link], host="127.0.0.1", port=self.ports[other]
            )
            for link, other in ((index - 1, index - 1), (index, index + 1))
            if 0 <= other < len(self.nodes)
        ]
        values: dict[str, object] = {"listen_port": self.ports[index], **self._settings}
        return KeySettings(neighbours=tuple(neighbours), **values)  # type: ignore[arg-type]  # tests choose

    def _make(self, index: int) -> KeyManager:
        server, client = self.tls(index)
        return KeyManager(
            self.settings(index),
            node_id=self.nodes[index],
            clock=SystemClock(),
            random_bytes=os.urandom,
            tls_server=server,
            tls_client=client,
        )

    async def start(self, index: int) -> None:
        self._tasks[index] = asyncio.create_task(self.managers[index].run())
        await self.managers[index].listening()

    async def stop(self, index: int) -> None:
        task = self._tasks.pop(index)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.01)

    async def restart(self, index: int) -> None:
        """Stop a manager and start a new one in its place, empty."""
        await self.stop(index)
        self.managers[index] = self._make(index)
        await self.start(index)

    def generate(self, link: int, size: int = 4096) -> bool:
        owner = self.managers[link].next_owner(self.links[link])
        if owner is None:
            return False
        self._block += 1
        bits = os.urandom(size)
        for index in (link, link + 1):
            self.managers[index].deposit(
                self.links[link], KeyBlock(block_id=self._block, owner=owner, material=Secret(bits))
            )
        return True

    def fill(self) -> None:
        for link in range(len(self.links)):
            while self.generate(link):
                pass

    async def connected(self, deadline_s: float = 5.0) -> None:
        """Wait until all neighbours of running managers that run have found each other."""
        async with asyncio.timeout(deadline_s):
            while not all(
                len(manager.snapshot().peers_up) == (1 if index in (0, len(self.nodes) - 1) else 2)
                for index, manager in enumerate(self.managers)
            ):
                await asyncio.sleep(0.005)

    def associate(self, *, only: int | None = None, links: int = 1) -> None:
        """The association from the first manager to the last, over so many virtual links along the row."""
        link_ids = tuple(LinkId(uid(0x500 + number)) for number in range(links))
        last = len(self.nodes) - 1
        for index, manager in reversed(list(enumerate(self.managers))):
            if only not in (None, index):
                continue
            routes = tuple(
                Route(
                    link_id=link_id,
                    prev_hop=self.nodes[index - 1] if index else None,
                    next_hop=self.nodes[index + 1] if index < last else None,
                )
                for link_id in link_ids
            )
            ends = ()
            if index in (0, last):
                ends = (
                    AssociationPlan(
                        app_id=APP,
                        server=MASTER,
                        clients=(SLAVE,),
                        source=index == 0,
                        links=link_ids,
                        remote_node=self.nodes[last - index],
                    ),
                )
            manager.configure(KeyPlan(routes=routes, associations=ends))


@contextlib.asynccontextmanager
async def running(
    length: int, folder: Path | None, *, start: bool = True, **settings: object
) -> AsyncIterator[Chain]:
    """A started chain; `folder` is for its certificates (None: plain TCP)."""
    pki = LabPki(folder, now=dt.datetime.now(dt.UTC)) if folder else None
    chain = Chain(length, pki, **settings)
    try:
        if start:
            for index in range(length):
                await chain.start(index)
            await chain.connected()
        yield chain
    finally:
        for index in list(chain._tasks):
            await chain.stop(index)
        await asyncio.sleep(0.05)  # handshakes that were cut off end by themselves
