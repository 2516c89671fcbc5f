"""Subscriptions end to end: our client against our server over real SSH."""

import asyncio
from collections.abc import AsyncIterator

import asyncssh
import pytest
from lxml import etree

from keyweave_core.netconf.client.client import NetconfClient, connect
from keyweave_core.netconf.client.subscriptions import (
    OnChange,
    Periodic,
    PushChangeUpdate,
    PushUpdate,
    SubscriptionState,
    Update,
    read_update,
    subscribe_to_datastore,
    subscribe_to_stream,
)
from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.protocol.messages import Notification, parse_xml
from keyweave_core.netconf.protocol.rpc_errors import RpcError
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.runtime.clock import SystemClock, date_and_time

SN = "urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications"
TINY = "urn:test:tiny"
T = f"{{{TINY}}}"
CLOCK = SystemClock()
USER = asyncssh.generate_private_key("ssh-ed25519")
HOST = asyncssh.generate_private_key("ssh-ed25519")


class Updates:
    """What came, and waiting for it."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Update] = asyncio.Queue()

    def __call__(self, update: Update) -> None:
        self.queue.put_nowait(update)

    async def next(self) -> Update:
        return await asyncio.wait_for(self.queue.get(), 5)


@pytest.fixture
async def server(xml, tiny, device) -> AsyncIterator[NetconfServer]:
    limits = NetconfLimits(push_poll_s=0.1, push_spacing_s=0.01)
    server = NetconfServer(tiny, device, list(xml("<node><id>n</id></node>")), clock=CLOCK, limits=limits)
    yield server
    await server.close()


@pytest.fixture
async def client(server) -> AsyncIterator[NetconfClient]:
    port = await server.start_ssh("127.0.0.1", 0, [HOST], {"ctl": [USER.convert_to_public()]})
    client = await connect(
        "127.0.0.1", port, username="ctl", key=USER, host_key=HOST.convert_to_public(), clock=CLOCK
    )
    yield client
    await client.close()


def tiny_node(inner: str) -> etree._Element:
    return parse_xml(f'<node xmlns="{TINY}">{inner}</node>'.encode())


async def test_running_on_change(client, server) -> None:
    updates = Updates()
    subscription = await subscribe_to_datastore(client, OnChange(), updates, datastore="running")
    first = await updates.next()
    assert isinstance(first, PushUpdate)
    assert (first.id, first.incomplete, first.contents[0].findtext(f"{T}id")) == (subscription.id, False, "n")
    await client.edit_config("running", tiny_node("<version>1</version><tag>a</tag>"))
    second = await updates.next()
    assert isinstance(second, PushChangeUpdate)
    assert [(edit.operation, edit.target, edit.where) for edit in second.edits] == [
        ("create", "/tiny:node/version", ""),
        ("insert", "/tiny:node/tag=a", "first"),
    ]
    assert second.edits[0].value.text == "1"
    await subscription.resync()
    assert isinstance(await updates.next(), PushUpdate)
    await subscription.delete()
    await client.edit_config("running", tiny_node("<version>2</version>"))
    await client.get_config()
    assert updates.queue.empty()


async def test_two_subscriptions_are_told_apart_and_apart_from_events(client, server, device) -> None:
    state, whole, told = Updates(), Updates(), Updates()
    await subscribe_to_datastore(client, OnChange(sync=False), state, filter=tiny_node("<status/>"))
    await subscribe_to_datastore(client, Periodic(period_s=0.1), whole)
    await subscribe_to_stream(client, told, filter=parse_xml(b'<e xmlns="urn:e"/>'))
    device.facts = f'<node xmlns="{TINY}"><status>UP</status></node>'
    server.publish(parse_xml(b'<e xmlns="urn:e">x</e>'))
    change = await state.next()
    assert isinstance(change, PushChangeUpdate)
    for _ in range(3):
        assert isinstance(await whole.next(), PushUpdate)
    event = await asyncio.wait_for(anext(client.notifications()), 5)
    assert event.content.tag == "{urn:e}e"
    assert told.queue.empty()


async def test_replay_a_stop_and_its_end(client, server) -> None:
    server.publish(parse_xml(b'<e xmlns="urn:e">old</e>'))
    told = Updates()
    subscription = await subscribe_to_stream(
        client,
        told,
        replay_from="2020-01-01T00:00:00Z",
        stop_time=date_and_time(CLOCK.now() + 0.3),
        filter=parse_xml(b'<e xmlns="urn:e"/>'),
    )
    assert subscription.replay_from is not None
    names = [await told.next(), await told.next()]
    assert [update.name for update in names] == ["replay-completed", "subscription-completed"]
    assert [update.over for update in names] == [False, True]
    assert (await asyncio.wait_for(anext(client.notifications()), 5)).content.text == "old"


async def test_a_refusal_carries_the_identity_of_the_standard(client) -> None:
    with pytest.raises(RpcError) as caught:
        await subscribe_to_datastore(client, Periodic(period_s=0.01), Updates())
    assert caught.value.app_tag == "ietf-yang-push:period-unsupported"
    with pytest.raises(RpcError) as caught:
        await subscribe_to_stream(client, Updates(), stream="SNOW")
    assert caught.value.tag == "invalid-value"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('<e xmlns="urn:e"><id>1</id></e>', None),
        ('<push-update xmlns="urn:ietf:params:xml:ns:yang:ietf-yang-push"/>', None),
        ('<push-update xmlns="urn:ietf:params:xml:ns:yang:ietf-yang-push"><id>x</id></push-update>', None),
        (
            (
                f'<subscription-suspended xmlns="{SN}"><id>7</id><reason>yp:update-too-big</reason>'
                f"</subscription-suspended>"
            ),
            SubscriptionState(id=7, event_time="t", name="subscription-suspended", reason="update-too-big"),
        ),
    ],
)
def test_what_notifications_say(content: str, expected: Update | None) -> None:
    assert read_update(Notification(event_time="t", content=parse_xml(content.encode()))) == expected
