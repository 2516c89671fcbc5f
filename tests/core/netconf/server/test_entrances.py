"""The table [netconf]: what it may say, and that what it says is opened."""

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from keyweave_core.errors import PeerUnreachable, SettingsError
from keyweave_core.netconf.client.client import connect, connect_tls
from keyweave_core.netconf.server.entrances import read_entrances
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.netconf.server.settings import NetconfSettings
from keyweave_core.netconf.ssh.passwords import SALT_BYTES, hash_password, is_hash, password_fits
from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.settings import parse_settings
from keyweave_core.runtime.tls import client_context
from keyweave_lab.pki import LabPki

CLOCK = SystemClock()
SECRET = hash_password("correct horse", bytes(SALT_BYTES))
HOST = asyncssh.generate_private_key("ssh-ed25519")
USER = asyncssh.generate_private_key("ssh-ed25519")

ONE = 'users = [{ name = "a", authorized_keys = "users.pub" }]\n'


@pytest.fixture
def pki(tmp_path: Path) -> LabPki:
    (tmp_path / "host").write_bytes(HOST.export_private_key())
    (tmp_path / "users.pub").write_text(f"# two of them\n\n{USER.export_public_key().decode()}")
    return LabPki(tmp_path / "pki", now=dt.datetime.now(dt.UTC))


@pytest.fixture
async def server(xml, tiny, device) -> AsyncIterator[NetconfServer]:
    server = NetconfServer(tiny, device, list(xml("<node><id>n</id></node>")), clock=CLOCK)
    yield server
    await server.close()


def settings(tmp_path: Path, text: str) -> NetconfSettings:
    return parse_settings(text, NetconfSettings, where="test").anchored(tmp_path)


def whole(pki: LabPki) -> str:
    node = pki.node("n", "0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a01")  # type: ignore[arg-type]
    return f"""
host_key = "host"
listen_port = 0
users = [
  {{ name = "key", authorized_keys = "users.pub" }},
  {{ name = "word", password_hash = "{SECRET}", groups = ["auditor"], recovery = true }},
  {{ name = "cert", groups = ["operator", "night"] }},
]
limits = {{ max_sessions_per_user = 1 }}

[tls]
certificate = "{node.certificate}"
private_key = "{node.private_key}"
ca = "{node.ca}"
listen_port = 0
cert_to_name = [{{ map = "specified", name = "cert" }}]
"""


async def test_each_user_comes_in_by_their_way(server: NetconfServer, pki: LabPki, tmp_path: Path) -> None:
    table = settings(tmp_path, whole(pki))
    ports = await read_entrances(table).open(server, lambda: 0.5)
    assert ports.ssh
    assert ports.tls
    known: dict[str, Any] = {"host_key": HOST.convert_to_public(), "clock": CLOCK}
    by_key = await connect("127.0.0.1", ports.ssh, username="key", key=USER, **known)
    by_word = await connect("127.0.0.1", ports.ssh, username="word", password="correct horse", **known)
    context = client_context(pki.operator("anybody"), check_hostname=False)
    by_tls = await connect_tls("127.0.0.1", ports.tls, context=context, expected_name="n", clock=CLOCK)
    facts = {each.peer.username: each.peer for each in server.facts()}
    assert facts["key"].groups == {"operator"}
    assert (facts["word"].groups, facts["word"].recovery) == ({"auditor"}, True)
    assert (facts["cert"].groups, facts["cert"].transport) == ({"operator", "night"}, "netconf-tls")
    for client in (by_key, by_word, by_tls):
        await client.close()
    for wrong in ({"username": "word", "password": "correct horsf"}, {"username": "key", "password": ""}):
        with pytest.raises(PeerUnreachable):
            await connect("127.0.0.1", ports.ssh, **wrong, **known)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("users = [", 'users = [{ name = "nobody" },'), None),
        (('"correct', "x"), None),
        (("listen_port = 0\nusers", "listen_port = 70000\nusers"), "listen_port 70000"),
        (('name = "word"', 'name = "key"'), "user key is named twice"),
        (('password_hash = "$argon', 'password_hash = "plain'), "password_hash is not what"),
        (('groups = ["auditor"]', 'groups = ["two words"]'), "group 'two words'"),
        (('name = "key"', 'name = ""'), "user name ''"),
        (('map = "specified", name = "cert"', 'map = "specified"'), "a name is given with map 'specified'"),
        (('map = "specified"', 'map = "shoe-size"'), "cert_to_name"),
        (("max_sessions_per_user = 1", "max_depth = 0"), "max_depth must be positive"),
    ],
)
def test_what_the_table_may_say(tmp_path: Path, pki: LabPki, change, complaint: str | None) -> None:
    text = whole(pki).replace(*change)
    if complaint is None:
        settings(tmp_path, text)
        return
    with pytest.raises(SettingsError, match=complaint):
        settings(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('users = [{ name = "a" }]', "user a has neither authorized_keys nor password_hash"),
        ("users = []", "no users"),
        (f"{ONE}listen = false", "nobody could reach"),
        (f'{ONE}call_home = [{{ host = "c", transport = "tls" }}]', r"wants the table \[netconf.tls\]"),
        (f'{ONE}call_home = [{{ host = "" }}]', "host must not"),
    ],
)
def test_tables_that_make_no_sense(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        settings(tmp_path, f'host_key = "host"\n{text}')


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("host", None, "cannot read .netconf.host_key."),
        ("host", "junk", "not an SSH private key"),
        ("users.pub", None, "cannot read .netconf.users key."),
        ("users.pub", "# nobody\n", "no key for user key"),
        ("users.pub", "ssh-rsa junk\n", "not an SSH public key"),
    ],
)
def test_files_that_cannot_be_used_are_named(
    tmp_path: Path, pki: LabPki, file: str, content: str | None, complaint: str
) -> None:
    table = settings(tmp_path, whole(pki))
    path = tmp_path / file
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(SettingsError, match=complaint) as caught:
        read_entrances(table)
    assert str(path) in str(caught.value)


def test_passwords_are_hashed_with_salt() -> None:
    assert is_hash(SECRET)
    assert "correct" not in SECRET
    assert password_fits(SECRET, "correct horse")
    assert not password_fits(SECRET, "")
    assert not password_fits("$argon2id$v=19$junk$a$b", "x")
    assert hash_password("correct horse", b"x" * SALT_BYTES) != SECRET
