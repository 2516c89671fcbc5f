"""Mutual TLS contexts: what they demand, what they refuse, and the names they find."""

import datetime as dt
import os
import ssl
import subprocess
from pathlib import Path

import pytest

from keyweave_core.errors import SettingsError
from keyweave_core.model.ids import NodeId
from keyweave_core.runtime.settings import parse_settings
from keyweave_core.runtime.tls import (
    PeerNames,
    TlsSettings,
    client_context,
    names_of,
    server_context,
)
from keyweave_lab.pki import LabPki


@pytest.fixture
def tls(tmp_path: Path) -> TlsSettings:
    pki = LabPki(tmp_path, now=dt.datetime.now(dt.UTC))
    return pki.node("n", NodeId("0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a01"))


def test_both_ends_verify_and_speak_1_3(tls: TlsSettings) -> None:
    server, client = server_context(tls), client_context(tls)
    assert server.verify_mode == client.verify_mode == ssl.CERT_REQUIRED
    assert server.minimum_version == client.minimum_version == ssl.TLSVersion.TLSv1_3
    assert client.check_hostname
    assert not client_context(tls, check_hostname=False).check_hostname
    assert client_context(tls, check_hostname=False).verify_mode == ssl.CERT_REQUIRED


def test_the_operator_may_let_1_2_in_with_forward_secrecy_only(tls: TlsSettings) -> None:
    lenient = TlsSettings(
        certificate=tls.certificate, private_key=tls.private_key, ca=tls.ca, minimum_version="1.2"
    )
    context = server_context(lenient)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    old = [cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] == "TLSv1.2"]
    assert old
    assert all(name.startswith("ECDHE-") and ("GCM" in name or "CHACHA" in name) for name in old)


@pytest.mark.parametrize("which", ["certificate", "private_key", "ca"])
def test_a_missing_file_is_named(tls: TlsSettings, which: str) -> None:
    path: Path = getattr(tls, which)
    path.unlink()
    for make in (server_context, client_context):
        with pytest.raises(SettingsError, match=f"{path}: cannot read the .*No such file"):
            make(tls)


@pytest.mark.parametrize("which", ["certificate", "private_key", "ca"])
@pytest.mark.parametrize("content", ["", "-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n"])
def test_a_file_that_is_no_pem_is_named(tls: TlsSettings, which: str, content: str) -> None:
    path: Path = getattr(tls, which)
    path.write_text(content)
    with pytest.raises(SettingsError) as caught:
        server_context(tls)
    assert str(path) in str(caught.value)


def test_a_key_of_another_certificate_is_refused(tls: TlsSettings, tmp_path: Path) -> None:
    other = TlsSettings(certificate=tls.certificate, private_key=tmp_path / "ca.key", ca=tls.ca)
    with pytest.raises(SettingsError, match="key values mismatch"):
        server_context(other)


def test_an_encrypted_key_is_refused_without_asking(tls: TlsSettings, tmp_path: Path) -> None:
    locked = tmp_path / "locked.key"
    command = ["openssl", "pkey", "-in", tls.private_key, "-aes256", "-passout", "pass:x", "-out", locked]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(SettingsError, match="encrypted"):
        server_context(TlsSettings(certificate=tls.certificate, private_key=locked, ca=tls.ca))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read_is_named(tls: TlsSettings) -> None:
    tls.private_key.chmod(0)
    with pytest.raises(SettingsError, match="Permission denied"):
        server_context(tls)


def test_relative_files_lie_beside_the_settings_file(tls: TlsSettings) -> None:
    text = 'certificate = "a.pem"\nprivate_key = "/b.key"\nca = "ca.pem"\nminimum_version = "1.2"\n'
    settings = parse_settings(text, TlsSettings, where="x.toml").relative_to(Path("/etc/keyweave"))
    assert settings.certificate == Path("/etc/keyweave/a.pem")
    assert settings.private_key == Path("/b.key")
    assert settings.minimum_version == "1.2"
    with pytest.raises(SettingsError, match=r"Invalid enum value '1\.1'"):
        parse_settings(text.replace("1.2", "1.1"), TlsSettings, where="x.toml")


def test_names_stand_in_the_order_of_the_certificate() -> None:
    parsed = {
        "subject": ((("organizationName", "O"),), (("commonName", "A"), ("commonName", "B"))),
        "subjectAltName": (("URI", "urn:b"), ("DNS", "x"), ("URI", "urn:a"), ("IP Address", "::1")),
    }
    assert names_of(parsed) == PeerNames(uris=("urn:b", "urn:a"), dns=("x",), common_names=("A", "B"))


@pytest.mark.parametrize("certificate", [None, {}, {"subject": ()}])
def test_no_certificate_has_no_names(certificate: dict[str, object] | None) -> None:
    assert names_of(certificate) == PeerNames()
