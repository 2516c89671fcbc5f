"""Who calls, beyond the name in a certificate: listed, expired and revoked certificates."""

import asyncio
import datetime as dt
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from keyweave_agents.service.callers import Callers
from keyweave_agents.service.connections import ClientCertificate, certificate_of
from keyweave_agents.service.revocation import LOOK_EVERY_S
from keyweave_agents.service.settings import CertificateMatch, ConsumerSettings
from keyweave_core.errors import Refused, SettingsError
from keyweave_core.model.ids import SaeId
from keyweave_core.runtime.settings import parse_settings
from keyweave_core.runtime.tls import PeerNames, TlsSettings
from keyweave_lab.pki import LabPki

STATUS = "/api/v1/keys/bob/status"
ALICE, BOB = SaeId("alice"), SaeId("bob")
NAMES = PeerNames(uris=("urn:sae:a",), dns=("a.example",), common_names=("A",))
CERTIFICATE = ClientCertificate(names=NAMES, serial="1ab", issuer="Authority", der=lambda: b"content")


@dataclass
class JumpingClock:
    """The machine's clock, some seconds away from the truth."""

    ahead_s: float = 0.0
    ahead_monotonic_s: float = 0.0

    def now(self) -> float:
        return dt.datetime.now(dt.UTC).timestamp() + self.ahead_s

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time() + self.ahead_monotonic_s

    async def sleep(self, duration_s: float) -> None:
        await asyncio.sleep(duration_s)


def certificate(tls: TlsSettings) -> x509.Certificate:
    return x509.load_pem_x509_certificate(tls.certificate.read_bytes())


def revoke(pki: LabPki, *certificates: x509.Certificate) -> bytes:
    """A revocation list of the laboratory's authority, PEM."""
    authority = x509.load_pem_x509_certificate(pki.ca_path.read_bytes())
    key: Any = load_pem_private_key(pki.ca_path.with_name("ca.key").read_bytes(), None)
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.subject)
        .last_update(now)
        .next_update(now + dt.timedelta(days=1))
    )
    for each in certificates:
        entry = x509.RevokedCertificateBuilder().serial_number(each.serial_number).revocation_date(now)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({"uri": "urn:sae:a"}, True),
        ({"uri": "urn:sae:b"}, False),
        ({"dns": "a.example"}, True),
        ({"cn": "A", "serial": "01:AB"}, True),
        ({"cn": "A", "serial": "1AC"}, False),
        ({"serial": "1ab", "issuer": "Authority"}, True),
        ({"serial": "1ab", "issuer": "Other"}, False),
        ({"sha256": CERTIFICATE.fingerprint.upper()}, True),
        ({"sha256": "0" * 64}, False),
        ({"cn": "A", "sha256": "0" * 64}, False),
    ],
)
def test_a_listed_certificate_must_say_all_that_is_named(match: dict[str, str], fits: bool) -> None:
    callers = Callers([ALICE], "listed", listed={ALICE: [CertificateMatch(**match)]})
    if fits:
        assert callers.identify(CERTIFICATE) == ALICE
    else:
        with pytest.raises(Refused):
            callers.identify(CERTIFICATE)


def test_who_lists_certificates_is_known_by_no_name() -> None:
    callers = Callers([SaeId("A"), BOB], "cn", listed={SaeId("A"): [CertificateMatch(serial="ff")]})
    with pytest.raises(Refused, match="not among those listed for 'A'"):
        callers.identify(CERTIFICATE)
    assert callers.identify(ClientCertificate(names=PeerNames(common_names=("bob",)))) == BOB
    twice = [CertificateMatch(cn="A")]
    callers = Callers([ALICE, BOB], "cn", listed={ALICE: twice, BOB: twice})
    with pytest.raises(Refused, match="fits 2 consumers: alice, bob"):
        callers.identify(CERTIFICATE)


def test_certificates_are_listed_in_the_settings() -> None:
    text = (
        'sae_id = "alice"\n[[certificates]]\ncn = "A"\nserial = "00:1A:B0"\n[[certificates]]\nuri = "urn:a"\n'
    )
    consumer = parse_settings(text, ConsumerSettings, where="test")
    assert [each.serial for each in consumer.certificates] == ["1ab0", None]
    for wrong in ('issuer = "x"', 'serial = "xyz"', 'sha256 = "12"', 'name = "x"'):
        with pytest.raises(SettingsError):
            parse_settings(f'sae_id = "a"\n[[certificates]]\n{wrong}\n', ConsumerSettings, where="test")


