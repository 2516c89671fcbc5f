"""Server and client over real mutual TLS: Capabilities, Get and Set, and every refusal of them."""

import asyncio
import datetime as dt
import json
from dataclasses import replace

import grpc
import pytest
from tests.gnmi.node import AT_LINK, LINK, NODE, OTHER, USERS, Target, settings

from keyweave_core.errors import DeadlineExceeded, Exhausted, Refused, SchemaViolation, SettingsError
from keyweave_core.netconf.server.stores.datastores import Store
from keyweave_gnmi.client import GnmiClient
from keyweave_gnmi.faults import Conflict, NoSuchNode, NotAllowed, Unsupported
from keyweave_gnmi.limits import GnmiLimits
from keyweave_gnmi.server import GnmiServer
from keyweave_gnmi.text_paths import parse_path, path_text
from keyweave_lab.pki import LabPki
from keyweave_proto.gnmi import gnmi_ext_pb2 as ext
from keyweave_proto.gnmi import gnmi_pb2 as pb
from keyweave_proto.gnmi import gnmi_pb2_grpc as pb_grpc


def told(notification: pb.Notification) -> dict[str, object]:
    """Paths and JSON values of a notification."""
    return {path_text(each.path): json.loads(each.val.json_ietf_val) for each in notification.update}


async def test_capabilities_name_version_modules_and_encodings(client: GnmiClient) -> None:
    answer = await client.capabilities()
    assert answer.version == "0.10.0"
    assert answer.encodings == {"JSON_IETF", "JSON", "PROTO"}
    assert answer.modules["etsi-qkd-node-types"]
    assert "ietf-inet-types" not in answer.modules  # only imported


async def test_get_tells_configuration_and_state_together(client: GnmiClient) -> None:
    (whole,) = await client.get()
    root = told(whole)["/"]
    assert isinstance(root, dict)
    node = root["etsi-qkd-sdn-node:qkd_node"]
    assert node["qkdn_status"] == "etsi-qkd-node-types:OPERATING"
    (link,) = node["qkd_links"]["qkd_link"]
    assert link["phys_channel_att"] == "3.5"  # decimal64: a string
    assert link["qkdl_performance"] == {"skr": 1200}
    assert "netconf-state" not in str(root)  # the server's own state is NETCONF's


async def test_get_answers_each_path_by_itself_in_order(client: GnmiClient) -> None:
    first, second, third = await client.get(
        [f"{AT_LINK}/qkdl_type", "/qkd_node/.../skr", "/qkd_node/qkdn_version"]
    )
    assert told(first) == {f"{AT_LINK}/qkdl_type": "etsi-qkd-node-types:PHYS"}
    assert told(second) == {f"{AT_LINK}/qkdl_performance/skr": 1200}
    assert not third.update  # it could be there, and is not


async def test_names_carry_modules_when_the_request_does(client: GnmiClient) -> None:
    (answer,) = await client.get(["/etsi-qkd-sdn-node:qkd_node/qkdn_id"])
    assert told(answer) == {"/etsi-qkd-sdn-node:qkd_node/qkdn_id": NODE}
    (answer,) = await client.get(["etsi-qkd-sdn-node:/qkd_node/qkdn_id"])
    assert told(answer) == {"/qkd_node/qkdn_id": NODE}
    assert answer.prefix.origin == "etsi-qkd-sdn-node"


@pytest.mark.parametrize(
    ("kind", "there", "absent"),
    [
        (pb.GetRequest.CONFIG, "phys_channel_att", "skr"),
        (pb.GetRequest.STATE, "skr", "phys_channel_att"),
        (pb.GetRequest.OPERATIONAL, "skr", "phys_channel_att"),
    ],
)
async def test_get_by_type(client: GnmiClient, kind: int, there: str, absent: str) -> None:
    (answer,) = await client.get([AT_LINK], kind=kind)
    text = str(told(answer))
    assert there in text
    assert absent not in text
    assert LINK in text  # an entry is told with its key


async def test_get_of_configuration_does_not_disturb_the_device(client: GnmiClient, target: Target) -> None:
    await client.get([AT_LINK], kind=pb.GetRequest.CONFIG)
    assert target.device.looked == 0


async def test_proto_tells_each_leaf_as_a_scalar(client: GnmiClient) -> None:
    (answer,) = await client.get([AT_LINK], encoding=pb.PROTO)
    values = {path_text(each.path).removeprefix(AT_LINK): each.val for each in answer.update}
    assert values["/phys_channel_att"].double_val == 3.5
    assert values["/qkdl_performance/skr"].uint_val == 1200
    assert values["/qkdl_type"].string_val == "etsi-qkd-node-types:PHYS"


