"""kill -9 of running key managers with key stores, at every point of a commit and at any moment under load.

Two processes, the source and the destination of an association; what passes between them passes through the
test, which sees every range of pool bits that ever left. Whatever is killed: no bit is used for two messages,
no key is supplied twice on one side, both sides get the same, and what the master got the slave can fetch
(but for an answer that died with its key manager).
"""

import asyncio
import json
import os
import random
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from tests.agents.keys.running import free_port
from tests.agents.keys.victim import NODES

from keyweave_agents.keys.relaying.frames import Sealed
from keyweave_agents.keys.relaying.wire import Splitter, decode

ROOT = Path(__file__).parents[3]
ROUNDS = int(os.environ.get("KEYWEAVE_KILLS", "6"))


class Node:
    """One key manager and its many lives."""

    def __init__(self, folder: Path, number: int, port: int, other_port: int) -> None:
        self.number = number
        self._arguments = [str(folder), str(number), str(port), str(other_port)]
        self._process: asyncio.subprocess.Process | None = None
        self._folder = folder
        folder.mkdir()
        (folder / "master.key").write_bytes(os.urandom(32))
        (folder / "master.key").chmod(0o600)

    async def start(self, statements: int | None = None) -> None:
        lives = [] if statements is None else [str(statements)]
        with (self._folder / "stderr.txt").open("ab") as said:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "tests.agents.keys.victim", *self._arguments, *lives),
                cwd=ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=said,
                limit=1 << 20,
            )
        await self._answer()

    async def ask(self, **order: object) -> dict[str, Any] | None:
        """The answer; None when it died before."""
        process = self._process
        if process is None or process.stdin is None:
            return None
        try:
            process.stdin.write(json.dumps(order).encode() + b"\n")
            await process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            return None
        return await self._answer()

    async def _answer(self) -> dict[str, Any] | None:
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(10):
            line = await self._process.stdout.readline()
        return json.loads(line) if line.endswith(b"\n") else None

    @property
    def lives(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def buried(self) -> None:
        """Dead, whoever did it; what it said last is heard."""
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.communicate()


class Wire:
    """What passes between the two; fails when bits of a pool are seen under two messages."""

    def __init__(self, listen: int, to: int) -> None:
        self._listen, self._to = listen, to
        self._messages: set[bytes] = set()
        self._spent: dict[tuple[int, int], set[int]] = defaultdict(set)
        self.faults: list[str] = []
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", self._listen)

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.close()
            return
        try:
            await asyncio.gather(
                self._pass(reader, far_writer, 0), self._pass(far_reader, writer, 1), return_exceptions=True
            )
        finally:
            writer.close()
            far_writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sender: int) -> None:
        splitter = Splitter()
        try:
            while data := await reader.read(65_536):
                for raw in splitter.feed(data):
                    self._watch(bytes(raw), sender)
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()

    def _watch(self, raw: bytes, sender: int) -> None:
        frame = decode(raw)
        if not isinstance(frame, Sealed) or raw in self._messages:
            return
        self._messages.add(raw)
        for item in frame.pad:
            bits = set(range(item.offset, item.offset + item.length))
            used = self._spent[sender, item.block_id]
            if bits & used:
                self.faults.append(f"bits of block {item.block_id} of node {sender} were used twice")
            used |= bits

    @property
    def messages(self) -> int:
        return len(self._messages)


class Pair:
    """Both nodes, what passes between them, and what applications got."""

    def __init__(self, folder: Path) -> None:
        ports = [free_port() for _ in range(3)]
        self.wire = Wire(ports[2], ports[1])
        self.nodes = [Node(folder / "a", 0, ports[0], ports[2]), Node(folder / "b", 1, ports[1], ports[0])]
        self.drawn: dict[str, str] = {}
        self.fetched: dict[str, str] = {}
        self.unheard: set[str] = set()  # whose fetch got no answer: gone for good, or still there
        self._block = 0

    async def generate(self, owner: int, size: int = 2048) -> None:
        self._block += 1
        bits = os.urandom(size).hex()
        for node in self.nodes:
            await node.ask(do="block", id=self._block, owner=owner, bits=bits)

    async def draw(self, number: int) -> None:
        self._note(self.drawn, await self.nodes[0].ask(do="draw", number=number))

    async def fetch(self) -> None:
        for key_id in sorted(self.drawn.keys() - self.fetched.keys()):
            answer = await self.nodes[1].ask(do="fetch", ids=[key_id])
            if answer is None:
                self.unheard.add(key_id)
            self._note(self.fetched, answer)

    async def fetch_again(self) -> None:
        for key_id in list(self.fetched)[-2:]:
            self._note(self.fetched, await self.nodes[1].ask(do="fetch", ids=[key_id]))

    def _note(self, side: dict[str, str], answer: dict[str, Any] | None) -> None:
        for key_id, bits in (answer or {}).get("keys", []):
            assert key_id not in side, "a key was supplied twice on one side"
            side[key_id] = bits

    async def work(self, rounds: int) -> None:
        await asyncio.gather(*(node.ask(do="meet") for node in self.nodes))
        for _ in range(rounds):
            await self.generate(0)
            await self.generate(1)
            await self.draw(3)
            await self.fetch()
            await self.fetch_again()

    async def recover(self) -> None:
        """Everybody lives again: the laws."""
        await asyncio.gather(*(node.buried() for node in self.nodes))
        await asyncio.gather(*(node.start() for node in self.nodes))
        before = len(self.drawn)
        for _ in range(20):
            await self.work(1)
            await self.fetch()
            if len(self.drawn) >= before + 6:
                break
            await asyncio.sleep(0.1)
        assert len(self.drawn) >= before + 6
        assert self.drawn.keys() - self.fetched.keys() <= self.unheard
        assert all(self.drawn[key_id] == bits for key_id, bits in self.fetched.items())
        assert self.wire.faults == []


@pytest.fixture
async def pair(tmp_path: Path) -> Any:
    made = Pair(tmp_path)
    await made.wire.start()
    yield made
    await asyncio.gather(*(node.buried() for node in made.nodes))
    await made.wire.close()


async def test_killed_at_every_point_of_a_commit(pair: Pair) -> None:
    await asyncio.gather(*(node.start() for node in pair.nodes))
    await pair.work(2)
    for count in range(ROUNDS):
        mortal, other = pair.nodes[count % 2], pair.nodes[1 - count % 2]
        await mortal.buried()
        await mortal.start(3 * count)
        if not other.lives:
            await other.buried()
            await other.start()
        await pair.work(3)
    await pair.recover()
    assert pair.wire.messages > ROUNDS


async def test_killed_at_any_moment_under_load(pair: Pair) -> None:
    chance = random.Random(5)  # noqa: S311 - a repeatable test
    await asyncio.gather(*(node.start() for node in pair.nodes))
    await pair.work(2)
    for _ in range(ROUNDS):
        load = asyncio.create_task(pair.work(6))
        await asyncio.sleep(chance.random() * 0.15)
        victims = chance.choice([pair.nodes[:1], pair.nodes[1:], pair.nodes])
        for node in victims:
            node.kill()
        await load
        await asyncio.gather(*(node.buried() for node in victims))
        await asyncio.gather(*(node.start() for node in victims))
    await pair.recover()


def test_the_victims_are_neighbours() -> None:
    assert NODES[0] < NODES[1], "the source dials, through the test"
