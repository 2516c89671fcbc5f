"""Letters about ML-KEM secrets, as values and as bytes.

Rule of this file: what comes in is checked completely before anybody acts on it; what is not exactly as it
should be is MalformedMessage. Schema: proto/keyweave_proto/v1/pqc.proto.
"""

from dataclasses import dataclass
from enum import Enum

from google.protobuf.message import DecodeError

from keyweave_agents.keys.lanes import MOST_BATCH_BYTES
from keyweave_agents.keys.pqc.kem import CIPHERTEXT_BYTES, PUBLIC_BYTES
from keyweave_agents.keys.pqc.settings import Kem
from keyweave_agents.keys.relaying.frames import Batch, uuid_bytes, uuid_text
from keyweave_agents.keys.relaying.split import MOST_SHARES
from keyweave_core.errors import MalformedMessage
from keyweave_core.model.application import KeyOrigin
from keyweave_core.model.ids import AppId, LinkId, SaeId
from keyweave_proto.v1 import pqc_pb2 as pb

NONCE_BYTES = 32
ID_BYTES = 16
MAC_BYTES = 48
MOST_CREDENTIAL_BYTES = 16_384
MOST_SIGNATURE_BYTES = 4_627  # of ML-DSA-87, FIPS 204 table 2
MOST_HELD = 4
MOST_KEY_BYTES = 8_192
MOST_CLIENTS = 64
MOST_OFFERED = 2_048  # keys in one offer: their ids must fit into a letter


class Why(Enum):
    """Why nothing follows from a letter; the value is for the operator of the source."""

    UNTRUSTED = "it does not believe that the letter is of this node"
    OTHER_KEM = "it wants a stronger KEM"
    OTHER_MODE = "the association has another key mode there"
    OTHER_ENDS = "the association has other links or applications there"
    FULL = "no place for more keys"


