"""One connection of a client of key streams: its bytes, whether it still stands, and whose it is.

Rule of this file: nothing is decided here.
"""

import asyncio

from keyweave_core.model.ids import SaeId


class Wire004(asyncio.StreamReaderProtocol):
    """A stream protocol that knows when nobody is left to answer."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        super().__init__(reader)
        self.gone = asyncio.Event()

    def eof_received(self) -> bool:
        self.gone.set()
        return bool(super().eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()
        super().connection_lost(exc)


class Connection004:
    """One client: its streams of bytes, who it is (None: nobody said yet, plain TCP), since when it rests."""

    def __init__(self, wire: Wire004, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.wire = wire
        self.reader = reader
        self.writer = writer
        self.caller: SaeId | None = None
        self.rests_s: float | None = None
