"""Letters about ML-KEM secrets: what is written is read, and nothing that is not exactly so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agents.keys.network import uid

from keyweave_agents.keys.pqc.letters import (
    MOST_OFFERED,
    Answer,
    Confirm,
    Confirmed,
    Declined,
    Lost,
    Offer,
    PqcLetter,
    Propose,
    Proved,
    Said,
    Stored,
    Why,
    decode_letter,
    decode_said,
    encode_letter,
    encode_said,
)
from keyweave_agents.keys.pqc.settings import Kem
from keyweave_agents.keys.relaying.frames import Batch
from keyweave_agents.keys.relaying.wire import MOST_LETTER_BYTES
from keyweave_core.errors import MalformedMessage
from keyweave_core.model.application import KeyOrigin
from keyweave_core.model.ids import AppId, LinkId, SaeId
from keyweave_proto.v1 import pqc_pb2 as pb

APP, SECRET = AppId(uid(0xA)), b"s" * 16
PROPOSE = Propose(
    kem=Kem.ML_KEM_768, nonce=b"n" * 32, public_key=b"p" * 1184, credential=b"c", signature=b"g" * 3309
)
ANSWER = Answer(
    nonce=b"n" * 32,
    own_nonce=b"o" * 32,
    ciphertext=b"c" * 1088,
    keeper=b"k" * 16,
    held=(b"h" * 16,),
    credential=b"",
    signature=b"g" * 3309,
    proof=b"p" * 48,
)
PROVED = Proved(secret_id=SECRET, counter=7, body=b"body", mac=b"m" * 48)
LETTERS: list[PqcLetter] = [
    PROPOSE,
    ANSWER,
    PROVED,
    Lost(secret_id=SECRET),
    *(Declined(about=b"a" * 32, why=why) for why in Why),
]


def offer(keys: int = 2, links: tuple[str, ...] = (uid(5),)) -> Offer:
    batch = Batch(
        batch_id=b"b" * 16,
        app_id=APP,
        link_id=LinkId(links[0]),
        key_bytes=32,
        key_ids=bytes(16 * keys),
        links=tuple(LinkId(one) for one in links) if len(links) > 1 else (),
        secret_id=SECRET,
        origin=KeyOrigin.PQC,
    )
    return Offer(batch=batch, clients=(SaeId("slave"),))


SAID: list[Said] = [
    Confirm(),
    Confirmed(),
    offer(),
    offer(links=(uid(5), uid(6))),
    Stored(batch_id=b"b" * 16, keeper=b"k" * 16),
]


@pytest.mark.parametrize("letter", LETTERS, ids=lambda letter: type(letter).__name__)
def test_letters_survive_the_wire(letter: PqcLetter) -> None:
    assert decode_letter(encode_letter(letter)) == letter


@pytest.mark.parametrize("said", SAID, ids=lambda said: type(said).__name__)
def test_what_is_said_survives_the_wire(said: Said) -> None:
    assert decode_said(encode_said(said), APP, SECRET) == said


def test_the_largest_offer_fits_into_a_letter() -> None:
    body = encode_said(offer(MOST_OFFERED, tuple(uid(number) for number in range(8))))
    letter = encode_letter(Proved(secret_id=SECRET, counter=2**63, body=body, mac=b"m" * 48))
    assert len(letter) < MOST_LETTER_BYTES
    assert len(encode_letter(PROPOSE)) + 16_384 < MOST_LETTER_BYTES


@pytest.mark.parametrize(
    "wrong",
    [
        pb.PqcLetter(),
        pb.PqcLetter(propose=pb.Propose(kem="rsa", nonce=b"n" * 32)),
        pb.PqcLetter(propose=pb.Propose(kem="ml-kem-768", nonce=b"n" * 31, public_key=b"p" * 1184)),
        pb.PqcLetter(propose=pb.Propose(kem="ml-kem-768", nonce=b"n" * 32, public_key=b"p" * 1568)),
        pb.PqcLetter(answer=pb.Answer(nonce=b"n" * 32, own_nonce=b"o" * 32, ciphertext=b"c")),
        pb.PqcLetter(answer=pb.Answer(ciphertext=b"c" * 1088, held=[b"h" * 16] * 5)),
        pb.PqcLetter(proved=pb.Proved(secret_id=SECRET, mac=b"m" * 47)),
        pb.PqcLetter(lost=pb.Lost(secret_id=b"s")),
        pb.PqcLetter(declined=pb.Declined(about=b"a" * 16)),
        pb.PqcLetter(declined=pb.Declined(about=b"a", why=pb.Declined.FULL)),
    ],
)
def test_wrong_letters_are_refused(wrong: pb.PqcLetter) -> None:
    with pytest.raises(MalformedMessage):
        decode_letter(wrong.SerializeToString())


def _offer(**values: object) -> pb.Said:
    good = {
        "batch_id": b"b" * 16,
        "key_bytes": 32,
        "key_ids": bytes(32),
        "link_ids": [b"l" * 16],
        "clients": ["slave"],
    }
    return pb.Said(offer=pb.Offer(**{**good, **values}))  # type: ignore[arg-type]  # tests choose


@pytest.mark.parametrize(
    "wrong",
    [
        pb.Said(),
        pb.Said(stored=pb.Stored(batch_id=b"b")),
        _offer(batch_id=b"b"),
        _offer(key_bytes=0),
        _offer(key_bytes=8193),
        _offer(key_bytes=8192, key_ids=bytes(16 * 17)),
        _offer(key_ids=b""),
        _offer(key_ids=bytes(17)),
        _offer(key_ids=bytes(16 * (MOST_OFFERED + 1))),
        _offer(link_ids=[]),
        _offer(link_ids=[b"l" * 15]),
        _offer(link_ids=[b"m" * 16, b"l" * 16]),
        _offer(link_ids=[bytes([number]) * 16 for number in range(9)]),
        _offer(clients=[]),
        _offer(clients=["one"] * 65),
    ],
)
def test_wrong_things_said_are_refused(wrong: pb.Said) -> None:
    with pytest.raises(MalformedMessage):
        decode_said(wrong.SerializeToString(), APP, SECRET)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_letter_or_refused(raw: bytes) -> None:
    for read in (decode_letter, lambda one: decode_said(one, APP, SECRET)):
        try:
            read(raw)
        except MalformedMessage:
            continue


@given(st.sampled_from(LETTERS), st.integers(0, 10_000), st.integers(0, 255))
def test_a_changed_byte_is_read_or_refused(letter: PqcLetter, place: int, byte: int) -> None:
    raw = bytearray(encode_letter(letter))
    raw[place % len(raw)] = byte
    try:
        decode_letter(bytes(raw))
    except MalformedMessage:
        return
