"""From the certificate of a client to the name of a user (RFC 7589 clause 7, RFC 7407 cert-to-name).

Rule of this file: the chain was verified by TLS before anything here is asked. Entries are tried in their
order; the first that fits and gives a name decides; without one the connection is refused.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes

from keyweave_core.errors import SettingsError

_HASHES: dict[int, hashes.HashAlgorithm] = {4: hashes.SHA256(), 5: hashes.SHA384(), 6: hashes.SHA512()}
"""The first octet of a `tls-fingerprint` names its hash (RFC 5246 clause 7.4.1.4.1); MD5, SHA-1 and SHA-224
(1, 2, 3) are not taken."""


class MapType(StrEnum):
    """How a name is found in a certificate (identities of ietf-x509-cert-to-name)."""

    SPECIFIED = "specified"
    SAN_RFC822_NAME = "san-rfc822-name"
    SAN_DNS_NAME = "san-dns-name"
    SAN_IP_ADDRESS = "san-ip-address"
    SAN_ANY = "san-any"
    COMMON_NAME = "common-name"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertToName:
    """One entry of cert-to-name.

    `fingerprint` is a `tls-fingerprint` (hash octet and digest, hex octets with colons) of the client's own
    certificate or of an authority above it; '' fits every verified certificate. `name` belongs to SPECIFIED.
    """

    map: MapType = MapType.COMMON_NAME
    fingerprint: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        if (self.map is MapType.SPECIFIED) != bool(self.name):
            raise ValueError("a name is given with map 'specified', and only there")
        if self.fingerprint:
            octets = _octets(self.fingerprint)
            wanted = _HASHES.get(octets[0]) if octets else None
            if wanted is None:
                raise ValueError(f"fingerprint {self.fingerprint[:40]!r}: begin with 04, 05 or 06 (SHA-2)")
            if len(octets) != 1 + wanted.digest_size:
                raise ValueError(f"fingerprint {self.fingerprint[:40]!r}: want {wanted.digest_size} octets")

    def fits(self, chain: Sequence[x509.Certificate]) -> bool:
        """True when the fingerprint is that of a certificate in the chain, or none is asked for."""
        if not self.fingerprint:
            return True
        octets = _octets(self.fingerprint)
        algorithm = _HASHES[octets[0]]
        return any(certificate.fingerprint(algorithm) == octets[1:] for certificate in chain)


class NameMap:
    """The cert-to-name list of a server, with the authorities whose certificates it accepts."""

    def __init__(self, entries: Sequence[CertToName], authorities: Sequence[x509.Certificate]) -> None:
        self._entries = tuple(entries) or (CertToName(),)
        self._authorities = tuple(authorities)

    def user_of(self, der: bytes) -> str | None:
        """The name of the user who showed this verified certificate (DER), None when no entry gives one."""
        certificate = x509.load_der_x509_certificate(der)
        chain = self._chain(certificate)
        for entry in self._entries:
            if entry.fits(chain):
                name = _name(certificate, entry)
                if name and name.isprintable() and len(name) <= _LONGEST:
                    return name
        return None

    def _chain(self, certificate: x509.Certificate) -> list[x509.Certificate]:
        chain = [certificate]
        while len(chain) <= len(self._authorities):
            above = next((a for a in self._authorities if a not in chain and _issued(chain[-1], a)), None)
            if above is None:
                break
            chain.append(above)
        return chain


_LONGEST = 255


def authorities_of(pem: bytes) -> list[x509.Certificate]:
    """The certificates in a PEM file; SettingsError when there is none."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise SettingsError(f"no certificates in PEM form: {error}") from error


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _name(certificate: x509.Certificate, entry: CertToName) -> str | None:
    if entry.map is MapType.SPECIFIED:
        return entry.name
    if entry.map is MapType.COMMON_NAME:
        found = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return str(found[0].value) if found else None
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return None
    for name in extension.value:
        text = _alternative(name, entry.map)
        if text is not None:
            return text
    return None


def _alternative(name: x509.GeneralName, wanted: MapType) -> str | None:
    """RFC 7407: the host part of a mail address and DNS names in lower case, addresses as octets in hex."""
    anything = wanted is MapType.SAN_ANY
    if isinstance(name, x509.RFC822Name) and (anything or wanted is MapType.SAN_RFC822_NAME):
        local, _, host = name.value.rpartition("@")
        return f"{local}@{host.lower()}"
    if isinstance(name, x509.DNSName) and (anything or wanted is MapType.SAN_DNS_NAME):
        return name.value.lower()
    if isinstance(name, x509.IPAddress) and (anything or wanted is MapType.SAN_IP_ADDRESS):
        address = name.value
        if isinstance(address, ipaddress.IPv4Address):
            return str(address)
        return address.packed.hex() if isinstance(address, ipaddress.IPv6Address) else None
    return None


def _octets(fingerprint: str) -> bytes:
    try:
        return bytes.fromhex(fingerprint.replace(":", ""))
    except ValueError as error:
        raise ValueError(f"fingerprint {fingerprint[:40]!r} is no hex octets") from error
