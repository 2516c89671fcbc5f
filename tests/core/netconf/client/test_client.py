"""Our client against our server over real SSH on loopback, and against servers that misbehave."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import asyncssh
import pytest
from lxml import etree

from keyweave_core.errors import DeadlineExceeded, Exhausted, MalformedMessage, PeerUnreachable, SettingsError
from keyweave_core.netconf.client.client import NetconfClient, connect
from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.protocol.framing import frame
from keyweave_core.netconf.protocol.messages import Hello, Notification, hello_bytes, parse_xml
from keyweave_core.netconf.protocol.peer import Capabilities
from keyweave_core.netconf.protocol.rpc_errors import BASE, RpcError
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.netconf.ssh.passwords import SALT_BYTES, hash_password
from keyweave_core.runtime.clock import SystemClock

TINY = "urn:test:tiny"
T = f"{{{TINY}}}"
LIMITS = NetconfLimits(max_sessions=3, rpc_timeout_s=10, notification_queue=5)
CLOCK = SystemClock()
USER = asyncssh.generate_private_key("ssh-ed25519")
HOST = asyncssh.generate_private_key("ssh-ed25519")
SECRET = hash_password("secret", bytes(SALT_BYTES))


def tiny(inner: str = "") -> etree._Element:
    return parse_xml(f'<node xmlns="{TINY}" xmlns:nc="{BASE}">{inner}</node>'.encode())


@dataclass
class Place:
    server: NetconfServer
    port: int

    async def connect(self, **changes) -> NetconfClient:
        given = {
            "username": "ctl",
            "key": USER,
            "host_key": HOST.convert_to_public(),
            "clock": CLOCK,
            "limits": LIMITS,
        }
        return await connect("127.0.0.1", self.port, **(given | changes))


@pytest.fixture
async def place(xml, tiny, device) -> AsyncIterator[Place]:
    server = NetconfServer(tiny, device, list(xml("<node><id>n</id></node>")), clock=CLOCK, limits=LIMITS)
    public = USER.convert_to_public().export_public_key().decode()
    private = HOST.export_private_key().decode()
    port = await server.start_ssh("127.0.0.1", 0, [private], {"ctl": [public]}, passwords={"old": SECRET})
    yield Place(server, port)
    await server.close()


async def test_every_operation(place: Place) -> None:
    async with await place.connect() as client:
        assert client.session_id >= 1
        caps = client.capabilities
        assert caps.base_1_1
        assert caps.candidate
        assert caps.writable_running
        assert caps.validate
        assert caps.notification
        assert caps.interleave
        assert caps.modules["tiny"].revision == "2026-01-01"
        assert caps.library_id
        await client.lock("candidate")
        await client.edit_config("candidate", tiny("<version>1</version>"), default_operation="merge")
        await client.validate()
        await client.discard()
        await client.edit_config("candidate", [tiny("<version>2</version>")], test_option="test-then-set")
        await client.commit()
        await client.unlock("candidate")
        await client.validate(tiny("<id>x</id>"))
        (config,) = await client.get_config("running", tiny("<version/>"))
        assert [child.text for child in config] == ["2"]
        (node,) = await client.get(tiny())
        assert node.findtext(f"{T}id") == "n"
        assert "module tiny" in await client.get_schema("tiny", "2026-01-01")
        reply = await client.rpc(parse_xml(f'<ping xmlns="{TINY}"/>'.encode()))
        assert reply[0].text == "ctl"
        with pytest.raises(RpcError) as caught:
            await client.edit_config("running", tiny("<moon/>"), error_option="rollback-on-error")
        assert (caught.value.tag, caught.value.path) == ("unknown-element", "/tiny:node")
    assert await client.ended() is None
    with pytest.raises(PeerUnreachable):
        await client.get()
    await client.close()


async def test_many_rpcs_in_flight_find_their_replies(place: Place) -> None:
    async with await place.connect() as client:

        async def one(n: int) -> str:
            if n % 3 == 0:
                with pytest.raises(RpcError) as caught:
                    await client.get_schema(f"missing-{n}")
                return f"missing-{n}" if f"missing-{n}" in caught.value.message else ""
            await client.get_config()
            return f"missing-{n}"

        assert await asyncio.gather(*(one(n) for n in range(60))) == [f"missing-{n}" for n in range(60)]


async def test_a_reply_of_megabytes_and_rpcs_beside_it(place: Place) -> None:
    links = "".join(f"<link><id>{n}</id><hop>{'h' * 200}</hop></link>" for n in range(10_000))
    async with await place.connect() as client, await place.connect() as other:
        await client.edit_config("running", tiny(f"<links>{links}</links>"))
        big = asyncio.gather(*(client.get_config() for _ in range(3)))
        await asyncio.gather(*(other.get_config(filter=tiny("<id/>")) for _ in range(20)))
        for (node,) in await big:
            assert len(node.find(f"{T}links")) == 10_000


async def test_notifications_come_beside_replies_and_in_order(place: Place) -> None:
    async with await place.connect() as client:
        await client.create_subscription(filter=parse_xml(b'<e xmlns="urn:e"/>'))
        for n in range(5):
            place.server.publish(parse_xml(f'<e xmlns="urn:e">{n}</e>'.encode()))
            place.server.publish(parse_xml(b'<other xmlns="urn:e"/>'))
            await client.get_config()
        stream = client.notifications()
        assert [(await anext(stream)).content.text for _ in range(5)] == list("01234")
        with pytest.raises(RpcError) as caught:
            await client.create_subscription()
        assert caught.value.tag == "in-use"
        await client.close()
        assert [item async for item in stream] == []


async def test_replay_and_callback(place: Place) -> None:
    place.server.publish(parse_xml(b'<e xmlns="urn:e">old</e>'), CLOCK.now() - 10)
    got: list[str] = []
    async with await place.connect() as client:
        await client.create_subscription(
            start_time="2020-01-01T00:00:00Z",
            stop_time="2020-01-02T00:00:00+01:00",
            on_notification=lambda n: got.append(etree.QName(n.content).localname),
        )
        await client.get_config()
        assert got == ["replayComplete", "notificationComplete"]
        await client.create_subscription(
            start_time="2020-01-01T00:00:00Z", on_notification=lambda n: got.append(n.content.text or "")
        )
        await client.get_config()
        assert got[2:] == ["old", "", ""]  # the start of this session is an event, too


async def test_a_consumer_that_takes_nothing_loses_the_session_not_the_memory(place: Place) -> None:
    client = await place.connect()
    await client.create_subscription()
    for _ in range(10):
        place.server.publish(parse_xml(b'<e xmlns="urn:e"/>'))
    assert isinstance(await client.ended(), Exhausted)
    stream = client.notifications()
    for _ in range(5):
        await anext(stream)
    with pytest.raises(Exhausted):
        await anext(stream)
    await client.close()


async def test_whoever_reads_too_slowly_is_dropped_by_the_server(xml, tiny, device) -> None:
    limits = replace(LIMITS, notification_log_events=20, notification_queue=100_000)
    server = NetconfServer(tiny, device, list(xml("<node><id>n</id></node>")), clock=CLOCK, limits=limits)
    port = await server.start_ssh("127.0.0.1", 0, [HOST], {"ctl": [USER.convert_to_public()]})
    place = Place(server, port)
    slow, quick = await place.connect(limits=limits), await place.connect(limits=limits)
    await slow.create_subscription()
    count = 0

    def taken(notification: Notification) -> None:
        nonlocal count
        count += notification.content.tag == "{urn:e}e"

    await quick.create_subscription(on_notification=taken)
    slow._connection.transport.pause_reading()
    content = parse_xml(f'<e xmlns="urn:e">{"x" * 50_000}</e>'.encode())
    for _ in range(100):
        server.publish(content)
        await quick.get_config(filter=parse_xml(b'<x xmlns="urn:none"/>'))
    assert count == 100
    assert [facts.session_id for facts in server.facts()] == [quick.session_id]
    assert isinstance(await slow.ended(), PeerUnreachable)
    await quick.close()
    await slow.close()
    await server.close()


async def test_killed_and_lost_sessions_tell_everyone_who_waits(place: Place) -> None:
    victim, other = await place.connect(), await place.connect()
    stream = victim.notifications()
    waiting = asyncio.ensure_future(anext(stream))
    await victim.lock()
    await other.kill_session(victim.session_id)
    assert isinstance(await victim.ended(), PeerUnreachable)
    with pytest.raises(PeerUnreachable):
        await waiting
    with pytest.raises(PeerUnreachable):
        await victim.get_config()
    await other.lock()
    await place.server.close()
    assert isinstance(await other.ended(), PeerUnreachable)
    await victim.close()
    await other.close()


async def test_who_may_come_in(place: Place) -> None:
    stranger = asyncssh.generate_private_key("ssh-ed25519")
    for changes in (
        {"key": stranger},
        {"username": "root"},
        {"host_key": stranger.convert_to_public()},
        {"username": "old", "key": None, "password": "wrong"},
        {"username": "ctl", "key": None, "password": ""},
        {"limits": LIMITS, "username": "old", "key": USER},
    ):
        with pytest.raises(PeerUnreachable):
            await place.connect(**changes)
    async with await place.connect(username="old", key=None, password="secret") as client:
        await client.get_config()
    with pytest.raises(SettingsError):
        await place.connect(host_key="no key")
    with pytest.raises(SettingsError):
        await place.server.start_ssh("127.0.0.1", 0, ["no key"], {})
    with pytest.raises(PeerUnreachable, match="cannot listen"):
        await place.server.start_ssh("127.0.0.1", place.port, [HOST], {})


async def test_one_session_too_many_is_refused_cleanly_and_its_place_can_be_taken_later(place: Place) -> None:
    clients = [await place.connect() for _ in range(3)]
    with pytest.raises(PeerUnreachable):
        await place.connect()
    await clients.pop().close()
    clients.append(await place.connect())
    for client in clients:
        await client.get_config()
        await client.close()


async def test_nobody_listens() -> None:
    with pytest.raises(PeerUnreachable):
        await connect("127.0.0.1", 1, username="u", key=USER, host_key=HOST, clock=CLOCK, limits=LIMITS)


class FakePeer(asyncssh.SSHServer):
    """Accepts everybody; plays `script`, a function from received bytes to bytes to send."""

    def __init__(self, script: Callable[[bytes], bytes]) -> None:
        self.script = script

    def begin_auth(self, username: str) -> bool:
        return False

    def session_requested(self):
        async def play(stdin, stdout, _stderr) -> None:
            data = b""
            while True:
                answer = self.script(data)
                if answer == b"END":
                    stdout.channel.exit(1)
                    return
                stdout.write(answer)
                data = await stdin.read(100_000)
                if not data:
                    return

        return play


@asynccontextmanager
async def fake_server(script: Callable[[bytes], bytes]) -> AsyncIterator[int]:
    acceptor = await asyncssh.create_server(
        lambda: FakePeer(script), "127.0.0.1", 0, server_host_keys=[HOST], encoding=None, config=None
    )
    try:
        yield acceptor.get_port()
    finally:
        acceptor.close()
        await acceptor.wait_closed()


def fake_hello(*capabilities: str) -> bytes:
    return frame(hello_bytes(Hello(capabilities=capabilities, session_id=1)), chunked=False)


async def reach(port: int, **changes) -> NetconfClient:
    limits = replace(LIMITS, hello_timeout_s=0.3, rpc_timeout_s=0.3, **changes)
    return await connect("127.0.0.1", port, username="u", key=USER, host_key=HOST, clock=CLOCK, limits=limits)


@pytest.mark.parametrize(
    ("first", "error"),
    [
        (b"", DeadlineExceeded),
        (b"END", PeerUnreachable),
        (b"SSH says no]]>]]>", MalformedMessage),
        (fake_hello("urn:nothing"), MalformedMessage),
        (b"x" * 5000, MalformedMessage),
    ],
)
async def test_a_server_without_a_proper_hello(first: bytes, error: type[Exception]) -> None:
    async with fake_server(lambda data: b"" if data else first) as port:
        with pytest.raises(error):
            await reach(port, max_message_bytes=4096)


async def test_a_server_that_knows_base_1_0_only() -> None:
    def script(data: bytes) -> bytes:
        if not data:
            return fake_hello("urn:ietf:params:netconf:base:1.0")
        number = data.rpartition(b'message-id="')[2].partition(b'"')[0].decode()
        if "<rpc" not in data.decode():
            return b""
        return frame(
            f'<r:rpc-reply xmlns:r="{BASE}" message-id="{number}"><r:ok/></r:rpc-reply>'.encode(),
            chunked=False,
        )

    async with fake_server(script) as port, await reach(port) as client:
        assert not client.capabilities.base_1_1
        await client.commit()
        await client.lock()
        with pytest.raises(MalformedMessage, match="without <data>"):
            await client.get_config()


async def test_a_server_that_answers_nothing_or_nonsense() -> None:
    hello = fake_hello("urn:ietf:params:netconf:base:1.1")
    async with fake_server(lambda data: b"" if data else hello) as port:
        client = await reach(port)
        with pytest.raises(DeadlineExceeded, match="commit"):
            await client.commit()
        await client.close(timeout_s=0.1)
    async with fake_server(lambda data: b"junk" if b"<rpc" in data else (b"" if data else hello)) as port:
        client = await reach(port)
        with pytest.raises(MalformedMessage):
            await client.commit()
        assert isinstance(await client.ended(), MalformedMessage)
        await client.close()


async def test_an_error_that_names_no_rpc_goes_to_the_oldest_and_warnings_are_no_errors() -> None:
    nameless = (
        f'<rpc-reply xmlns="{BASE}"><rpc-error><error-tag>malformed-message</error-tag>'
        f"</rpc-error></rpc-reply>"
    )
    warning = (
        f'<rpc-reply xmlns="{BASE}" message-id="2"><ok/><rpc-error><error-severity>'
        f"warning</error-severity></rpc-error></rpc-reply>"
    )
    answers = [nameless, warning]

    def script(data: bytes) -> bytes:
        if not data:
            return fake_hello("urn:ietf:params:netconf:base:1.1")
        return frame(answers.pop(0).encode(), chunked=True) if b"<rpc" in data and answers else b""

    async with fake_server(script) as port:
        client = await reach(port)
        with pytest.raises(RpcError, match="malformed-message"):
            await client.commit()
        await client.commit()
        await client.close(timeout_s=0.1)


def test_capabilities_are_told_by_whole_names() -> None:
    trap = Capabilities(
        (
            f"{BASE}?module=ietf-netconf&amp;revision=2011-06-01&amp;features=writable-running,candidate",
            "urn:ietf:params:netconf:capability:candidate:1.0",
            "urn:ietf:params:netconf:capability:yang-library:1.0?revision=2016-06-21&module-set-id=77",
        )
    )
    assert (trap.candidate, trap.writable_running, trap.library_id) == (True, False, "77")
    assert trap.modules["ietf-netconf"].features == {"writable-running", "candidate"}
    assert Capabilities(()).library_id is None


async def test_a_server_that_stops_reading_does_not_hold_an_rpc_for_ever(place: Place) -> None:
    async with await place.connect() as client:
        client._session.pause_writing()
        with pytest.raises(DeadlineExceeded, match="does not read"):
            await client.get(timeout_s=0.05)
        client._session.resume_writing()
        assert await client.get_config()