@dataclass(frozen=True, slots=True, kw_only=True)
class Propose:
    """An encapsulation key for one agreement, which its nonce names."""

    kem: Kem
    nonce: bytes
    public_key: bytes
    credential: bytes
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A secret for the source, encapsulated. `held`: names of the secrets that the destination knows."""

    nonce: bytes
    own_nonce: bytes
    ciphertext: bytes
    keeper: bytes
    held: tuple[bytes, ...]
    credential: bytes
    signature: bytes
    proof: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """Something said under a secret. `body` is what the mac proves, with the counter."""

    secret_id: bytes
    counter: int
    body: bytes
    mac: bytes


@dataclass(frozen=True, slots=True)
class Confirm:
    """The source holds the secret."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The destination holds it too, and takes keys of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Keys to be made at both ends; `clients` may have them."""

    batch: Batch
    clients: tuple[SaeId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The keys of a batch are stored."""

    batch_id: bytes
    keeper: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The speaker does not know a secret."""

    secret_id: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """Nothing follows from a proposal (`about`: its nonce) or an offer (the batch id)."""

    about: bytes
    why: Why


Said = Confirm | Confirmed | Offer | Stored
PqcLetter = Propose | Answer | Proved | Lost | Declined

_WHY = {
    Why.UNTRUSTED: pb.Declined.UNTRUSTED,
    Why.OTHER_KEM: pb.Declined.OTHER_KEM,
    Why.OTHER_MODE: pb.Declined.OTHER_MODE,
    Why.OTHER_ENDS: pb.Declined.OTHER_ENDS,
    Why.FULL: pb.Declined.FULL,
}
_WHYS = {number: why for why, number in _WHY.items()}


def encode_letter(letter: PqcLetter) -> bytes:
    """The body of a letter."""
    match letter:
        case Propose():
            propose = pb.Propose(
                kem=letter.kem.value,
                nonce=letter.nonce,
                public_key=letter.public_key,
                credential=letter.credential,
                signature=letter.signature,
            )
            return pb.PqcLetter(propose=propose).SerializeToString()
        case Answer():
            answer = pb.Answer(
                nonce=letter.nonce,
                own_nonce=letter.own_nonce,
                ciphertext=letter.ciphertext,
                keeper=letter.keeper,
                held=letter.held,
                credential=letter.credential,
                signature=letter.signature,
                proof=letter.proof,
            )
            return pb.PqcLetter(answer=answer).SerializeToString()
        case Proved():
            proved = pb.Proved(
                secret_id=letter.secret_id, counter=letter.counter, body=letter.body, mac=letter.mac
            )
            return pb.PqcLetter(proved=proved).SerializeToString()
        case Lost():
            return pb.PqcLetter(lost=pb.Lost(secret_id=letter.secret_id)).SerializeToString()
        case Declined():
            declined = pb.Declined(about=letter.about, why=_WHY[letter.why])
            return pb.PqcLetter(declined=declined).SerializeToString()


def decode_letter(raw: bytes) -> PqcLetter:
    """The letter in `raw`. MalformedMessage says what is wrong with it."""
    try:
        letter = pb.PqcLetter.FromString(raw)
    except DecodeError as error:
        raise MalformedMessage("not a letter about ML-KEM secrets") from error
    match letter.WhichOneof("kind"):
        case "propose":
            return _propose(letter.propose)
        case "answer":
            return _answer(letter.answer)
        case "proved":
            return Proved(
                secret_id=_sized("secret id", letter.proved.secret_id, ID_BYTES),
                counter=letter.proved.counter,
                body=letter.proved.body,
                mac=_sized("mac", letter.proved.mac, MAC_BYTES),
            )
        case "lost":
            return Lost(secret_id=_sized("secret id", letter.lost.secret_id, ID_BYTES))
        case "declined":
            return _declined(letter.declined)
        case _:
            raise MalformedMessage("a letter without content")


def encode_said(said: Said) -> bytes:
    """The bytes that a mac shall prove."""
    match said:
        case Confirm():
            return pb.Said(confirm=pb.Confirm()).SerializeToString()
        case Confirmed():
            return pb.Said(confirmed=pb.Confirmed()).SerializeToString()
        case Offer():
            offer = pb.Offer(
                batch_id=said.batch.batch_id,
                key_bytes=said.batch.key_bytes,
                key_ids=said.batch.key_ids,
                link_ids=[uuid_bytes(link_id) for link_id in said.batch.over],
                clients=said.clients,
            )
            return pb.Said(offer=offer).SerializeToString()
        case Stored():
            stored = pb.Stored(batch_id=said.batch_id, keeper=said.keeper)
            return pb.Said(stored=stored).SerializeToString()


def decode_said(raw: bytes, app_id: AppId, secret_id: bytes) -> Said:
    """What was said under a secret of an association, once its mac is proved."""
    try:
        said = pb.Said.FromString(raw)
    except DecodeError as error:
        raise MalformedMessage("nothing that is said under a secret") from error
    match said.WhichOneof("kind"):
        case "confirm":
            return Confirm()
        case "confirmed":
            return Confirmed()
        case "offer":
            return _offer(said.offer, app_id, secret_id)
        case "stored":
            return Stored(
                batch_id=_sized("batch id", said.stored.batch_id, ID_BYTES),
                keeper=_sized("keeper", said.stored.keeper, ID_BYTES),
            )
        case _:
            raise MalformedMessage("nothing is said")


def _propose(propose: pb.Propose) -> Propose:
    try:
        kem = Kem(propose.kem)
    except ValueError as error:
        raise MalformedMessage(f"unknown KEM {propose.kem[:20]!r}") from error
    return Propose(
        kem=kem,
        nonce=_sized("nonce", propose.nonce, NONCE_BYTES),
        public_key=_sized("public key", propose.public_key, PUBLIC_BYTES[kem]),
        credential=_within("credential", propose.credential, MOST_CREDENTIAL_BYTES),
        signature=_within("signature", propose.signature, MOST_SIGNATURE_BYTES),
    )


def _answer(answer: pb.Answer) -> Answer:
    if len(answer.ciphertext) not in CIPHERTEXT_BYTES.values():
        raise MalformedMessage(f"a ciphertext of {len(answer.ciphertext)} bytes")
    if len(answer.held) > MOST_HELD:
        raise MalformedMessage(f"{len(answer.held)} secrets are held; at most {MOST_HELD}")
    return Answer(
        nonce=_sized("nonce", answer.nonce, NONCE_BYTES),
        own_nonce=_sized("own nonce", answer.own_nonce, NONCE_BYTES),
        ciphertext=answer.ciphertext,
        keeper=_sized("keeper", answer.keeper, ID_BYTES),
        held=tuple(_sized("secret id", one, ID_BYTES) for one in answer.held),
        credential=_within("credential", answer.credential, MOST_CREDENTIAL_BYTES),
        signature=_within("signature", answer.signature, MOST_SIGNATURE_BYTES),
        proof=_sized("proof", answer.proof, MAC_BYTES),
    )


def _declined(declined: pb.Declined) -> Declined:
    why = _WHYS.get(declined.why)
    if why is None or len(declined.about) not in (ID_BYTES, NONCE_BYTES):
        raise MalformedMessage(f"a refusal of unknown kind {declined.why}")
    return Declined(about=declined.about, why=why)


def _offer(offer: pb.Offer, app_id: AppId, secret_id: bytes) -> Offer:
    if not 1 <= offer.key_bytes <= MOST_KEY_BYTES:
        raise MalformedMessage(f"keys of {offer.key_bytes} bytes")
    if len(offer.key_ids) % ID_BYTES or not 1 <= len(offer.key_ids) // ID_BYTES <= MOST_OFFERED:
        raise MalformedMessage(f"key ids of {len(offer.key_ids)} bytes")
    if offer.key_bytes * (len(offer.key_ids) // ID_BYTES) > MOST_BATCH_BYTES:
        raise MalformedMessage(f"an offer of more than {MOST_BATCH_BYTES} bytes of keys")
    links = tuple(LinkId(uuid_text(_sized("link id", one, ID_BYTES))) for one in offer.link_ids)
    if not 1 <= len(links) <= MOST_SHARES or list(links) != sorted(set(links)):
        raise MalformedMessage("the links of an offer are none, too many, or do not rise")
    if not 1 <= len(offer.clients) <= MOST_CLIENTS:
        raise MalformedMessage(f"{len(offer.clients)} clients")
    return Offer(
        batch=Batch(
            batch_id=_sized("batch id", offer.batch_id, ID_BYTES),
            app_id=app_id,
            link_id=links[0],
            key_bytes=offer.key_bytes,
            key_ids=offer.key_ids,
            links=links if len(links) > 1 else (),
            secret_id=secret_id,
            origin=KeyOrigin.PQC,
        ),
        clients=tuple(SaeId(one) for one in offer.clients),
    )


def _sized(name: str, raw: bytes, size: int) -> bytes:
    if len(raw) != size:
        raise MalformedMessage(f"{name} has {len(raw)} bytes, not {size}")
    return raw


def _within(name: str, raw: bytes, most: int) -> bytes:
    if len(raw) > most:
        raise MalformedMessage(f"{name} has {len(raw)} bytes; at most {most}")
    return raw
