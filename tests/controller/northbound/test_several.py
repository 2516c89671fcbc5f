"""The same keys for several destinations, asked for and shown over gRPC and NETCONF."""

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from tests.controller.northbound.conftest import NODES, SKR_BPS

from keyweave_controller.control.events import UsageReported
from keyweave_controller.control.state import NetworkState
from keyweave_controller.engine.loop import ControllerEngine
from keyweave_controller.northbound import association_tree
from keyweave_controller.northbound.markup import kwn
from keyweave_core.model.application import AppStatistics, PathUsage
from keyweave_core.model.ids import AppId, LinkId
from keyweave_core.runtime.clock import SystemClock
from keyweave_proto.v1 import keyweave_pb2 as pb
from keyweave_yang.schema import load_schema


def wish(*further: str, **more) -> pb.OpenAssociationRequest:
    asked = {"source": "sae-burgo", "destination": "sae-aldea", "further_destinations": further}
    return pb.OpenAssociationRequest(**{**asked, **more})


async def refused(call, code: grpc.StatusCode) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is code, caught.value.details()
    return caught.value.details() or ""


async def test_a_tree_is_opened_shown_and_closed(bench, operator) -> None:
    opened = (await operator.associations.Open(wish("sae-costa"))).association
    assert list(opened.further_destinations) == ["sae-costa"]
    assert list(opened.further_node_ids) == [NODES["Costa"]]
    assert list(opened.further_nodes) == ["Costa"]
    assert [(step.from_node_id, step.to_node_id) for step in opened.path.steps] == [
        (NODES["Burgo"], NODES["Aldea"]),
        (NODES["Burgo"], NODES["Costa"]),
    ]
    assert opened.path.hops == len(opened.path.link_ids) == 2
    assert list(opened.path.node_names) == ["Burgo", "Aldea", "Costa"]
    again = (await operator.associations.Open(wish("sae-costa"))).association
    assert again.app_id == opened.app_id
    closed = await operator.associations.Close(pb.CloseAssociationRequest(app_id=opened.app_id))
    assert list(closed.association.further_destinations) == ["sae-costa"]


@pytest.mark.parametrize(
    ("asked", "code", "text"),
    [
        (wish("sae-aldea"), grpc.StatusCode.INVALID_ARGUMENT, "further_destinations"),
        (wish("sae-burgo"), grpc.StatusCode.INVALID_ARGUMENT, "further_destinations"),
        (wish(""), grpc.StatusCode.INVALID_ARGUMENT, "further_destinations"),
        (wish("sae-nobody"), grpc.StatusCode.NOT_FOUND, "sae-nobody"),
        (
            wish("sae-costa", service=pb.Service(protection=pb.PROTECTION_ONE_TO_ONE)),
            grpc.StatusCode.FAILED_PRECONDITION,
            "which has no protection 1:1",
        ),
        (
            wish("sae-costa", qos=pb.Qos(min_bandwidth_bps=2 * SKR_BPS)),
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "Costa is out of reach: link Burgo-Costa lacks",
        ),
    ],
)
async def test_what_cannot_be_says_why(bench, operator, asked, code, text) -> None:
    assert text in await refused(operator.associations.Open(asked), code)


async def test_why_of_a_pair_means_its_own_association_and_else_the_tree(bench, operator) -> None:
    tree = (await operator.associations.Open(wish("sae-costa"))).association
    for destination in ("sae-aldea", "sae-costa"):
        asked = pb.ExplainRequest(source="sae-burgo", destination=destination)
        assert (await operator.planning.Explain(asked)).association.app_id == tree.app_id
    pair = (await operator.associations.Open(wish())).association
    asked = pb.ExplainRequest(source="sae-burgo", destination="sae-aldea")
    assert (await operator.planning.Explain(asked)).association.app_id == pair.app_id


async def test_a_computed_path_is_for_one_destination(bench, operator) -> None:
    request = pb.DeployPathRequest(path_id="0" * 16, association=wish("sae-costa"))
    text = await refused(operator.associations.DeployPath(request), grpc.StatusCode.INVALID_ARGUMENT)
    assert "association.further_destinations" in text


async def test_a_key_is_billed_once_over_all_links_of_the_tree(bench, operator) -> None:
    opened = (await operator.associations.Open(wish("sae-costa"))).association
    virtual, at = LinkId(opened.path.virtual_link_id), SystemClock().now()
    for name in NODES:
        period = AppStatistics(
            end_time="2026-11-21T10:00:00Z",
            consumed_bits=2560,
            paths=(PathUsage(link_id=virtual, delivered_bits=2560, delivered_keys=10),),
        )
        app_id = AppId(opened.app_id)
        bench.engine.submit(UsageReported(at=at, node_id=NODES[name], app_id=app_id, periods=(period,)))
    await operator.associations.Close(pb.CloseAssociationRequest(app_id=opened.app_id))
    (record,) = (await operator.accounting.ListUsage(pb.ListUsageRequest())).records
    assert (record.delivered_keys, record.delivered_bits, record.hops) == (10, 2560, 2)
    assert list(record.further_destinations) == ["sae-costa"]
    (line,) = (await operator.accounting.GetBill(pb.GetBillRequest())).lines
    assert (line.hops, list(line.further_destinations)) == (2, ["sae-costa"])


async def test_netconf_shows_it_as_valid_data(bench, operator) -> None:
    opened = (await operator.associations.Open(wish("sae-costa"))).association
    engine: ControllerEngine = bench.engine
    state: NetworkState = engine.network.state
    record = state.associations[AppId(opened.app_id)]
    names = {node_id: node.name for node_id, node in state.nodes.items()}
    element = association_tree.association(record, record.app_id, names)
    told = element.find(f".//{kwn('state')}")
    assert [one.text for one in told.findall(kwn("further-destination"))] == ["sae-costa"]
    assert [one.text for one in told.findall(kwn("further-node"))] == ["Costa"]
    steps = told.findall(f"{kwn('path')}/{kwn('step')}")
    assert [one.findtext(kwn("to-node-id")) for one in steps] == [NODES["Aldea"], NODES["Costa"]]
    top = element if element.getparent() is None else element.getroottree().getroot()
    load_schema("controller").validate_data([top])
    assert "steps" in MessageToDict(opened.path)
