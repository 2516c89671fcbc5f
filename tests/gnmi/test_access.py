"""Access control by RFC 8341 holds over gNMI as it does over NETCONF: the same groups, rules and paths."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from lxml import etree
from tests.gnmi.node import AT_LINK, INITIAL, NODE, Device, Target, settings

from keyweave_core.errors import Refused
from keyweave_core.netconf.protocol.messages import parse_xml
from keyweave_core.netconf.server.nacm.control import Nacm
from keyweave_core.netconf.server.nacm.initial import initial_nacm
from keyweave_core.netconf.server.nacm.rules import NACM
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.runtime.clock import SystemClock
from keyweave_gnmi.client import Wanted
from keyweave_gnmi.faults import NotAllowed
from keyweave_gnmi.limits import GnmiLimits
from keyweave_gnmi.server import GnmiServer
from keyweave_lab.pki import LabPki
from keyweave_proto.gnmi import gnmi_pb2 as pb
from keyweave_yang.schema import load_schema

USERS = {
    "controller": frozenset({"operator"}),
    "looker": frozenset({"auditor"}),
    "nobody": frozenset[str](),
}
HIDDEN = """
<rule-list xmlns="{ns}"><name>tests</name><group>auditor</group>
  <rule><name>rates</name><path xmlns:q="urn:etsi:qkd:yang:etsi-qkd-node">
    /q:qkd_node/q:qkd_links/q:qkd_link/q:qkdl_performance</path>
    <access-operations>read</access-operations><action>deny</action></rule></rule-list>
"""


def rules() -> etree._Element:
    """The rules of a new server, and one that hides rates from those who only look."""
    nacm = initial_nacm()
    first = nacm.find(f"{{{NACM}}}rule-list")
    assert first is not None
    first.addprevious(parse_xml(HIDDEN.format(ns=NACM).encode()))
    return nacm


@pytest.fixture
async def guarded(pki: LabPki) -> AsyncIterator[Target]:
    schema = load_schema("agent")
    device = Device()
    netconf = NetconfServer(
        schema,
        device,
        [parse_xml(INITIAL.encode()), rules()],
        clock=SystemClock(),
        access=Nacm(schema),
    )
    limits = GnmiLimits(refresh_s=0.05, grace_s=0.1)
    server = GnmiServer(settings(pki.node("alpha", NODE), limits), netconf.system, groups=USERS)
    port = await server.start()
    yield Target(netconf=netconf, server=server, device=device, port=port, pki=pki)
    await server.close()
    await netconf.close()


async def test_who_may_look_may_not_change(guarded: Target) -> None:
    before = guarded.running()
    async with guarded.client(guarded.pki.operator("looker")) as client:
        (answer,) = await client.get(["/qkd_node/qkdn_id"])
        assert answer.update[0].val.json_ietf_val == f'"{NODE}"'.encode()
        with pytest.raises(NotAllowed):
            await client.set(update=[("/qkd_node/qkdn_version", "2")])
    assert guarded.running() == before


async def test_nobody_takes_away_their_own_right_to_change_the_rules(guarded: Target) -> None:
    before = guarded.running()
    async with guarded.client(guarded.pki.operator("controller")) as client:
        with pytest.raises(
            Refused, match="ietf-netconf-acm:nacm: controller could not change access control"
        ):
            await client.set(delete=["/ietf-netconf-acm:nacm"])
    assert guarded.running() == before


async def test_what_may_not_be_read_is_left_out_everywhere(guarded: Target) -> None:
    skr = f"{AT_LINK}/qkdl_performance/skr"
    async with guarded.client(guarded.pki.operator("looker")) as client:
        (whole, leaf) = await client.get(["/", skr])
        assert b"qkdl_status" in whole.update[0].val.json_ietf_val
        assert b"skr" not in whole.update[0].val.json_ietf_val
        assert not leaf.update
        wanted = [Wanted(path="/qkd_node/qkd_links")]
        async with client.subscribe(wanted, mode=pb.SubscriptionList.ONCE) as answers:
            assert "skr" not in str([each async for each in answers])
    async with guarded.client() as client:
        (leaf,) = await client.get([skr])
        assert leaf.update


async def test_changes_of_what_may_not_be_read_are_not_told(guarded: Target) -> None:
    wanted = [Wanted(path="/qkd_node")]
    async with (
        guarded.client() as trusted,
        guarded.client(guarded.pki.operator("looker")) as client,
        trusted.subscribe(wanted) as all_of_it,
        client.subscribe(wanted) as part_of_it,
    ):
        everything, part = aiter(all_of_it), aiter(part_of_it)
        async with asyncio.timeout(10):
            for stream in (everything, part):
                while not (await anext(stream)).sync_response:
                    pass
            guarded.device.rate_bps = 7
            assert b"7" in str(await anext(everything)).encode()
            await trusted.set(update=[("/qkd_node/qkdn_version", "3")])
            told = (await anext(part)).update
    assert [each.path.elem[-1].name for each in told.update] == ["qkdn_version"]


async def test_a_user_of_no_group_may_nothing(guarded: Target) -> None:
    async with guarded.client(guarded.pki.operator("nobody")) as client:
        with pytest.raises(NotAllowed):
            await client.get()
        with pytest.raises(NotAllowed):
            await client.capabilities()
        async with client.subscribe([Wanted(path="/")]) as answers:
            with pytest.raises(NotAllowed):
                await anext(aiter(answers))
