"""One physical link as the relay sees it: its pool, whether the other end is there, and agreement with it.

Rule of this file: nothing is spent before both ends have said Hello on this connection. State: down -> (our
Hello sent) greeting -> (their Hello came) ready -> down. `number` counts the connections; a message sealed
on an earlier one names pad bits that the agreement has passed, so it must be sealed again.
"""

from collections.abc import Callable
from enum import Enum

from keyweave_agents.keys.frames import Ack, Batch, Held, Hello, Missing
from keyweave_agents.keys.pad import TAG_KEY_BYTES, hide, tag, wipe
from keyweave_agents.keys.store import LinkPool, PadRange
from keyweave_agents.keys.wire import encode, encode_body, encode_sealed
from keyweave_agents.quantum.intake import KeyBlock
from keyweave_core.errors import MalformedMessage

Send = Callable[[bytes], None]


class Phase(Enum):
    """How far the agreement with the other end is."""

    DOWN = "down"
    GREETING = "greeting"
    READY = "ready"


class LinkSession:
    """A pool and the connection to the key manager at its other end. `send` takes frames for the wire."""

    def __init__(self, pool: LinkPool, send: Send) -> None:
        self.pool = pool
        self.link_id = pool.link_id
        self.remote = pool.remote
        self.number = 0
        self.phase = Phase.DOWN
        self.bad_tags = 0
        self._send = send
        self._dials = pool.local < pool.remote

    @property
    def ready(self) -> bool:
        """Whether relay messages may pass."""
        return self.phase is Phase.READY

    @property
    def spendable(self) -> int:
        """Bytes that we may spend towards the other end now."""
        return self.pool.own.shared_bytes if self.phase is Phase.READY else 0

    def connected(self) -> None:
        """A new connection stands: say Hello."""
        self.number += 1
        self.phase = Phase.GREETING
        self.pool.separate()
        own, their = self.pool.stocks()
        self._send(
            encode(
                Hello(
                    node_id=self.pool.local,
                    link_id=self.link_id,
                    dialler=own if self._dials else their,
                    acceptor=their if self._dials else own,
                )
            )
        )

    def disconnected(self) -> None:
        """The connection is gone."""
        agreed, self.phase = self.ready, Phase.DOWN
        if agreed:
            self.pool.parted()
        else:
            self.pool.separate()

    def greeted(self, hello: Hello, now_s: float) -> None:
        """Their Hello: agree. MalformedMessage when it is not theirs, not of this link, or a second one."""
        if self.phase is not Phase.GREETING:
            raise MalformedMessage("a Hello out of turn")
        if hello.node_id != self.remote or hello.link_id != self.link_id:
            raise MalformedMessage(f"a Hello of node {hello.node_id} for link {hello.link_id}")
        own, their = (hello.dialler, hello.acceptor) if self._dials else (hello.acceptor, hello.dialler)
        self.pool.reconcile(own, their, now_s)
        self.phase = Phase.READY

    def learn(self, held: Held) -> None:
        """They got new blocks."""
        if self.phase is not Phase.READY:
            raise MalformedMessage("blocks before Hello")
        self.pool.learn(held.block_ids)

    def claim(self, ranges: tuple[PadRange, ...]) -> bytearray | None:
        """The pad that a message names. None when it is not here: the owner then hears which blocks lack."""
        pad = self.pool.claim(ranges)
        if pad is None:
            missing = self.pool.their.missing(item.block_id for item in ranges)
            if missing:
                self._send(encode(Missing(block_ids=missing)))
        return pad

    def give_up(self, missing: Missing) -> None:
        """They lack blocks that we would spend: the agreement is made good at the price of these."""
        self.pool.own.give_up(missing.block_ids)

    def deposit(self, block: KeyBlock, now_s: float) -> bool:
        """A block from our own module; tells the other end. Whether it was kept."""
        kept = self.pool.deposit(block.block_id, block.owner, block.material, now_s)
        if kept and self.phase is not Phase.DOWN:
            self._send(encode(Held(block_ids=(block.block_id,))))
        return kept

    def seal(self, content: Batch | Ack, payload: memoryview | bytes = b"") -> bytes:
        """Spend pad and tag on a message, give it to the wire and return it. Exhausted: too little pad."""
        ranges, pad = self.pool.spend(len(payload) + TAG_KEY_BYTES)
        body = encode_body(content, ranges, hide(payload, pad) if len(payload) else b"")
        frame = encode_sealed(body, tag(body, pad))
        wipe(pad)
        self._send(frame)
        return frame

    def send(self, frame: bytes) -> None:
        """Give a frame to the wire as it is."""
        self._send(frame)

    def tick(self, now_s: float) -> None:
        """Forget blocks that only this end holds."""
        if self.phase is Phase.READY:
            self.pool.forget_unshared(now_s)
