"""Who a node is in ML-DSA (FIPS 204), and whom it believes.

Rule of this file: no I/O. A signature counts when its key belongs to the very node that was expected: a
certificate says so, issued by an authority of ours, or the key is pinned under the id of that node.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mldsa import (
    MLDSA44PrivateKey,
    MLDSA44PublicKey,
    MLDSA65PrivateKey,
    MLDSA65PublicKey,
    MLDSA87PrivateKey,
    MLDSA87PublicKey,
)

from keyweave_core.errors import InvalidInput
from keyweave_core.model.ids import NodeId

SigningKey = MLDSA44PrivateKey | MLDSA65PrivateKey | MLDSA87PrivateKey
VerifyingKey = MLDSA44PublicKey | MLDSA65PublicKey | MLDSA87PublicKey

SIGNING_KEYS = (MLDSA44PrivateKey, MLDSA65PrivateKey, MLDSA87PrivateKey)
VERIFYING_KEYS = (MLDSA44PublicKey, MLDSA65PublicKey, MLDSA87PublicKey)


class Untrusted(InvalidInput):
    """A signature or certificate does not show that a letter is of the node that it should be of."""


class Trust(Protocol):
    """How a node knows the signing keys of others."""

    def key_of(self, node_id: NodeId, credential: bytes, wall_s: float) -> VerifyingKey:
        """The key of a node; `credential` is what it showed. Untrusted says why there is none."""
        ...


class Authority:
    """Trust in X.509 certificates that one of `anchors` issued directly."""

    def __init__(self, anchors: Iterable[x509.Certificate]) -> None:
        self._anchors = tuple(anchors)

    def key_of(self, node_id: NodeId, credential: bytes, wall_s: float) -> VerifyingKey:
        """See `Trust.key_of`. The certificate: of ML-DSA, valid now, for signing, with that one URI."""
        try:
            certificate = x509.load_der_x509_certificate(credential)
            issuer = self._issuer(certificate)
            at = dt.datetime.fromtimestamp(wall_s, dt.UTC)
            for one, whose in ((certificate, "the certificate"), (issuer, "the authority")):
                if not one.not_valid_before_utc <= at <= one.not_valid_after_utc:
                    raise Untrusted(f"{whose} is not valid now")
            _check_leaf(certificate, node_id)
            key = certificate.public_key()
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
            raise Untrusted("the certificate cannot be read") from error
        if not isinstance(key, VERIFYING_KEYS):
            raise Untrusted("the certificate is not of an ML-DSA key")
        return key

    def _issuer(self, certificate: x509.Certificate) -> x509.Certificate:
        for anchor in self._anchors:
            if anchor.subject == certificate.issuer:
                try:
                    certificate.verify_directly_issued_by(anchor)
                except InvalidSignature:
                    continue
                return anchor
        raise Untrusted("no authority that is known here issued the certificate")


def _check_leaf(certificate: x509.Certificate, node_id: NodeId) -> None:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound as error:
        raise Untrusted("the certificate lacks names, key usage or basic constraints") from error
    if names.get_values_for_type(x509.UniformResourceIdentifier) != [f"urn:uuid:{node_id}"]:
        raise Untrusted(f"the certificate is not of node {node_id}")
    if constraints.ca or not usage.digital_signature:
        raise Untrusted("the certificate is not for signing letters")


class Directory:
    """Trust in public keys that are pinned under node ids."""

    def __init__(self, keys: Mapping[NodeId, VerifyingKey]) -> None:
        self._keys = dict(keys)

    def key_of(self, node_id: NodeId, credential: bytes, wall_s: float) -> VerifyingKey:  # noqa: ARG002
        """See `Trust.key_of`; what the node shows counts for nothing."""
        key = self._keys.get(node_id)
        if key is None:
            raise Untrusted(f"no public key of node {node_id} is pinned here")
        return key


class PqcIdentity:
    """One node's own key, its certificate (`credential`: DER, empty where keys are pinned), and its trust."""

    def __init__(self, key: SigningKey, credential: bytes, trust: Trust) -> None:
        self._key = key
        self.credential = credential
        self._trust = trust

    def sign(self, message: bytes, context: bytes) -> bytes:
        """An ML-DSA signature; `context` says what is signed and keeps one kind from passing as another."""
        return self._key.sign(message, context)

    def check(
        self,
        node_id: NodeId,
        credential: bytes,
        message: bytes,
        signature: bytes,
        context: bytes,
        wall_s: float,
    ) -> None:
        """Whether `node_id` signed this. Untrusted when that is not shown."""
        key = self._trust.key_of(node_id, credential, wall_s)
        try:
            key.verify(signature, message, context)
        except (InvalidSignature, ValueError) as error:
            raise Untrusted(f"the signature is not of node {node_id}") from error
