"""Message framing of NETCONF over SSH (RFC 6242 clauses 4.2 and 4.3), without I/O.

Rule of this file: bytes in, whole messages out, in any split. A fault raises MalformedMessage and the
session must end, because nothing after it can be trusted; memory held is bounded by the message cap before
the bytes arrive (a chunk header that promises too much is refused at once).

States of the chunked form, each with what may follow:

    header   LF '#' size LF -> data      LF '#' '#' LF -> message, if there was a chunk
    data     `size` bytes   -> header
"""

from keyweave_core.errors import MalformedMessage

END_OF_MESSAGE = b"]]>]]>"
MAX_CHUNK_BYTES = 4_294_967_295  # RFC 6242 clause 4.2
_HEADER_DIGITS = 10
_END_OF_CHUNKS = b"\n##\n"
# One chunk a message would be legal; smaller ones let a reader with a bounded buffer start early.
_CHUNK_BYTES = 64 * 1024


class Framer:
    """Splits a byte stream into messages; begins with end-of-message framing (base:1.0)."""

    def __init__(self, *, max_message_bytes: int) -> None:
        self._limit = max_message_bytes
        self._buffer = bytearray()
        self._searched = 0  # bytes of the buffer known to hold no delimiter
        self._message = bytearray()  # chunks of the unfinished message
        self._remaining = 0  # bytes of the current chunk still to come
        self._chunks = 0
        self.chunked = False

    @property
    def buffered(self) -> int:
        """Bytes held that are not part of a message handed out."""
        return len(self._buffer) + len(self._message)

    def use_chunks(self) -> None:
        """Read chunks from the next byte on (both hellos named base:1.1)."""
        self.chunked = True

    def feed(self, data: bytes) -> None:
        """Take bytes as they came; call `next_message` until it returns None."""
        self._buffer += data

    def next_message(self) -> bytes | None:
        """Return the next whole message, or None until more bytes are fed.

        Raises MalformedMessage: a bad chunk header, an empty message, or one above the cap.
        """
        return self._next_of_chunks() if self.chunked else self._next_of_delimiter()

    def _next_of_delimiter(self) -> bytes | None:
        at = self._buffer.find(END_OF_MESSAGE, self._searched)
        size = len(self._buffer) if at < 0 else at
        if size > self._limit + (len(END_OF_MESSAGE) if at < 0 else 0):
            raise MalformedMessage(f"message above {self._limit} bytes")
        if at < 0:
            # The delimiter may begin in the last five bytes.
            self._searched = max(0, len(self._buffer) - len(END_OF_MESSAGE) + 1)
            return None
        message = bytes(memoryview(self._buffer)[:at])
        del self._buffer[: at + len(END_OF_MESSAGE)]
        self._searched = 0
        return message

    def _next_of_chunks(self) -> bytes | None:
        while True:
            if self._remaining:
                if not self._buffer:
                    return None
                taken = min(self._remaining, len(self._buffer))
                self._message += memoryview(self._buffer)[:taken]
                del self._buffer[:taken]
                self._remaining -= taken
                if self._remaining:
                    return None
            size = self._read_header()
            if size is None:
                return None
            if size == 0:
                message = bytes(self._message)
                self._message = bytearray()
                self._chunks = 0
                return message
            self._remaining = size
            self._chunks += 1

    def _read_header(self) -> int | None:
        """Size of the chunk that begins here, 0 for end-of-chunks, None when the header is not whole."""
        head = bytes(memoryview(self._buffer)[: _HEADER_DIGITS + 3])
        if not head.startswith(b"\n#"[: len(head)]):
            raise MalformedMessage(f"no chunk header but {head!r}")
        if len(head) < 3:
            return None
        if head[2:3] == b"#":
            if len(head) < 4:
                return None
            if head[3:4] != b"\n":
                raise MalformedMessage(f"bad end of chunks: {head[:4]!r}")
            if not self._chunks:
                raise MalformedMessage("message without a chunk")
            del self._buffer[: len(_END_OF_CHUNKS)]
            return 0
        digits, line_feed, _ = head[2:].partition(b"\n")
        # bytes.isdigit takes ASCII digits only; a leading zero covers the size 0 as well.
        if (digits and not digits.isdigit()) or digits.startswith(b"0") or (line_feed and not digits):
            raise MalformedMessage(f"bad chunk size: {head!r}")
        if not line_feed:
            if len(digits) > _HEADER_DIGITS:
                raise MalformedMessage(f"chunk header too long: {head!r}")
            return None
        size = int(digits)
        if size > MAX_CHUNK_BYTES:
            raise MalformedMessage(f"chunk of {size} bytes, above {MAX_CHUNK_BYTES}")
        if len(self._message) + size > self._limit:
            raise MalformedMessage(f"message above {self._limit} bytes")
        del self._buffer[: len(digits) + 3]
        return size


def frame(payload: bytes, *, chunked: bool) -> bytes:
    """The bytes that carry one message; ValueError for an empty one or, unchunked, the delimiter inside."""
    if not payload:
        raise ValueError("a message cannot be empty")
    if not chunked:
        if END_OF_MESSAGE in payload:
            raise ValueError("the end-of-message delimiter cannot be part of a message")
        return payload + END_OF_MESSAGE
    if len(payload) <= _CHUNK_BYTES:
        return b"\n#%d\n%b\n##\n" % (len(payload), payload)
    view = memoryview(payload)
    parts: list[bytes | memoryview] = []
    for start in range(0, len(payload), _CHUNK_BYTES):
        piece = view[start : start + _CHUNK_BYTES]
        parts += (b"\n#%d\n" % len(piece), piece)
    parts.append(_END_OF_CHUNKS)
    return b"".join(parts)
