"""The northbound by real calls over mutual TLS, against the real engine."""

import asyncio
import time

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from keyweave_controller.control.events import Notified
from keyweave_controller.northbound.grpc_service import GrpcNorthbound
from keyweave_controller.settings import GrpcSettings
from keyweave_core.errors import SettingsError
from keyweave_core.model.ids import SaeId
from keyweave_core.model.notifications import Alarm, Concern, LinkReport
from keyweave_core.runtime.clock import SystemClock
from keyweave_proto.v1 import keyweave_pb2 as pb


def wish(**changes) -> pb.OpenAssociationRequest:
    values = {
        "source": "sae-aldea",
        "destination": "sae-costa",
        "qos": pb.Qos(min_bandwidth_bps=1000),
        **changes,
    }
    return pb.OpenAssociationRequest(**values)


def details(error: grpc.aio.AioRpcError, kind):
    """The detail of one kind in the google.rpc.Status of an error."""
    status = rpc_status.from_call(error)
    assert status is not None
    assert status.code == error.code().value[0]
    for packed in status.details:
        found = kind()
        if packed.Unpack(found):
            return found
    raise AssertionError(f"no {kind.__name__} in {status}")


async def refusal(call) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert details(caught.value, error_details_pb2.ErrorInfo).domain == "keyweave"
    return caught.value


async def test_nodes_and_links_are_listed_with_their_figures(operator):
    nodes = (await operator.topology.ListNodes(pb.ListNodesRequest())).nodes
    assert [node.name for node in nodes] == ["Aldea", "Burgo", "Costa"]
    assert nodes[0].connected
    assert nodes[0].status == pb.NODE_STATUS_OPERATING
    assert nodes[0].consumers == ["sae-aldea"]
    assert [module.interface_id for module in nodes[0].interfaces] == [1, 2]
    links = (await operator.topology.ListLinks(pb.ListLinksRequest())).links
    assert [(link.a_name, link.b_name) for link in links] == [("Aldea", "Burgo"), ("Burgo", "Costa")]
    link = links[0]
    assert (link.skr_bps, link.available_bps, link.distance_km, link.loss_db) == (10_000, 9_000, 20.0, 4.0)
    assert link.qber == pytest.approx(0.02)
    assert (link.stored_bits, link.capacity_bits) == (1000, 4000)
    assert len(link.ends) == 2


async def test_an_association_is_opened_seen_and_closed(operator):
    opened = (await operator.associations.Open(wish(priority=3))).association
    assert opened.state == pb.ASSOCIATION_STATE_ACTIVE
    assert opened.path.node_names == ["Aldea", "Burgo", "Costa"]
    assert (opened.path.hops, opened.path.bandwidth_bps) == (2, 1000)
    assert (opened.source_node, opened.destination_node) == ("Aldea", "Costa")
    assert (opened.priority, opened.requested_by) == (3, "operator")
    assert opened.qos.HasField("min_bandwidth_bps")
    assert not opened.qos.HasField("ttl_s")

    links = (await operator.topology.ListLinks(pb.ListLinksRequest())).links
    # 1000 bit/s of keys, and the tags of their messages.
    assert [link.reserved_bps for link in links] == [1063, 1063]
    assert links[0].reservations[0].virtual_link_id == opened.path.virtual_link_id

    got = await operator.associations.Get(pb.GetAssociationRequest(app_id=opened.app_id.upper()))
    assert got == opened
    listed = await operator.associations.List(pb.ListAssociationsRequest())
    assert [item.app_id for item in listed.associations] == [opened.app_id]

    closed = await operator.associations.Close(pb.CloseAssociationRequest(app_id=opened.app_id))
    assert closed.association.state in (pb.ASSOCIATION_STATE_CLOSING, pb.ASSOCIATION_STATE_CLOSED)
    again = await operator.associations.Close(pb.CloseAssociationRequest(app_id=opened.app_id))
    assert again.association.app_id == opened.app_id
    async with asyncio.timeout(5):
        while (await operator.associations.List(pb.ListAssociationsRequest())).associations:
            await asyncio.sleep(0.01)
    ended = await operator.associations.List(pb.ListAssociationsRequest(include_ended=True))
    assert [item.state for item in ended.associations] == [pb.ASSOCIATION_STATE_CLOSED]


async def test_the_same_request_id_asks_once(operator, bench):
    first = await operator.associations.Open(wish(request_id="mine"))
    second = await operator.associations.Open(wish(request_id="mine"))
    assert first.association.app_id == second.association.app_id
    assert len(bench.engine.network.associations) == 1


