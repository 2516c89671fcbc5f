"""The laboratory's certificates stand before strict verifiers, and its keys before curious users."""

import contextlib
import datetime as dt
import socket
import ssl
import stat
import subprocess
import threading
from pathlib import Path

import asyncssh
import pytest
from cryptography import x509

from keyweave_core.errors import InvalidInput
from keyweave_core.model.ids import NodeId, SaeId
from keyweave_core.runtime.tls import PeerNames, TlsSettings, client_context, peer_names, server_context
from keyweave_lab.pki import LabPki, file_name, node_host_name, write_private_file

NODE = NodeId("0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a01")


@pytest.fixture
def pki(tmp_path: Path) -> LabPki:
    return LabPki(tmp_path / "pki", now=dt.datetime.now(dt.UTC))


def strict(context: ssl.SSLContext) -> ssl.SSLContext:
    """As Python 3.13 verifies by default."""
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def handshake(
    server: TlsSettings, client: TlsSettings, host: str = "localhost"
) -> tuple[PeerNames, PeerNames]:
    """What the server and the client learn of each other."""
    ours, theirs = socket.socketpair()
    seen: list[PeerNames] = []

    def serve() -> None:
        with (
            contextlib.suppress(ssl.SSLError),
            strict(server_context(server)).wrap_socket(ours, server_side=True) as secured,
        ):
            seen.append(peer_names(secured))
            secured.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with strict(client_context(client)).wrap_socket(theirs, server_hostname=host) as secured:
            names = peer_names(secured)
            secured.send(b"x")
    finally:
        thread.join(5)
    return seen[0], names


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_nodes_and_applications_meet_under_strict_verification(pki: LabPki, host: str) -> None:
    node, application = pki.node("Norte", NODE), pki.application(SaeId("alice"))
    of_client, of_server = handshake(node, application, host)
    assert of_client == PeerNames(common_names=("alice",))
    assert of_server == PeerNames(
        uris=(f"urn:uuid:{NODE}",), dns=("localhost", node_host_name(NODE)), common_names=("Norte",)
    )


def test_node_controller_and_operator_certificates_verify(pki: LabPki) -> None:
    node = pki.node("a", NODE)
    of_client, _ = handshake(node, pki.node("b", NODE))
    assert of_client.uris == (f"urn:uuid:{NODE}",), "key managers are clients of each other too"
    of_client, of_server = handshake(pki.controller(), pki.operator())
    assert of_client.common_names == ("operator",)
    assert of_server.uris == ("urn:keyweave:controller",)


def test_openssl_verifies_strictly_and_for_the_purpose(pki: LabPki) -> None:
    application, node = pki.application(SaeId("urn:sae:a")), pki.node("n", NODE)
    for purpose, tls in (("sslclient", application), ("sslserver", node), ("sslclient", node)):
        command = [
            "openssl",
            "verify",
            "-x509_strict",
            "-purpose",
            purpose,
            "-CAfile",
            tls.ca,
            tls.certificate,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    command = ["openssl", "verify", "-purpose", "sslserver", "-CAfile", node.ca, application.certificate]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_an_application_is_no_server(pki: LabPki) -> None:
    with pytest.raises(ssl.SSLError):
        handshake(pki.application(SaeId("alice")), pki.application(SaeId("bob")))


def test_an_id_that_is_a_uri_stands_where_a_uri_stands(pki: LabPki) -> None:
    of_client, _ = handshake(pki.node("n", NODE), pki.application(SaeId("urn:sae:site/1:a")))
    assert of_client == PeerNames(uris=("urn:sae:site/1:a",), common_names=("urn:sae:site/1:a",))
    long_uri = SaeId("urn:sae:" + "x" * 200)
    of_client, _ = handshake(pki.node("n", NODE), pki.application(long_uri))
    assert of_client.uris == (long_uri,)


@pytest.mark.parametrize("sae", ["", "a" * 65, "ä" * 65, "urn: with space " + "x" * 64])
def test_an_id_that_no_certificate_can_carry_is_refused(pki: LabPki, sae: str) -> None:
    with pytest.raises(InvalidInput, match="SAE id"):
        pki.application(SaeId(sae))


def test_files_are_private_from_the_first_byte(pki: LabPki, tmp_path: Path) -> None:
    pki.node("n", NODE)
    pki.ssh_key("host-n")
    folder = tmp_path / "pki"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert set(modes.values()) == {0o600}
    assert {"ca.pem", "ca.key", "node-n.pem", "node-n.key", "ssh-host-n", "ssh-host-n.pub"} == set(modes)


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(OSError):
        write_private_file(tmp_path / "link", b"secret")
    assert (tmp_path / "target").read_text() == "mine"


def test_opened_again_it_is_the_same_authority(pki: LabPki, tmp_path: Path) -> None:
    node = pki.node("n", NODE)
    again = LabPki(tmp_path / "pki", now=dt.datetime.now(dt.UTC))
    handshake(node, again.application(SaeId("alice")))


def test_validity_starts_before_now_and_ends_in_a_year(tmp_path: Path) -> None:
    now = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
    tls = LabPki(tmp_path, now=now).node("n", NODE)
    certificate = x509.load_pem_x509_certificate(tls.certificate.read_bytes())
    assert certificate.not_valid_before_utc < now
    assert dt.timedelta(days=364) < certificate.not_valid_after_utc - now <= dt.timedelta(days=365)


def test_ssh_keys_are_read_by_asyncssh_and_ssh_keygen(pki: LabPki) -> None:
    key = pki.ssh_key("host-n")
    private = asyncssh.read_private_key(key.private_key)
    assert private.get_algorithm() == "ssh-ed25519"
    public = asyncssh.read_public_key(key.public_key)
    assert private.public_data == public.public_data
    assert key.public_key.read_text().startswith(key.public_line)


@pytest.mark.parametrize(
    ("text", "name"),
    [("Norte", "Norte"), ("a/b", "a%2Fb"), ("..", "%2E%2E"), (".", "%2E"), ("ä", "%C3%A4"), ("a%", "a%25")],
)
def test_names_of_files_stay_in_their_directory(text: str, name: str) -> None:
    assert file_name(text) == name


def test_long_names_differ_though_they_are_cut() -> None:
    first, second = file_name("x" * 300), file_name("x" * 301)
    assert first != second
    assert len(first) < 130
