r"""One side of a key stream: how the two sides find each other, and what each does then. Pure.

    OPEN -> waiting --Opened (of ours)--> joined --Gone, or we are addressed as another opening--> left
              |  \--Opened (not of ours yet)--> answered by Opened               |
              +---------------------------- CLOSE, or unused for its ttl --------+--> over (`close`)

Who makes the keys: the side with the larger *claim* (2: its key manager allocated the KSID, plus 1: its
application is the source), and of equal claims the application whose id comes first. Both sides know both
claims, so both decide the same. The maker's qualities are those of the stream.

Rule of this file: a stream joins one opening of the other side, once. Whoever closes and opens again, or
restarts, has another opening; so chunk numbers never begin anew on a side whose application does not know.
"""

from dataclasses import dataclass, replace
from enum import Enum

from keyweave_agents.service.streams.chunks import Chunks, Room
from keyweave_agents.service.streams.letters import (
    MOST_CHUNKS,
    UNKNOWN,
    Gone,
    Head,
    Letter,
    Lost,
    Offer,
    Opened,
    Taken,
    Wanted,
)
from keyweave_agents.service.streams.making import Maker
from keyweave_agents.service.streams.taking import Taker
from keyweave_agents.service.streams.values import StreamQos
from keyweave_core.model.ids import SaeId

CREATOR, SOURCE = 2, 1
"""What a claim is made of."""

MOST_CHUNKS_HELD = 1024
MOST_BYTES_HELD = 262_144
"""Of one side of one stream."""

IDLE_LEAST_S = 60.0
SAY_AGAIN_S, SAY_AGAIN_MOST_S = 0.1, 2.0


class Phase(Enum):
    """Where a side is in its life."""

    WAITING = "the peer has not opened the stream"
    JOINED = "both have opened it"
    LEFT = "the peer has closed it"
    OVER = "closed here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """Effect: send this letter to the other side."""

    letter: Letter


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """Effect: draw so many keys of the chunk size, and the proof keys."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Collect:
    """Effect: fetch the keys of an offer."""

    offer: Offer


Effect = Write | Draw | Collect


