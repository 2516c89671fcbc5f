"""Certificates and SSH keys of a laboratory, made anew for each deployment and never kept elsewhere.

    authority        ECDSA P-256, signs everything below; its key stays in the deployment's directory
    node             server and client: 014 server, relay peers; URI urn:uuid:<node id>, localhost, loopback
    application      client: the SAE id as the common name, and as the URI when it is an absolute URI
    controller       server (gRPC northbound); urn:keyweave:controller, localhost, loopback
    operator         client of the controller; common name
    SSH              ed25519: a host key per agent, a user key for the controller

Rule of this file: private keys are files of mode 0600 in directories of mode 0700, written before they are
named anywhere. Certificates carry what strict verifiers ask for (RFC 5280: basicConstraints, keyUsage,
extendedKeyUsage, subject and authority key identifiers).
"""

import datetime as dt
import hashlib
import ipaddress
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from keyweave_core.errors import InvalidInput
from keyweave_core.model.ids import NodeId, SaeId
from keyweave_core.runtime.tls import TlsSettings

VALID_DAYS = 365
CONTROLLER_URI = "urn:keyweave:controller"

_ABSOLUTE_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+\Z")
_MAX_COMMON_NAME = 64  # ub-common-name, RFC 5280 appendix A
_SERVER = ExtendedKeyUsageOID.SERVER_AUTH
_CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True, slots=True, kw_only=True)
class SshKey:
    """An SSH key pair as OpenSSH writes it: the private file, the public file, and the public line."""

    private_key: Path
    public_key: Path
    public_line: str


class LabPki:
    """The certificate authority of one deployment, in a directory of its own.

    `now` is the moment the certificates start (a little earlier, for clocks that are behind). Opening a
    directory that has an authority goes on with that authority.
    """

    def __init__(self, directory: Path, *, now: dt.datetime) -> None:
        self._directory = directory
        self._start = now.astimezone(dt.UTC).replace(microsecond=0) - dt.timedelta(minutes=5)
        self._end = self._start + dt.timedelta(days=VALID_DAYS)
        make_private_directory(directory)
        self.ca_path = directory / "ca.pem"
        key_path = directory / "ca.key"
        if self.ca_path.exists() and key_path.exists():
            self._certificate = x509.load_pem_x509_certificate(self.ca_path.read_bytes())
            key = load_pem_private_key(key_path.read_bytes(), password=None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise InvalidInput(f"{key_path}: not the key of an authority of this laboratory")
            self._key = key
        else:
            self._key = ec.generate_private_key(ec.SECP256R1())
            self._certificate = self._self_signed()
            write_private_file(key_path, _private_pem(self._key))
            write_private_file(self.ca_path, self._certificate.public_bytes(Encoding.PEM))

    def node(self, name: str, node_id: NodeId) -> TlsSettings:
        """Server and client certificate of an agent; the relay peers check the URI."""
        return self._issue(
            f"node-{name}",
            name,
            [
                *_LOOPBACK,
                x509.DNSName(node_host_name(node_id)),
                x509.UniformResourceIdentifier(f"urn:uuid:{node_id}"),
            ],
        )

    def application(self, sae_id: SaeId) -> TlsSettings:
        """Client certificate of an application, for the mapping `auto` of key delivery.

        Raises InvalidInput when no certificate can carry the id: longer than 64 characters without being
        an absolute URI of ASCII.
        """
        is_uri = _ABSOLUTE_URI.match(sae_id) is not None
        if not is_uri and not 1 <= len(sae_id) <= _MAX_COMMON_NAME:
            raise InvalidInput(
                f"SAE id {sae_id[:60]!r}: only an absolute URI may be longer than {_MAX_COMMON_NAME}"
            )
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(sae_id)] if is_uri else []
        return self._issue(
            f"app-{sae_id}", sae_id if len(sae_id) <= _MAX_COMMON_NAME else "sae", names, usages=[_CLIENT]
        )

    def controller(self) -> TlsSettings:
        """Server certificate of the controller's northbound."""
        return self._issue(
            "controller", "controller", [*_LOOPBACK, x509.UniformResourceIdentifier(CONTROLLER_URI)]
        )

    def operator(self, name: str = "operator") -> TlsSettings:
        """Client certificate of a person or program that asks the controller."""
        return self._issue(f"operator-{name}", name, [], usages=[_CLIENT])

    def ssh_key(self, name: str) -> SshKey:
        """An ed25519 key pair `name`, `name.pub`, for a host or a user."""
        key = ed25519.Ed25519PrivateKey.generate()
        path = self._directory / file_name(f"ssh-{name}")
        write_private_file(path, key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
        line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii")
        public = path.with_name(path.name + ".pub")
        write_private_file(public, f"{line} {name}\n".encode())
        return SshKey(private_key=path, public_key=public, public_line=line)

    def _issue(
        self,
        stem: str,
        common_name: str,
        names: Sequence[x509.GeneralName],
        usages: Sequence[ObjectIdentifier] = (_SERVER, _CLIENT),
    ) -> TlsSettings:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            self._builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]), key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                    self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
                ),
                critical=False,
            )
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        base = file_name(stem)
        key_path, path = self._directory / f"{base}.key", self._directory / f"{base}.pem"
        write_private_file(key_path, _private_pem(key))
        write_private_file(path, certificate.public_bytes(Encoding.PEM))
        return TlsSettings(certificate=path, private_key=key_path, ca=self.ca_path)

    def _self_signed(self) -> x509.Certificate:
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Keyweave laboratory"),
                x509.NameAttribute(NameOID.COMMON_NAME, f"Laboratory authority {os.urandom(4).hex()}"),
            ]
        )
        builder = self._builder(name, self._key.public_key(), issuer=name)
        return (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(key_usage(signs_certificates=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def _builder(
        self, subject: x509.Name, public_key: ec.EllipticCurvePublicKey, issuer: x509.Name | None = None
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._certificate.subject if issuer is None else issuer)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._start)
            .not_valid_after(self._end)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        )


_LOOPBACK: tuple[x509.GeneralName, ...] = (
    x509.DNSName("localhost"),
    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
)


def node_host_name(node_id: NodeId) -> str:
    """The DNS name in a node's certificate, for those who can ask for no other kind of name (gRPC)."""
    return f"{node_id}.node.keyweave.internal"


def make_private_directory(path: Path) -> None:
    """Make `path` (and its parents) with mode 0700, or take the mode of everybody else from it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)


def write_private_file(path: Path, content: bytes) -> None:
    """Write a file that only its owner ever could read: it has mode 0600 before it has content."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        file.write(content)


def file_name(text: str) -> str:
    """`text` as the name of a file: other than plain letters, digits, `-_.` as `%XX`; long text is cut."""
    plain = "".join(
        letter
        if letter.isascii() and (letter.isalnum() or letter in "-_.")
        else "".join(f"%{byte:02X}" for byte in letter.encode())
        for letter in text
    )
    if plain.strip(".") == "":
        return plain.replace(".", "%2E")  # '.' and '..' are places, not names
    if len(plain) <= 120:
        return plain
    return f"{plain[:100]}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """For signing certificates, or anything else."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
