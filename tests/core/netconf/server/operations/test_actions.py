"""Actions of data nodes: found, refused or handed to the device with the whole way there."""

import pytest
from lxml import etree

from keyweave_core.netconf.data.nodes import container
from keyweave_core.netconf.protocol.messages import OK
from keyweave_core.netconf.protocol.rpc_errors import RpcError
from keyweave_core.netconf.server.access import User
from keyweave_core.netconf.server.operations.actions import ACTION
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.netconf.server.stores.datastores import Editor
from keyweave_core.runtime.clock import ManualClock

TINY = "urn:test:tiny"


class Caller:
    session_id = 1
    user = User("tester")
    editor = Editor(1, user)


@pytest.fixture
def server(xml, tiny, device, monkeypatch) -> NetconfServer:
    node = tiny.top(f"{{{TINY}}}node")
    link = node.child(f"{{{TINY}}}links").child(f"{{{TINY}}}link")
    for holder in (node, link):
        holder.with_actions(*(container(name).bind(TINY, "tiny") for name in ("blink", "silent", "unknown")))

    async def call(operation: etree._Element, user: str):
        last = [each for each in operation.iter("*") if not len(each)][-1]
        name = etree.QName(last).localname
        if name == "unknown":
            raise KeyError(name)
        answer = f"<by xmlns='{TINY}'>{user} {operation.findtext('.//{*}id') or '-'}</by>"
        return None if name == "silent" else [etree.fromstring(answer)]

    monkeypatch.setattr(device, "call", call)
    device.facts = f"<node xmlns='{TINY}'><links><link><id>9</id></link></links></node>"
    running = list(xml("<node><id>n</id><links><link><id>1</id></link></links></node>"))
    return NetconfServer(tiny, device, running, clock=ManualClock())


async def act(server: NetconfServer, way: str) -> bytes:
    element = etree.fromstring(f"<action xmlns='urn:ietf:params:xml:ns:yang:1'>{way}</action>")
    assert element.tag == ACTION
    return (await server._operations.perform(Caller(), element)).body


def node(inner: str) -> str:
    return f"<node xmlns='{TINY}'>{inner}</node>"


async def test_the_device_answers_for_an_instance_that_is_there(server) -> None:
    assert b"tester 1</by>" in await act(server, node("<links><link><id>1</id><blink/></link></links>"))
    # It may be one that is only observed; keys are compared by value.
    assert b"tester  9 </by>" in await act(server, node("<links><link><id> 9 </id><blink/></link></links>"))
    assert await act(server, node("<silent/>")) == OK


@pytest.mark.parametrize(
    ("way", "tag"),
    [
        (node("<links><link><id>5</id><blink/></link></links>"), "data-missing"),
        (node("<links><link><blink/></link></links>"), "missing-element"),
        (node("<links><link><id>1</id></link></links>"), "missing-element"),
        (node("<links><link><id>1</id><blink/><silent/></link></links>"), "bad-element"),
        (node("<links><link><id>1</id><dance/></link></links>"), "unknown-element"),
        (node("<unknown/>"), "operation-not-supported"),
        ("<node xmlns='urn:nowhere'><blink/></node>", "unknown-namespace"),
        ("", "missing-element"),
        (node("<blink/>") + node("<blink/>"), "bad-element"),
    ],
)
async def test_a_way_that_leads_nowhere_is_told(server, way: str, tag: str) -> None:
    with pytest.raises(RpcError) as caught:
        await act(server, way)
    assert caught.value.tag == tag


async def test_what_the_caller_may_not_read_is_not_there(server, monkeypatch) -> None:
    monkeypatch.setattr(server.system.access, "readable", lambda _user, _elements: [], raising=False)
    with pytest.raises(RpcError) as caught:
        await act(server, node("<links><link><id>1</id><blink/></link></links>"))
    assert caught.value.tag == "data-missing"
