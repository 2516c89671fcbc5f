"""netconfd as an agent of somebody else: our client and the controller's southbound work with it.

It has no YANG of ours, lists `writable-running` among the features of ietf-netconf even when it lets nobody
edit running, and cannot send the notifications of 015 without code of its own (it sends those of RFC 6470).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import asyncssh
import pytest
from lxml import etree
from tests.interop.netconfd import PREFIX, USER, Netconfd, Target, netconfd, why_not

from keyweave_controller.control.actions import NodeEdit
from keyweave_controller.control.events import Event, NodeLost, NodeRead, NodeRejected
from keyweave_controller.settings import AgentSettings, SouthboundSettings
from keyweave_controller.southbound.diallers import Diallers
from keyweave_controller.southbound.fleet import Fleet
from keyweave_core.errors import DeadlineExceeded, Refused, Unavailable
from keyweave_core.model.application import Application, AppQos, AppType
from keyweave_core.model.ids import AppId, LinkId, NodeId, SaeId
from keyweave_core.model.link import Endpoint, Link, LinkType, RelayMethod, VirtualSpec
from keyweave_core.netconf.client.client import NetconfClient, connect
from keyweave_core.netconf.protocol.rpc_errors import RpcError
from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.retry import Backoff

REASON = why_not()
pytestmark = [pytest.mark.interop, pytest.mark.skipif(bool(REASON), reason=REASON)]

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
ETSI = "urn:etsi:qkd:yang:etsi-qkd-node"
TYPES = "urn:etsi:qkd:yang:etsi-qkd-node-types"
MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
E = f"{{{ETSI}}}"
NODE = NodeId("aaaaaaaa-0000-4000-8000-000000000001")
FAR = NodeId("bbbbbbbb-0000-4000-8000-000000000002")
FIBRE = LinkId("11111111-0000-4000-8000-000000000001")
VIRT = LinkId("22222222-0000-4000-8000-000000000002")
APP = AppId("33333333-0000-4000-8000-000000000003")
CLOCK = SystemClock()


@dataclass(frozen=True)
class Foreign:
    """A netconfd that holds a node, and a key to log in with."""

    server: Netconfd
    target: Target
    key: asyncssh.SSHKey

    async def session(self) -> NetconfClient:
        client = await connect(
            "127.0.0.1",
            self.server.port,
            username=USER,
            key=self.key,
            host_key=self.server.host_key,
            clock=CLOCK,
        )
        # An rpc that netconfd finds in the same packet as the hello waits for more input to be seen.
        while True:
            with contextlib.suppress(DeadlineExceeded):
                await client.get_config("running", [], timeout_s=1)
                return client

    async def edit(self, client: NetconfClient, config: etree._Element) -> None:
        await client.edit_config(self.target, config)
        if self.target == "candidate":
            await client.commit()


def node(inner: str) -> etree._Element:
    return etree.fromstring(
        f'<qkd_node xmlns="{ETSI}" xmlns:t="{TYPES}" xmlns:nc="{BASE}">{inner}</qkd_node>'
    )


def fibre(inner: str = "") -> etree._Element:
    return node(f"<qkd_links><qkd_link><qkdl_id>{FIBRE}</qkdl_id>{inner}</qkd_link></qkd_links>")


@asynccontextmanager
async def holding_a_node(target: Target, identities: str = PREFIX) -> AsyncIterator[Foreign]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    async with netconfd(target, [key], identities=identities) as server:
        place = Foreign(server, target, key)
        async with await place.session() as client:
            await place.edit(client, node(f"<qkdn_id>{NODE}</qkdn_id>"))
            await place.edit(
                client, fibre("<qkdl_type>t:PHYS</qkdl_type><phys_channel_att>3.5</phys_channel_att>")
            )
        yield place


@pytest.fixture(params=["running", "candidate"])
async def foreign(request: pytest.FixtureRequest) -> AsyncIterator[Foreign]:
    async with holding_a_node(request.param) as place:
        yield place


async def attenuation(client: NetconfClient, source: str = "running") -> str | None:
    (held,) = await client.get_config(source, fibre("<phys_channel_att/>"))
    return held.findtext(f".//{E}phys_channel_att")


async def test_the_client_reads_and_edits(foreign: Foreign) -> None:
    async with await foreign.session() as client:
        assert client.capabilities.writable_running == (foreign.target == "running")
        assert client.capabilities.candidate == (foreign.target == "candidate")
        (whole,) = [each for each in await client.get() if each.tag == f"{E}qkd_node"]
        assert whole.findtext(f"{E}qkdn_id") == NODE
        assert await attenuation(client) == "3.500"
        await foreign.edit(client, fibre("<phys_channel_att>4.5</phys_channel_att>"))
        assert await attenuation(client) == "4.500"
        with pytest.raises(RpcError) as caught:
            await client.edit_config(foreign.target, fibre("<phys_channel_att>much</phys_channel_att>"))
        assert caught.value.tag == "bad-element"
        assert "phys_channel_att" in (caught.value.path or "")
        assert "leaf qkdn_id" in await client.get_schema("etsi-qkd-sdn-node")


async def test_a_candidate_is_committed_or_discarded() -> None:
    async with holding_a_node("candidate") as foreign, await foreign.session() as client:
        await client.lock("candidate")
        await client.edit_config("candidate", fibre("<phys_channel_att>5.5</phys_channel_att>"))
        await client.validate("candidate")
        assert await attenuation(client, "candidate") == "5.500"
        assert await attenuation(client) == "3.500"
        await client.discard()
        assert await attenuation(client, "candidate") == "3.500"
        await client.edit_config("candidate", fibre("<phys_channel_att>6.5</phys_channel_att>"))
        await client.commit()
        await client.unlock("candidate")
        assert await attenuation(client) == "6.500"


async def test_a_lock_holds_and_ends_with_its_session(foreign: Foreign) -> None:
    async with await foreign.session() as client, await foreign.session() as other:
        await other.lock(foreign.target)
        with pytest.raises(RpcError) as caught:
            await client.lock(foreign.target)
        assert caught.value.tag == "lock-denied"
        with pytest.raises(RpcError) as caught:
            await client.edit_config(foreign.target, fibre("<phys_channel_att>1</phys_channel_att>"))
        assert caught.value.tag == "in-use"
        await other.close()
        await client.lock(foreign.target)
        await client.unlock(foreign.target)


async def test_notifications_come_and_are_replayed(foreign: Foreign) -> None:
    async with await foreign.session() as client:
        await client.create_subscription(start_time="2020-01-01T00:00:00Z")
        await foreign.edit(client, fibre("<phys_channel_att>7.5</phys_channel_att>"))
        names: list[str] = []
        async with asyncio.timeout(10):
            async for each in client.notifications():
                names.append(etree.QName(each.content).localname)
                if names[-1] == "netconf-config-change" and "replayComplete" in names:
                    break
        past, live = names[: names.index("replayComplete")], names[names.index("replayComplete") :]
        assert "netconf-config-change" in past
        assert "netconf-config-change" in live


# The controller's southbound.

ROUTE = Link(
    link_id=VIRT,
    type=LinkType.VIRT,
    local=Endpoint(node_id=NODE),
    remote=Endpoint(node_id=FAR),
    virtual=VirtualSpec(next_hops=(FAR,), bandwidth_bps=1000),
    relay_method=RelayMethod.ONE_TIME_PAD,
)
ASSOCIATION = Application(
    app_id=APP,
    type=AppType.CLIENT,
    server_app_id=SaeId("sae-a"),
    client_app_ids=(SaeId("sae-b"),),
    qos=AppQos(min_bandwidth_bps=1000, ttl_s=60),
    backing_link_ids=(VIRT,),
    local_node_id=NODE,
    remote_node_id=FAR,
)
EDIT = NodeEdit(put_links=(ROUTE,), put_applications=(ASSOCIATION,))


class Southbound:
    """A fleet of one agent, and what it has told."""

    def __init__(self, foreign: Foreign, folder: Path) -> None:
        own, host = folder / "user", folder / "host.pub"
        own.write_bytes(foreign.key.export_private_key())
        host.write_bytes(foreign.server.host_key.export_public_key())
        settings = SouthboundSettings(
            user=USER,
            private_key=own,
            poll_interval_s=0.1,
            audit_interval_s=0.5,
            rpc_timeout_s=2.0,
            backoff=Backoff(first_s=0.05, most_s=0.2),
        )
        entry = AgentSettings(name="foreign", host="127.0.0.1", port=foreign.server.port, host_key=host)
        self.events: list[Event] = []
        self.fleet = Fleet(
            settings=settings,
            agents=[entry],
            dialler=Diallers(settings, [entry], CLOCK).dial,
            clock=CLOCK,
            uniform=lambda: 0.5,
        )

    async def read(self, fits: Callable[[NodeRead], bool] = lambda _: True) -> NodeRead:
        """The newest tree that was told, once it fits."""
        async with asyncio.timeout(15):
            while True:
                found = [each for each in self.events if isinstance(each, NodeRead)]
                if found and fits(found[-1]):
                    return found[-1]
                await asyncio.sleep(0.02)


@pytest.fixture
async def southbound(foreign: Foreign, tmp_path: Path) -> AsyncIterator[Southbound]:
    async with following(foreign, tmp_path) as south:
        yield south


@asynccontextmanager
async def following(foreign: Foreign, folder: Path) -> AsyncIterator[Southbound]:
    south = Southbound(foreign, folder)
    running = asyncio.ensure_future(south.fleet.run(south.events.append))
    try:
        yield south
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def test_the_southbound_reads_writes_and_takes_away(southbound: Southbound) -> None:
    first = await southbound.read()
    assert (first.node.node_id, first.reconnected) == (NODE, True)
    (held,) = first.node.links
    assert (held.type, held.physical.channel_att_db if held.physical else None) == (LinkType.PHYS, 3.5)

    await southbound.fleet.configure(NODE, EDIT)
    await southbound.fleet.configure(NODE, EDIT)  # again, as after a crash
    await southbound.fleet.read(NODE)
    second = await southbound.read(lambda read: len(read.node.links) == 2)
    assert replace(second.node.links[1], status=None) == replace(ROUTE, relay_method=None)
    assert second.node.applications == (ASSOCIATION,)

    gone = NodeEdit(remove_links=(VIRT,), remove_applications=(APP,))
    await southbound.fleet.configure(NODE, gone)
    await southbound.fleet.configure(NODE, gone)
    await southbound.fleet.read(NODE)
    third = await southbound.read(lambda read: len(read.node.links) == 1)
    assert [link.link_id for link in third.node.links] == [FIBRE]
    assert third.node.applications == ()


async def test_another_hand_is_noticed_and_a_lost_session_comes_back(
    foreign: Foreign, southbound: Southbound
) -> None:
    await southbound.read()
    async with await foreign.session() as other:
        await foreign.edit(
            other, node(f"<qkd_applications><qkd_app><app_id>{APP}</app_id></qkd_app></qkd_applications>")
        )
        seen = await southbound.read(lambda read: bool(read.node.applications))
        assert [app.app_id for app in seen.node.applications] == [APP]
        mine = other.session_id
        southbound.events.clear()
        sessions = (
            await other.get(
                etree.fromstring(f'<netconf-state xmlns="{MONITORING}"><sessions/></netconf-state>')
            )
        )[0]
        for session in sessions.iter(f"{{{MONITORING}}}session-id"):
            if int(session.text or 0) != mine:
                await other.kill_session(int(session.text or 0))
        await southbound.read(lambda read: read.reconnected)
    assert any(isinstance(each, NodeLost) for each in southbound.events)


async def test_a_lock_of_another_is_a_try_again_and_bad_data_a_refusal(
    foreign: Foreign, southbound: Southbound
) -> None:
    await southbound.read()
    async with await foreign.session() as other:
        await other.lock(foreign.target)
        with pytest.raises(Unavailable):
            await southbound.fleet.configure(NODE, EDIT)
        await other.unlock(foreign.target)
    await southbound.fleet.configure(NODE, EDIT)
    strange = replace(ASSOCIATION, creation_time=None, expiration_time="tomorrow")
    with pytest.raises(Refused, match="expiration_time"):
        await southbound.fleet.configure(NODE, NodeEdit(put_applications=(strange,)))
    await southbound.fleet.configure(NODE, EDIT)


async def test_published_conditions_cost_the_leaves_they_exclude_and_nothing_else(tmp_path: Path) -> None:
    async with holding_a_node("running", identities="") as foreign, following(foreign, tmp_path) as south:
        first = await south.read()
        assert first.node.links[0].physical is None or first.node.links[0].physical.channel_att_db is None
        await south.fleet.configure(NODE, EDIT)
        seen = await south.read(lambda read: bool(read.node.applications))
        assert {link.link_id for link in seen.node.links} == {FIBRE, VIRT}
        assert seen.node.applications == (ASSOCIATION,)
        assert not any(isinstance(each, NodeRejected) for each in south.events)
