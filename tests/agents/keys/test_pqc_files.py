"""Identities from files and settings: whom a node believes, and what it says of files that are wrong."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID
from tests.agents.keys.network import uid
from tests.agents.keys.pqc_network import pqc_settings

from keyweave_agents.keys.pqc.files import read_identity
from keyweave_agents.keys.pqc.identity import Authority, PqcIdentity, Untrusted
from keyweave_agents.keys.pqc.settings import Kem, PqcSettings
from keyweave_agents.keys.settings import KeySettings
from keyweave_core.errors import SettingsError
from keyweave_core.model.ids import NodeId
from keyweave_core.runtime.settings import parse_settings

NOW = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
WALL_S = NOW.timestamp()
A, B = NodeId(uid(0xA)), NodeId(uid(0xB))
Change = Callable[[x509.CertificateBuilder], x509.CertificateBuilder]


def pem(key: MLDSA65PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(key: MLDSA65PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def pinned(folder: Path, keys: dict[NodeId, MLDSA65PrivateKey], own: NodeId) -> PqcSettings:
    peers = folder / "peers"
    peers.mkdir(exist_ok=True)
    for node_id, key in keys.items():
        (peers / f"{node_id}.pem").write_bytes(public_pem(key))
    (folder / f"{own}.key").write_bytes(pem(keys[own]))
    return PqcSettings(private_key=folder / f"{own}.key", peers=peers)


def test_pinned_keys_are_believed_and_no_others(tmp_path: Path) -> None:
    keys = {node_id: MLDSA65PrivateKey.generate() for node_id in (A, B)}
    a = read_identity(pinned(tmp_path, keys, A), A, WALL_S)
    b = read_identity(pinned(tmp_path, keys, B), B, WALL_S)
    assert a.credential == b""
    signature = a.sign(b"message", b"context")
    b.check(A, b"", b"message", signature, b"context", WALL_S)
    with pytest.raises(Untrusted, match="not of node"):
        b.check(B, b"", b"message", signature, b"context", WALL_S)
    with pytest.raises(Untrusted, match="is pinned here"):
        b.check(NodeId(uid(0xC)), b"", b"message", signature, b"context", WALL_S)
    with pytest.raises(Untrusted, match="not of node"):
        b.check(A, b"", b"message", b"short", b"context", WALL_S)


class Issuer:
    """An authority whose certificates a test may spoil."""

    def __init__(self) -> None:
        self.key = MLDSA65PrivateKey.generate()
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        self.own = self.builder(self.key.public_key()).sign(self.key, None)

    def builder(self, public: object, days: int = 10) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(self.name)
            .public_key(public)  # type: ignore[arg-type]  # of any kind
            .serial_number(1)
            .not_valid_before(NOW - dt.timedelta(days=1))
            .not_valid_after(NOW + dt.timedelta(days=days))
        )

    def leaf(
        self,
        public: object,
        *,
        uris: tuple[str, ...] = (f"urn:uuid:{A}",),
        ca: bool = False,
        signs: bool = True,
    ) -> bytes:
        usage = x509.KeyUsage(signs, False, False, False, False, not signs, False, False, False)
        certificate = (
            self.builder(public)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris]),
                critical=False,
            )
            .sign(self.key, None)
        )
        return certificate.public_bytes(Encoding.DER)


def test_certificates_that_do_not_show_the_node_are_not_believed() -> None:
    issuer, node = Issuer(), MLDSA65PrivateKey.generate()
    trust, public = Authority([issuer.own]), node.public_key()
    trust.key_of(A, issuer.leaf(public), WALL_S)
    bare = issuer.builder(public).sign(issuer.key, None).public_bytes(Encoding.DER)
    for credential, why in (
        (b"", "cannot be read"),
        (b"\x30\x03abc", "cannot be read"),
        (issuer.leaf(public, uris=(f"urn:uuid:{B}",)), "not of node"),
        (issuer.leaf(public, uris=(f"urn:uuid:{A}", f"urn:uuid:{B}")), "not of node"),
        (issuer.leaf(public, ca=True), "not for signing"),
        (issuer.leaf(public, signs=False), "not for signing"),
        (issuer.leaf(ec.generate_private_key(ec.SECP256R1()).public_key()), "not of an ML-DSA key"),
        (Issuer().leaf(public), "no authority"),
        (bare, "lacks names"),
    ):
        with pytest.raises(Untrusted, match=why):
            trust.key_of(A, credential, WALL_S)
    with pytest.raises(Untrusted, match="not valid now"):
        trust.key_of(A, issuer.leaf(public), WALL_S - 10 * 86_400)


def test_a_certificate_of_another_key_is_noticed_at_the_start(tmp_path: Path) -> None:
    issuer, one, two = Issuer(), MLDSA65PrivateKey.generate(), MLDSA65PrivateKey.generate()
    (tmp_path / "ca.pem").write_bytes(issuer.own.public_bytes(Encoding.PEM))
    leaf = x509.load_der_x509_certificate(issuer.leaf(one.public_key()))
    (tmp_path / "node.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    (tmp_path / "node.key").write_bytes(pem(two))
    settings = PqcSettings(
        private_key=tmp_path / "node.key", certificate=tmp_path / "node.pem", ca=tmp_path / "ca.pem"
    )
    with pytest.raises(SettingsError, match=r"node.pem is not of the key in .*node.key"):
        read_identity(settings, A, WALL_S)
    (tmp_path / "node.key").write_bytes(pem(one))
    assert isinstance(read_identity(settings, A, WALL_S), PqcIdentity)


def test_files_that_are_wrong_are_named(tmp_path: Path) -> None:
    keys = {A: MLDSA65PrivateKey.generate()}
    good = pinned(tmp_path, keys, A)
    classical = ec.generate_private_key(ec.SECP256R1())
    spoilt: list[tuple[Path, bytes, str]] = [
        (good.private_key, b"nothing", "no private key in PEM"),
        (good.private_key, pem(classical), "not a key of ML-DSA"),
        (tmp_path / "peers" / "name.pem", public_pem(keys[A]), "not <node id>.pem"),
        (tmp_path / "peers" / f"{B}.pem", b"nothing", "not <node id>.pem with a public key"),
        (tmp_path / "peers" / f"{B}.pem", public_pem(classical), "not a key of ML-DSA"),
    ]
    for path, content, why in spoilt:
        before = path.read_bytes() if path.exists() else None
        path.write_bytes(content)
        with pytest.raises(SettingsError, match=why) as failed:
            read_identity(good, A, WALL_S)
        assert str(path) in str(failed.value)
        path.unlink() if before is None else path.write_bytes(before)
    (tmp_path / "peers" / f"{A}.pem").unlink()
    with pytest.raises(SettingsError, match="no public keys"):
        read_identity(good, A, WALL_S)
    with pytest.raises(SettingsError, match="cannot read"):
        read_identity(PqcSettings(private_key=tmp_path / "none", peers=tmp_path), A, WALL_S)


def test_the_table_is_read_and_its_paths_are_of_its_folder(tmp_path: Path) -> None:
    text = """
    [pqc]
    kem = "ml-kem-1024"
    private_key = "node.key"
    certificate = "node.pem"
    ca = "/etc/ca.pem"
    fallback_after_s = 0.5
    """
    keys = parse_settings(text, KeySettings, where="test").anchored(tmp_path, tmp_path / "state")
    assert keys.pqc is not None
    assert keys.pqc.kem is Kem.ML_KEM_1024
    assert keys.pqc.private_key == tmp_path / "node.key"
    assert keys.pqc.ca == Path("/etc/ca.pem")
    assert keys.pqc.peers is None
    assert KeySettings().anchored(tmp_path, tmp_path).pqc is None


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"certificate": Path("c")}, "certificate and ca belong together"),
        ({"certificate": Path("c"), "ca": Path("a")}, "either certificate and ca, or peers"),
        ({"peers": None}, "either certificate and ca, or peers"),
        ({"fallback_after_s": 0.0}, "fallback_after_s must be 0.1..3600, not 0.0"),
        ({"return_after_s": 1e9}, "return_after_s must be"),
        ({"renew_after_s": 0.5}, "renew_after_s must be"),
        ({"renew_after_keys": 0}, "renew_after_keys must be"),
    ],
)
def test_settings_out_of_bounds_are_refused(values: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        pqc_settings(**values)


def test_an_unknown_kem_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"pqc.*kem|kem"):
        parse_settings('[pqc]\nkem = "rsa"\nprivate_key = "k"\npeers = "p"', KeySettings, where="test")
