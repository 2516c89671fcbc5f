"""One physical link as the relay sees it: its pool, whether the other end is there, and agreement with it.

Rule of this file: nothing is spent before both ends have said Hello on this connection. State: down -> (our
Hello sent) greeting -> (their Hello came) ready -> down. `number` counts the connections; a message sealed
on an earlier one names pad bits that the agreement has passed, so it must be sealed again.

What protects a message is put on and taken off here, by relay method:

    one-time pad   payload under fresh bits, Poly1305 under 32 fresh bytes
    AES-256-GCM    payload and proof under a link key of this connection and direction (`link_keys`)
    xor-announce   fresh bits are added to what is announced, Poly1305 under 32 fresh bytes; the key itself
                   is never laid out here but at the two ends and at the first node between
"""

from collections.abc import Callable
from enum import Enum

from keyweave_agents.keys.relaying.frames import Held, Hello, Missing, Reason, Sealed
from keyweave_agents.keys.relaying.link_keys import LINK_KEY_BYTES, ReceivingKey, SendingKey
from keyweave_agents.keys.relaying.pad import TAG_BYTES, TAG_KEY_BYTES, Raw, proves, tag
from keyweave_agents.keys.relaying.sealed import lay
from keyweave_agents.keys.relaying.sealed_layout import TAIL_BYTES
from keyweave_agents.keys.relaying.wire import encode
from keyweave_agents.keys.store import LinkPool, PadRange
from keyweave_agents.material import Pad, xor_into
from keyweave_agents.quantum.intake import KeyBlock
from keyweave_core.errors import MalformedMessage
from keyweave_core.model.application import RelayMethod

Send = Callable[[Raw], None]

