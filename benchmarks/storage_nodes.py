"""Stores and key managers for `storage`: filled, closed, opened again."""

import asyncio
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from keyweave_agents.keys.buffers import ReadyBuffer
from keyweave_agents.keys.destination import DestinationStore, StoredBatch
from keyweave_agents.keys.key_batch import KeyBatch, fresh_ids
from keyweave_agents.keys.manager import KeyManager
from keyweave_agents.keys.plan import AssociationPlan, KeyPlan, Route
from keyweave_agents.keys.relaying.frames import Batch
from keyweave_agents.keys.settings import KeyLimits, KeySettings, Neighbour, StorageSettings
from keyweave_agents.keys.storage.vault import Vault
from keyweave_agents.keys.storage.vault_opening import open_vault
from keyweave_agents.keys.storage.wrapping import read_master_key
from keyweave_agents.material import Secret
from keyweave_agents.quantum.intake import KeyBlock
from keyweave_core.model.ids import AppId, LinkId, NodeId, SaeId
from keyweave_core.runtime.clock import SystemClock

KEYS = 1_000_000
MASTER, SLAVE = SaeId("sae-master"), SaeId("sae-slave")


def _uid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


APP, LINK, VIRTUAL = AppId(_uid(0xA00)), LinkId(_uid(0x100)), LinkId(_uid(0x500))
NODES = NodeId(_uid(1)), NodeId(_uid(2))


def rss_mb() -> float:
    """Resident set of this process."""
    with Path("/proc/self/status").open() as status:
        return next(int(row.split()[1]) for row in status if row.startswith("VmRSS")) * 1024 / 1e6


def keys_of_a_batch(number: int) -> KeyBatch:
    """Fresh keys of 256 bits."""
    batch = Batch(
        batch_id=os.urandom(16),
        app_id=APP,
        link_id=VIRTUAL,
        key_bytes=32,
        key_ids=fresh_ids(number, os.urandom),
    )
    return KeyBatch.of(batch, Secret(os.urandom(32 * number)), expires_s=1e9, lives_s=1e9)


def _stored(store: DestinationStore, number: int, each: int) -> None:
    for _ in range(number // each):
        batch = StoredBatch(os.urandom(16), keys_of_a_batch(each), APP, MASTER, (SLAVE,))
        store.put(batch, wall_s=0.0, now_s=0.0)


def at_the_destination() -> DestinationStore:
    """A million keys that wait for the slave."""
    store = DestinationStore()
    _stored(store, KEYS, 128)
    return store


def at_the_destination_in_small_batches() -> DestinationStore:
    """The same, in batches as small as a buffer of 64 is topped up with."""
    store = DestinationStore()
    _stored(store, KEYS, 16)
    return store


def at_the_source() -> ReadyBuffer:
    """A million keys that wait for the master."""
    buffer = ReadyBuffer()
    for _ in range(KEYS // 128):
        buffer.put(keys_of_a_batch(128))
    return buffer


def storage_in(folder: Path, durability: Literal["power", "process"]) -> StorageSettings:
    """Settings of a store with a master key, both in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    key_file = folder / "master.key"
    if not key_file.exists():
        key_file.write_bytes(os.urandom(32))
        key_file.chmod(0o600)
    return StorageSettings(key_file=key_file, directory=folder, durability=durability)


def _vault(settings: StorageSettings, node_id: NodeId) -> Vault:
    return open_vault(settings, node_id, read_master_key(settings), SystemClock().now)


def fill_store(
    folder: Path, durability: Literal["power", "process"], *, batches: int, commit_each: bool, node: int = 1
) -> float:
    """Store batches of 128 keys; microseconds of one with its commit."""
    vault = _vault(storage_in(folder, durability), NODES[node])
    store = DestinationStore(vault)
    vault.commit()
    now_s, spent_s = SystemClock().now(), 0.0
    for _ in range(batches):
        keys = keys_of_a_batch(128)
        keys.expires_s, keys.lives_s = 1e6, 1e6
        began = time.perf_counter()
        store.put(StoredBatch(os.urandom(16), keys, APP, MASTER, (SLAVE,)), wall_s=now_s, now_s=0.0)
        if commit_each:
            vault.commit()
        spent_s += time.perf_counter() - began
    vault.close()
    return spent_s / max(1, batches) * 1e6


@dataclass(frozen=True, slots=True)
class ColdStart:
    """Seconds until the stores were open and read, and from there to the first key."""

    opened_s: float
    first_s: float


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _plan(number: int) -> KeyPlan:
    other = NODES[1 - number]
    route = Route(link_id=VIRTUAL, prev_hop=other if number else None, next_hop=None if number else other)
    association = AssociationPlan(
        app_id=APP, server=MASTER, clients=(SLAVE,), source=not number, links=(VIRTUAL,), remote_node=other
    )
    return KeyPlan(routes=(route,), associations=(association,))


class _Pair:
    """Two key managers on their stores."""

    def __init__(self, folder: Path) -> None:
        clock, ports = SystemClock(), [_free_port(), _free_port()]
        self.managers = []
        self._tasks: list[asyncio.Task[None]] = []
        for number in (0, 1):
            storage = storage_in(folder / str(number), "power")
            there = Neighbour(
                node_id=NODES[1 - number], link_id=LINK, host="127.0.0.1", port=ports[1 - number]
            )
            self.managers.append(
                KeyManager(
                    KeySettings(
                        listen_port=ports[number],
                        storage=storage,
                        neighbours=(there,),
                        limits=KeyLimits(stored_keys=2 * KEYS),
                    ),
                    node_id=NODES[number],
                    clock=clock,
                    random_bytes=os.urandom,
                    tls_server=None,
                    tls_client=None,
                    ledger=_vault(storage, NODES[number]),
                )
            )

    async def start(self) -> None:
        """Listen, connect, and hold the association."""
        self._tasks = [asyncio.create_task(manager.run()) for manager in self.managers]
        for number, manager in enumerate(self.managers):
            await manager.listening()
            manager.configure(_plan(number))

    async def first_key(self) -> None:
        """One key at both ends."""
        keys = await self.managers[0].get_keys(MASTER, SLAVE, 1, 256, 10.0)
        await self.managers[1].get_keys_by_id(SLAVE, MASTER, (keys[0].key_id,))

    async def stop(self) -> None:
        """As an agent stops."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for manager in self.managers:
            manager.close()


async def first_key_after_restart(folder: Path, keys: int) -> ColdStart:
    """How long until the first key when both ends of an association start again, `keys` in each store."""
    for number in (0, 1):
        await asyncio.to_thread(
            fill_store, folder / str(number), "power", batches=keys // 128, commit_each=False, node=number
        )
    pair = _Pair(folder)
    await pair.start()
    for block_id in range(1, 65):
        material = Secret(os.urandom(4096))
        for manager in pair.managers:
            manager.deposit(LINK, KeyBlock(block_id=block_id, owner=NODES[block_id % 2], material=material))
    await pair.first_key()
    await asyncio.sleep(0.5)
    await pair.stop()
    began = time.perf_counter()
    pair = _Pair(folder)
    opened = time.perf_counter()
    await pair.start()
    await pair.first_key()
    ended = time.perf_counter()
    await pair.stop()
    return ColdStart(opened - began, ended - opened)
