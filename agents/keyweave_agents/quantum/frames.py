"""The messages between two QKD modules over the connection that stands for their fibre.

Rule of this file: bytes to values and back, no I/O; every size is bounded, and what does not fit is a
MalformedMessage. This framing is our own, because what it replaces is light. Big-endian throughout:

    frame      kind u8, length u32 (of the body), body
    HELLO      magic "KWF", version u8, role u8, link 16, node 16, interface u32, newest u64, channel u16,
               profile text
    BLOCK      block id u64, owner u8 (a role), bits
    ACK        block id u64                  the receiver holds the block
    SETTLED    block id u64                  the transmitter has deposited a block that the receiver owns
    KEEPALIVE  nothing
    CONDITION  extra loss f64 dB, excess noise f64: sent by a fibre plant only
    BYE        cause u8, reason text         said before closing on purpose
    WELCOME    nothing                       the other end's hello fits
    SUSPECT    block id u64, reason text     somebody may be listening: distrust from this block on
    TRUST      nothing                       nothing is suspect at this end (any more)

A block carries key in clear: the fibre is the one place of the emulation where it must. Frames therefore hold
it as `Secret`, which does not print.
"""

import struct
import uuid
from dataclasses import dataclass
from typing import assert_never

from keyweave_agents.material import Secret
from keyweave_agents.quantum.module_settings import DEFAULT_WAVELENGTH, ModuleRole
from keyweave_agents.quantum.observed import DownCause
from keyweave_core.errors import MalformedMessage
from keyweave_core.model.ids import InterfaceId, LinkId, NodeId

HEADER = struct.Struct(">BI")
MAX_BLOCK_BYTES = 64 * 1024
MAX_BODY_BYTES = MAX_BLOCK_BYTES + 9
MAX_BLOCK_ID = 2**63 - 1
MAX_EXTRA_LOSS_DB = 200.0
MAX_EXCESS_NOISE = 10.0
VERSION = 3

