"""Running key managers with key stores: what a restart keeps, and what happens when the disk is full."""

import asyncio
import contextlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from tests.agents.keys.network import APP, MASTER, SLAVE
from tests.agents.keys.running import Chain

from keyweave_agents.keys.failures import LedgerFailed
from keyweave_agents.keys.manager import KeyManager
from keyweave_agents.keys.plan import KeyPlan, StoreRestored, StoreTrouble
from keyweave_agents.keys.settings import StorageSettings
from keyweave_agents.keys.storage.vault import Vault
from keyweave_agents.keys.storage.vault_opening import open_vault
from keyweave_agents.keys.storage.wrapping import MasterKey
from keyweave_core.errors import Unavailable
from keyweave_core.model.ids import NodeId
from keyweave_core.runtime.clock import SystemClock


class DurableChain(Chain):
    """Key managers in a row, each with a store."""

    def __init__(self, length: int, folder: Path, **settings: object) -> None:
        self._folder = folder
        self.vaults: dict[int, Vault] = {}
        super().__init__(length, None, **settings)

    def _make(self, index: int) -> KeyManager:
        self.vaults[index] = opened(self._folder / str(index), self.nodes[index])
        return KeyManager(
            self.settings(index),
            node_id=self.nodes[index],
            clock=SystemClock(),
            random_bytes=os.urandom,
            tls_server=None,
            tls_client=None,
            ledger=self.vaults[index],
        )

    async def again(self, index: int) -> None:
        """As an agent that is stopped and started."""
        await self.stop(index)
        self.managers[index].close()
        self.managers[index] = self._make(index)
        await self.start(index)


def opened(folder: Path, node_id: NodeId) -> Vault:
    settings = StorageSettings(key_file=folder / "unused", directory=folder)
    return open_vault(settings, node_id, MasterKey(bytearray(b"m" * 32), "the test"), SystemClock().now)


@contextlib.asynccontextmanager
async def durable(length: int, folder: Path, **settings: object):  # type: ignore[no-untyped-def]  # of a test
    chain = DurableChain(length, folder, **settings)
    try:
        for index in range(length):
            await chain.start(index)
        await chain.connected()
        yield chain
    finally:
        for index in list(chain._tasks):
            await chain.stop(index)
        for manager in chain.managers:
            manager.close()


async def test_a_restart_of_everybody_keeps_pools_ready_keys_and_stored_keys(tmp_path: Path) -> None:
    async with durable(3, tmp_path, buffer_keys=16) as chain:
        for _ in range(6):
            for link in (0, 1):
                chain.generate(link)
        chain.associate()
        keys = await chain.managers[0].get_keys(MASTER, SLAVE, 3, 256, 5.0)
        await asyncio.sleep(0.3)
        levels = [chain.managers[0].snapshot().pools[chain.links[0]].stored_bits]
        for index in range(3):
            await chain.again(index)
        chain.associate()
        await chain.connected()
        levels.append(chain.managers[0].snapshot().pools[chain.links[0]].stored_bits)
        assert levels[1] > levels[0] - 8 * 1024, "a proper end costs nothing but what the proof takes"
        theirs = await chain.managers[2].get_keys_by_id(SLAVE, MASTER, tuple(key.key_id for key in keys))
        assert all(one.key.same_as(two.key) for one, two in zip(keys, theirs, strict=True))
        assert chain.managers[0].snapshot().associations[APP].stored_keys >= 8
        more = await chain.managers[0].get_keys(MASTER, SLAVE, 8, 256, 5.0)
        assert not {key.key_id for key in more} & {key.key_id for key in keys}


async def test_a_full_store_supplies_nothing_says_so_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    async with durable(2, tmp_path, buffer_keys=8) as chain:
        for _ in range(8):
            chain.generate(0)
        chain.associate()
        manager, far = chain.managers
        keys = await manager.get_keys(MASTER, SLAVE, 4, 256, 5.0)
        ids = tuple(key.key_id for key in keys)
        await asyncio.sleep(0.4)
        for vault in chain.vaults.values():
            (pages,) = vault._database.execute("PRAGMA page_count").fetchone()
            vault._database.execute(f"PRAGMA max_page_count = {pages}")
            for number in range(64):  # what is free within the file
                vault.shelf("ballast").put(bytes([number]), bytes(1 << 16), lazy=True)
        with pytest.raises(LedgerFailed, match=r"cannot be written: .*full"):
            await far.get_keys_by_id(SLAVE, MASTER, ids)
        with pytest.raises(Unavailable):  # within the mark the source may serve, beyond it not
            await manager.get_keys(MASTER, SLAVE, 40, 256, 0.5)
        told = []
        while not far._events.empty():
            told.append(await far.next_event())
        assert any(isinstance(event, StoreTrouble) for event in told)
        for vault in chain.vaults.values():
            vault._database.execute("PRAGMA max_page_count = 1000000")
        async with asyncio.timeout(5):
            while not isinstance(await far.next_event(), StoreRestored):
                pass
        theirs = await far.get_keys_by_id(SLAVE, MASTER, ids)
        assert all(one.key.same_as(two.key) for one, two in zip(keys, theirs, strict=True))
        more = await manager.get_keys(MASTER, SLAVE, 8, 256, 5.0)
        assert len(await far.get_keys_by_id(SLAVE, MASTER, tuple(key.key_id for key in more))) == 8


async def test_closing_wipes_memory_and_keeps_the_store(tmp_path: Path) -> None:
    chain = DurableChain(2, tmp_path)
    chain.generate(0)
    pool = chain.managers[0]._plane.sessions[chain.links[0]].pool
    held = [block.material for block in (*pool.own._blocks.values(), *pool.their._blocks.values())]
    assert any(any(material.reveal()) for material in held)
    for manager in chain.managers:
        manager.close()
        manager.close()
        manager.configure(KeyPlan())
    assert not any(any(material.reveal()) for material in held)
    again = DurableChain.__new__(DurableChain)
    again.__dict__.update(chain.__dict__)
    assert again._make(0).snapshot().pools[chain.links[0]].stored_bits > 0
    again.vaults[0].close()


def test_a_file_that_may_not_grow_is_a_full_disk(tmp_path: Path) -> None:
    """The limit of the operating system for the size of files, as met by a process of its own."""
    code = (
        "import sys, os\n"
        "from pathlib import Path\n"
        "from tests.agents.keys.test_manager_storage import limited\n"
        "limited(Path(sys.argv[1]))\n"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["refused", "taken"]
    vault = opened(tmp_path, NodeId("00000000-0000-4000-8000-000000000001"))
    assert {key: len(value) for key, value in vault.shelf("room").items()} == {b"small": 1, b"large": 300_000}
    vault.close()


def limited(folder: Path) -> None:
    """What that process does."""
    vault = opened(folder, NodeId("00000000-0000-4000-8000-000000000001"))
    shelf = vault.shelf("room")
    shelf.put(b"small", b"1")
    vault.commit()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    shelf.put(b"large", bytes(300_000))
    try:
        vault.commit()
    except LedgerFailed:
        print("refused")
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    vault.commit()
    print("taken")
    vault.close()
