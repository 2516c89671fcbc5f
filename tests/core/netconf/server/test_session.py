"""A server over a transport of lists: what a raw client sees, byte for byte where it matters."""

import asyncio
import gc
import random
from collections.abc import AsyncIterator, Callable

import pytest
import structlog
from lxml import etree

from keyweave_core.errors import Exhausted, SchemaViolation
from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.protocol.framing import frame
from keyweave_core.netconf.protocol.messages import Hello, hello_bytes
from keyweave_core.netconf.protocol.rpc_errors import BASE, RpcError
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.runtime.clock import ManualClock, date_and_time

NC = f"{{{BASE}}}"
NTF = "urn:ietf:params:xml:ns:netconf:notification:1.0"
MON = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
TINY = "urn:test:tiny"
LIMITS = NetconfLimits(
    max_message_bytes=20_000,
    max_sessions=3,
    pending_bytes=1000,
    notification_log_events=50,
    max_filter_elements=400,
)


class Peer:
    """A raw client."""

    def __init__(self, server: NetconfServer, transport, hello: bytes) -> None:
        self.transport = transport
        self.session = server.open_session(transport)
        self.hello = transport.messages()[0]
        if hello:
            self.session.data_received(hello)
            transport.framer.use_chunks()

    async def settle(self) -> list[etree._Element]:
        for _ in range(50):
            await asyncio.sleep(0)
        return self.transport.messages()

    async def raw(self, data: bytes) -> list[etree._Element]:
        self.session.data_received(data)
        return await self.settle()

    async def rpc(self, operation: str, attributes: str = 'message-id="1"') -> etree._Element:
        text = f'<rpc xmlns="{BASE}" {attributes}>{operation}</rpc>'
        (reply,) = await self.raw(frame(text.encode(), chunked=True))
        return reply

    async def error(self, operation: str) -> tuple[str, str, str | None]:
        """type, tag and bad-element of the one error."""
        (element,) = await self.rpc(operation)
        bad = element.findtext(f"{NC}error-info/{NC}bad-element")
        return element.findtext(f"{NC}error-type"), element.findtext(f"{NC}error-tag"), bad


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def server(xml, tiny, device, clock) -> AsyncIterator[NetconfServer]:
    running = list(xml("<node><id>n</id><links><link><id>1</id></link></links></node>"))
    server = NetconfServer(tiny, device, running, clock=clock, limits=LIMITS)
    yield server
    await server.close()


@pytest.fixture
async def peer(server, new_transport, hello) -> Peer:
    return Peer(server, new_transport(), hello)


@pytest.fixture
def another(server, new_transport, hello) -> Callable[[], Peer]:
    return lambda: Peer(server, new_transport(), hello)


def edit(config: str, target: str = "running") -> str:
    return (
        f"<edit-config><target><{target}/></target><config>"
        f'<node xmlns="{TINY}" xmlns:nc="{BASE}">{config}</node></config></edit-config>'
    )


async def test_the_hello_comes_at_once_and_names_modules_as_clients_need_it(peer) -> None:
    uris = [element.text for element in peer.hello.iter(f"{NC}capability")]
    assert (
        f"{BASE}?module=ietf-netconf&revision=2011-06-01&features=writable-running,candidate,confirmed-commit,"
        "rollback-on-error,validate,xpath" in uris
    )
    assert "urn:test:tiny?module=tiny&revision=2026-01-01" in uris
    assert not any("module=types" in uri or "module=ietf-yang-library&" in uri for uri in uris)
    assert any(
        uri.startswith("urn:ietf:params:netconf:capability:yang-library:1.1?revision=2019-01-04&content-id=")
        for uri in uris
    )
    assert int(peer.hello.findtext(f"{NC}session-id")) >= 1


