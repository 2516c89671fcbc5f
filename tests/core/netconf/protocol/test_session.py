"""The state machine of one session, both roles."""

import pytest

from keyweave_core.errors import MalformedMessage
from keyweave_core.netconf.protocol.framing import frame
from keyweave_core.netconf.protocol.messages import Hello, hello_bytes
from keyweave_core.netconf.protocol.session import Incoming, Opened, Role, Session, State, Unreadable

V0 = "urn:ietf:params:netconf:base:1.0"
V1 = "urn:ietf:params:netconf:base:1.1"


def server(*capabilities: str) -> Session:
    hello = Hello(capabilities=capabilities or (V0, V1), session_id=5)
    return Session(Role.SERVER, hello, max_message_bytes=1000)


def client(*capabilities: str) -> Session:
    return Session(Role.CLIENT, Hello(capabilities=capabilities or (V0, V1)), max_message_bytes=1000)


@pytest.mark.parametrize(
    ("mine", "theirs", "chunked"),
    [((V0, V1), (V0, V1), True), ((V0, V1), (V0,), False), ((V0, V1), (V1,), True)],
)
def test_framing_follows_the_newest_common_base(
    mine: tuple[str, ...], theirs: tuple[str, ...], chunked: bool
) -> None:
    left, right = server(*mine), client(*theirs)
    left.feed(right.start())
    right.feed(left.start())
    opened = right.next_event()
    assert isinstance(opened, Opened)
    assert opened.peer.session_id == 5
    assert isinstance(left.next_event(), Opened)
    assert left.chunked is right.chunked is chunked
    left.feed(right.frame(b"<a/>"))
    event = left.next_event()
    assert isinstance(event, Incoming)
    assert event.root.tag == "a"
    assert left.next_event() is None


def test_hello_and_first_rpc_may_come_in_one_packet_or_byte_by_byte() -> None:
    stream = client().start() + frame(b"<a/>", chunked=True) + frame(b"<b/>", chunked=True)
    whole, slow = server(), server()
    whole.feed(stream)
    assert [type(whole.next_event()) for _ in range(4)] == [Opened, Incoming, Incoming, type(None)]
    events = []
    for at in range(len(stream)):
        slow.feed(stream[at : at + 1])
        event = slow.next_event()
        if event is not None:
            events.append(type(event))
    assert events == [Opened, Incoming, Incoming]


@pytest.mark.parametrize(
    "first",
    [
        hello_bytes(Hello(capabilities=("urn:other",))),
        hello_bytes(Hello(capabilities=(V0,), session_id=4)),
        b'<rpc xmlns="urn:ietf:params:xml:ns:netconf:base:1.0" message-id="1"><get/></rpc>',
        b"<hello",
        b"<!DOCTYPE hello>" + hello_bytes(Hello(capabilities=(V0,))),
    ],
)
def test_a_server_ends_the_session_on_a_bad_start(first: bytes) -> None:
    session = server()
    session.feed(frame(first, chunked=False))
    with pytest.raises(MalformedMessage):
        session.next_event()
    assert session.state is State.CLOSED
    session.feed(client().start())
    assert session.next_event() is None


def test_a_client_wants_a_session_id() -> None:
    session = client()
    session.feed(frame(hello_bytes(Hello(capabilities=(V0,))), chunked=False))
    with pytest.raises(MalformedMessage, match="session-id"):
        session.next_event()


def test_bad_xml_in_sound_chunks_is_an_event_and_the_session_goes_on() -> None:
    session = server()
    session.feed(client().start() + frame(b"<a", chunked=True) + frame(b"<b/>", chunked=True))
    assert [type(session.next_event()) for _ in range(3)] == [Opened, Unreadable, Incoming]


def test_bad_xml_or_framing_that_cannot_be_trusted_ends_the_session() -> None:
    old = server(V0)
    old.feed(client().start() + frame(b"<a", chunked=False))
    old.next_event()
    with pytest.raises(MalformedMessage):
        old.next_event()
    new = server()
    new.feed(client().start() + b"\n#0\n")
    new.next_event()
    with pytest.raises(MalformedMessage):
        new.next_event()
    assert new.frame(b"<last/>").startswith(b"\n#7\n")
    assert new.buffered == 0
