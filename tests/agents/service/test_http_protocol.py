"""HTTP without sockets: however bytes are cut, requests get the same answers; noise harms nothing."""

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from keyweave_agents.service.exchange import Exchange, Shared
from keyweave_agents.service.http_protocol import LimitedProtocol
from keyweave_agents.service.settings import ServiceSettings
from keyweave_core.runtime.clock import ManualClock
from keyweave_core.runtime.log import get_logger
from keyweave_core.runtime.tls import TlsSettings

SETTINGS = ServiceSettings(
    listen_port=0,
    tls=TlsSettings(certificate=Path("c"), private_key=Path("k"), ca=Path("a")),
    max_body_bytes=1024,
    max_keys_per_request=16,
)

PARTS = st.lists(
    st.sampled_from(
        [
            b"GET /now HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /later HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
            b"GET /app HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
            b"POST /app HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
            b"POST /later HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n0\r\n\r\n",
            b"POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 1500\r\n\r\n" + b"x" * 1500,
            b"GET /left HTTP/1.1\r\nHost: x\r\n\r\n",
        ]
    ),
    min_size=1,
    max_size=6,
)


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        """Nothing comes by itself."""

    resume_reading = pause_reading


async def app(scope: Any, receive: Any, send: Any) -> None:
    content, more = b"", True
    while more:
        message = await receive()
        content += message["body"]
        more = message["more_body"]
    body = scope["raw_path"] + b"|" + content
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def quick(exchange: Exchange) -> bool:
    """Answers /now at once, /later later, takes /left and leaves it, and leaves the rest."""
    body = exchange.url + b"|" + exchange.body
    if exchange.url == b"/now":
        exchange.reply(200, body)
    elif exchange.url == b"/later":
        asyncio.get_running_loop().call_soon(exchange.reply, 200, body)
    elif exchange.url == b"/left":
        asyncio.get_running_loop().call_soon(lambda: exchange.leave() or exchange.reply(503, b"{}"))
    else:
        return False
    return True


async def talk(pieces: list[bytes], *, turns: int = 12) -> Wire:
    """Feed one connection piece by piece; what it wrote."""
    config = Config(app, http=HttpToolsProtocol, ws=None, lifespan="off", log_config=None)  # type: ignore[arg-type]  # as in https
    protocol = LimitedProtocol(config, Shared(SETTINGS, ManualClock(), get_logger("test"), quick))
    wire = Wire()
    protocol.connection_made(wire)
    for piece in pieces:
        if not wire.closed:
            protocol.data_received(piece)
        for _ in range(turns):
            await asyncio.sleep(0)
    for _ in range(100):
        await asyncio.sleep(0)
    protocol.connection_lost(None)
    await asyncio.sleep(0)
    return wire


def bodies(written: bytes) -> list[bytes]:
    found = []
    while written:
        head, _, rest = written.partition(b"\r\n\r\n")
        length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        found.append(rest[:length])
        written = rest[length:]
    return found


def cut(content: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(content) + 1) for place in places}), len(content)]
    return [content[a:b] for a, b in pairwise(edges)]


def expected(part: bytes) -> bytes:
    content = b"he" if b"chunked" in part else part.split(b"\r\n\r\n", 1)[1]
    return part.split(b" ")[1] + b"|" + content


@given(PARTS, st.lists(st.integers(0, 4000), max_size=12))
def test_however_bytes_are_cut_the_answers_are_the_same_and_in_order(
    parts: list[bytes], places: list[int]
) -> None:
    wire = asyncio.run(talk(cut(b"".join(parts), places)))
    found = bodies(wire.written)
    assert len(found) == len(parts)
    for part, body in zip(parts, found, strict=True):
        # What was taken and left again while more requests lay behind it is told to come again.
        assert body == expected(part) or (b"/left" in part and body == b"{}")


@given(
    st.lists(
        st.binary(max_size=200) | st.sampled_from([b"GET / HTTP/1.1\r\n", b"Host: x\r\n\r\n"]), max_size=8
    )
)
def test_noise_ends_in_answers_or_silence(pieces: list[bytes]) -> None:
    wire = asyncio.run(talk(pieces, turns=3))
    assert wire.written == b"" or wire.written.startswith(b"HTTP/1.1 ")