async def test_pipelined_rpcs_are_answered_in_order_also_with_the_hello(server, new_transport, hello) -> None:
    transport = new_transport()
    transport_peer = Peer(server, transport, b"")
    rpcs = b"".join(
        frame(
            f'<rpc xmlns="{BASE}" message-id="{n}"><get-config><source><running/></source>'
            f"</get-config></rpc>".encode(),
            chunked=True,
        )
        for n in range(20)
    )
    transport.framer.use_chunks()
    replies = await transport_peer.raw(hello + rpcs)
    assert [reply.get("message-id") for reply in replies] == [str(n) for n in range(20)]


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        ("<fly/>", ("protocol", "operation-not-supported", None)),
        ("<fly xmlns='urn:none'/>", ("protocol", "unknown-namespace", "fly")),
        (f"<fly xmlns='{TINY}'/>", ("protocol", "operation-not-supported", None)),
        (f"<break xmlns='{TINY}'/>", ("application", "operation-failed", None)),
        ("", ("rpc", "missing-element", "rpc")),
        ("<get/><discard-changes/>", ("rpc", "bad-element", "discard-changes")),
        ("<get><colour/></get>", ("protocol", "unknown-element", "colour")),
        ("<get><filter type='xpath' select='[' /></get>", ("protocol", "bad-attribute", "filter")),
        ("<get-config/>", ("protocol", "missing-element", "source")),
        ("<get-config><source/></get-config>", ("protocol", "missing-element", "source")),
        (
            "<get-config><source><startup/></source></get-config>",
            ("protocol", "operation-not-supported", None),
        ),
        ("<get-config><source><moon/></source></get-config>", ("protocol", "unknown-element", "moon")),
        (
            "<get-config><source><running/><candidate/></source></get-config>",
            ("protocol", "bad-element", "source"),
        ),
        ("<edit-config><config/></edit-config>", ("protocol", "missing-element", "target")),
        ("<edit-config><target><running/></target></edit-config>", ("protocol", "missing-element", "config")),
        (
            "<edit-config><target><running/></target><default-operation>delete</default-operation><config/></edit-config>",
            ("protocol", "invalid-value", "default-operation"),
        ),
        (
            "<edit-config><target><running/></target><test-option>maybe</test-option><config/></edit-config>",
            ("protocol", "invalid-value", "test-option"),
        ),
        (
            "<edit-config><target><running/></target><error-option>cry</error-option><config/></edit-config>",
            ("protocol", "invalid-value", "error-option"),
        ),
        (edit("<moon/>"), ("application", "unknown-element", "moon")),
        (edit("<version>667</version>"), ("application", "operation-failed", None)),
        (
            "<copy-config><source><running/></source><target><running/></target></copy-config>",
            ("protocol", "invalid-value", "target"),
        ),
        (
            "<delete-config><target><running/></target></delete-config>",
            ("protocol", "operation-not-supported", None),
        ),
        ("<commit><persist>x</persist></commit>", ("protocol", "missing-element", "confirmed")),
        ("<cancel-commit/>", ("protocol", "operation-failed", None)),
        ("<unlock><target><running/></target></unlock>", ("protocol", "operation-failed", None)),
        (
            "<kill-session><session-id>99</session-id></kill-session>",
            ("protocol", "invalid-value", "session-id"),
        ),
        (
            "<kill-session><session-id>1</session-id></kill-session>",
            ("protocol", "invalid-value", "session-id"),
        ),
        ("<kill-session/>", ("protocol", "missing-element", "session-id")),
        (
            f"<get-schema xmlns='{MON}'><identifier>moon</identifier></get-schema>",
            ("application", "invalid-value", "identifier"),
        ),
        (
            f"<get-schema xmlns='{MON}'><identifier>twice</identifier></get-schema>",
            ("application", "operation-failed", None),
        ),
        (
            f"<get-schema xmlns='{MON}'><identifier>tiny</identifier><format>yin</format></get-schema>",
            ("application", "invalid-value", "format"),
        ),
        (
            f"<create-subscription xmlns='{NTF}'><stream>SNOW</stream></create-subscription>",
            ("protocol", "invalid-value", "stream"),
        ),
        (
            (
                f"<create-subscription xmlns='{NTF}'><stopTime>2020-01-01T00:00:00Z</stopTime>"
                f"</create-subscription>"
            ),
            ("protocol", "missing-element", "startTime"),
        ),
        (
            (
                f"<create-subscription xmlns='{NTF}'><startTime>2020-01-02T00:00:00Z</startTime>"
                f"<stopTime>2020-01-01T00:00:00Z</stopTime></create-subscription>"
            ),
            ("protocol", "bad-element", "stopTime"),
        ),
        (
            (
                f"<create-subscription xmlns='{NTF}'><startTime>2099-01-01T00:00:00Z</startTime>"
                f"</create-subscription>"
            ),
            ("protocol", "bad-element", "startTime"),
        ),
        (
            f"<create-subscription xmlns='{NTF}'><startTime>noon</startTime></create-subscription>",
            ("protocol", "invalid-value", "startTime"),
        ),
    ],
)
async def test_a_bad_rpc_is_answered_by_the_standards_error_and_the_session_goes_on(
    peer, operation, error
) -> None:
    assert await peer.error(operation) == error
    assert (await peer.rpc("<discard-changes/>"))[0].tag == f"{NC}ok"


