"""An agent with a table [gnmi] serves its tree over gNMI beside NETCONF, to the same users."""

import datetime as dt
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.agents.row import Row, fibre, make_row, node_of

from keyweave_agents.app import check
from keyweave_core.errors import SchemaViolation, SettingsError
from keyweave_gnmi.client import GnmiClient, Wanted
from keyweave_gnmi.faults import NotAllowed
from keyweave_gnmi.settings import GnmiSettings
from keyweave_gnmi.tree_client import TreeClient
from keyweave_lab.pki import LabPki
from keyweave_proto.gnmi import gnmi_pb2 as pb
from keyweave_yang.decode import decode_node
from keyweave_yang.schema import load_schema


@pytest.fixture
async def row(tmp_path: Path) -> AsyncIterator[Row]:
    row = make_row(tmp_path, "ab")
    site = row["a"]
    tls = site.settings.keys_tls
    gnmi = GnmiSettings(certificate=tls.certificate, private_key=tls.private_key, ca=tls.ca, listen_port=0)
    site.settings = replace(site.settings, gnmi=gnmi)
    for each in row.sites.values():
        await each.start()
    yield row
    for each in row.sites.values():
        await each.end()


def client_of(row: Row, tmp_path: Path, user: str = "controller") -> GnmiClient:
    ready = row["a"].ready
    assert ready is not None
    assert ready.gnmi_port is not None
    tls = LabPki(tmp_path / "pki", now=dt.datetime.now(dt.UTC)).operator(user)
    return GnmiClient("127.0.0.1", ready.gnmi_port, tls, server_name="localhost")


async def test_the_same_tree_over_both_protocols(row: Row, tmp_path: Path) -> None:
    async with client_of(row, tmp_path) as client:
        data = await TreeClient(client, load_schema("agent")).read(["/qkd_node"])
        node, faults = decode_node(data)
    assert faults == ()
    assert node.node_id == node_of("a")
    assert node.links[0].link_id == fibre("a", "b")
    assert {link.link_id for link in (await row.node("a")).links} == {link.link_id for link in node.links}


async def test_what_the_agent_owns_is_refused_and_what_a_controller_may_write_is_told(
    row: Row, tmp_path: Path
) -> None:
    link = f"/qkd_node/qkd_links/qkd_link[qkdl_id={fibre('a', 'b')}]"
    async with client_of(row, tmp_path) as client:
        with pytest.raises(SchemaViolation, match="the node itself decides"):
            await client.set(update=[(f"{link}/phys_qkd_role", "etsi-qkd-node-types:RECEIVER")])
        async with client.subscribe([Wanted(path=f"{link}/qkdl_enable")]) as answers:
            stream = aiter(answers)
            while not (await anext(stream)).sync_response:
                pass
            await client.set(update=[(f"{link}/qkdl_enable", False)])
            told = (await anext(stream)).update
        assert [each.val.json_ietf_val for each in told.update] == [b"false"]
        (status,) = await client.get([f"{link}/qkdl_status"], kind=pb.GetRequest.ALL)
        assert b"ACTIVE" not in status.update[0].val.json_ietf_val


async def test_a_stranger_of_the_same_authority_sees_nothing(row: Row, tmp_path: Path) -> None:
    async with client_of(row, tmp_path, "sae-a") as client:
        with pytest.raises(NotAllowed, match="'sae-a': not on the list"):
            await client.get()


async def test_without_the_table_there_is_no_port(row: Row) -> None:
    ready = row["b"].ready
    assert ready is not None
    assert ready.gnmi_port is None


def test_check_config_reads_the_files_of_gnmi(tmp_path: Path) -> None:
    settings = make_row(tmp_path, "ab")["a"].settings
    tls = settings.keys_tls
    wrong = GnmiSettings(certificate=tmp_path / "no.pem", private_key=tls.private_key, ca=tls.ca)
    with pytest.raises(SettingsError, match=r"no\.pem"):
        check(replace(settings, gnmi=wrong))