async def test_an_application_nobody_serves_is_not_found(operator):
    error = await refusal(operator.associations.Open(wish(destination="sae-nowhere")))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert details(error, error_details_pb2.ResourceInfo).resource_name == "sae-nowhere"


async def test_too_much_is_refused_with_the_link_and_what_it_lacks(operator):
    error = await refusal(operator.associations.Open(wish(qos=pb.Qos(min_bandwidth_bps=9_500))))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    reasons = [item.description for item in details(error, error_details_pb2.PreconditionFailure).violations]
    assert any("lacks 1094 bit/s" in reason for reason in reasons), reasons
    links = (await operator.topology.ListLinks(pb.ListLinksRequest())).links
    assert [link.reserved_bps for link in links] == [0, 0]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (wish(source=""), "source"),
        (wish(source=" \t"), "source"),
        (wish(destination="x" * 300), "destination"),
        (wish(destination="a\nb"), "destination"),
        (wish(destination="sae-aldea"), "destination"),
        (wish(request_id="x" * 200), "request_id"),
        (wish(qos=pb.Qos(ttl_s=0)), "qos.ttl_s"),
        (wish(qos=pb.Qos(max_bandwidth_bps=0)), "qos.max_bandwidth_bps"),
        (wish(qos=pb.Qos(min_bandwidth_bps=2, max_bandwidth_bps=1)), "qos.max_bandwidth_bps"),
        (wish(expires_at={"seconds": 1}), "expires_at"),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_changed(operator, bench, request_, field):
    before = bench.engine.seq
    error = await refusal(operator.associations.Open(request_))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    bad = details(error, error_details_pb2.BadRequest)
    assert [item.field for item in bad.field_violations] == [field]
    assert bench.engine.seq == before


async def test_ids_that_are_none_or_unknown(operator):
    error = await refusal(operator.associations.Get(pb.GetAssociationRequest(app_id="me")))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    unknown = "0a000000-0000-4000-8000-00000000000f"
    error = await refusal(operator.associations.Close(pb.CloseAssociationRequest(app_id=unknown)))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    error = await refusal(operator.accounting.GetBill(pb.GetBillRequest(app_ids=["me"])))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_an_opening_that_takes_too_long_says_so_and_goes_on(operator, bench):
    bench.agents.gate.clear()
    error = await refusal(operator.associations.Open(wish(request_id="slow")))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    bench.agents.gate.set()
    opened = await operator.associations.Open(wish(request_id="slow"))
    assert opened.association.state == pb.ASSOCIATION_STATE_ACTIVE
    assert len(bench.engine.network.associations) == 1


