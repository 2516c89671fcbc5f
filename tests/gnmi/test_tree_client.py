"""The client that speaks in elements: reading, NETCONF edits as Set, following changes."""

import asyncio

import pytest
from lxml import etree
from tests.gnmi.node import AT_LINK, ETSI, LINK, OTHER, TYPES, Target

from keyweave_core.errors import PeerUnreachable, SchemaViolation
from keyweave_core.netconf.data.changes import changes
from keyweave_core.netconf.data.schema_paths import SchemaMap
from keyweave_core.netconf.protocol.messages import parse_xml
from keyweave_core.netconf.server.stores.datastores import Store
from keyweave_gnmi.client import GnmiClient
from keyweave_gnmi.faults import BadValue
from keyweave_gnmi.tree_client import Told, TreeClient
from keyweave_proto.gnmi import gnmi_pb2 as pb
from keyweave_yang.schema import load_schema

SCHEMA = load_schema("agent")


def config(inner: str) -> etree._Element:
    text = f"""<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"
      xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0">
      <qkd_node xmlns="{ETSI}">{inner}</qkd_node></config>"""
    return parse_xml(text.encode())


@pytest.fixture
def tree(client: GnmiClient) -> TreeClient:
    return TreeClient(client, SCHEMA)


async def test_what_is_read_is_what_the_target_holds(tree: TreeClient, target: Target) -> None:
    read = await tree.read(kind=pb.GetRequest.CONFIG)
    held = target.netconf.system.datastores.read(Store.RUNNING).elements
    assert not changes(held, read, SchemaMap(SCHEMA))
    (node,) = await tree.read([AT_LINK, "/qkd_node/qkdn_id"])
    assert node.findtext(f".//{{{ETSI}}}skr") == "1200"
    assert node.findtext(f"{{{ETSI}}}qkdn_status") is None
    SCHEMA.validate_data([node])


async def test_an_edit_with_operations_is_one_set(tree: TreeClient, target: Target) -> None:
    await tree.edit(
        config(
            f"""<qkdn_version>5</qkdn_version>
            <qkd_links>
              <qkd_link><qkdl_id>{LINK}</qkdl_id>
                <phys_channel_att nc:operation="remove"/><qkdl_enable>true</qkdl_enable></qkd_link>
              <qkd_link nc:operation="create"><qkdl_id>{OTHER}</qkdl_id>
                <qkdl_type xmlns:t="{TYPES}">t:VIRT</qkdl_type></qkd_link>
            </qkd_links>"""
        )
    )
    assert len(target.device.applied) == 1
    text = target.running().decode()
    assert "phys_channel_att" not in text
    for part in ("<qkdn_version>5<", "<qkdl_enable>true<", OTHER, "etsi-qkd-node-types:VIRT"):
        assert part in text
    await tree.edit(
        config(
            f'<qkd_links><qkd_link nc:operation="delete"><qkdl_id>{OTHER}</qkdl_id></qkd_link></qkd_links>'
        )
    )
    assert OTHER not in target.running().decode()


async def test_a_plain_edit_needs_no_walk(tree: TreeClient) -> None:
    plan = tree.plan(config(f"<qkd_links><qkd_link><qkdl_id>{OTHER}</qkdl_id></qkd_link></qkd_links>"))
    assert not plan.delete
    assert not plan.replace
    assert [path for path, _ in plan.update] == ["/etsi-qkd-sdn-node:qkd_node"]


async def test_what_gnmi_cannot_say_is_refused(tree: TreeClient) -> None:
    entry = f"""<qkd_app><app_id>{OTHER}</app_id>
      <client_app_id nc:operation="delete">x</client_app_id></qkd_app>"""
    with pytest.raises(BadValue, match="leaf-list as a whole"):
        tree.plan(config(f"<qkd_applications>{entry}</qkd_applications>"))


async def test_what_the_target_refuses_is_an_error_with_its_name(tree: TreeClient) -> None:
    with pytest.raises(SchemaViolation, match=r"gNMI 127\.0\.0\.1 port \d+: .*qkdn_id"):
        await tree.edit(config('<qkdn_id nc:operation="delete"/>'))


async def test_changes_are_followed_until_the_connection_ends(tree: TreeClient, target: Target) -> None:
    told: list[Told] = []

    async def follow() -> None:
        async for each in tree.follow():
            told.append(each)  # noqa: PERF401 - what came must be seen while it goes on

    entry = f"<qkd_link {{}}><qkdl_id>{OTHER}</qkdl_id></qkd_link>"
    following = asyncio.create_task(follow())
    async with asyncio.timeout(10):
        while not any(each.synced for each in told):
            await asyncio.sleep(0.01)
        await tree.edit(config(f"<qkd_links>{entry.format('')}</qkd_links>"))
        while OTHER not in texts(told):
            await asyncio.sleep(0.01)
        removed = entry.format('nc:operation="delete"')
        await tree.edit(config(f"<qkd_links>{removed}</qkd_links>"))
        while not any(each.gone for each in told):
            await asyncio.sleep(0.01)
        await target.server.close()
        with pytest.raises(PeerUnreachable):
            await following
    assert [path for each in told for path in each.gone] == [AT_LINK.replace(LINK, OTHER)]


def texts(told: list[Told]) -> list[str | None]:
    return [leaf.text for each in told for value in each.values for leaf in value.iter(f"{{{ETSI}}}qkdl_id")]
