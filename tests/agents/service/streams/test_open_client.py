"""What the open implementation's client sends and expects, byte by byte, against two real key managers.

Written with `struct` alone, so that a mistake of `wire004` cannot hide on both sides. The statuses are those
that the client's own tests look for; where this server differs on purpose it is said.
"""

import asyncio
import json
import ssl
import struct
import uuid
from pathlib import Path
from typing import Self

from tests.agents.service.streams.pair import ALICE, BOB, Pair, pair_of

from keyweave_core.model.ids import SaeId
from keyweave_core.runtime.tls import client_context

NULL = bytes(16)
QOS = {"chunk": 512, "max": 40_000, "min": 0, "jitter": 10, "priority": 0, "timeout": 2000, "ttl": 3600}
FROM_ALICE, FROM_BOB = ("client://alice", "urn:sae:bob"), ("urn:sae:bob", "server://alice")


class OpenClient:
    """A connection that knows headers and nothing else."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, pair: Pair, sae: SaeId) -> Self:
        context: ssl.SSLContext = client_context(pair.pki.application(sae))
        port = pair.ports[0 if sae == ALICE else pair.last]
        return cls(*await asyncio.open_connection("localhost", port, ssl=context))

    async def call(self, kind: int, payload: bytes) -> bytes:
        self.writer.write(struct.pack("!BBBb", 1, 0, 1, kind) + struct.pack("!I", len(payload)) + payload)
        header = await self.reader.readexactly(8)
        assert header[:4] == struct.pack("!BBBb", 1, 0, 1, kind + 1)
        return await self.reader.readexactly(struct.unpack("!I", header[4:])[0])

    async def open(self, uris: tuple[str, str], ksid: bytes = NULL, **qos: int) -> tuple[int, bytes, bytes]:
        asked = {**QOS, **qos}
        media = b"application/json".ljust(256, b"\0")
        uri_bytes = b"".join(uri.encode() + b"\0" for uri in uris)
        answer = await self.call(2, uri_bytes + struct.pack("!7I", *asked.values()) + media + ksid)
        status = struct.unpack("!I", answer[:4])[0]
        assert len(answer) == (4 + 284 + 16 if status in (0, 7) else 4)
        return status, answer[4:288], answer[288:]

    async def get(self, ksid: bytes, index: int, metadata_size: int = 1024) -> tuple[int, bytes]:
        answer = await self.call(4, ksid + struct.pack("!II", index, metadata_size))
        return struct.unpack("!I", answer[:4])[0], answer[4:]

    async def close(self, ksid: bytes) -> int:
        answer = await self.call(8, ksid)
        assert len(answer) == 4
        return int(struct.unpack("!I", answer)[0])


def chunk_of(answer: bytes) -> tuple[int, bytes, dict[str, object]]:
    index, length = struct.unpack("!II", answer[:8])
    key, rest = answer[8 : 8 + length], answer[8 + length :]
    assert struct.unpack("!I", rest[:4])[0] == len(rest) - 4
    return index, key, json.loads(rest[4:])


async def test_the_flows_of_the_open_client(tmp_path: Path) -> None:
    async with pair_of(tmp_path) as pair:
        pair.join()
        alice, bob = await OpenClient.connect(pair, ALICE), await OpenClient.connect(pair, BOB)
        other = await OpenClient.connect(pair, ALICE)
        status, qos, ksid = await alice.open(FROM_ALICE)
        assert status == 0
        assert uuid.UUID(bytes=ksid).version == 4
        assert struct.unpack("!7I", qos[:28]) == tuple(QOS.values())
        assert qos[28:] == b"application/json".ljust(256, b"\0")
        assert await bob.open(FROM_BOB, ksid) == (0, qos, ksid)
        for number in range(3):
            (near_status, near), (far_status, far) = (
                await alice.get(ksid, number),
                await bob.get(ksid, number),
            )
            assert (near_status, far_status) == (0, 0)
            assert chunk_of(near)[:2] == chunk_of(far)[:2]
            assert (chunk_of(near)[0], len(chunk_of(near)[1])) == (number, 512)
            assert isinstance(chunk_of(near)[2]["age"], int)
        assert await alice.get(ksid, 1_000_000) == (2, b"")
        status, needed = await alice.get(ksid, 3, 4)
        assert (status, len(needed)) == (8, 4)
        assert struct.unpack("!I", needed)[0] > 4
        assert (await other.open(FROM_ALICE, ksid))[0] == 5
        assert (await other.open(("client", "urn:sae:bob")))[0] == 4
        status, qos, open_as_proposed = await other.open(FROM_ALICE, max=1_000_000)
        assert (status, struct.unpack("!7I", qos[:28])[1]) == (7, 500_000)
        assert (await bob.open(FROM_BOB, open_as_proposed))[0] == 0
        assert (await other.get(open_as_proposed, 0))[0] == 0
        assert await other.get(b"nobody's stream!", 0) == (3, b"")
        assert await other.close(b"nobody's stream!") == 3
        assert [await alice.close(ksid), await bob.close(ksid)] == [0, 0]
        # On purpose: 0 leaves the time to the key manager (there it is over at once, status 6), and a size
        # of 0 asks for no metadata (there it is too small, status 8).
        status, qos, ksid = await alice.open(FROM_ALICE, timeout=0)
        assert (status, struct.unpack("!7I", qos[:28])[5]) == (0, 5000)
        assert (await bob.open(FROM_BOB, ksid))[0] == 0
        status, answer = await alice.get(ksid, 0, 0)
        assert (status, answer[-4:]) == (0, bytes(4))
        for client in (alice, bob, other):
            client.writer.close()
