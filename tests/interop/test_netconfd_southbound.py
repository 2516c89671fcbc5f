"""netconfd as an agent of somebody else: the controller's southbound works with it.

It has no YANG of ours and cannot send the notifications of 015 without code of its own.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree
from tests.interop.foreign import CLOCK, FIBRE, NODE, Foreign, holding_a_node, node
from tests.interop.netconfd import USER, why_not

from keyweave_controller.control.actions import NodeEdit
from keyweave_controller.control.events import Event, NodeLost, NodeRead, NodeRejected
from keyweave_controller.settings import AgentSettings, SouthboundSettings
from keyweave_controller.southbound.diallers import Diallers
from keyweave_controller.southbound.fleet import Fleet
from keyweave_core.errors import Refused, Unavailable
from keyweave_core.model.application import Application, AppQos, AppType, RelayMethod
from keyweave_core.model.ids import AppId, LinkId, NodeId, SaeId
from keyweave_core.model.link import Endpoint, Link, LinkType, VirtualSpec
from keyweave_core.runtime.retry import Backoff

REASON = why_not()
pytestmark = [pytest.mark.interop, pytest.mark.skipif(bool(REASON), reason=REASON)]

MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
FAR = NodeId("bbbbbbbb-0000-4000-8000-000000000002")
VIRT = LinkId("22222222-0000-4000-8000-000000000002")
APP = AppId("33333333-0000-4000-8000-000000000003")

ROUTE = Link(
    link_id=VIRT,
    type=LinkType.VIRT,
    local=Endpoint(node_id=NODE),
    remote=Endpoint(node_id=FAR),
    virtual=VirtualSpec(next_hops=(FAR,), bandwidth_bps=1000),
    relay_method=RelayMethod.OTP,
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


@pytest.fixture(params=["running", "candidate"])
async def foreign(request: pytest.FixtureRequest) -> AsyncIterator[Foreign]:
    async with holding_a_node(request.param) as place:
        yield place


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
