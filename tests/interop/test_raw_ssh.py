"""Raw bytes over SSH: what no client library sends."""

from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncssh
import pytest

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
ETSI = "urn:etsi:qkd:yang:etsi-qkd-node"
HELLO = (
    f'<hello xmlns="{BASE}"><capabilities><capability>'
    f"urn:ietf:params:netconf:base:1.1</capability></capabilities></hello>]]>]]>"
).encode()
OLD = HELLO.replace(b"base:1.1", b"base:1.0")


def chunk(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return b"\n#%d\n%b\n##\n" % (len(data), data)


def rpc(inner: str) -> str:
    return f'<rpc xmlns="{BASE}" message-id="7">{inner}</rpc>'


@asynccontextmanager
async def shell(place: Any):
    async with asyncssh.connect(
        "127.0.0.1", place.port, username="tester", client_keys=[place.user],
        known_hosts=([place.host.convert_to_public()], [], []), config=None, agent_path=None,
    ) as connection:  # fmt: skip
        yield connection


@asynccontextmanager
async def channel(place: Any, first: bytes = HELLO):
    async with shell(place) as connection:
        stdin, stdout, _ = await connection.open_session(subsystem="netconf", encoding=None)
        greeting = await stdout.readuntil(b"]]>]]>")
        assert b"<session-id>" in greeting
        stdin.write(first)
        yield stdin, stdout


async def ask(stdin: Any, stdout: Any, text: str | bytes) -> str:
    stdin.write(chunk(text))
    return (await stdout.readuntil(b"\n##\n")).decode()


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        (b"<rpc", "malformed-message"),
        (rpc("<get>").encode(), "malformed-message"),
        (b"<!DOCTYPE rpc>" + rpc("<get/>").encode(), "malformed-message"),
        (
            b'<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + rpc("<get>&e;</get>").encode(),
            "malformed-message",
        ),
        (b"<a>" * 10_000, "malformed-message"),
        (rpc("<launch/>").encode(), "operation-not-supported"),
        (rpc("<launch xmlns='urn:x'/>").encode(), "unknown-namespace"),
        (
            rpc(
                f"<edit-config><target><running/></target><config><qkd_node xmlns='{ETSI}'>"
                f"<moon/></qkd_node></config></edit-config>"
            ).encode(),
            "unknown-element",
        ),
        (
            rpc(
                f"<edit-config><target><running/></target><config>"
                f"<qkd_node xmlns='{ETSI}' xmlns:n='{BASE}'><qkdn_version n:operation='delete'/>"
                f"</qkd_node></config></edit-config>"
            ).encode(),
            "data-missing",
        ),
        (rpc("").encode(), "missing-element"),
    ],
)
async def test_bad_messages_are_answered_and_the_session_goes_on(place: Any, text: bytes, tag: str) -> None:
    before = place.server.running()
    async with channel(place) as (stdin, stdout):
        assert f"<error-tag>{tag}</error-tag>" in await ask(stdin, stdout, text)
        assert "<ok/>" in await ask(stdin, stdout, rpc("<discard-changes/>"))
    assert place.server.running() == before


@pytest.mark.parametrize(
    "data",
    [
        b"\n#0\n",
        b"\n#05\nhello",
        b"\n#4294967296\n",
        b"\n#4194305\n",
        b"junk",
        rpc("<get/>").encode() + b"]]>]]>",
    ],
)
async def test_bad_framing_is_told_and_closes_only_that_session(place: Any, data: bytes) -> None:
    async with channel(place) as (other_in, other_out), channel(place) as (stdin, stdout):
        stdin.write(data)
        assert b"malformed-message" in await stdout.readuntil(b"\n##\n")
        assert await stdout.read() == b""
        assert "<ok/>" in await ask(other_in, other_out, rpc("<discard-changes/>"))


async def test_an_endless_document_is_cut_at_the_cap(place: Any) -> None:
    async with channel(place) as (stdin, stdout):
        for _ in range(64):
            stdin.write(b"\n#65536\n" + b"<a>" * 21845 + b"<")
        stdin.write(b"\n#1\n")
        assert b"malformed-message" in await stdout.readuntil(b"\n##\n")
        assert await stdout.read() == b""


@pytest.mark.parametrize(
    "first",
    [
        HELLO.replace(b"base:1.1", b"base:9.9"),
        HELLO.replace(b"</hello>", b"<session-id>3</session-id></hello>"),
        rpc("<get/>").encode() + b"]]>]]>",
        b"not xml]]>]]>",
        OLD + b"<rpc]]>]]>",
    ],
)
async def test_a_bad_start_closes_without_an_answer(place: Any, first: bytes) -> None:
    async with channel(place, first) as (_, stdout):
        assert await stdout.read() == b""


async def test_base_1_0_keeps_the_old_framing(place: Any) -> None:
    async with channel(place, OLD.replace(b"<hello", b'\n<?xml version="1.0"?>\n<hello')) as (stdin, stdout):
        stdin.write(rpc("<get-config><source><running/></source></get-config>").encode() + b"]]>]]>")
        reply = await stdout.readuntil(b"]]>]]>")
        assert reply.startswith(b"<rpc-reply")


async def test_prefixes_comments_and_cdata_mean_nothing(place: Any) -> None:
    text = f"""<?xml version="1.0"?>
    <n:rpc xmlns:n="{BASE}" message-id="&lt;1&gt;" xmlns:x="urn:x" x:y="&amp;"><!-- c --><?p?>
      <n:get-config><n:source><n:running/></n:source>
        <n:filter n:type="subtree"><e:qkd_node xmlns:e="{ETSI}"><e:qkdn_version/></e:qkd_node></n:filter>
      </n:get-config></n:rpc>"""
    async with channel(place) as (stdin, stdout):
        edit = (
            f"<edit-config><target><running/></target><config><qkd_node xmlns='{ETSI}'>"
            f"<qkdn_version><![CDATA[<1>]]>&#65;</qkdn_version></qkd_node></config></edit-config>"
        )
        assert "<ok/>" in await ask(stdin, stdout, rpc(edit))
        reply = await ask(stdin, stdout, text)
        assert 'message-id="&lt;1&gt;"' in reply
        assert "&lt;1&gt;A</qkdn_version>" in reply


async def test_nothing_but_the_subsystem_is_open(place: Any) -> None:
    async with shell(place) as connection:
        for wish in ({"command": "id"}, {}, {"subsystem": "sftp"}):
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.create_process(**wish)
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_connection("127.0.0.1", place.port)
        listener = None
        with suppress(asyncssh.ChannelListenError):
            listener = await connection.forward_remote_port("127.0.0.1", 0, "127.0.0.1", place.port)
        assert listener is None