async def test_a_certificate_is_found_by_fingerprint_and_serial(service_with: Any, tls_of: Any) -> None:
    found = certificate(tls_of("mallory"))
    by_print = CertificateMatch(sha256=found.fingerprint(hashes.SHA256()).hex(":"))
    by_serial = CertificateMatch(serial=f"{found.serial_number:x}", cn="mallory")
    for match in (by_print, by_serial):
        service = await service_with(certificates={"alice": [match]})
        assert (await service.ask("mallory", "GET", STATUS))[0] == 200
        assert await service.ask("alice", "GET", STATUS) == (401, None)
        assert (await service.ask("carol", "GET", STATUS))[0] == 200


@pytest.mark.parametrize("quick", [False, True])
async def test_a_certificate_that_expires_ends_an_open_connection(service_with: Any, quick: bool) -> None:
    clock = JumpingClock()
    service = await service_with(quick=quick, clock=clock)
    reader, writer = await asyncio.open_connection("localhost", service.port, ssl=service.context_of("alice"))
    request = b"GET /api/v1/keys/bob/enc_keys HTTP/1.1\r\nHost: x\r\n\r\n"
    writer.write(request)
    assert (await reader.readline()).split()[1] == b"200"
    await reader.readuntil(b"]}")
    clock.ahead_s = 366 * 86400.0
    writer.write(request)
    assert (await reader.readline()).split()[1] == b"401"
    writer.close()


async def test_a_clock_that_jumps_harms_no_request(service_with: Any) -> None:
    clock = JumpingClock()
    service = await service_with(quick=True, clock=clock, keep_alive_s=60.0)
    for ahead_s in (0.0, 3600.0, -7 * 86400.0, 86400.0, 0.0):
        clock.ahead_s = ahead_s
        assert (await service.ask("alice", "POST", "/api/v1/keys/bob/enc_keys", {}))[0] == 200


async def test_a_revoked_certificate_is_not_authorised_on_any_connection(
    service_with: Any, pki: LabPki, tls_of: Any, tmp_path: Path
) -> None:
    file = tmp_path / "revoked.pem"
    file.write_bytes(revoke(pki))
    clock = JumpingClock()
    service = await service_with(quick=True, clock=clock, revoked=file)
    reader, writer = await asyncio.open_connection("localhost", service.port, ssl=service.context_of("alice"))
    writer.write(b"GET /api/v1/keys/bob/enc_keys HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readline()).split()[1] == b"200"
    await reader.readuntil(b"]}")

    file.write_bytes(revoke(pki, certificate(tls_of("alice")), certificate(tls_of("dora"))))
    clock.ahead_monotonic_s += LOOK_EVERY_S
    assert await service.ask("alice", "GET", STATUS) == (401, None)
    writer.write(b"GET /api/v1/keys/bob/enc_keys HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readline()).split()[1] == b"401", "the connection stood before"
    assert (await service.ask("bob", "GET", "/api/v1/keys/alice/status"))[0] == 200

    file.write_bytes(b"no list")
    os.utime(file, ns=(1, 1))
    clock.ahead_monotonic_s += LOOK_EVERY_S
    assert await service.ask("alice", "GET", STATUS) == (401, None), "what was read before counts"
    writer.close()


def test_a_list_of_another_authority_is_a_settings_error(
    pki: LabPki, node_tls: TlsSettings, tmp_path: Path
) -> None:
    from keyweave_agents.service.revocation import Revocations

    other = LabPki(tmp_path / "other", now=dt.datetime.now(dt.UTC))
    file = tmp_path / "revoked.pem"
    for content, reason in (
        (revoke(other), "signed by no authority"),
        (b"", "no revocation list"),
        (revoke(pki).replace(b"M", b"N", 3), "no usable revocation lists|signed by no authority"),
    ):
        file.write_bytes(content)
        with pytest.raises(SettingsError, match=reason):
            Revocations(file, node_tls.ca)
    with pytest.raises(SettingsError, match="no usable revocation lists"):
        Revocations(tmp_path / "nowhere", node_tls.ca)


def test_a_connection_without_a_certificate_is_nobody() -> None:
    nobody = certificate_of(None, bytes)
    assert nobody.not_after_s == float("inf")
    with pytest.raises(Refused):
        Callers([ALICE], "auto").identify(nobody)