async def test_attributes_are_echoed_and_a_missing_message_id_is_an_error(peer) -> None:
    reply = await peer.rpc("<discard-changes/>", 'message-id="&lt;&amp;" xmlns:x="urn:x" x:who="me"')
    assert dict(reply.attrib) == {"message-id": "<&", "{urn:x}who": "me"}
    reply = await peer.rpc("<discard-changes/>", "")
    assert reply.find(f"{NC}rpc-error/{NC}error-tag").text == "missing-attribute"
    assert "message-id" not in reply.attrib


@pytest.mark.parametrize(
    "text",
    [
        b"<rpc",
        b"<!DOCTYPE rpc []><rpc/>",
        b'<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/passwd">]><rpc message-id="1">&e;</rpc>',
        b"<a>" * 300,
        b"\xff\xff",
        hello_bytes(Hello(capabilities=())),
    ],
)
async def test_a_message_that_cannot_be_read_is_answered_and_the_session_goes_on(peer, text: bytes) -> None:
    (reply,) = await peer.raw(frame(text, chunked=True))
    assert reply.findtext(f"{NC}rpc-error/{NC}error-tag") == "malformed-message"
    assert (await peer.rpc("<discard-changes/>"))[0].tag == f"{NC}ok"


@pytest.mark.parametrize("data", [b"\n#0\n", b"\n#99999\n", b"<rpc/>", b"]]>]]>", b"\n#5\n<rpc>\n##X"])
async def test_bad_framing_is_told_and_ends_the_session(peer, data: bytes) -> None:
    (reply,) = await peer.raw(data)
    assert reply.findtext(f"{NC}rpc-error/{NC}error-tag") == "malformed-message"
    assert peer.transport.closed
    assert peer.session.ended


async def test_a_message_that_never_ends_is_cut_at_the_bound(peer) -> None:
    assert await peer.raw(b"\n#10000\n" + b"<a>" * 3333 + b"<") == []
    (reply,) = await peer.raw(b"\n#10001\n")
    assert "20000" in reply.findtext(f"{NC}rpc-error/{NC}error-message")
    assert peer.transport.closed


async def test_a_hello_that_never_ends_or_never_comes_ends_the_session(server, new_transport, clock) -> None:
    endless, silent = Peer(server, new_transport(), b""), Peer(server, new_transport(), b"")
    for _ in range(11):
        await endless.raw(b"<a>" * 700)
    assert endless.transport.closed
    await silent.settle()
    await clock.advance(9.9)
    assert not silent.transport.closed
    await clock.advance(0.2)
    assert silent.transport.closed
    assert server.facts() == []


async def test_an_idle_session_is_kept(peer, clock) -> None:
    await peer.settle()
    await clock.advance(1_000_000)
    assert (await peer.rpc("<discard-changes/>"))[0].tag == f"{NC}ok"


