"""All streams of one key manager, and those that its peers have opened first. Pure.

Rule of this file: bounded by settings whoever asks. A key stream id belongs to two applications; both may be
here, each with its side.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from keyweave_agents.service.streams.letters import Opened
from keyweave_agents.service.streams.stream import Stream
from keyweave_agents.service.streams.values import Outcome, StreamQos
from keyweave_core.model.ids import AppId, SaeId

ANNOUNCED_S = 10.0
"""How long an announcement counts; a peer that waits repeats it every two seconds."""

MOST_ANNOUNCED = 1024
MOST_ANNOUNCED_EACH = 64
"""... to one application."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """A peer has opened a stream that is not open here. `via`: the association it wrote along."""

    letter: Opened
    via: AppId | None
    at_s: float


class Book:
    """At most `most` streams, `most_each` of one application."""

    def __init__(self, *, most: int, most_each: int) -> None:
        self._most = most
        self._most_each = most_each
        self._streams: dict[bytes, dict[SaeId, Stream]] = {}
        self._counts: dict[SaeId, int] = {}
        self._announced: dict[tuple[bytes, SaeId, SaeId], Announced] = {}

    def __iter__(self) -> Iterator[Stream]:
        return iter([stream for sides in self._streams.values() for stream in sides.values()])

    def __len__(self) -> int:
        return sum(self._counts.values())

    def find(self, ksid: bytes, own: SaeId) -> Stream | None:
        """The side of one application."""
        return self._streams.get(ksid, {}).get(own)

    def addressed(self, ksid: bytes, parties: frozenset[SaeId]) -> Stream | None:
        """The side here that a letter between these applications is for."""
        sides = self._streams.get(ksid, {}).values()
        return next((side for side in sides if parties.issuperset((side.own, side.other))), None)

    def qualities(self) -> dict[tuple[SaeId, SaeId], list[StreamQos]]:
        """By own and other application: the qualities of the sides that make keys, or may come to."""
        found: dict[tuple[SaeId, SaeId], list[StreamQos]] = {}
        for side in self:
            if side.may_make:
                found.setdefault((side.own, side.other), []).append(side.qos)
        return found

    def obstacle(self, ksid: bytes, own: SaeId, other: SaeId) -> Outcome | None:
        """Why `own` cannot open this stream with `other`; None when it can."""
        for side in self._streams.get(ksid, {}).values():
            if side.own == own or {side.own, side.other} != {own, other}:
                return Outcome.IN_USE
        if len(self) >= self._most or self._counts.get(own, 0) >= self._most_each:
            return Outcome.NO_CONNECTION
        return None

    def put(self, stream: Stream) -> None:
        """A stream that has no obstacle."""
        self._streams.setdefault(stream.ksid, {})[stream.own] = stream
        self._counts[stream.own] = self._counts.get(stream.own, 0) + 1

    def drop(self, stream: Stream) -> bool:
        """Forget a stream; whether it was here."""
        sides = self._streams.get(stream.ksid, {})
        if sides.get(stream.own) is not stream:
            return False
        del sides[stream.own]
        if not sides:
            del self._streams[stream.ksid]
        self._counts[stream.own] -= 1
        if not self._counts[stream.own]:
            del self._counts[stream.own]
        return True

    # --- announcements ---------------------------------------------------------------------------

    def announce(self, letter: Opened, via: AppId | None, now_s: float) -> None:
        """Remember that a peer has opened a stream, unless there are too many already."""
        key = (letter.head.ksid, letter.writer, letter.reader)
        self._announced.pop(key, None)
        each = sum(1 for _, _, reader in self._announced if reader == letter.reader)
        if len(self._announced) < MOST_ANNOUNCED and each < MOST_ANNOUNCED_EACH:
            self._announced[key] = Announced(letter=letter, via=via, at_s=now_s)

    def announced(self, ksid: bytes, writer: SaeId, reader: SaeId) -> Announced | None:
        """What `writer` has announced, once."""
        return self._announced.pop((ksid, writer, reader), None)

    def expire(self, now_s: float) -> None:
        """Forget announcements that were not repeated."""
        for key, one in list(self._announced.items()):
            if now_s >= one.at_s + ANNOUNCED_S:
                del self._announced[key]
