"""An application that reads a key stream by ETSI GS QKD 004, as a customer's encryptor would.

    async with await connect("127.0.0.1", port, context) as client:
        opened = await client.open("qkd://alice", "qkd://bob", StreamQos(chunk_bytes=32))
        chunk = await client.get(opened.ksid, 0)
        await client.close_stream(opened.ksid)

Rule of this file: it speaks the public interface only (`wire004`), one request at a time on one connection. A
call that was answered returns what was answered, whatever the status; errors are for connections.
"""

import asyncio
import contextlib
import ssl
from types import TracebackType

from keyweave_agents.service import wire004 as wire
from keyweave_agents.service.streams.values import (
    NEXT_INDEX,
    NULL_KSID,
    Delivery,
    Opening,
    Outcome,
    StreamQos,
)
from keyweave_core.errors import DeadlineExceeded, MalformedMessage, PeerUnreachable

MOST_RESPONSE_BYTES = 1 << 20


class StreamClient:
    """One connection to a key manager; made by `connect`."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        answer_s: float,
        edition: wire.Edition,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._answer_s = answer_s
        self._edition: wire.Edition = edition

    async def __aenter__(self) -> "StreamClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.disconnect()

    async def open(
        self, source: str, destination: str, qos: StreamQos | None = None, ksid: bytes = NULL_KSID
    ) -> Opening:
        """OPEN_CONNECT. `source` and `destination` are URIs; NULL lets the key manager choose the KSID.

        Raises PeerUnreachable: the connection is gone; DeadlineExceeded: no answer within `answer_s`;
        MalformedMessage: an answer that is none.
        """
        request = wire.OpenRequest(source=source, destination=destination, qos=qos or StreamQos(), ksid=ksid)
        payload = await self._ask(wire.encode_request(request), wire.ServiceType.OPEN_RESPONSE)
        return wire.decode_opening(payload, self._edition)

    async def get(self, ksid: bytes, index: int = NEXT_INDEX, metadata_bytes: int = 1024) -> Delivery:
        """GET_KEY. Without an index: the next chunk in order (an extension of Keyweave). Errors as `open`."""
        request = wire.GetKeyRequest(ksid=ksid, index=index, metadata_bytes=metadata_bytes)
        payload = await self._ask(wire.encode_request(request), wire.ServiceType.GET_KEY_RESPONSE)
        return wire.decode_delivery(payload, self._edition)

    async def close_stream(self, ksid: bytes) -> Outcome:
        """CLOSE. Errors as `open`."""
        request = wire.CloseRequest(ksid=ksid)
        payload = await self._ask(wire.encode_request(request), wire.ServiceType.CLOSE_RESPONSE)
        return wire.decode_closing(payload, self._edition)

    async def disconnect(self) -> None:
        """Close the connection; open streams stay open."""
        self._writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):  # it was gone already
            await self._writer.wait_closed()

    async def _ask(self, request: bytes, kind: wire.ServiceType) -> bytes:
        try:
            async with asyncio.timeout(self._answer_s):
                self._writer.write(request)
                await self._writer.drain()
                answered, length = wire.read_header(await self._reader.readexactly(wire.HEADER_BYTES))
                if length > MOST_RESPONSE_BYTES:
                    raise MalformedMessage(f"a response of {length} bytes")
                payload = await self._reader.readexactly(length)
        except TimeoutError as error:
            raise DeadlineExceeded(f"no answer within {self._answer_s:g} s") from error
        except (OSError, asyncio.IncompleteReadError) as error:
            raise PeerUnreachable(f"the key manager closed the connection: {error}") from error
        if answered != kind:
            raise MalformedMessage(f"a response of type {answered} where {kind.value} belongs")
        return payload


async def connect(
    host: str,
    port: int,
    context: ssl.SSLContext | None,
    *,
    answer_s: float = 40.0,
    edition: wire.Edition = "2.1.1",
) -> StreamClient:
    """Connect to a key manager (`context` None: plain TCP). Raises PeerUnreachable.

    `answer_s` must be longer than the Timeout of a stream: a call may take as long.
    """
    try:
        reader, writer = await asyncio.open_connection(host, port, ssl=context)
    except (OSError, ssl.SSLError) as error:
        raise PeerUnreachable(f"{host}:{port}: {error}") from error
    return StreamClient(reader, writer, answer_s=answer_s, edition=edition)