PLENTY_BYTES = 1 << 40
"""What a link gives that needs no bits for its next message."""


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
        self._sending: SendingKey | None = None
        self._receiving: list[ReceivingKey] = []

    @property
    def ready(self) -> bool:
        """Whether relay messages may pass."""
        return self.phase is Phase.READY

    @property
    def spendable(self) -> int:
        """Bytes that we may spend towards the other end now."""
        return self.pool.own.shared_bytes if self.phase is Phase.READY and not self.pool.shut else 0

    def room(self, method: RelayMethod) -> int:
        """Bytes of keys and tags that may go to the other end now, by that method."""
        spendable = self.spendable
        if method is not RelayMethod.AES_256_GCM:
            return spendable
        enough = self._sending is not None or spendable >= LINK_KEY_BYTES
        return PLENTY_BYTES if enough and self.ready else 0

    def affords(self, size: int, method: RelayMethod) -> bool:
        """Whether a message with so many bytes of keys can go to the other end now, by that method."""
        if method is RelayMethod.AES_256_GCM:
            if self._sending is not None and self._sending.lasts(size):
                return self.ready
            return self.spendable >= LINK_KEY_BYTES
        return self.spendable >= size + TAG_KEY_BYTES

    def connected(self) -> None:
        """A new connection stands: say Hello."""
        self.number += 1
        self._sending, self._receiving = None, []
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
        self._sending, self._receiving = None, []
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

    def _lacks(self, ranges: tuple[PadRange, ...]) -> None:
        """The pad that a message names is not here: its owner hears which blocks lack."""
        missing = self.pool.their.missing(item.block_id for item in ranges)
        if missing:
            self._send(encode(Missing(block_ids=missing)))

    def give_up(self, missing: Missing) -> None:
        """They lack blocks that we would spend: the agreement is made good at the price of these."""
        self.pool.own.give_up(missing.block_ids)

    def deposit(self, block: KeyBlock, now_s: float) -> bool:
        """A block from our own module; tells the other end. Whether it was kept."""
        kept = self.pool.deposit(block.block_id, block.owner, block.material, now_s)
        if kept and self.phase is not Phase.DOWN:
            self._send(encode(Held(block_ids=(block.block_id,))))
        return kept

    def distrust(self, since_block_id: int) -> tuple[int, int]:
        """See `LinkPool.distrust`; link keys may be made of such blocks, too."""
        self._sending, self._receiving = None, []
        return self.pool.distrust(since_block_id)

    # --- what goes out ---------------------------------------------------------------------------

    def seal(self, written: bytes, payload: Raw = b"", method: RelayMethod = RelayMethod.OTP) -> Raw:
        """Protect a message (its content as `sealed` writes it), give it to the wire and return it.

        As the source of announced keys that are no pool bits: announce their xor with fresh ones. Exhausted:
        too little pad.
        """
        size = len(payload)
        if method is RelayMethod.AES_256_GCM:
            return self._encipher(written, payload)
        ranges, pad = self.pool.spend(size + TAG_KEY_BYTES)
        frame, proved, _ = lay(ranges, written, size, method)
        view = memoryview(frame)
        if size:
            pad.cover(payload, view[-TAIL_BYTES - size : -TAIL_BYTES])
        view[-TAG_BYTES:] = tag(view[proved:-TAIL_BYTES], pad.last(TAG_KEY_BYTES))
        pad.wipe()
        self._send(frame)
        return frame

    def draw(self, written: bytes, size: int) -> tuple[Raw, bytearray]:
        """As the source of announced keys: the next `size` bytes of the pool are the keys. Tell of them.

        The message, and the keys. Exhausted: too little in the pool.
        """
        ranges, pad = self.pool.spend(size + TAG_KEY_BYTES)
        frame, proved, _ = lay(ranges, written, 0, RelayMethod.XOR_ANNOUNCE)
        keys = pad.copy(size)
        return self._finish(frame, memoryview(frame), proved, pad), keys

    def announce(self, written: bytes, link_key: bytearray, so_far: Raw) -> Raw:
        """As a node between: add the xor of both link keys to what was announced so far (or nothing was).

        `link_key` are the bits that the message from before spent. Exhausted: too little in the pool.
        """
        size = len(link_key)
        ranges, pad = self.pool.spend(size + TAG_KEY_BYTES)
        frame, proved, _ = lay(ranges, written, size, RelayMethod.XOR_ANNOUNCE)
        view = memoryview(frame)
        sum_of_both = view[-TAIL_BYTES - size : -TAIL_BYTES]
        pad.cover(link_key, sum_of_both)
        if so_far:
            xor_into(sum_of_both, so_far)
        return self._finish(frame, view, proved, pad)

    def _finish(self, frame: bytearray, view: memoryview, proved: int, pad: Pad) -> Raw:
        view[-TAG_BYTES:] = tag(view[proved:-TAIL_BYTES], pad.last(TAG_KEY_BYTES))
        pad.wipe()
        self._send(frame)
        return frame

    def _encipher(self, written: bytes, payload: Raw) -> Raw:
        size, key = len(payload), self._sending
        if key is None or not key.lasts(size):
            ranges, bits = self.pool.spend(LINK_KEY_BYTES)
            key = self._sending = SendingKey(ranges, bits.last(LINK_KEY_BYTES))
            bits.wipe()
        counter = key.next_counter(size)
        frame, proved, until = lay(key.ranges, written, size, RelayMethod.AES_256_GCM, counter)
        view = memoryview(frame)
        protected = memoryview(key.seal(counter, payload, view[proved:until]))
        view[-TAG_BYTES:] = protected[size:]
        view[len(frame) - TAIL_BYTES - size : -TAIL_BYTES] = protected[:size]
        self._send(frame)
        return frame

    def another_key(self) -> None:
        """The other end does not take what is under our link key: make another for the next message."""
        self._sending = None

    # --- what comes in ---------------------------------------------------------------------------

    def open(self, sealed: Sealed) -> bytearray | Reason:
        """The payload of a message (announced: the bits that it spent); Reason: why it is refused."""
        if sealed.method is RelayMethod.AES_256_GCM:
            return self._decipher(sealed)
        pad = self.pool.claim(sealed.pad)
        if pad is None:
            self._lacks(sealed.pad)
            return Reason.PAD_GONE
        try:
            if not proves(sealed.proved, sealed.tag, pad.last(TAG_KEY_BYTES)):
                self.bad_tags += 1
                return Reason.BAD_TAG
            size = pad.length - TAG_KEY_BYTES
            if sealed.method is RelayMethod.XOR_ANNOUNCE:
                return pad.copy(size)
            payload = bytearray(size)
            if size:
                pad.cover(sealed.ciphertext, payload)
            return payload
        finally:
            pad.wipe()

    def _decipher(self, sealed: Sealed) -> bytearray | Reason:
        key = next((one for one in self._receiving if one.ranges == sealed.pad), None)
        if key is None:
            bits = self.pool.claim(sealed.pad)
            if bits is None:
                self._lacks(sealed.pad)
                return Reason.PAD_GONE
            key = ReceivingKey(sealed.pad, bits.last(LINK_KEY_BYTES))
            bits.wipe()
            # Beside the one that proved itself, one that did not yet: its first message may be spoiled.
            self._receiving = [*(one for one in self._receiving if one.proven), key]
        payload = key.open(sealed.counter, sealed.ciphertext, sealed.tag, sealed.proved)
        if payload is None:
            self.bad_tags += 1
            return Reason.BAD_TAG
        if len(self._receiving) > 1:
            self._receiving = [key] if key is self._receiving[-1] else self._receiving
        return payload

    def send(self, frame: Raw) -> None:
        """Give a frame to the wire as it is."""
        self._send(frame)

    def tick(self, now_s: float) -> None:
        """Forget blocks that only this end holds."""
        if self.phase is Phase.READY:
            self.pool.forget_unshared(now_s)
        if self._sending is not None and self._sending.old(now_s):
            self._sending = None
