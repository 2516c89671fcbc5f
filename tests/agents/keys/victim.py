"""A key manager in a process of its own, to be killed: `python -m tests.agents.keys.victim DIRECTORY ...`.

It takes orders as JSON lines on standard input and answers each with one on standard output, in order. With
a number at the end it kills itself (SIGKILL) when so many statements of commits went to its database.
"""

import asyncio
import json
import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

from tests.agents.keys.network import APP, MASTER, SLAVE, uid

from keyweave_agents.keys.manager import KeyManager
from keyweave_agents.keys.plan import AssociationPlan, KeyPlan, Route, SuppliedKey
from keyweave_agents.keys.settings import KeySettings, Neighbour, StorageSettings
from keyweave_agents.keys.storage import vault_file
from keyweave_agents.keys.storage.vault_opening import open_ledger
from keyweave_agents.material import Secret
from keyweave_agents.quantum.intake import KeyBlock
from keyweave_core.errors import KeyweaveError
from keyweave_core.model.ids import LinkId, NodeId
from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.log import configure_logging

NODES = NodeId(uid(1)), NodeId(uid(2))
LINK, VIRTUAL = LinkId(uid(0x100)), LinkId(uid(0x500))


class Mortal(sqlite3.Connection):
    """A connection that lives for so many statements after its first commit began."""

    left = -1
    counting = False

    def _live(self) -> None:
        if Mortal.counting:
            if Mortal.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            Mortal.left -= 1

    def execute(self, *args: Any) -> sqlite3.Cursor:
        Mortal.counting = Mortal.counting or args[0] == "BEGIN IMMEDIATE"
        self._live()
        return super().execute(*args)

    def executemany(self, *args: Any) -> sqlite3.Cursor:
        self._live()
        return super().executemany(*args)


def mortal_connections() -> None:
    """What the key store opens from now on counts its statements."""
    connect = sqlite3.connect

    def mortal(*args: Any, **values: Any) -> sqlite3.Connection:
        return connect(*args, **values, factory=Mortal)

    vault_file.sqlite3.connect = mortal  # type: ignore[assignment]


def plan_of(number: int) -> KeyPlan:
    other = NODES[1 - number]
    route = Route(link_id=VIRTUAL, prev_hop=other if number else None, next_hop=None if number else other)
    association = AssociationPlan(
        app_id=APP, server=MASTER, clients=(SLAVE,), source=not number, links=(VIRTUAL,), remote_node=other
    )
    return KeyPlan(routes=(route,), associations=(association,))


def shown(keys: tuple[SuppliedKey, ...]) -> list[list[str]]:
    return [[key.key_id, bytes(key.key.reveal()).hex()] for key in keys]


async def obey(manager: KeyManager, order: dict[str, Any]) -> dict[str, Any]:
    try:
        match order["do"]:
            case "block":
                material = Secret(bytes.fromhex(order["bits"]))
                block = KeyBlock(block_id=order["id"], owner=NODES[order["owner"]], material=material)
                manager.deposit(LINK, block)
                return {}
            case "meet":
                async with asyncio.timeout(1.5):
                    while not manager.snapshot().peers_up:
                        await asyncio.sleep(0.01)
                return {}
            case "draw":
                return {"keys": shown(await manager.get_keys(MASTER, SLAVE, order["number"], 256, 0.3))}
            case "fetch":
                return {"keys": shown(await manager.get_keys_by_id(SLAVE, MASTER, tuple(order["ids"])))}
            case _:
                raise ValueError(order)
    except (KeyweaveError, TimeoutError) as error:
        return {"error": type(error).__name__}


async def serve(folder: Path, number: int, own_port: int, other_port: int) -> None:
    clock = SystemClock()
    storage = StorageSettings(key_file=folder / "master.key", directory=folder / "state")
    settings = KeySettings(
        listen_port=own_port,
        buffer_keys=16,
        storage=storage,
        neighbours=(Neighbour(node_id=NODES[1 - number], link_id=LINK, host="127.0.0.1", port=other_port),),
    )
    ledger = open_ledger(storage, NODES[number], clock)
    manager = KeyManager(
        settings,
        node_id=NODES[number],
        clock=clock,
        random_bytes=os.urandom,
        tls_server=None,
        tls_client=None,
        ledger=ledger,
    )
    running = asyncio.create_task(manager.run())
    await manager.listening()
    manager.configure(plan_of(number))
    print(json.dumps({"ready": True}), flush=True)
    reader = asyncio.StreamReader(limit=1 << 20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        print(json.dumps(await obey(manager, json.loads(line))), flush=True)
    running.cancel()
    await asyncio.wait([running])
    manager.close()


def main() -> None:
    folder, number, own_port, other_port, *lives = sys.argv[1:]
    if lives:
        Mortal.left = int(lives[0])
        mortal_connections()
    configure_logging(level="warning")
    asyncio.run(serve(Path(folder), int(number), int(own_port), int(other_port)))


if __name__ == "__main__":
    main()
