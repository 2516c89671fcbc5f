"""Letters of streams: to the other end of an association, or to the other application of this node.

Rule of this file: a letter is read as one of the association that it came along, so only its two ends (and
the nodes between them) can write about a stream of theirs.
"""

import asyncio
from collections.abc import Callable

from keyweave_agents.keys.ports import KeyLetters
from keyweave_agents.keys.relaying.frames import LetterKind
from keyweave_agents.service.streams.book import Book
from keyweave_agents.service.streams.letters import Letter, Opened, decode_letter, encode_letter
from keyweave_agents.service.streams.stream import Stream, Write, refusals
from keyweave_core.errors import MalformedMessage
from keyweave_core.model.ids import AppId, SaeId
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import get_logger


class StreamPost:
    """Sends and receives for the streams of `book`; `heard` is told what came for one of them."""

    def __init__(
        self,
        letters: KeyLetters,
        book: Book,
        clock: Clock,
        *,
        serves: Callable[[SaeId], bool],
        heard: Callable[[Stream, Letter], None],
    ) -> None:
        self._letters = letters
        self._book = book
        self._clock = clock
        self._serves = serves
        self._heard = heard
        self._vias: dict[Stream, AppId] = {}  # the association along which the other side wrote last
        self._log = get_logger("streams")

    def start(self) -> None:
        """Read from now on."""
        self._letters.on_letters(LetterKind.STREAM, self._came)

    def drop(self, stream: Stream) -> None:
        """The stream is over."""
        self._vias.pop(stream, None)

    def write(self, stream: Stream, letter: Letter) -> None:
        """Send a letter of a stream, if there is a way."""
        if self._serves(stream.other):
            asyncio.get_running_loop().call_soon(self._came_from_here, letter, stream.other, stream.own)
            return
        body = encode_letter(letter)
        via = self._vias.get(stream)
        if via is not None and self._letters.send_letter(via, LetterKind.STREAM, body):
            return
        for server, client in ((stream.own, stream.other), (stream.other, stream.own)):
            ends = self._letters.between(server, client)
            if ends is not None and self._letters.send_letter(ends.app_id, LetterKind.STREAM, body):
                return

    def announced(self, stream: Stream) -> Opened | None:
        """What the other side of a stream wrote before the stream was opened here."""
        found = self._book.announced(stream.ksid, stream.other, stream.own)
        if found is None:
            return None
        if found.via is not None:
            self._vias[stream] = found.via
        return found.letter

    def _came(self, app_id: AppId, body: bytes) -> None:
        ends = self._letters.ends(app_id)
        if ends is None:
            return
        try:
            letter = decode_letter(body)
        except MalformedMessage as error:
            self._log.warning("stream_letter_malformed", association=app_id, reason=str(error))
            return
        parties = frozenset((ends.server, *ends.clients))
        if isinstance(letter, Opened) and not parties.issuperset((letter.writer, letter.reader)):
            return
        stream = self._book.addressed(letter.head.ksid, parties)
        if stream is not None:
            self._vias[stream] = app_id
            self._heard(stream, letter)
            return
        if isinstance(letter, Opened) and self._serves(letter.reader):
            self._book.announce(letter, app_id, self._clock.monotonic())
        for effect in refusals(letter):
            if isinstance(effect, Write):
                self._letters.send_letter(app_id, LetterKind.STREAM, encode_letter(effect.letter))

    def _came_from_here(self, letter: Letter, reader: SaeId, writer: SaeId) -> None:
        """A letter between two applications of this node."""
        stream = self._book.find(letter.head.ksid, reader)
        if stream is not None and stream.other == writer:
            self._heard(stream, letter)
            return
        if isinstance(letter, Opened):
            self._book.announce(letter, None, self._clock.monotonic())
        sender = self._book.find(letter.head.ksid, writer)
        for effect in refusals(letter):
            if isinstance(effect, Write) and sender is not None:
                self._heard(sender, effect.letter)
