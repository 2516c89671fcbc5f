"""The key schedule: same inputs, same keys; other inputs, others. And the watch over the quantum layer."""

import hashlib
import hmac
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from hypothesis import given
from hypothesis import strategies as st
from tests.agents.keys.network import uid

from keyweave_agents.keys.pqc.secret import PROTOCOL, SessionSecret, answer, joined, proposal
from keyweave_agents.keys.pqc.settings import Kem
from keyweave_agents.keys.pqc.watch import QuantumWatch
from keyweave_agents.keys.relaying.frames import Batch
from keyweave_agents.material import Secret
from keyweave_core.model.ids import AppId, LinkId, NodeId

ONE, TWO, APP = NodeId(uid(1)), NodeId(uid(2)), AppId(uid(0xA))
BATCH = Batch(
    batch_id=b"b" * 16,
    app_id=APP,
    link_id=LinkId(uid(5)),
    key_bytes=32,
    key_ids=bytes(range(64)),
    secret_id=b"s" * 16,
)


def secret(
    shared: bytes = b"z" * 32, transcript: bytes = b"transcript", nonces: bytes = b"n" * 64
) -> SessionSecret:
    return SessionSecret(Secret(shared), nonces, transcript)


def test_both_ends_make_the_same_of_the_same() -> None:
    one, two = secret(), secret()
    assert one.name == two.name
    assert one.keys_of(BATCH).same_as(two.keys_of(BATCH))
    relayed = Secret(bytes(range(128)))
    assert one.combined(BATCH, relayed).same_as(two.combined(BATCH, relayed))
    assert one.proves(1, b"body", two.mac(1, b"body", of_source=True), of_source=True)
    assert not one.proves(1, b"body", two.mac(1, b"body", of_source=False), of_source=True)
    assert one.proves_made(two.proof())


@pytest.mark.parametrize(
    "other",
    [secret(shared=b"y" * 32), secret(transcript=b"another"), secret(nonces=b"m" * 64)],
    ids=["shared", "transcript", "nonces"],
)
def test_another_agreement_gives_others(other: SessionSecret) -> None:
    one, relayed = secret(), Secret(bytes(128))
    assert one.name != other.name
    assert not one.keys_of(BATCH).same_as(other.keys_of(BATCH))
    assert not one.combined(BATCH, relayed).same_as(other.combined(BATCH, relayed))
    assert not one.proves(1, b"", other.mac(1, b"", of_source=True), of_source=True)


@pytest.mark.parametrize(
    "change",
    [
        {"batch_id": b"c" * 16},
        {"app_id": AppId(uid(0xB))},
        {"key_ids": bytes(range(1, 65))},
    ],
)
def test_other_ids_give_other_keys(change: dict[str, object]) -> None:
    one, other, relayed = secret(), replace(BATCH, **change), Secret(bytes(128))  # type: ignore[arg-type]
    assert not one.keys_of(BATCH).same_as(one.keys_of(other))
    assert not one.combined(BATCH, relayed).same_as(one.combined(other, relayed))


def test_each_key_depends_on_its_relayed_key_alone_and_on_its_place() -> None:
    one = secret()
    same = bytes(one.combined(BATCH, Secret(bytes(128))).reveal())
    assert len({same[place : place + 32] for place in range(0, 128, 32)}) == 4
    changed = bytes(one.combined(BATCH, Secret(bytes(32) + b"x" * 32 + bytes(64))).reveal())
    differs = [same[place : place + 32] != changed[place : place + 32] for place in range(0, 128, 32)]
    assert differs == [False, True, False, False]


@pytest.mark.parametrize("size", [1, 32, 48, 49, 200])
def test_a_hybrid_key_is_hkdf_of_both_one_after_the_other(size: int) -> None:
    """The construction of docs/pqc.md, written out once more, with the HKDF of a library."""
    transcript_hash = hashlib.sha384(b"transcript").digest()
    prk = hmac.digest(b"n" * 64, b"z" * 32, "sha384")

    def root(label: bytes, length: int = 48) -> bytes:
        return HKDFExpand(SHA384(), length, joined(PROTOCOL, label, transcript_hash)).derive(prk)

    batch, relayed = replace(BATCH, key_bytes=size), bytes(number % 251 for number in range(4 * size))
    app = bytes.fromhex(APP.replace("-", ""))
    info = joined(
        joined(PROTOCOL, b"hybrid key", BATCH.batch_id, app),
        (1).to_bytes(4, "big"),
        BATCH.key_ids[16:32],
        size.to_bytes(4, "big"),
    )
    both = joined(root(b"hybrid"), relayed[size : 2 * size])
    expected = HKDF(SHA384(), size, salt=root(b"name", 16), info=info).derive(both)
    made = bytes(secret().combined(batch, Secret(relayed)).reveal())
    assert made[size : 2 * size] == expected