async def test_more_sessions_than_allowed_are_refused_and_places_become_free(peer, another) -> None:
    second, third = another(), another()
    with pytest.raises(Exhausted):
        another()
    await third.rpc("<close-session/>")
    assert len({peer.session.session_id, second.session.session_id, another().session.session_id}) == 3


async def test_input_is_held_back_while_an_rpc_is_at_work_and_replies_wait_for_their_reader(peer) -> None:
    await peer.settle()
    peer.session.pause_writing()
    one = frame(f'<rpc xmlns="{BASE}" message-id="1"><discard-changes/></rpc>'.encode(), chunked=True)
    replies = await peer.raw(one)
    assert len(replies) == 1
    assert await peer.raw(one * 12) == []
    assert peer.transport.reading_paused == 1
    peer.session.resume_writing()
    assert len(await peer.settle()) == 12
    assert peer.transport.reading_paused == 0


async def test_the_end_of_input_is_answered_before_the_session_ends(peer) -> None:
    peer.session.data_received(
        frame(f'<rpc xmlns="{BASE}" message-id="1"><get/></rpc>'.encode(), chunked=True)
    )
    peer.session.eof_received()
    assert len(await peer.settle()) == 1
    assert peer.transport.closed


@pytest.mark.parametrize("how", ["close-session", "eof", "lost", "killed"])
async def test_whatever_ends_a_session_frees_its_locks(peer, another, how: str) -> None:
    other = another()
    await other.settle()
    await peer.rpc("<lock><target><running/></target></lock>")
    assert (await other.error("<lock><target><running/></target></lock>"))[1] == "lock-denied"
    match how:
        case "close-session":
            assert (await peer.rpc("<close-session/>"))[0].tag == f"{NC}ok"
        case "eof":
            peer.session.eof_received()
        case "lost":
            peer.session.connection_lost(ConnectionResetError())
        case "killed":
            await other.rpc(
                f"<kill-session><session-id>{peer.session.session_id}</session-id></kill-session>"
            )
    await peer.settle()
    assert peer.transport.closed
    assert (await other.rpc("<lock><target><running/></target></lock>"))[0].tag == f"{NC}ok"


async def test_a_peer_that_does_not_take_the_end_is_aborted(peer, clock) -> None:
    await peer.settle()
    peer.session.end("test")
    await peer.settle()
    await clock.advance(6)
    assert peer.transport.aborted


async def test_get_lays_state_over_configuration_and_makes_only_what_is_asked(peer, device) -> None:
    device.facts = (
        f'<node xmlns="{TINY}"><status>UP</status><version>seen</version><links><link>'
        f"<id>01</id><perf><qber>1</qber></perf></link><link><id>8</id></link></links></node>"
    )
    await peer.rpc(edit("<version>wish</version>"))
    reply = await peer.rpc(f"<get><filter><node xmlns='{TINY}'/></filter></get>")
    node = reply[0][0]
    t = f"{{{TINY}}}"
    assert (node.findtext(f"{t}version"), node.findtext(f"{t}status"), node.findtext(f"{t}id")) == (
        "seen",
        "UP",
        "n",
    )
    assert [link.findtext(f"{t}id") for link in node.iter(f"{t}link")] == ["1", "8"]
    assert node.findtext(f"{t}links/{t}link/{t}perf/{t}qber") == "1"
    config = await peer.rpc("<get-config><source><running/></source></get-config>")
    assert config[0][0].findtext(f"{t}version") == "wish"
    calls = device.states
    monitoring = await peer.rpc(
        f"<get><filter><netconf-state xmlns='{MON}'><sessions/></netconf-state></filter></get>"
    )
    assert [etree.QName(e).localname for e in monitoring[0][0]] == ["sessions"]
    assert device.states == calls
    assert len((await peer.rpc("<get><filter/></get>"))[0]) == 0
    everything = await peer.rpc("<get/>")
    assert [etree.QName(e).localname for e in everything[0]] == [
        "node",
        "netconf-state",
        "yang-library",
        "modules-state",
        "netconf",
        "streams",
        "subscriptions",
    ]