async def test_the_target_of_a_prefix_is_echoed(target: Target) -> None:
    async with target.client(target="alpha") as client:
        (answer,) = await client.get(["/qkd_node/qkdn_id"])
    assert answer.prefix.target == "alpha"


@pytest.mark.parametrize(
    ("path", "kind", "text"),
    [
        ("/qkd_node/nothing", NoSuchNode, "/qkd_node/nothing: no node 'nothing'"),
        ("/other-module:qkd_node", NoSuchNode, "no node 'qkd_node'"),
        ("/qkd_node/qkd_links/qkd_link[id=1]", SchemaViolation, "qkd_link has no key 'id'"),
        ("cli:/show", Unsupported, "origin 'cli'"),
        ("/netconf-state", NoSuchNode, "no node 'netconf-state'"),
    ],
)
async def test_a_path_that_leads_nowhere_is_named(
    client: GnmiClient, path: str, kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=text.replace("[", r"\[")):
        await client.get([path])


async def test_encodings_that_are_not_offered(client: GnmiClient) -> None:
    with pytest.raises(Unsupported, match="ASCII is not offered"):
        await client.get(["/"], encoding=pb.ASCII)


async def test_set_deletes_replaces_and_updates_in_one_change(client: GnmiClient, target: Target) -> None:
    await client.set(
        delete=[f"{AT_LINK}/phys_channel_att"],
        replace=[("/qkd_node/qkdn_location_id", "cellar")],
        update=[
            (f"/qkd_node/qkd_links/qkd_link[qkdl_id={OTHER}]", {"qkdl_enable": True}),
            ("/qkd_node", {"qkdn_version": "7"}),
        ],
    )
    assert len(target.device.applied) == 1
    text = target.running().decode()
    assert "phys_channel_att" not in text
    for part in ("cellar", OTHER, "<qkdl_enable>true<", "<qkdn_version>7<"):
        assert part in text


async def test_operations_build_on_each_other_in_the_order_of_the_clause(
    client: GnmiClient, target: Target
) -> None:
    version = "/qkd_node/qkdn_version"
    await client.set(
        delete=["/qkd_node/qkd_links/qkd_link"],
        replace=[(version, "one"), (version, "two")],
        update=[(AT_LINK, {"qkdl_enable": False}), (f"{AT_LINK}/qkdl_enable", True)],
    )
    text = target.running().decode()
    assert "<qkdn_version>two<" in text
    assert "qkdl_type" not in text  # went with the entry that was deleted first
    assert "<qkdl_enable>true<" in text


async def test_replacing_a_list_leaves_the_given_entries_only(client: GnmiClient, target: Target) -> None:
    await client.set(replace=[("/qkd_node/qkd_links/qkd_link", [{"qkdl_id": OTHER}])])
    text = target.running().decode()
    assert OTHER in text
    assert LINK not in text


async def test_the_answer_tells_each_operation(target: Target) -> None:
    request = pb.SetRequest(
        prefix=parse_path("/qkd_node"),
        delete=[parse_path("qkdn_version")],
        update=[pb.Update(path=parse_path("qkdn_location_id"), val=pb.TypedValue(string_val="attic"))],
    )
    async with target.client() as client:
        answer = await pb_grpc.gNMIStub(client._channel).Set(request)
    assert [(path_text(each.path), each.op) for each in answer.response] == [
        ("/qkdn_version", pb.UpdateResult.DELETE),
        ("/qkdn_location_id", pb.UpdateResult.UPDATE),
    ]
    assert answer.timestamp > 1e18
    assert b"attic" in target.running()


async def test_an_empty_set_is_no_error(client: GnmiClient, target: Target) -> None:
    await client.set()
    assert not target.device.applied


@pytest.mark.parametrize(
    ("change", "kind", "text"),
    [
        ({"update": [("/qkd_node/nothing", 1)]}, NoSuchNode, "/qkd_node/nothing"),
        ({"update": [(AT_LINK, {"nothing": 1})]}, NoSuchNode, "no node 'nothing'"),
        ({"update": [(f"{AT_LINK}/qkdl_enable", "yes")]}, SchemaViolation, "want true or false"),
        ({"update": [(f"{AT_LINK}/phys_wavelength", 1.5)]}, SchemaViolation, "phys_wavelength"),
        ({"update": [("/qkd_node/qkdn_id", "no-uuid")]}, SchemaViolation, "qkdn_id"),
        ({"update": [("/qkd_node/qkdn_status", "x")]}, SchemaViolation, "state of the system"),
        ({"update": [("/qkd_node/qkd_links/qkd_link[qkdl_id=*]", {})]}, SchemaViolation, "wildcards"),
        ({"update": [(AT_LINK, {"qkdl_id": OTHER})]}, SchemaViolation, "the value says qkdl_id"),
        ({"delete": ["/qkd_node/qkdn_status"]}, SchemaViolation, "state of the system"),
        ({"delete": ["/qkd_node/qkdn_id"]}, SchemaViolation, "mandatory"),
        ({"delete": [f"{AT_LINK}/qkdl_id"]}, SchemaViolation, "delete the entry"),
        ({"delete": ["/"]}, SchemaViolation, "mandatory"),
        ({"update": [("/qkd_node/qkdn_version", "impossible")]}, Refused, "No such version"),
    ],
)
async def test_a_fault_names_the_place_and_changes_nothing(
    client: GnmiClient, target: Target, change: dict[str, list[object]], kind: type[Exception], text: str
) -> None:
    before = target.running()
    change = {**change, "replace": [("/qkd_node/qkdn_location_id", "elsewhere")]}
    with pytest.raises(kind, match=text):
        await client.set(**change)  # type: ignore[arg-type]  # parametrised
    assert target.running() == before


