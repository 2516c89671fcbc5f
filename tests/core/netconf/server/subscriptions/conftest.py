"""A server under a hand-driven clock, and raw clients that subscribe."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from lxml import etree

from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.protocol.framing import frame
from keyweave_core.netconf.protocol.messages import parse_xml
from keyweave_core.netconf.protocol.rpc_errors import BASE, RpcError, read_error
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.runtime.clock import ManualClock

NC = f"{{{BASE}}}"
TINY = "urn:test:tiny"
SN = "urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications"
YP = "urn:ietf:params:xml:ns:yang:ietf-yang-push"
DS = "urn:ietf:params:xml:ns:yang:ietf-datastores"
NTF = "urn:ietf:params:xml:ns:netconf:notification:1.0"
LIMITS = NetconfLimits(
    notification_log_events=20,
    max_subscriptions=6,
    max_subscriptions_per_session=4,
    suspension_timeout_s=60,
    push_update_bytes=4000,
)


class Subscriber:
    """A raw client that tells replies and notifications apart."""

    def __init__(self, server: NetconfServer, transport, hello: bytes) -> None:
        self.server = server
        self.transport = transport
        self.session = server.open_session(transport)
        transport.messages()
        self.session.data_received(hello)
        transport.framer.use_chunks()
        self.got: list[etree._Element] = []  # content of notifications, oldest first
        self.times: list[str] = []
        self.order: list[str] = []  # names of everything, in the order it came

    async def settle(self) -> list[etree._Element]:
        for _ in range(60):
            await asyncio.sleep(0)
        replies = []
        for message in self.transport.messages():
            if message.tag == f"{{{NTF}}}notification":
                self.times.append(message[0].text)
                self.got.append(message[1])
                self.order.append(etree.QName(message[1]).localname)
            else:
                self.order.append("reply")
                replies.append(message)
        return replies

    async def rpc(self, operation: str) -> etree._Element:
        text = f'<rpc xmlns="{BASE}" message-id="1">{operation}</rpc>'
        self.session.data_received(frame(text.encode(), chunked=True))
        (reply,) = await self.settle()
        return reply

    async def error(self, operation: str) -> RpcError:
        reply = await self.rpc(operation)
        return read_error(reply.find(f"{NC}rpc-error"))

    async def ok(self, operation: str) -> None:
        reply = await self.rpc(operation)
        assert reply.find(f"{NC}ok") is not None, etree.tostring(reply)

    async def subscribe(self, inner: str) -> int:
        """establish-subscription with this input; the id."""
        reply = await self.rpc(establish(inner))
        number = reply.findtext(f"{{{SN}}}id")
        assert number is not None, etree.tostring(reply)
        return int(number)

    async def edit(self, inner: str) -> None:
        config = f'<node xmlns="{TINY}" xmlns:nc="{BASE}">{inner}</node>'
        await self.ok(f"<edit-config><target><running/></target><config>{config}</config></edit-config>")

    async def news(self) -> list[str]:
        """The names of what came since the last call."""
        await self.settle()
        names = [etree.QName(content).localname for content in self.got]
        self.last, self.got = self.got, []
        return names


def establish(inner: str) -> str:
    name = "establish-subscription"
    return f'<{name} xmlns="{SN}" xmlns:yp="{YP}" xmlns:ds="{DS}">{inner}</{name}>'


def push(datastore: str, trigger: str, filter_: str = "") -> str:
    return f"<yp:datastore>ds:{datastore}</yp:datastore>{filter_}{trigger}"


def state(subscriber_id: int, name: str = "delete-subscription", namespace: str = SN, more: str = "") -> str:
    return f'<{name} xmlns="{namespace}"><id>{subscriber_id}</id>{more}</{name}>'


def event(name: str, inner: str = "") -> etree._Element:
    return parse_xml(f'<{name} xmlns="urn:e">{inner}</{name}>'.encode())


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
def another(server, new_transport, hello) -> Callable[[], Subscriber]:
    return lambda: Subscriber(server, new_transport(), hello)


@pytest.fixture
async def peer(another) -> Subscriber:
    found = another()
    await found.settle()
    return found