_MAGIC = b"KWF"
_HELLO = struct.Struct(">3sBB16s16sIQH")
_BLOCK = struct.Struct(">QB")
_ID = struct.Struct(">Q")
_CONDITION = struct.Struct(">dd")
_MAX_TEXT_BYTES = 200
_ROLES: tuple[ModuleRole, ...] = ("transmitter", "receiver")
_CAUSES = tuple(DownCause)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """Who is at this end: the first frame of each side.

    `newest_block_id` is the newest block this end ever deposited, 0 for none: a transmitter starts above it.
    `wavelength` (0..65535) is the channel that it is on.
    """

    role: ModuleRole
    link_id: LinkId
    node_id: NodeId
    interface_id: InterfaceId
    profile: str
    newest_block_id: int = 0
    wavelength: int = DEFAULT_WAVELENGTH
    version: int = VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """The other end's hello fits this one. Key flows, and a link is up, when both ends have said it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Fresh key; `owner` is the role of the end that may spend it. 1..65536 bytes."""

    block_id: int
    owner: ModuleRole
    material: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """The receiver holds the block."""

    block_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The transmitter has deposited the block; the receiver, its owner, may now do so too."""

    block_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Keepalive:
    """There is light."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What a fibre plant adds to the fibre: dB (0..200) and excess noise (0..10, see rates.Disturbance)."""

    extra_loss_db: float
    excess_noise: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bye:
    """Closed on purpose; `cause` as the sender sees it."""

    cause: DownCause
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """Somebody may be listening: no block from this id on is to be trusted."""

    since_block_id: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Nothing is suspect at this end (any more)."""


Frame = Hello | Welcome | Block | Ack | Settled | Keepalive | Condition | Bye | Suspect | Trust

_KINDS: dict[int, type[Frame]] = {
    1: Hello,
    2: Block,
    3: Ack,
    4: Settled,
    5: Keepalive,
    6: Condition,
    7: Bye,
    8: Welcome,
    9: Suspect,
    10: Trust,
}
_NUMBERS = {shape: number for number, shape in _KINDS.items()}
BLOCK_KIND = _NUMBERS[Block]
HELLO_KIND = _NUMBERS[Hello]
CONDITION_KIND = _NUMBERS[Condition]


def encode(frame: Frame) -> bytes:
    """The frame as bytes, header included. ValueError for a block or id out of bounds."""
    body = _body(frame)
    return HEADER.pack(_NUMBERS[type(frame)], len(body)) + body


def body_length(header: bytes) -> int:
    """Length of the body that follows a header; MalformedMessage for an unknown kind or too long a body."""
    kind, length = HEADER.unpack(header)
    if kind not in _KINDS:
        raise MalformedMessage(f"frame of unknown kind {kind}")
    if length > MAX_BODY_BYTES:
        raise MalformedMessage(f"frame of {length} bytes, the most is {MAX_BODY_BYTES}")
    return int(length)


def decode(header: bytes, body: bytes) -> Frame:
    """The frame of a header and its body; MalformedMessage naming what is wrong."""
    kind = header[0]
    shape = _KINDS.get(kind)
    if shape is None:
        raise MalformedMessage(f"frame of unknown kind {kind}")
    try:
        return _decode(shape, body)
    except (struct.error, ValueError, IndexError) as error:
        raise MalformedMessage(f"{shape.__name__.upper()} frame: {error}") from error


def _body(frame: Frame) -> bytes:
    match frame:
        case Hello():
            fixed = _HELLO.pack(
                _MAGIC,
                frame.version,
                _ROLES.index(frame.role),
                uuid.UUID(frame.link_id).bytes,
                uuid.UUID(frame.node_id).bytes,
                frame.interface_id,
                frame.newest_block_id,
                frame.wavelength,
            )
            return fixed + _text(frame.profile)
        case Block():
            if not 0 < len(frame.material) <= MAX_BLOCK_BYTES or not 0 <= frame.block_id <= MAX_BLOCK_ID:
                raise ValueError(f"no block of {len(frame.material)} bytes with id {frame.block_id}")
            head = _BLOCK.pack(frame.block_id, _ROLES.index(frame.owner))
            return b"".join((head, frame.material.reveal()))
        case Ack() | Settled():
            return _ID.pack(frame.block_id)
        case Keepalive() | Welcome() | Trust():
            return b""
        case Suspect():
            return _ID.pack(frame.since_block_id) + _text(frame.reason)
        case Condition():
            return _CONDITION.pack(frame.extra_loss_db, frame.excess_noise)
        case Bye():
            return bytes((_CAUSES.index(frame.cause),)) + _text(frame.reason)
        case _:
            assert_never(frame)


def _decode(shape: type[Frame], body: bytes) -> Frame:
    if shape is Block:
        block_id, owner = _BLOCK.unpack_from(body)
        material = Secret(memoryview(body)[_BLOCK.size :])
        if not 0 < len(material) <= MAX_BLOCK_BYTES or block_id > MAX_BLOCK_ID:
            raise ValueError(f"block id {block_id} with {len(material)} bytes")
        return Block(block_id=block_id, owner=_ROLES[owner], material=material)
    if shape is Ack:
        return Ack(block_id=_ID.unpack(body)[0])
    if shape is Settled:
        return Settled(block_id=_ID.unpack(body)[0])
    if shape is Suspect:
        (since,) = _ID.unpack_from(body)
        if since > MAX_BLOCK_ID:
            raise ValueError(f"block id {since}")
        return Suspect(since_block_id=since, reason=_read_text(body[_ID.size :]))
    if shape is Keepalive or shape is Welcome or shape is Trust:
        if body:
            raise ValueError("it has no body")
        return shape()
    if shape is Condition:
        loss, noise = _CONDITION.unpack(body)
        # NaN fails both comparisons, so it is refused here too.
        if not (0 <= loss <= MAX_EXTRA_LOSS_DB and 0 <= noise <= MAX_EXCESS_NOISE):
            raise ValueError(f"extra loss {loss} dB and excess noise {noise} are out of bounds")
        return Condition(extra_loss_db=loss, excess_noise=noise)
    if shape is Bye:
        return Bye(cause=_CAUSES[body[0]], reason=_read_text(body[1:]))
    return _decode_hello(body)


def _decode_hello(body: bytes) -> Hello:
    magic, version, role, link, node, interface, newest, wavelength = _HELLO.unpack_from(body)
    if magic != _MAGIC:
        raise ValueError("the other end is no QKD module")
    if version != VERSION:
        raise ValueError(f"version {version} is spoken there, {VERSION} here")
    if newest > MAX_BLOCK_ID // 2:
        raise ValueError(f"newest block id {newest} leaves no room")
    return Hello(
        role=_ROLES[role],
        link_id=LinkId(str(uuid.UUID(bytes=link))),
        node_id=NodeId(str(uuid.UUID(bytes=node))),
        interface_id=InterfaceId(interface),
        profile=_read_text(body[_HELLO.size :]),
        newest_block_id=newest,
        wavelength=wavelength,
        version=version,
    )


def _text(text: str) -> bytes:
    return text.encode()[:_MAX_TEXT_BYTES]


def _read_text(raw: bytes) -> str:
    if len(raw) > _MAX_TEXT_BYTES:
        raise ValueError(f"text of {len(raw)} bytes, the most is {_MAX_TEXT_BYTES}")
    # A cut at the byte bound may have split a letter; control characters must not reach a log.
    return "".join(c if c.isprintable() else "?" for c in raw.decode(errors="replace"))