async def test_a_lock_of_a_netconf_session_is_respected(client: GnmiClient, target: Target) -> None:
    target.netconf.system.datastores.lock(7, Store.RUNNING)
    with pytest.raises(Conflict, match="locked by session 7"):
        await client.set(update=[("/qkd_node/qkdn_version", "2")])
    target.netconf.system.datastores.unlock(7, Store.RUNNING)
    await client.set(update=[("/qkd_node/qkdn_version", "2")])


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (pb.SetRequest(union_replace=[pb.Update()]), "union_replace"),
        (pb.SetRequest(extension=[ext.Extension(commit=ext.Commit(id="1"))]), "extension commit"),
        (pb.SetRequest(delete=[pb.Path(element=["a"])]), "gNMI 0.3"),
        (
            pb.SetRequest(update=[pb.Update(path=parse_path("/qkd_node"), val=pb.TypedValue(ascii_val="x"))]),
            "ascii_val",
        ),
    ],
)
async def test_what_is_not_offered_says_so(target: Target, request_: pb.SetRequest, text: str) -> None:
    async with target.client() as client:
        with pytest.raises(grpc.aio.AioRpcError, match=text) as caught:
            await pb_grpc.gNMIStub(client._channel).Set(request_)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_certificate_that_is_not_on_the_list_is_told_so(target: Target) -> None:
    async with target.client(target.pki.operator("stranger")) as client:
        with pytest.raises(NotAllowed, match="'stranger': not on the list"):
            await client.capabilities()


async def test_a_certificate_of_another_authority_gets_no_connection(
    target: Target, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = LabPki(tmp_path_factory.mktemp("other") / "pki", now=dt.datetime.now(dt.UTC))
    with pytest.raises(DeadlineExceeded, match="no connection"):
        async with target.client(other.operator("controller")):
            pass


async def test_a_port_that_is_taken_is_told(target: Target, pki: LabPki) -> None:
    again = replace(settings(pki.node("alpha", NODE)), listen_port=target.port)
    second = GnmiServer(again, target.netconf.system, groups=USERS)
    with pytest.raises(SettingsError, match=str(target.port)):
        await second.start()
    await second.close()


class TestLimits:
    @pytest.fixture
    def limits(self) -> GnmiLimits:
        return GnmiLimits(max_paths=2, max_message_bytes=4096, max_path_elements=3, grace_s=0.1)

    async def test_paths_of_a_request(self, client: GnmiClient) -> None:
        with pytest.raises(SchemaViolation, match="3 paths, want 2 or less"):
            await client.get(["/", "/", "/"])
        with pytest.raises(SchemaViolation, match="3 operations, want 2 or less"):
            await client.set(delete=["/qkd_node/qkdn_version"] * 3)

    async def test_elements_of_a_path(self, client: GnmiClient) -> None:
        with pytest.raises(SchemaViolation, match="4 elements, want 3 or less"):
            await client.get([f"{AT_LINK}/qkdl_type"])

    async def test_bytes_of_a_request(self, client: GnmiClient, target: Target) -> None:
        before = target.running()
        with pytest.raises(Exhausted):
            await client.set(update=[("/qkd_node/qkdn_location_id", "x" * 5000)])
        assert target.running() == before

    async def test_bytes_of_an_answer(self, client: GnmiClient) -> None:
        await client.set(update=[("/qkd_node/qkdn_location_id", "x" * 3000)])
        with pytest.raises(Exhausted, match="ask for less"):
            await client.get(["/", "/"])


async def test_concurrent_reads_share_one_look_at_the_device(client: GnmiClient, target: Target) -> None:
    target.device.takes_s = 0.05
    await asyncio.gather(*(client.get() for _ in range(20)))
    assert target.device.looked <= 3
