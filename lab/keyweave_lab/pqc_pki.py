"""ML-DSA identities of a laboratory's nodes, under an authority of their own, made anew for each deployment.

    authority   ML-DSA-65 (FIPS 204), signs the nodes' certificates
    node        ML-DSA-65, for signing letters between key managers; URI urn:uuid:<node id>

Rule of this file: as in `pki`. TLS keeps the certificates of `pki`; these sign agreements of ML-KEM.
"""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from keyweave_core.errors import InvalidInput
from keyweave_core.model.ids import NodeId
from keyweave_lab.pki import VALID_DAYS, file_name, key_usage, make_private_directory, write_private_file


@dataclass(frozen=True, slots=True, kw_only=True)
class PqcFiles:
    """PEM files of one node: its certificate, its key, and the authority."""

    certificate: Path
    private_key: Path
    ca: Path


class LabPqcPki:
    """The ML-DSA authority of one deployment, in a directory of its own; `now` as in `LabPki`.

    Opening a directory that has an authority goes on with that authority.
    """

    def __init__(self, directory: Path, *, now: dt.datetime) -> None:
        self._directory = directory
        self._start = now.astimezone(dt.UTC).replace(microsecond=0) - dt.timedelta(minutes=5)
        make_private_directory(directory)
        self.ca_path = directory / "pqc-ca.pem"
        key_path = directory / "pqc-ca.key"
        if self.ca_path.exists() and key_path.exists():
            self._certificate = x509.load_pem_x509_certificate(self.ca_path.read_bytes())
            key = load_pem_private_key(key_path.read_bytes(), password=None)
            if not isinstance(key, MLDSA65PrivateKey):
                raise InvalidInput(f"{key_path}: not the key of an authority of this laboratory")
            self._key = key
        else:
            self._key = MLDSA65PrivateKey.generate()
            name = _name("Laboratory authority of ML-DSA")
            self._certificate = (
                self._builder(name, name, self._key.public_key())
                .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
                .add_extension(key_usage(signs_certificates=True), critical=True)
                .sign(self._key, None)
            )
            write_private_file(key_path, _private_pem(self._key))
            write_private_file(self.ca_path, self._certificate.public_bytes(Encoding.PEM))

    def node(self, name: str, node_id: NodeId) -> PqcFiles:
        """The identity of a node's key manager."""
        key = MLDSA65PrivateKey.generate()
        certificate = (
            self._builder(_name(name), self._certificate.subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"urn:uuid:{node_id}")]),
                critical=False,
            )
            .sign(self._key, None)
        )
        base = file_name(f"pqc-node-{name}")
        key_path, path = self._directory / f"{base}.key", self._directory / f"{base}.pem"
        write_private_file(key_path, _private_pem(key))
        write_private_file(path, certificate.public_bytes(Encoding.PEM))
        return PqcFiles(certificate=path, private_key=key_path, ca=self.ca_path)

    def _builder(
        self, subject: x509.Name, issuer: x509.Name, public_key: MLDSA65PublicKey
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._start)
            .not_valid_after(self._start + dt.timedelta(days=VALID_DAYS))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _private_pem(key: MLDSA65PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
