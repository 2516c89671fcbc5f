"""From an ML-KEM shared secret to keys: transcript, key schedule, proofs, combination.

Rule of this file: every value that goes into a hash has its length before it, every output has a label of its
own, and everything depends on the whole transcript: both nodes, the application, the KEM, both nonces, the
encapsulation key and the ciphertext.

    prk        = HKDF-Extract(salt = nonce of the source, nonce of the destination; shared secret)
    name       = HKDF-Expand(prk, "name", transcript)          16 bytes, public
    to         = HKDF-Expand(prk, "source says", transcript)   mac key of the source
    back       = HKDF-Expand(prk, "destination says", transcript)
    making     = HKDF-Expand(prk, "keys", transcript)          keys of ML-KEM alone
    mixing     = HKDF-Expand(prk, "hybrid", transcript)        what relayed keys are combined with

HKDF is RFC 5869 with SHA-384: its strength fits both parameter sets, and it reaches keys of 8192 bytes.
"""

import hashlib
import hmac

from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from keyweave_agents.keys.pqc.letters import ID_BYTES
from keyweave_agents.keys.pqc.settings import Kem
from keyweave_agents.keys.relaying.frames import Batch, uuid_bytes
from keyweave_agents.material import Secret
from keyweave_core.model.ids import AppId, NodeId

PROTOCOL = b"keyweave pqc 1"
PROPOSING = PROTOCOL + b" propose"
ANSWERING = PROTOCOL + b" answer"
"""Contexts of the two signatures: one never passes as the other."""

_ROOT_BYTES = 48
_HASH = "sha384"
_EXPAND_BYTES = 255 * 48  # RFC 5869 section 2.3


def joined(*parts: bytes) -> bytes:
    """The parts, each after its length in four bytes: no two lists of parts look alike."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def proposal(
    source: NodeId, destination: NodeId, app_id: AppId, kem: Kem, nonce: bytes, public_key: bytes
) -> bytes:
    """What the source signs."""
    return joined(
        PROTOCOL,
        uuid_bytes(source),
        uuid_bytes(destination),
        uuid_bytes(app_id),
        kem.value.encode(),
        nonce,
        public_key,
    )


def answer(
    proposed: bytes, own_nonce: bytes, ciphertext: bytes, keeper: bytes, held: tuple[bytes, ...]
) -> bytes:
    """What the destination signs, and what the secret depends on: the transcript."""
    return joined(proposed, own_nonce, ciphertext, keeper, *held)


def _hkdf(salt: bytes, material: bytes, info: bytes, length: int) -> bytes:
    """HKDF-SHA-384 (RFC 5869): a tenth of what the library's object takes, and this is done for every key."""
    key = hmac.digest(salt, material, _HASH)
    block = made = hmac.digest(key, info + b"\x01", _HASH)
    for number in range(2, -(-length // len(block)) + 1):
        block = hmac.digest(key, block + info + bytes((number,)), _HASH)
        made += block
    return made[:length]


class SessionSecret:
    """A secret that the two ends of one association share. `name`: 16 bytes, the same at both ends."""

    __slots__ = ("_back", "_making", "_mixing", "_to", "name", "transcript_hash")

    def __init__(self, shared: Secret, nonces: bytes, transcript: bytes) -> None:
        prk = hmac.digest(nonces, shared.reveal(), _HASH)
        self.transcript_hash = hashlib.sha384(transcript).digest()
        self.name = self._root(prk, b"name", ID_BYTES)
        self._to = Secret(self._root(prk, b"source says"))
        self._back = Secret(self._root(prk, b"destination says"))
        self._making = Secret(self._root(prk, b"keys"))
        self._mixing = Secret(self._root(prk, b"hybrid"))
        shared.wipe()

    def _root(self, prk: bytes, label: bytes, length: int = _ROOT_BYTES) -> bytes:
        return HKDFExpand(SHA384(), length, joined(PROTOCOL, label, self.transcript_hash)).derive(prk)

    def mac(self, counter: int, body: bytes, *, of_source: bool) -> bytes:
        """The proof of what one of the two ends says: HMAC-SHA-384 (RFC 2104), 48 bytes."""
        key = self._to if of_source else self._back
        return hmac.digest(key.reveal(), counter.to_bytes(8, "big") + body, _HASH)

    def proves(self, counter: int, body: bytes, mac: bytes, *, of_source: bool) -> bool:
        """Whether the other end said this, compared in constant time."""
        return hmac.compare_digest(mac, self.mac(counter, body, of_source=of_source))

    def proof(self) -> bytes:
        """That the destination made this secret: over the whole transcript."""
        return hmac.digest(self._back.reveal(), joined(b"proof", self.transcript_hash), _HASH)

    def proves_made(self, proof: bytes) -> bool:
        """Whether a proof is that of this secret, compared in constant time."""
        return hmac.compare_digest(proof, self.proof())

    def keys_of(self, batch: Batch) -> Secret:
        """The keys of a batch of ML-KEM alone, one after the other; both ends make the same.

        They depend on the batch id, all key ids, their size and the application: other ids, other keys.
        """
        size = batch.key_bytes.to_bytes(4, "big")
        ids = hashlib.sha384(joined(batch.batch_id, uuid_bytes(batch.app_id), size, batch.key_ids)).digest()
        made = bytearray()
        while len(made) < batch.payload_bytes:
            length = min(_EXPAND_BYTES, batch.payload_bytes - len(made))
            info = joined(PROTOCOL, b"batch", len(made).to_bytes(4, "big"), ids)
            made += HKDFExpand(SHA384(), length, info).derive(self._making.reveal())
        keys = Secret(made)
        made[:] = bytes(len(made))
        return keys

    def combined(self, batch: Batch, relayed: Secret) -> Secret:
        """Hybrid keys: each relayed key concatenated with this secret, through HKDF.

        Unknown to whoever lacks one of the two (see docs/pqc.md for the sources). Each key depends on its
        batch, its place there, its id and the application.
        """
        size, ids, keys = batch.key_bytes, batch.key_ids, relayed.reveal()
        about = joined(joined(PROTOCOL, b"hybrid key", batch.batch_id, uuid_bytes(batch.app_id)))
        mixing, made = joined(self._mixing.reveal().tobytes()), bytearray()
        length, wide = size.to_bytes(4, "big"), ID_BYTES.to_bytes(4, "big")
        four = (4).to_bytes(4, "big")
        for index in range(batch.count):
            key_id = ids[ID_BYTES * index : ID_BYTES * (index + 1)]
            info = about + four + index.to_bytes(4, "big") + wide + key_id + four + length
            both = mixing + length + keys[size * index : size * (index + 1)]
            made += _hkdf(self.name, both, info, size)
        result = Secret(made)
        made[:] = bytes(len(made))
        return result

    def wipe(self) -> None:
        """Overwrite the secret; it proves and makes nothing any more."""
        for root in (self._to, self._back, self._making, self._mixing):
            root.wipe()