async def test_a_request_larger_than_any_of_ours_is_refused_unread(operator):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await operator.associations.Open(wish(source="x" * 600_000))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_viewer_may_look_and_not_change(viewer):
    await viewer.topology.ListNodes(pb.ListNodesRequest())
    error = await refusal(viewer.associations.Open(wish()))
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_certificate_that_is_not_listed_sees_nothing(call_as, pki):
    caller = call_as(pki.application(SaeId("sae-aldea")))
    for call in (
        caller.topology.ListNodes(pb.ListNodesRequest()),
        caller.alarms.List(pb.ListAlarmsRequest()),
        caller.accounting.ListUsage(pb.ListUsageRequest()),
    ):
        assert (await refusal(call)).code() is grpc.StatusCode.PERMISSION_DENIED
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await caller.topology.Watch(pb.WatchTopologyRequest()).read()
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_without_a_certificate_there_is_no_call(call_as):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call_as(None).topology.ListNodes(pb.ListNodesRequest(), timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_watching_associations_shows_all_then_what_changes(operator):
    stream = operator.associations.Watch(pb.WatchAssociationsRequest())
    first = await stream.read()
    assert first.snapshot
    assert not first.associations
    opened = (await operator.associations.Open(wish())).association
    async with asyncio.timeout(5):
        while True:
            update = await stream.read()
            assert not update.snapshot
            if update.associations[0].state == pb.ASSOCIATION_STATE_ACTIVE:
                break
    assert update.associations[0].app_id == opened.app_id
    stream.cancel()


async def test_watching_the_topology_shows_links_as_they_change(operator, bench):
    stream = operator.topology.Watch(pb.WatchTopologyRequest())
    first = await stream.read()
    assert (first.snapshot, len(first.nodes), len(first.links)) == (True, 3, 2)
    bench.submit_figures(4_000)
    async with asyncio.timeout(5):
        while True:
            update = await stream.read()
            if any(link.skr_bps == 4_000 for link in update.links):
                break
    stream.cancel()


async def test_a_slow_watcher_gets_the_newest_state_and_costs_bounded_memory(operator, bench):
    stream = operator.topology.Watch(pb.WatchTopologyRequest())
    await stream.read()
    for rate in range(2_000, 6_000, 2):
        bench.submit_figures(rate)
    async with asyncio.timeout(20):
        while bench.engine.network.links and not any(
            link.skr_bps == 5_998 for link in bench.engine.network.links.values()
        ):
            await asyncio.sleep(0.01)
        updates = 0
        while True:
            update = await stream.read()
            updates += 1
            if any(link.skr_bps == 5_998 for link in update.links):
                break
    assert updates < 4_000
    stream.cancel()


async def test_alarms_are_listed_and_watched_from_raise_to_clear(operator, bench):
    stream = operator.alarms.Watch(pb.WatchAlarmsRequest())
    assert (await stream.read()).snapshot
    await operator.associations.Open(wish(qos=pb.Qos(min_bandwidth_bps=5_000)))
    bench.submit_figures(1_000)
    async with asyncio.timeout(5):
        raised = (await stream.read()).alarms[0]
        assert not raised.HasField("cleared_at")
        assert raised.type
        listed = await operator.alarms.List(pb.ListAlarmsRequest())
        assert raised.alarm_id in [alarm.alarm_id for alarm in listed.alarms]
        bench.submit_figures(10_000)
        while True:
            update = await stream.read()
            if any(a.alarm_id == raised.alarm_id and a.HasField("cleared_at") for a in update.alarms):
                break
    assert not (await operator.alarms.List(pb.ListAlarmsRequest())).alarms
    kept = await operator.alarms.List(pb.ListAlarmsRequest(include_cleared=True))
    assert raised.alarm_id in [alarm.alarm_id for alarm in kept.alarms]
    stream.cancel()


async def test_the_bill_of_nothing_is_nothing(operator):
    bill = await operator.accounting.GetBill(pb.GetBillRequest())
    assert (bill.currency, bill.total, len(bill.lines)) == ("EUR", "0.00", 0)
    assert not (await operator.accounting.ListUsage(pb.ListUsageRequest())).records


async def test_health_and_reflection(operator):
    health = health_pb2_grpc.HealthStub(operator.channel)
    for service in ("", "keyweave.v1.Topology"):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    stub = reflection_pb2_grpc.ServerReflectionStub(operator.channel)
    stream = stub.ServerReflectionInfo()
    await stream.write(reflection_pb2.ServerReflectionRequest(list_services=""))
    names = {service.name for service in (await stream.read()).list_services_response.service}
    await stream.done_writing()
    assert {"keyweave.v1.Associations", "keyweave.v1.Accounting", "grpc.health.v1.Health"} <= names


async def test_fifty_openings_at_once(operator):
    began = time.monotonic()
    calls = [operator.associations.Open(wish(qos=pb.Qos(min_bandwidth_bps=100))) for _ in range(50)]
    answers = await asyncio.gather(*calls)
    assert len({answer.association.app_id for answer in answers}) in (1, 50)
    assert time.monotonic() - began < 20


async def test_a_port_that_is_taken_is_told(bench, server_tls):
    second = GrpcNorthbound(
        settings=GrpcSettings(
            certificate=server_tls.certificate,
            private_key=server_tls.private_key,
            ca=server_tls.ca,
            listen_port=bench.port,
        ),
        clock=SystemClock(),
        new_id=str,
    )
    with pytest.raises(SettingsError, match=f"cannot listen on 127.0.0.1:{bench.port}"):
        second.bind()
    await second.stop()


async def test_a_link_in_quarantine_is_released_by_operators_alone(bench, operator, viewer):
    wish = pb.ReleaseLinkRequest(link="Aldea-Burgo")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await operator.topology.ReleaseLink(wish)
    assert (caught.value.code(), "is in no quarantine" in caught.value.details()) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        True,
    )
    state = bench.engine.network.state
    (link,) = [one for one in state.links.values() if state.link_name(one.link_id) == "Aldea-Burgo"]
    report = LinkReport(link_id=link.link_id, message="QBER 14.0 %", concern=Concern.INTRUSION)
    bench.engine.submit(Notified(at=2e9, node_id=link.a, notification=Alarm(link=report)))
    async with asyncio.timeout(5):
        while not link.quarantine:
            await asyncio.sleep(0.01)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await viewer.topology.ReleaseLink(wish)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    answer = await operator.topology.ReleaseLink(wish)
    assert "QBER" in answer.link.quarantine
    async with asyncio.timeout(5):
        while len(bench.agents.released) < 2:
            await asyncio.sleep(0.01)
    assert {node_id for node_id, _ in bench.agents.released} == {link.a, link.b}
    wish.link = "Aldea-Nowhere"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await operator.topology.ReleaseLink(wish)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
