"""What servers send about subscriptions and about themselves is valid by the modules that they announce."""

import asyncio
from collections.abc import Sequence

import pytest
from lxml import etree

from keyweave_core.netconf.protocol.framing import Framer, frame
from keyweave_core.netconf.protocol.messages import Hello, hello_bytes, parse_xml
from keyweave_core.netconf.server.push_modules import push_modules
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.netconf.transport import Peer
from keyweave_core.runtime.clock import ManualClock, date_and_time
from keyweave_yang.catalogue import MODULES, Wanted
from keyweave_yang.schema import ModelSchema, build_schema, load_schema
from keyweave_yang.sources import search_path

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
SN = "urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications"
YP = "urn:ietf:params:xml:ns:yang:ietf-yang-push"
DS = "urn:ietf:params:xml:ns:yang:ietf-datastores"
ETSI = "urn:etsi:qkd:yang:etsi-qkd-node"
INITIAL = (
    f'<qkd_node xmlns="{ETSI}"><qkdn_id>aaaaaaaa-0000-4000-8000-000000000001</qkdn_id>'
    f"<qkdn_version>1</qkdn_version></qkd_node>"
)


@pytest.fixture(scope="module")
def schema() -> ModelSchema:
    """The agent's modules with those that its server adds."""
    present = frozenset(wanted.name for wanted in MODULES["agent"])
    more = [
        Wanted(name=module.name, implemented=module.implemented, features=module.features)
        for module in push_modules(present, lambda _name: "")
    ]
    return build_schema("agent with subscriptions", (*MODULES["agent"], *more), search_path())


class Device:
    async def state(self) -> Sequence[etree._Element]:
        return []

    async def apply(self, old: Sequence[etree._Element], new: Sequence[etree._Element], user: str) -> None:
        del old, new, user

    async def call(self, operation: etree._Element, _user: str) -> None:
        raise KeyError(operation.tag)


class Transport:
    peer = Peer(username="tester", source_host="192.0.2.1")

    def __init__(self) -> None:
        self.framer = Framer(max_message_bytes=1 << 24)

    def write(self, data: bytes) -> None:
        self.framer.feed(data)

    def taken(self) -> list[etree._Element]:
        found = []
        while (message := self.framer.next_message()) is not None:
            found.append(parse_xml(message))
        return found

    def close(self) -> None: ...
    def abort(self) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


async def settle() -> None:
    for _ in range(80):
        await asyncio.sleep(0)


async def test_everything_sent_is_valid(schema: ModelSchema) -> None:
    clock = ManualClock()
    server = NetconfServer(load_schema("agent"), Device(), [parse_xml(INITIAL.encode())], clock=clock)
    transport = Transport()
    session = server.open_session(transport)
    transport.taken()
    mine = Hello(capabilities=("urn:ietf:params:netconf:base:1.0", "urn:ietf:params:netconf:base:1.1"))
    session.data_received(frame(hello_bytes(mine), chunked=False))
    transport.framer.use_chunks()

    async def rpc(operation: str) -> None:
        session.data_received(
            frame(f'<rpc xmlns="{BASE}" message-id="1">{operation}</rpc>'.encode(), chunked=True)
        )
        await settle()

    async def establish(inner: str) -> None:
        name = "establish-subscription"
        await rpc(f'<{name} xmlns="{SN}" xmlns:yp="{YP}" xmlns:ds="{DS}">{inner}</{name}>')

    async def edit(inner: str) -> None:
        config = f'<qkd_node xmlns="{ETSI}">{inner}</qkd_node>'
        await rpc(f"<edit-config><target><running/></target><config>{config}</config></edit-config>")

    stream = "<stream>NETCONF</stream><replay-start-time>2020-01-01T00:00:00Z</replay-start-time>"
    wanted = f'<yp:datastore-subtree-filter><qkd_node xmlns="{ETSI}"/></yp:datastore-subtree-filter>'
    anchor = date_and_time(clock.now())
    await establish(stream)
    await establish(
        f"<yp:datastore>ds:operational</yp:datastore>{wanted}<yp:on-change>"
        "<yp:excluded-change>move</yp:excluded-change></yp:on-change>"
    )
    await establish(
        "<yp:datastore>ds:running</yp:datastore>"
        f"<yp:periodic><yp:period>100</yp:period><yp:anchor-time>{anchor}</yp:anchor-time></yp:periodic>"
    )
    await edit("<qkdn_version>2</qkdn_version>")
    await clock.advance(1.2)
    await rpc(
        f'<modify-subscription xmlns="{SN}"><id>1</id><stream-subtree-filter><x xmlns="urn:x"/>'
        f"</stream-subtree-filter></modify-subscription>"
    )
    await rpc(
        f'<modify-subscription xmlns="{SN}" xmlns:yp="{YP}"><id>2</id><yp:on-change>'
        f"<yp:dampening-period>100</yp:dampening-period></yp:on-change></modify-subscription>"
    )
    session.pause_writing()
    await clock.advance(1.2)
    session.resume_writing()
    await settle()
    state = [server.system.own_state[f"{{{SN}}}{name}"]() for name in ("streams", "subscriptions")]
    other = server.open_session(Transport())
    await rpc(f'<kill-subscription xmlns="{SN}"><id>2</id></kill-subscription>')
    del other
    seen = set()
    for message in transport.taken():
        if etree.QName(message).localname != "notification":
            assert message.find(f".//{{{BASE}}}rpc-error") is None, etree.tostring(message)
            continue
        content = message[1]
        seen.add(etree.QName(content).localname)
        for target in list(content.iter("{urn:ietf:params:xml:ns:yang:ietf-netconf-notifications}target")):
            target.getparent().remove(target)  # it points into the datastore, which is not at hand here
        schema.validate_notification(content)
    assert seen == {
        "netconf-session-start",
        "netconf-config-change",
        "push-update",
        "push-change-update",
        "replay-completed",
        "subscription-modified",
        "subscription-suspended",
        "subscription-resumed",
        "subscription-terminated",
    }
    schema.validate_state(state)
    await server.close()
