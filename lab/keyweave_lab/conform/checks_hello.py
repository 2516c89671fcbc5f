"""Section A of the list: the subsystem, and the hellos."""

from dataclasses import replace

import asyncssh

from keyweave_core.errors import PeerUnreachable
from keyweave_core.netconf.deadline import within
from keyweave_lab.conform.bench import Bench
from keyweave_lab.conform.check import Failed, check, require
from keyweave_lab.conform.talk import Talk
from keyweave_lab.conform.wire import connect
from keyweave_lab.conform.xml import BASE, BASE_1_0, BASE_1_1, HELLO, PROBE, hello, local, parse, rpc, text_of


@check("A1.subsystem", "RFC 6242 3", "the subsystem 'netconf' opens and brings a hello")
async def subsystem(bench: Bench) -> str:
    async with bench.session(None) as talk:
        return f"hello of session {talk.session_id}"


@check("A1.others", "RFC 4254 6.5", "a subsystem that does not exist is refused")
async def other_subsystem(bench: Bench) -> str:
    ssh = await connect(bench.options.login, bench.clock)
    try:
        wish = ssh.create_session(asyncssh.SSHClientSession, subsystem="keyweave-conform-none", encoding=None)
        await within(bench.clock, wish, bench.options.message_limit_s, "neither granted nor refused")
    except asyncssh.Error as error:
        return f"refused: {error}"
    finally:
        ssh.abort()
        await ssh.wait_closed()
    raise Failed("granted")


@check("A1.login", "RFC 6242 2, RFC 4252", "a user who does not exist cannot log in")
async def stranger(bench: Bench) -> str:
    ours = bench.options.login
    nobody = replace(ours, user="keyweave-nobody", password="keyweave-none", keys=())  # noqa: S106
    try:
        ssh = await connect(nobody, bench.clock)
    except PeerUnreachable as error:
        return f"refused: {error}"
    ssh.abort()
    raise Failed("logged in")


@check("A2.unprompted", "RFC 6241 8.1", "the server's hello comes at once, before the client's")
async def unprompted(bench: Bench) -> str:
    async with bench.session(None) as talk:
        return f"{len(talk.greeting)} bytes before ours"


@check("A2.bases", "RFC 6241 8.1", "the hello names a base version, each capability once")
async def bases(bench: Bench) -> str:
    found = [uri for uri in (BASE_1_0, BASE_1_1) if uri in bench.capabilities]
    require(found, f"none among {len(bench.capabilities)} capabilities")
    twice = {uri for uri in bench.capabilities if bench.capabilities.count(uri) > 1}
    require(not twice, f"more than once: {', '.join(sorted(twice))}")
    return ", ".join(found)


@check("A2.session-id", "RFC 6241 8.1", "session-ids are 1..4294967295 and differ between open sessions")
async def session_ids(bench: Bench) -> str:
    async with bench.session() as one, bench.session() as other:
        for number in (one.session_id, other.session_id):
            fits = number.isascii() and number.isdigit() and 1 <= int(number) <= 4_294_967_295
            require(fits, f"session-id {number!r}")
        require(one.session_id != other.session_id, f"both sessions are {one.session_id}")
        return f"{one.session_id} and {other.session_id}"


@check("A2.shape", "RFC 6241 8.1", "the hello holds one <capabilities> and one <session-id>, nothing else")
async def shape(bench: Bench) -> str:
    async with bench.session(None) as talk:
        names = [local(child) for child in parse(talk.greeting).iterchildren("*")]
        require(sorted(names) == ["capabilities", "session-id"], f"children {names}")
        return ", ".join(names)


async def _accepted(bench: Bench, data: bytes) -> str:
    async with bench.session(data) as talk:
        answer = await talk.ask(PROBE)
        require(not answer.faults, answer.told)
        return f"accepted; {answer.told}"


@check("A3.prefix", "RFC 6241 8.1", "a hello with a namespace prefix is accepted")
async def prefixed(bench: Bench) -> str:
    text = HELLO.replace(b"<", b"<nc:").replace(b"<nc:/", b"</nc:").replace(b"xmlns=", b"xmlns:nc=")
    return await _accepted(bench, text)


@check("A3.declaration", "RFC 6241 3", "a hello with an XML declaration is accepted")
async def declaration(bench: Bench) -> str:
    return await _accepted(bench, b'<?xml version="1.0" encoding="UTF-8"?>' + HELLO)


