"""cert-to-name: which certificate is which user."""

import datetime as dt
import ipaddress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from keyweave_core.netconf.tls.names import CertToName, MapType, NameMap, authorities_of
from keyweave_lab.pki import LabPki


def certificate(*names: x509.GeneralName, common_name: str = "cn") -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)] if common_name else [])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


MAIL = x509.RFC822Name("Ann@Example.ORG")
DNS = x509.DNSName("Node.Example.org")
FOUR = x509.IPAddress(ipaddress.ip_address("192.0.2.7"))
SIX = x509.IPAddress(ipaddress.ip_address("2001:db8::1"))


@pytest.mark.parametrize(
    ("map_type", "names", "expected"),
    [
        (MapType.COMMON_NAME, (MAIL,), "cn"),
        (MapType.SAN_RFC822_NAME, (DNS, MAIL), "Ann@example.org"),
        (MapType.SAN_DNS_NAME, (MAIL, DNS), "node.example.org"),
        (MapType.SAN_IP_ADDRESS, (FOUR,), "192.0.2.7"),
        (MapType.SAN_IP_ADDRESS, (SIX,), "20010db8000000000000000000000001"),
        (MapType.SAN_ANY, (FOUR, DNS), "192.0.2.7"),
        (MapType.SAN_DNS_NAME, (MAIL,), None),
        (MapType.SAN_ANY, (), None),
    ],
)
def test_each_map_type(map_type: MapType, names, expected: str | None) -> None:
    assert NameMap([CertToName(map=map_type)], ()).user_of(certificate(*names)) == expected


def test_the_first_entry_that_gives_a_name_decides() -> None:
    entries = [CertToName(map=MapType.SAN_DNS_NAME), CertToName(map=MapType.SPECIFIED, name="fallback")]
    names = NameMap(entries, ())
    assert names.user_of(certificate(DNS)) == "node.example.org"
    assert names.user_of(certificate()) == "fallback"


def test_fingerprints_of_the_certificate_and_of_its_authority(tmp_path: Path) -> None:
    pki = LabPki(tmp_path, now=dt.datetime.now(dt.UTC))
    shown = x509.load_pem_x509_certificate(pki.operator("ann").certificate.read_bytes())
    authorities = authorities_of(pki.ca_path.read_bytes())
    der = shown.public_bytes(Encoding.DER)

    def octets(what: x509.Certificate, code: int, algorithm: hashes.HashAlgorithm) -> str:
        return bytes([code, *what.fingerprint(algorithm)]).hex(":")

    own = CertToName(fingerprint=octets(shown, 4, hashes.SHA256()))
    authority = CertToName(fingerprint=octets(authorities[0], 6, hashes.SHA512()).upper())
    other = CertToName(fingerprint="05:" + ":".join(["00"] * 48))
    assert NameMap([own], authorities).user_of(der) == "ann"
    assert NameMap([authority], authorities).user_of(der) == "ann"
    assert NameMap([authority], ()).user_of(der) is None
    assert NameMap([other], authorities).user_of(der) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"fingerprint": "xx"},
        {"fingerprint": "02:" + "00" * 20},
        {"fingerprint": "04:00"},
        {"map": MapType.SPECIFIED},
        {"name": "x"},
    ],
)
def test_entries_that_make_no_sense(wrong) -> None:
    with pytest.raises(ValueError, match=r"fingerprint|name"):
        CertToName(**wrong)


def test_names_that_cannot_be_users() -> None:
    assert NameMap([], ()).user_of(certificate(common_name="")) is None
    assert NameMap([], ()).user_of(certificate(common_name="a\nb")) is None