@pytest.mark.parametrize(("key_bytes", "keys"), [(1, 1), (32, 4096), (8192, 8)])
def test_keys_of_every_size_and_number_are_made(key_bytes: int, keys: int) -> None:
    batch = replace(BATCH, key_bytes=key_bytes, key_ids=bytes(16 * keys))
    made = bytes(secret().keys_of(batch).reveal())
    assert len(made) == keys * key_bytes
    if keys > 1:
        parts = {made[place : place + key_bytes] for place in range(0, len(made), key_bytes)}
        assert len(parts) == keys
    assert len(secret().combined(batch, Secret(bytes(keys * key_bytes)))) == keys * key_bytes


@given(st.lists(st.binary(max_size=8), max_size=4), st.lists(st.binary(max_size=8), max_size=4))
def test_no_two_lists_of_parts_look_alike(left: list[bytes], right: list[bytes]) -> None:
    assert (joined(*left) == joined(*right)) is (left == right)


def test_the_transcript_names_everything() -> None:
    first = proposal(ONE, TWO, APP, Kem.ML_KEM_768, b"n" * 32, b"public")
    others = [
        proposal(TWO, ONE, APP, Kem.ML_KEM_768, b"n" * 32, b"public"),
        proposal(ONE, TWO, AppId(uid(0xB)), Kem.ML_KEM_768, b"n" * 32, b"public"),
        proposal(ONE, TWO, APP, Kem.ML_KEM_1024, b"n" * 32, b"public"),
        proposal(ONE, TWO, APP, Kem.ML_KEM_768, b"m" * 32, b"public"),
        proposal(ONE, TWO, APP, Kem.ML_KEM_768, b"n" * 32, b"another"),
    ]
    assert first not in others
    second = answer(first, b"o" * 32, b"ciphertext", b"k" * 16, ())
    assert second != answer(first, b"o" * 32, b"ciphertext", b"k" * 16, (b"s" * 16,))
    assert second.startswith(joined(first))


def test_nothing_is_left_after_wiping() -> None:
    one = secret()
    before = one.mac(1, b"", of_source=True)
    one.wipe()
    assert one.mac(1, b"", of_source=True) != before
    assert one.keys_of(BATCH).same_as(_wiped().keys_of(BATCH))


def _wiped() -> SessionSecret:
    other = secret(shared=b"y" * 32)
    other.wipe()
    return other


# --- the watch -----------------------------------------------------------------------------------


def test_a_fallback_begins_when_keys_lack_for_so_long() -> None:
    watch = QuantumWatch(2.0, 5.0, 0.0)
    assert not watch.tick(1.9, missing=True, able=True)
    assert watch.tick(2.0, missing=True, able=True)
    assert watch.in_fallback


def test_none_begins_without_a_secret_while_keys_come_or_when_none_lack() -> None:
    watch = QuantumWatch(2.0, 5.0, 0.0)
    assert not watch.tick(10.0, missing=True, able=False)
    watch.acknowledged(10.0)
    assert not watch.tick(11.0, missing=True, able=True)
    assert not watch.tick(20.0, missing=False, able=True)
    assert not watch.tick(21.9, missing=True, able=True)
    assert not watch.in_fallback


def fallen() -> QuantumWatch:
    watch = QuantumWatch(2.0, 5.0, 0.0)
    watch.tick(2.0, missing=True, able=True)
    return watch


def test_it_ends_after_keys_came_for_so_long() -> None:
    watch = fallen()
    watch.acknowledged(10.0)
    assert not watch.tick(14.9, missing=False, able=True)
    assert watch.tick(15.0, missing=False, able=True)
    assert not watch.in_fallback


def test_a_gap_begins_the_return_anew() -> None:
    watch = fallen()
    watch.acknowledged(10.0)
    assert not watch.tick(11.0, missing=True, able=True)
    assert not watch.tick(13.0, missing=True, able=True)
    watch.acknowledged(14.0)
    assert not watch.tick(15.0, missing=False, able=True)
    assert not watch.tick(18.9, missing=False, able=True)
    assert watch.tick(19.0, missing=False, able=True)


def test_that_nobody_wants_keys_ends_no_fallback() -> None:
    watch = fallen()
    assert not watch.tick(100.0, missing=False, able=True)
    assert watch.in_fallback