@check("A3.line-feed", "RFC 6241 8.1", "white space around a hello is accepted")
async def line_feed(bench: Bench) -> str:
    return await _accepted(bench, b"\n" + HELLO.replace(b"]]>]]>", b"\n]]>]]>"))


@check("A3.unknown", "RFC 6241 8.1", "capabilities the server does not know are ignored")
async def unknown_capabilities(bench: Bench) -> str:
    return await _accepted(bench, hello(BASE_1_0, BASE_1_1, "urn:keyweave:conform:none", "http://x/y?z=1"))


@check(
    "A4.chunked",
    "RFC 6242 4.1",
    "both sides know base:1.1: chunks from the first rpc on",
    needs=("base:1.1",),
)
async def chunked(bench: Bench) -> str:
    return await _accepted(bench, hello(BASE_1_1)) + ", in chunks"


@check("A4.delimiter", "RFC 6242 4.1", "the client knows base:1.0 only: end-of-message framing throughout",
       needs=("base:1.0",))  # fmt: skip
async def delimited(bench: Bench) -> str:
    async with bench.session(hello(BASE_1_0)) as talk:
        for _ in range(2):
            answer = await talk.ask(PROBE)
            require(not answer.faults, answer.told)
        require(not answer.raw.startswith(b"\n#"), f"a chunk: {answer.raw[:40]!r}")
        return f"two replies; {answer.told}"


@check("A5", "RFC 6241 8.1", "no base version in common: closed, nothing is carried out")
async def no_common_base(bench: Bench) -> str:
    return await _closed(bench, hello("urn:ietf:params:netconf:base:9.9"))


@check("A6", "RFC 6241 8.1", "a client's hello with a session-id: closed")
async def hello_with_session_id(bench: Bench) -> str:
    return await _closed(bench, hello(BASE_1_0, BASE_1_1, extra="<session-id>7</session-id>"))


@check("A7", "RFC 6241 8.1", "an rpc before the client's hello: closed or refused, never carried out")
async def rpc_before_hello(bench: Bench) -> str:
    async with bench.session(None) as talk:
        talk.wire.send(rpc("<get-config><source><running/></source></get-config>") + b"]]>]]>")
        return await _refused_or_closed(talk, "rpc before hello")


@check("A7.garbage", "RFC 6241 8.1", "a first message that is no XML: closed")
async def garbage_hello(bench: Bench) -> str:
    async with bench.session(None) as talk:
        talk.wire.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n]]>]]>")
        return await talk.ended("no XML as hello")


@check("A8", "-", "a client that says nothing is dropped in time", needs=("option:hello_timeout_s",))
async def hello_timeout(bench: Bench) -> str:
    limit_s = (bench.options.hello_timeout_s or 0.0) + 2.0
    async with bench.session(None) as talk:
        return await talk.ended("silent client", limit_s) + f" within {limit_s:g} s"


@check("A14", "RFC 6242 4.1", "hello and first rpc in one packet: the rpc is answered", needs=("base:1.1",))
async def hello_and_rpc(bench: Bench) -> str:
    async with bench.session(None) as talk:
        talk.agree(HELLO)
        talk.wire.send(HELLO + talk.framed(rpc(PROBE)))
        answer = await talk.answer()
        require(not answer.faults, answer.told)
        return answer.told


@check("A19", "RFC 8332, RFC 8709", "the host key is no SHA-1 signature: ed25519, ECDSA or rsa-sha2")
async def host_key(bench: Bench) -> str:
    found = str(bench.facts.get("ssh", {}).get("host_key", ""))
    require(found not in ("", "ssh-dss"), f"host key {found or 'unknown'}")
    return f"{found}, {bench.facts['ssh']['server_version']}"


async def _closed(bench: Bench, data: bytes) -> str:
    async with bench.session(None) as talk:
        talk.wire.send(data)
        return await talk.ended("bad hello")


async def _refused_or_closed(talk: Talk, what: str) -> str:
    answer = await talk.next()
    if answer is None:
        return "closed"
    require(
        answer.root.tag == f"{{{BASE}}}rpc-reply" and answer.faults,
        f"{what}: {answer.told} {text_of(answer.root)[:80]}",
    )
    return f"refused: {answer.told}"