async def test_operations_of_the_device(peer) -> None:
    assert (await peer.rpc(f"<ping xmlns='{TINY}'/>"))[0].text == "tester"
    assert (await peer.rpc(f"<reset xmlns='{TINY}'/>"))[0].tag == f"{NC}ok"


async def test_running_is_valid_from_the_start(tiny, device, clock) -> None:
    with pytest.raises(SchemaViolation):
        NetconfServer(tiny, device, [], clock=clock)


async def test_the_device_may_change_running(server, peer, xml) -> None:
    await server.change_running(list(xml("<node><id>n</id><version>own</version></node>")))
    assert server.running()[0].findtext(f"{{{TINY}}}version") == "own"


async def test_monitoring_counts(peer, another) -> None:
    await peer.rpc("<lock><target><candidate/></target></lock>")
    await peer.error("<fly/>")
    await peer.raw(frame(b"<rpc", chunked=True))
    reply = await peer.rpc(f"<get><filter><netconf-state xmlns='{MON}'/></filter></get>")
    state = reply[0][0]
    m = f"{{{MON}}}"
    session = state.find(f"{m}sessions/{m}session")
    got = {etree.QName(child).localname: child.text for child in session}
    assert got | {"in-rpcs": "1", "in-bad-rpcs": "1", "out-rpc-errors": "1", "username": "tester"} == got
    assert state.findtext(f".//{m}locked-by-session") == got["session-id"]
    schemas = {(s.findtext(f"{m}identifier"), s.findtext(f"{m}version")) for s in state.iter(f"{m}schema")}
    assert {
        ("tiny", "2026-01-01"),
        ("twice", "2025-01-01"),
        ("twice", "2026-01-01"),
        ("ietf-netconf", "2011-06-01"),
    } <= schemas
    assert date_and_time(1_700_000_000) == state.findtext(f"{m}statistics/{m}netconf-start-time")


async def test_what_changes_something_or_tried_to_leaves_a_line_in_the_log(peer) -> None:
    with structlog.testing.capture_logs() as lines:
        peer.session._log = structlog.get_logger().bind(user="tester", session=1)
        await peer.rpc("<get/>")
        await peer.rpc(edit("<version>1</version>"))
        await peer.rpc(edit("<moon/>"), 'message-id="m2"')
        await peer.rpc("<fly/>")
    told = [line for line in lines if line["event"] == "netconf operation"]
    assert [line["operation"].partition("}")[2] for line in told] == ["edit-config", "edit-config", "fly"]
    assert told[0]["outcome"] == "ok"
    assert told[1]["outcome"].startswith("unknown-element")
    assert (told[1]["message_id"], told[1]["user"], told[1]["session"]) == ("m2", "tester", 1)


async def test_mutated_messages_get_one_reply_each_and_never_end_the_session(peer) -> None:
    rng = random.Random(20261121)  # noqa: S311 - the same mutations at every run
    originals = [
        f'<rpc xmlns="{BASE}" message-id="1">{inner}</rpc>'.encode()
        for inner in (
            edit("<version>1</version><links><link nc:operation='create'><id>4</id></link></links>"),
            (
                f"<get><filter type='subtree'><node xmlns='{TINY}'><links><link><id>1</id></link>"
                f"</links></node></filter></get>"
            ),
            "<get-config><source><running/></source></get-config>",
            f"<get-schema xmlns='{MON}'><identifier>tiny</identifier></get-schema>",
            "<copy-config><target><candidate/></target><source><config/></source></copy-config>",
            "<validate><source><config><node xmlns='urn:test:tiny'/></config></source></validate>",
        )
    ]
    for _ in range(400):
        data = bytearray(rng.choice(originals))
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data))
            match rng.randrange(3):
                case 0:
                    data[at] = rng.choice(b"<>/\"'= :x0&\x00\xff")
                case 1:
                    del data[at : at + rng.randint(1, 9)]
                case _:
                    data[at:at] = data[at : at + rng.randint(1, 30)]
        replies = await peer.raw(frame(bytes(data), chunked=True))
        assert len(replies) == 1
        assert replies[0].tag == f"{NC}rpc-reply"
    assert not peer.session.ended
    assert (await peer.rpc("<discard-changes/>"))[0].tag == f"{NC}ok"


