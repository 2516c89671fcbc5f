"""A small HTTPS server that does exactly what a test says, also what no server should."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from keyweave_core.runtime.tls import TlsSettings


@dataclass
class Request:
    """What came in; `caller` is the common name of the client's certificate, '' without one."""

    method: str
    path: str
    query: str
    body: bytes
    caller: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Response:
    """What goes out; `raw` goes instead of everything else."""

    status: int = 200
    body: bytes = b""
    type: str = "application/json"
    version: str = "1.1"
    raw: bytes | None = None
    hang: bool = False


Handle = Callable[[Request], Awaitable[Response]]


@dataclass
class TinyHttps:
    """The server: `async with` gives its port."""

    tls: TlsSettings
    handle: Handle
    also_trust: list[str] = field(default_factory=list)
    certificate_wanted: bool = True
    old: bool = False
    only_1_3: bool = False

    async def __aenter__(self) -> int:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self.old:
            context.set_ciphers("ALL:@SECLEVEL=0")
            with_warning = ssl.TLSVersion.MINIMUM_SUPPORTED
            context.minimum_version = with_warning
        else:
            context.minimum_version = ssl.TLSVersion.TLSv1_3 if self.only_1_3 else ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.tls.certificate, self.tls.private_key)
        for path in (str(self.tls.ca), *self.also_trust):
            context.load_verify_locations(cafile=path)
        context.verify_mode = ssl.CERT_REQUIRED if self.certificate_wanted else ssl.CERT_OPTIONAL
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._client, "127.0.0.1", 0, ssl=context)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(OSError, ssl.SSLError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        words = head[0].split(" ")
        headers = {
            name.casefold(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        if len(words) != 3 or not words[2].startswith("HTTP/"):
            return False
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        path, _, query = words[1].partition("?")
        peer = writer.get_extra_info("peercert") or {}
        names = [v for part in peer.get("subject", ()) for n, v in part if n == "commonName"]
        request = Request(words[0], path, query, body, names[0] if names else "", headers)
        response = await self.handle(request)
        if response.hang:
            await asyncio.sleep(3600)
        if response.raw is not None:
            writer.write(response.raw)
            writer.close()  # sends what is left, as an abort would not
            await writer.wait_closed()
            return False
        said = f"HTTP/{response.version} {response.status} X\r\ncontent-length: {len(response.body)}\r\n"
        if response.body:
            said += f"content-type: {response.type}\r\n"
        writer.write(f"{said}cache-control: no-store\r\n\r\n".encode() + response.body)
        await writer.drain()
        return response.version == "1.1"
