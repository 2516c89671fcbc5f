"""What a server tells of itself in its stream (RFC 6470)."""

import pytest
from lxml import etree
from tests.core.netconf.server.subscriptions.conftest import TINY, Subscriber

from keyweave_core.netconf.protocol.framing import frame
from keyweave_core.netconf.protocol.messages import Hello, hello_bytes, parse_xml
from keyweave_core.netconf.protocol.rpc_errors import BASE
from keyweave_core.netconf.server.events.notices import MAX_EDITS
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.runtime.clock import ManualClock

N = "{urn:ietf:params:xml:ns:yang:ietf-netconf-notifications}"
NTF = "urn:ietf:params:xml:ns:netconf:notification:1.0"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def server(xml, tiny, device, clock):
    server = NetconfServer(tiny, device, list(xml("<node><id>n</id></node>")), clock=clock)
    yield server
    await server.close()


@pytest.fixture
def another(server, new_transport, hello):
    return lambda: Subscriber(server, new_transport(), hello)


@pytest.fixture
async def listener(another) -> Subscriber:
    found = another()
    await found.settle()
    await found.ok(f'<create-subscription xmlns="{NTF}"/>')
    return found


def told(notice: etree._Element) -> dict[str, str]:
    return {etree.QName(e).localname: (e.text or "").strip() for e in notice.iter() if e is not notice}


async def test_sessions_begin_and_end(listener, another) -> None:
    other = another()
    await other.settle()
    assert await listener.news() == ["netconf-session-start"]
    number = str(other.session.session_id)
    assert told(listener.last[0]) == {"username": "tester", "session-id": number, "source-host": "192.0.2.1"}
    await other.ok("<close-session/>")
    assert await listener.news() == ["netconf-session-end"]
    assert told(listener.last[0])["termination-reason"] == "closed"
    assert told(listener.last[0])["session-id"] == number


async def test_why_a_session_ended(listener, another, server, new_transport, clock) -> None:
    async def reason() -> dict[str, str]:
        names = await listener.news()
        assert names[-1] == "netconf-session-end"
        return told(listener.last[-1])

    victim = another()
    await victim.settle()
    await listener.ok(f"<kill-session><session-id>{victim.session.session_id}</session-id></kill-session>")
    found = await reason()
    assert (found["termination-reason"], found["killed-by"]) == ("killed", str(listener.session.session_id))

    lost = another()
    await lost.settle()
    lost.session.connection_lost(OSError("cable"))
    found = await reason()
    assert found["termination-reason"] == "dropped"
    assert "killed-by" not in found

    transport = new_transport()
    stranger = server.open_session(transport)
    stranger.data_received(frame(hello_bytes(Hello(capabilities=("urn:other",))), chunked=False))
    assert (await reason())["termination-reason"] == "bad-hello"

    server.open_session(new_transport())
    await listener.settle()
    await clock.advance(11)
    assert (await reason())["termination-reason"] == "timeout"

    unframed = another()
    await unframed.settle()
    unframed.session.data_received(b"\n#0\n")
    assert (await reason())["termination-reason"] == "other"


async def test_changes_of_running_name_who_and_what(listener, another) -> None:
    other = another()
    await other.settle()
    await listener.news()
    await other.edit("<version>1</version><rule><name>a</name></rule>")
    assert await listener.news() == ["netconf-config-change"]
    notice = listener.last[0]
    found = told(notice)
    assert (found["username"], found["session-id"]) == ("tester", str(other.session.session_id))
    assert (found["source-host"], found["datastore"]) == ("192.0.2.1", "running")
    targets = notice.findall(f"{N}edit/{N}target")
    assert [target.text for target in targets] == [
        "/tiny:node/tiny:version",
        "/tiny:node/tiny:rule[tiny:name='a']",
    ]
    assert targets[0].nsmap["tiny"] == TINY
    assert {e.text for e in notice.findall(f"{N}edit/{N}operation")} == {"create"}
    await other.edit("<version>2</version>")
    await listener.news()
    assert told(listener.last[0])["operation"] == "replace"


async def test_what_changes_nothing_is_no_change(listener) -> None:
    await listener.edit("<version>1</version>")
    await listener.news()
    await listener.edit("<version>1</version>")
    await listener.ok("<commit/>")
    assert await listener.news() == []


async def test_a_change_by_the_system_itself(listener, server) -> None:
    await server.change_running([parse_xml(f'<node xmlns="{TINY}"><id>m</id></node>'.encode())])
    assert await listener.news() == ["netconf-config-change"]
    assert listener.last[0].find(f"{N}changed-by/{N}server") is not None
    assert "username" not in told(listener.last[0])


async def test_a_change_of_very_many_nodes_names_their_root(listener) -> None:
    await listener.edit("".join(f"<tag>{n}</tag>" for n in range(MAX_EDITS + 1)))
    await listener.news()
    (edit,) = listener.last[0].findall(f"{N}edit")
    assert [child.text for child in edit] == ["/tiny:node", "merge"]


async def test_confirmed_commits(listener, clock) -> None:
    async def commit(operation: str, version: int) -> list[dict[str, str]]:
        config = f'<node xmlns="{TINY}" xmlns:nc="{BASE}"><version>{version}</version></node>'
        if version:
            await listener.ok(
                f"<edit-config><target><candidate/></target><config>{config}</config></edit-config>"
            )
        await listener.ok(operation)
        await listener.news()
        return [told(e) for e in listener.last if e.tag == f"{N}netconf-confirmed-commit"]

    confirmed = "<commit><confirmed/><confirm-timeout>30</confirm-timeout></commit>"
    (start,) = await commit(confirmed, 1)
    assert (start["confirm-event"], start["timeout"], start["username"]) == ("start", "30", "tester")
    (extend,) = await commit(confirmed, 2)
    assert extend["confirm-event"] == "extend"
    (complete,) = await commit("<commit/>", 0)
    assert (complete["confirm-event"], "timeout" in complete) == ("complete", False)
    await commit(confirmed, 3)
    (cancel,) = await commit("<cancel-commit/>", 0)
    assert cancel["confirm-event"] == "cancel"
    await commit(confirmed, 4)
    await clock.advance(31)
    await listener.news()
    (timeout,) = (told(e) for e in listener.last if e.tag == f"{N}netconf-confirmed-commit")
    assert (timeout["confirm-event"], "username" in timeout) == ("timeout", False)


async def test_a_host_that_is_no_address_is_left_out(listener, server, new_transport, hello) -> None:
    transport = new_transport()
    transport.peer = type(transport.peer)(username="u", source_host="unix:/run/x")
    Subscriber(server, transport, hello)
    assert await listener.news() == ["netconf-session-start"]
    assert "source-host" not in told(listener.last[0])