class Stream:
    """The side of application `own`. `maker` or `taker` is there from the moment the sides have joined."""

    def __init__(
        self,
        *,
        ksid: bytes,
        own: SaeId,
        other: SaeId,
        opening: bytes,
        claim: int,
        qos: StreamQos,
        room: Room,
        now_s: float,
    ) -> None:
        self.ksid = ksid
        self.own = own
        self.other = other
        self.opening = opening
        self.claim = claim
        self.qos = qos
        self.phase = Phase.WAITING
        self.used_s = now_s
        self._room = room
        self.chunks = Chunks(1, 1.0, room)
        self.maker: Maker | None = None
        self.taker: Taker | None = None
        self.told = False  # the application has been told `qos`
        self.defers = False  # the other side has been heard of, and is to make the keys
        self.proposal = False  # ... as a proposal that it has not taken up yet
        self._peer = UNKNOWN
        self._say_s = now_s
        self._pause_s = SAY_AGAIN_S

    @property
    def head(self) -> Head:
        """The head of a letter to the other side."""
        return Head(ksid=self.ksid, mine=self.opening, yours=self._peer)

    @property
    def may_make(self) -> bool:
        """Whether this side makes the keys, or will if nobody with a larger claim comes."""
        return self.maker is not None or (self.phase is Phase.WAITING and self.claim > 0 and not self.defers)

    def makes(self, other_claim: int) -> bool:
        """Whether this side makes the keys, when the other one has this claim."""
        return (self.claim, self.other) > (other_claim, self.own)

    # --- letters ---------------------------------------------------------------------------------

    def heard(self, letter: Letter, now_s: float) -> list[Effect]:
        """A letter about this stream came."""
        if isinstance(letter, Opened):
            return self._opened(letter, now_s)
        head = letter.head
        if head.yours != self.opening:
            return refusals(letter)
        if isinstance(letter, Gone):
            return self._gone(letter)
        if self.phase is not Phase.JOINED or head.mine != self._peer:
            return []
        match letter:
            case Offer() if self.taker is not None:
                answer = self.taker.offered(letter)
                if isinstance(answer, Offer):
                    return [Collect(offer=answer)]
                return [] if answer is None else [Write(letter=answer)]
            case Taken() if self.maker is not None:
                self.maker.taken(letter, now_s)
            case Lost() if self.maker is not None:
                self.maker.lost(letter, now_s)
            case Wanted() if self.maker is not None:
                # Nothing proves this letter: it is believed a little at a time, and comes again.
                frontier = min(letter.frontier, self.chunks.made + MOST_CHUNKS)
                self.maker.frontier = max(self.maker.frontier, frontier)
            case _:
                return []
        return self.due(now_s)

    def _opened(self, letter: Opened, now_s: float) -> list[Effect]:
        ours, peer = letter.head.yours == self.opening, letter.head.mine
        if self.phase is Phase.JOINED:
            if peer == self._peer:
                return [] if letter.joined else [self._say()]
            # A new opening of the other side, or a letter of long ago: ask the one that we know.
            return [Write(letter=Wanted(head=self.head, frontier=self.chunks.frontier))]
        if self.phase is not Phase.WAITING:
            return []
        effects: list[Effect] = [] if ours else refusals(letter)
        if effects and letter.joined:
            return effects  # it has joined an opening of ours that is gone
        self._peer, self.defers = peer, not self.makes(letter.claim)
        if ours and self._join(letter, now_s):
            return [self._say(), *self.due(now_s)] if not letter.joined else self.due(now_s)
        return [*effects, self._say()]

    def _join(self, letter: Opened, now_s: float) -> bool:
        """Take a role, unless the application was told another size of chunks than the maker's."""
        makes = self.makes(letter.claim)
        if not makes:
            if self.told and letter.qos.chunk_bytes != self.qos.chunk_bytes:
                return False
            self.adopt(letter.qos)
        self.phase, self.told = Phase.JOINED, True
        qos = self.qos
        most = min(MOST_CHUNKS_HELD, MOST_BYTES_HELD // qos.chunk_bytes)
        self.chunks = Chunks(most, qos.ttl_s, self._room)
        if makes:
            self.maker = Maker(self.chunks, self.head, qos, now_s)
        else:
            self.taker = Taker(self.chunks, self.head, qos.chunk_bytes)
        return True

    def adopt(self, qos: StreamQos) -> None:
        """Take over the qualities of the other side, but for how long calls wait and what metadata is."""
        self.qos = replace(qos, timeout_ms=self.qos.timeout_ms, mimetype=self.qos.mimetype)

    def _gone(self, letter: Gone) -> list[Effect]:
        if letter.head.mine == self._peer:
            if self.phase is Phase.JOINED:
                self.phase = Phase.LEFT
                self._stop()
            elif self.phase is Phase.WAITING:
                self._peer = UNKNOWN
        return []

    def _say(self) -> Write:
        return Write(
            letter=Opened(
                head=self.head,
                writer=self.own,
                reader=self.other,
                claim=self.claim,
                joined=self.phase is Phase.JOINED,
                qos=self.qos,
            )
        )

    # --- time ------------------------------------------------------------------------------------

    def due(self, now_s: float) -> list[Effect]:
        """What is to be done now; call whenever something happened, and a few times a second."""
        self.chunks.expire(now_s)
        if self.phase is Phase.WAITING and now_s >= self._say_s:
            self._say_s = now_s + self._pause_s
            self._pause_s = min(SAY_AGAIN_MOST_S, 2 * self._pause_s)
            return [self._say()]
        effects: list[Effect] = []
        if self.maker is not None:
            number = self.maker.draw(now_s)
            if number:
                effects.append(Draw(number=number))
            offer = self.maker.due(now_s)
            if offer is not None:
                effects.append(Write(letter=offer))
        if self.taker is not None:
            wanted = self.taker.due(now_s)
            if wanted is not None:
                effects.append(Write(letter=wanted))
        return effects

    def say_again(self, now_s: float) -> None:
        """There may be a way to the other side only now: tell it at once that this one is open."""
        self._say_s = min(self._say_s, now_s)

    def idle(self, now_s: float) -> bool:
        """Whether its application has not used it for the life of a key (and a while at the least)."""
        return now_s >= self.used_s + max(IDLE_LEAST_S, self.qos.ttl_s)

    def close(self) -> list[Effect]:
        """The application is done: everything here is wiped, and the other side hears it."""
        known = self._peer != UNKNOWN and self.phase in (Phase.WAITING, Phase.JOINED)
        self.phase = Phase.OVER
        self._stop()
        self.chunks.wipe()
        return [Write(letter=Gone(head=self.head))] if known else []

    def _stop(self) -> None:
        for room in (self.maker, self.taker):
            if room is not None:
                room.wipe()
        self.maker = self.taker = None


def refusals(letter: Letter) -> list[Effect]:
    """The answer to a letter that addresses an opening which is not there (any more), if it wants one."""
    head = letter.head
    if head.yours == UNKNOWN or isinstance(letter, Gone):
        return []
    return [Write(letter=Gone(head=Head(ksid=head.ksid, mine=head.yours, yours=head.mine)))]