async def test_messages_of_too_many_elements_or_too_deep_are_refused(
    xml, tiny, device, clock, new_transport, hello
) -> None:
    limits = NetconfLimits(max_elements=100, max_depth=10)
    server = NetconfServer(tiny, device, list(xml("<node><id>n</id></node>")), clock=clock, limits=limits)
    peer = Peer(server, new_transport(), hello)
    config = "<edit-config><target><running/></target><config>{}</config></edit-config>"
    node = f'<node xmlns="{TINY}">{{}}</node>'
    assert (await peer.rpc(config.format(node.format("<tag>x</tag>"))))[0].tag == f"{NC}ok"
    tags = "".join(f"<tag>{n}</tag>" for n in range(100))
    for fill in (tags, "<a>" * 20 + "</a>" * 20):
        assert await peer.error(config.format(node.format(fill))) == ("rpc", "too-big", None)
    assert (await peer.rpc("<get/>"))[0].tag == f"{NC}data"  # and the session goes on
    await server.close()


async def test_an_idle_session_ends_and_a_subscribed_one_does_not(
    xml, tiny, device, clock, new_transport, hello
) -> None:
    limits = NetconfLimits(idle_timeout_s=60)
    server = NetconfServer(tiny, device, list(xml("<node><id>n</id></node>")), clock=clock, limits=limits)
    idle, busy, listening = (Peer(server, new_transport(), hello) for _ in range(3))
    await listening.rpc(f'<create-subscription xmlns="{NTF}"/>')
    for _ in range(5):
        await busy.rpc("<get/>")
        await clock.advance(50)
        await busy.settle()
    assert idle.session.ended
    assert not busy.session.ended
    await clock.advance(200)
    await busy.settle()
    assert busy.session.ended
    assert not listening.session.ended
    await server.close()


@pytest.mark.parametrize(
    "operation",
    [
        '<foo xmlns="urn:x"/>',
        edit(f'<node xmlns="{TINY}"><no/></node>'),
        edit(f'<node xmlns="{TINY}" xmlns:nc="{BASE}"><id nc:operation="delete"/></node>'),
        "<get><filter type='xpath' select='//*['/></get>",
    ],
)
async def test_what_was_refused_is_forgotten_without_the_collector(peer, operation: str) -> None:
    gc.collect()
    gc.disable()  # a big message that only the collector finds is a leak to whoever sends many
    try:
        await peer.error(operation)
        kept = [thing for thing in gc.get_objects() if isinstance(thing, RpcError | SchemaViolation)]
    finally:
        gc.enable()
    assert kept == []


async def test_a_filter_of_very_many_elements_is_refused(peer) -> None:
    (refused,) = await peer.rpc("<get><filter>" + "<a/>" * 401 + "</filter></get>")
    assert refused.findtext(f"{NC}error-tag") == "resource-denied"
    assert "400 elements" in refused.findtext(f"{NC}error-message")


class Dear(ManualClock):
    """Every look at this clock costs time, as an rpc with much to do does."""

    def monotonic(self) -> float:
        self.looks = getattr(self, "looks", 0) + 1
        return super().monotonic() + self.looks


async def test_after_a_dear_rpc_others_have_their_turn(tiny, device, xml, new_transport, hello) -> None:
    server = NetconfServer(tiny, device, list(xml("<node><id>n</id></node>")), clock=Dear(), limits=LIMITS)
    one, other = (Peer(server, new_transport(), hello) for _ in range(2))
    await one.settle(), await other.settle()
    rpc = frame(f'<rpc xmlns="{BASE}" message-id="1"><get/></rpc>'.encode(), chunked=True)
    one.session.data_received(rpc * 4)
    other.session.data_received(rpc)
    while not (answered := other.transport.messages()):
        await asyncio.sleep(0)
    assert answered
    assert len(one.transport.messages()) < 4
    await server.close()
