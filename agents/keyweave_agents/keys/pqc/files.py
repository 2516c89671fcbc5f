"""The files behind a node's ML-DSA identity.

Rule of this file: files are read once, at the start, and every complaint names the file. What would fail
in the first agreement (a certificate of another node or another key) fails here.
"""

from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from keyweave_agents.keys.pqc.identity import (
    SIGNING_KEYS,
    VERIFYING_KEYS,
    Authority,
    Directory,
    PqcIdentity,
    SigningKey,
    Trust,
    Untrusted,
    VerifyingKey,
)
from keyweave_agents.keys.pqc.settings import PqcSettings
from keyweave_core.errors import SettingsError
from keyweave_core.model.ids import NodeId, parse_uuid

MOST_FILE_BYTES = 1 << 20


def read_identity(settings: PqcSettings, node_id: NodeId, wall_s: float) -> PqcIdentity:
    """Read the identity of `node_id` and whom it believes. SettingsError: a file, and what is wrong."""
    key = _signing_key(settings.private_key)
    if settings.peers is not None:
        return PqcIdentity(key, b"", Directory(_pinned(settings.peers)))
    assert settings.certificate is not None and settings.ca is not None  # noqa: S101, PT018 - checked there
    (own,) = _certificates(settings.certificate)[:1]
    trust: Trust = Authority(_certificates(settings.ca))
    credential = own.public_bytes(Encoding.DER)
    try:
        shown = trust.key_of(node_id, credential, wall_s)
    except Untrusted as error:
        raise SettingsError(f"{settings.certificate} (keys.pqc.certificate): {error}") from error
    if _raw(shown) != _raw(key.public_key()):
        raise SettingsError(f"{settings.certificate} is not of the key in {settings.private_key} (keys.pqc)")
    return PqcIdentity(key, credential, trust)


def _signing_key(path: Path) -> SigningKey:
    try:
        key = load_pem_private_key(_read(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SettingsError(
            f"{path}: no private key in PEM without a password (keys.pqc.private_key)"
        ) from error
    if not isinstance(key, SIGNING_KEYS):
        raise SettingsError(f"{path}: not a key of ML-DSA (keys.pqc.private_key)")
    return key


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(path))
    except ValueError as error:
        raise SettingsError(f"{path}: no certificates in PEM (keys.pqc)") from error


def _pinned(folder: Path) -> dict[NodeId, VerifyingKey]:
    try:
        paths = sorted(folder.glob("*.pem"))
    except OSError as error:
        raise SettingsError(f"{folder}: cannot read (keys.pqc.peers): {error}") from error
    if not paths:
        raise SettingsError(f"{folder}: no public keys <node id>.pem (keys.pqc.peers)")
    found: dict[NodeId, VerifyingKey] = {}
    for path in paths:
        try:
            node_id = NodeId(parse_uuid(path.stem))
            key = load_pem_public_key(_read(path))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise SettingsError(f"{path}: not <node id>.pem with a public key (keys.pqc.peers)") from error
        if not isinstance(key, VERIFYING_KEYS):
            raise SettingsError(f"{path}: not a key of ML-DSA (keys.pqc.peers)")
        found[node_id] = key
    return found


def _raw(key: VerifyingKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_FILE_BYTES)
    except OSError as error:
        raise SettingsError(f"{path}: cannot read (keys.pqc): {error}") from error
