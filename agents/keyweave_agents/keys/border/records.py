"""What a border node remembers of a key that another network handed over, and how it looks on the shelf.

Rule of this file: values and their bytes. A key's value is on the shelf from before its acceptance is told
until the destination in our network holds it; afterwards a keyed hash is enough to know a repetition.

    state      what it means                                 said of it
    ACCEPTED   taken, on its way through our network         nothing yet
    RELAYED    its destination holds it                      relayed
    FAILED     it did not get through, and will not          failed
    VOIDING    the peer took it back; we ask our network     nothing yet
    VOIDED     nobody gets it any more                       voided
    STAYS      the peer took it back too late                failed to void
    ABSENT     voided before it ever came                    key not present
"""

import hashlib
import hmac
from dataclasses import dataclass
from enum import Enum

import msgspec

from keyweave_agents.keys.border.values import AckStatus, Parties
from keyweave_agents.keys.relaying.frames import uuid_bytes
from keyweave_agents.material import Secret
from keyweave_core.model.ids import AppId, SaeId


class HeldState(Enum):
    """Where a key that was handed over stands."""

    ACCEPTED = 1
    RELAYED = 2
    FAILED = 3
    VOIDING = 4
    VOIDED = 5
    STAYS = 6
    ABSENT = 7


SAID: dict[HeldState, AckStatus] = {
    HeldState.RELAYED: AckStatus.RELAYED,
    HeldState.FAILED: AckStatus.FAILED,
    HeldState.VOIDED: AckStatus.VOIDED,
    HeldState.STAYS: AckStatus.FAILED_TO_VOID,
    HeldState.ABSENT: AckStatus.NOT_PRESENT,
}
"""What the peer is told of a key in a state; nothing yet in the others."""

NO_ASSOCIATION = AppId("")

ENDED = frozenset({HeldState.FAILED, HeldState.VOIDED, HeldState.ABSENT})
"""Tombstones: a key in one of these never comes back."""


@dataclass(slots=True, eq=False)
class HeldKey:
    """One key that a peer handed over. Times are monotonic; `callback` None: the peer waits for the answer.

    `told`: the peer has heard what became of it. `app_id`: in which association it was given.
    """

    key_id: str
    peer: str
    parties: Parties
    state: HeldState
    callback: str | None
    until_s: float
    digest: bytes = b""
    value: Secret | None = None
    told: bool = False
    message: str = ""
    app_id: AppId = NO_ASSOCIATION
    agreed: bool = False  # its end was agreed with the peer
    optional: bytes = b""  # extensions for whoever gets it next
    deadline_s: float = 0.0
    again_s: float = 0.0  # when the peer may be told again
    refusals: int = 0  # how often it refused to hear of it

    def wipe(self) -> None:
        """Overwrite the value; the key's hash stays."""
        if self.value is not None:
            self.value.wipe()
            self.value = None


class _Record(msgspec.Struct, array_like=True):
    peer: str
    initiator: str
    targets: tuple[str, ...]
    state: int
    callback: str | None
    until_s: float  # seconds since 1970
    digest: bytes
    value: bytes
    told: bool
    message: str
    app_id: str
    agreed: bool
    optional: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Record)


def digest_of(salt: bytes, value: Secret) -> bytes:
    """What tells two values apart; without `salt`, which never leaves the shelf, it says nothing of one."""
    return hmac.digest(salt, value.reveal(), hashlib.sha256)


def batch_id_of(key_ids: bytes) -> bytes:
    """The id of the batch in which these keys travel: the same keys, the same batch, after a crash too."""
    return hashlib.sha256(b"keyweave border batch" + key_ids).digest()[:16]


def record_key(key_id: str) -> bytes:
    """Where a key stands on the shelf."""
    return uuid_bytes(key_id)


def to_record(held: HeldKey, wall_less_monotonic_s: float) -> bytes:
    """A key for the shelf."""
    return _encoder.encode(
        _Record(
            held.peer,
            held.parties.initiator,
            held.parties.targets,
            held.state.value,
            held.callback,
            held.until_s + wall_less_monotonic_s,
            held.digest,
            b"" if held.value is None else bytes(held.value.reveal()),
            held.told,
            held.message,
            held.app_id,
            held.agreed,
            held.optional,
        )
    )


def from_record(key_id: str, raw: bytes | bytearray, wall_less_monotonic_s: float) -> HeldKey:
    """A key from the shelf."""
    record = _decoder.decode(raw)
    return HeldKey(
        key_id=key_id,
        peer=record.peer,
        parties=Parties(
            initiator=SaeId(record.initiator), targets=tuple(SaeId(each) for each in record.targets)
        ),
        state=HeldState(record.state),
        callback=record.callback,
        until_s=record.until_s - wall_less_monotonic_s,
        digest=record.digest,
        value=Secret(record.value) if record.value else None,
        told=record.told,
        message=record.message,
        app_id=AppId(record.app_id),
        agreed=record.agreed,
        optional=record.optional,
    )
