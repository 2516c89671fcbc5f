"""The chunks of one side of a stream: what is held, what was handed out, what comes next. Pure.

Rule of this file: an index is put once and handed out once. Both sides put the same indexes, in rising order;
an index that is below `made` and not held was handed out, skipped or expired, and never comes back.
"""

import json
from dataclasses import dataclass
from enum import Enum

from keyweave_agents.material import Secret
from keyweave_agents.service.streams.values import NEXT_INDEX
from keyweave_core.model.application import KeyOrigin


class Verdict(Enum):
    """Why a chunk cannot be handed out now."""

    SPENT = "it was handed out, has expired, or could not be made"
    TOO_FAR = "so many chunks ahead are not made"
    NOT_YET = "it is to come"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One chunk: its key, since when it is here, and what is known of its way (`hops`: trusted nodes)."""

    index: int
    key: Secret
    origin: KeyOrigin
    hops: int | None
    ready_s: float

    def metadata(self, now_s: float) -> bytes:
        """What is told of it as JSON (004 clause 6); `hops` only when this node knows."""
        facts: dict[str, int | str] = {"age": round(1000 * (now_s - self.ready_s))}
        if self.hops is not None:
            facts["hops"] = self.hops
        facts["keyweave_origin"] = self.origin.value
        return json.dumps(facts, separators=(",", ":")).encode()


class Room:
    """How many chunks all streams of a key manager may hold together."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0


class Chunks:
    """At most `most` chunks, each kept `ttl_s` seconds; `made` is the next index to come.

    `frontier` is one more than the highest index that the application asked for. `shared` is the room of all
    streams together.
    """

    def __init__(self, most: int, ttl_s: float, shared: Room) -> None:
        self._most = most
        self._shared = shared
        self._ttl_s = ttl_s
        self._held: dict[int, Chunk] = {}  # in rising order
        self._cursor = 0
        self.made = 0
        self.frontier = 0

    def __len__(self) -> int:
        return len(self._held)

    def room(self, number: int) -> bool:
        """Whether so many more can be held; chunks that the application skipped give way."""
        for index in list(self._held):
            if self._fits(number):
                return True
            if index < self._cursor:
                self._take(index).key.wipe()
        return self._fits(number)

    def _fits(self, number: int) -> bool:
        return len(self._held) + number <= self._most and self._shared.held + number <= self._shared.most

    def _take(self, index: int) -> Chunk:
        chunk = self._held.pop(index)
        self._shared.held -= 1
        return chunk

    def skip_to(self, index: int) -> None:
        """What is made next begins at `index`; what lies between is spent."""
        self.made = max(self.made, index)

    def put(self, chunks: list[Chunk]) -> None:
        """Hold further chunks. ValueError: not in rising order after `made`."""
        for chunk in chunks:
            if chunk.index < self.made:
                raise ValueError(f"chunk {chunk.index} after {self.made}")
            self._held[chunk.index] = chunk
            self._shared.held += 1
            self.made = chunk.index + 1

    def look(self, index: int) -> Chunk | Verdict:
        """The chunk `index` (`NEXT_INDEX`: the first after the highest that was handed out), or why not."""
        if index == NEXT_INDEX:
            chunk = next((self._held[one] for one in self._held if one >= self._cursor), None)
            index = max(self._cursor, self.made) if chunk is None else chunk.index
        self.frontier = max(self.frontier, min(index + 1, self.made + self._most))
        if index in self._held:
            return self._held[index]
        if index < self.made:
            return Verdict.SPENT
        return Verdict.TOO_FAR if index >= self.made + self._most else Verdict.NOT_YET

    def hand_out(self, index: int) -> Chunk:
        """The chunk that `look` showed; it is the caller's now. KeyError when it is not held."""
        chunk = self._take(index)
        self._cursor = max(self._cursor, index + 1)
        return chunk

    def expire(self, now_s: float) -> None:
        """Wipe what nobody fetched in time."""
        for index, chunk in list(self._held.items()):
            if chunk.ready_s + self._ttl_s > now_s:
                break
            self._take(index).key.wipe()

    def wipe(self) -> None:
        """Wipe everything."""
        for index in list(self._held):
            self._take(index).key.wipe()
