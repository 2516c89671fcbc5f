"""gRPC can do what NETCONF can: live configuration, questions, operators' states of alarms."""

import asyncio

import grpc
import pytest

from keyweave_controller.control.events import NodeLost
from keyweave_core.runtime.clock import SystemClock
from keyweave_proto.v1 import keyweave_pb2 as pb


async def refused(call, code: grpc.StatusCode) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is code, caught.value.details()
    return caught.value.details() or ""


def wanted(name: str = "one", rate: int = 1_000, **more) -> pb.PutConfiguredRequest:
    values = {"source": "sae-aldea", "destination": "sae-costa", **more}
    qos = pb.Qos(min_bandwidth_bps=rate)
    return pb.PutConfiguredRequest(association=pb.ConfiguredAssociation(name=name, qos=qos, **values))


async def test_policy_counts_at_once_and_can_be_given_back(bench, operator):
    settings = await operator.configuration.GetPolicy(pb.GetPolicyRequest())
    assert not settings.configured
    policy = pb.Policy()
    policy.CopyFrom(settings.policy)
    policy.max_relay_hops = 1
    reply = await operator.configuration.SetPolicy(pb.SetPolicyRequest(policy=policy))
    assert reply.configured
    assert reply.policy.max_relay_hops == 1
    text = await refused(operator.configuration.PutAssociation(wanted()), grpc.StatusCode.FAILED_PRECONDITION)
    assert "2 links apart" in text
    policy.usable_share = 7
    await refused(
        operator.configuration.SetPolicy(pb.SetPolicyRequest(policy=policy)), grpc.StatusCode.INVALID_ARGUMENT
    )
    reply = await operator.configuration.SetPolicy(pb.SetPolicyRequest())
    assert reply == settings
    assert bench.engine.network.state.operator.policy is None


async def test_what_keys_are_made_of_and_how_they_travel(bench, operator):
    policy = pb.Policy()
    policy.CopyFrom((await operator.configuration.GetPolicy(pb.GetPolicyRequest())).policy)
    assert policy.guaranteed_key_mode == "qkd-only"
    policy.guaranteed_key_mode, policy.guaranteed_relay_method = "hybrid", "aes-256-gcm"
    policy.gcm_key_bits_per_pool_bit = 10
    await operator.configuration.SetPolicy(pb.SetPolicyRequest(policy=policy))
    tenant = pb.Tenant(name="bank", applications=["sae-burgo"], key_mode=pb.KEY_MODE_PQC_FALLBACK)
    made = await operator.configuration.PutTenant(pb.PutTenantRequest(tenant=tenant))
    assert (made.key_mode, made.relay_method) == (pb.KEY_MODE_PQC_FALLBACK, pb.RELAY_METHOD_UNSPECIFIED)
    for source, mode in (("sae-aldea", pb.KEY_MODE_HYBRID), ("sae-burgo", pb.KEY_MODE_PQC_FALLBACK)):
        wish = pb.OpenAssociationRequest(source=source, destination="sae-costa")
        wish.qos.min_bandwidth_bps = 1_000
        opened = (await operator.associations.Open(wish)).association
        assert (opened.service.key_mode, opened.path.relay_method) == (mode, pb.RELAY_METHOD_AES_256_GCM)
        assert opened.path.hop_bps == 100
    policy.scheduled_key_mode = "none"
    wrong = pb.SetPolicyRequest(policy=policy)
    text = await refused(operator.configuration.SetPolicy(wrong), grpc.StatusCode.INVALID_ARGUMENT)
    assert "scheduled_key_mode" in text
    assert "qkd-only, hybrid, pqc-fallback" in text
    wish = pb.OpenAssociationRequest(source="sae-costa", destination="sae-aldea")
    wish.service.share_threshold = 2
    text = await refused(operator.associations.Open(wish), grpc.StatusCode.INVALID_ARGUMENT)
    assert "share threshold" in text
    wish.service.ClearField("share_threshold")
    wish.service.key_mode = 9
    await refused(operator.associations.Open(wish), grpc.StatusCode.INVALID_ARGUMENT)


async def test_prices_of_origins(operator):
    tariff = pb.Tariff(per_mbit="0.50", pqc_per_key="0", hybrid_per_mbit="0.75", decimals=2)
    reply = await operator.configuration.SetTariff(pb.SetTariffRequest(tariff=tariff))
    assert reply.tariff.pqc_per_key == "0"
    assert reply.tariff.hybrid_per_mbit == "0.75"
    assert not reply.tariff.HasField("hybrid_per_key")
    wrong = pb.SetTariffRequest(tariff=pb.Tariff(pqc_per_mbit="-1"))
    await refused(operator.configuration.SetTariff(wrong), grpc.StatusCode.INVALID_ARGUMENT)


async def test_a_tariff_makes_the_bill(operator):
    tariff = pb.Tariff(currency="CHF", per_mbit="0.50", decimals=3)
    reply = await operator.configuration.SetTariff(pb.SetTariffRequest(tariff=tariff))
    assert reply.configured
    bill = await operator.accounting.GetBill(pb.GetBillRequest())
    assert (bill.currency, bill.tariff.per_mbit, bill.tariff.decimals) == ("CHF", "0.50", 3)
    for wrong in (pb.Tariff(per_mbit="dear"), pb.Tariff(per_key="-1"), pb.Tariff(decimals=12)):
        request = pb.SetTariffRequest(tariff=wrong)
        await refused(operator.configuration.SetTariff(request), grpc.StatusCode.INVALID_ARGUMENT)
    await operator.configuration.SetTariff(pb.SetTariffRequest())
    assert (await operator.configuration.GetTariff(pb.GetTariffRequest())).tariff.currency == "EUR"


async def test_tenants_bound_what_their_applications_get(operator):
    tenant = pb.Tenant(name="bank", applications=["sae-aldea"], max_associations=1, max_bandwidth_bps=2_000)
    await operator.configuration.PutTenant(pb.PutTenantRequest(tenant=tenant))
    open_one = pb.OpenAssociationRequest(source="sae-aldea", destination="sae-costa")
    opened = (await operator.associations.Open(open_one)).association
    assert opened.tenant == "bank"
    (shown,) = (await operator.configuration.ListTenants(pb.ListTenantsRequest())).tenants
    assert (shown.associations, shown.reserved_bps) == (1, 2_000)
    open_one.destination = "sae-burgo"
    text = await refused(operator.associations.Open(open_one), grpc.StatusCode.RESOURCE_EXHAUSTED)
    assert "tenant bank has 1 key associations of at most 1" in text
    other = pb.PutTenantRequest(tenant=pb.Tenant(name="other", applications=["sae-aldea"]))
    await refused(operator.configuration.PutTenant(other), grpc.StatusCode.FAILED_PRECONDITION)
    await operator.configuration.DeleteTenant(pb.DeleteTenantRequest(name="bank"))
    await operator.associations.Open(open_one)
    gone = pb.DeleteTenantRequest(name="bank")
    await refused(operator.configuration.DeleteTenant(gone), grpc.StatusCode.NOT_FOUND)


async def test_wanted_associations(operator):
    made = await operator.configuration.PutAssociation(wanted())
    assert made.app_id
    shown = await operator.associations.Get(pb.GetAssociationRequest(app_id=made.app_id))
    assert (shown.configured_as, shown.state) == ("one", pb.ASSOCIATION_STATE_ACTIVE)
    await refused(
        operator.associations.Close(pb.CloseAssociationRequest(app_id=made.app_id)),
        grpc.StatusCode.FAILED_PRECONDITION,
    )
    await operator.configuration.PutAssociation(wanted(rate=3_000))
    shown = await operator.associations.Get(pb.GetAssociationRequest(app_id=made.app_id))
    assert shown.path.bandwidth_bps == 3_000
    text = await refused(
        operator.configuration.PutAssociation(wanted(rate=50_000)), grpc.StatusCode.RESOURCE_EXHAUSTED
    )
    assert "association/one: link Aldea-Burgo lacks" in text
    for wrong in (wanted(name=""), wanted(source=""), wanted(name="x" * 200)):
        await refused(operator.configuration.PutAssociation(wrong), grpc.StatusCode.INVALID_ARGUMENT)
    (listed,) = (await operator.configuration.ListAssociations(pb.ListConfiguredRequest())).associations
    assert listed.qos.min_bandwidth_bps == 3_000
    await operator.configuration.DeleteAssociation(pb.DeleteConfiguredRequest(name="one"))
    assert not (await operator.configuration.ListAssociations(pb.ListConfiguredRequest())).associations


async def test_questions(operator, viewer):
    opened = (
        await operator.associations.Open(
            pb.OpenAssociationRequest(source="sae-aldea", destination="sae-costa")
        )
    ).association
    request = pb.ComputePathsRequest(source="Aldea", destination="sae-costa", number=2)
    reply = await viewer.planning.ComputePaths(request)
    (path,) = reply.paths
    assert path.node_names == ["Aldea", "Burgo", "Costa"]
    assert (path.hops, path.bottleneck_bps, path.distance_km) == (
        2,
        6_875,
        40.0,
    )  # 2 000 bit/s of keys take 2 125 of 9 000
    assert "no other such path" in reply.reasons[0]
    question = pb.WhatIfRequest(
        fail_nodes=["Burgo"],
        add_demands=[pb.Demand(id="d", source="sae-aldea", destination="sae-costa")],
    )
    outcomes = (await viewer.planning.WhatIf(question)).outcomes
    assert [(one.id, one.fate) for one in outcomes] == [
        (opened.app_id, pb.FATE_LOST),
        ("d", pb.FATE_LOST),
    ]
    assert outcomes[0].reasons
    for request, code in (
        (pb.ComputePathsRequest(source="Aldea"), grpc.StatusCode.INVALID_ARGUMENT),
        (pb.ComputePathsRequest(source="Aldea", destination="Ovidio"), grpc.StatusCode.NOT_FOUND),
        (
            pb.ComputePathsRequest(source="Aldea", destination="Costa", number=99),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
    ):
        await refused(viewer.planning.ComputePaths(request), code)
    for request, code in (
        (pb.WhatIfRequest(fail_link_ids=["x"]), grpc.StatusCode.NOT_FOUND),
        (pb.WhatIfRequest(fail_link_ids=[""]), grpc.StatusCode.INVALID_ARGUMENT),
        (pb.WhatIfRequest(fail_link_ids=[opened.app_id]), grpc.StatusCode.NOT_FOUND),
        (pb.WhatIfRequest(add_demands=[pb.Demand(id="d")] * 2), grpc.StatusCode.INVALID_ARGUMENT),
    ):
        await refused(viewer.planning.WhatIf(request), code)


async def test_a_viewer_changes_nothing(viewer):
    for call in (
        viewer.configuration.SetPolicy(pb.SetPolicyRequest()),
        viewer.configuration.SetTariff(pb.SetTariffRequest()),
        viewer.configuration.PutTenant(pb.PutTenantRequest(tenant=pb.Tenant(name="x"))),
        viewer.configuration.DeleteTenant(pb.DeleteTenantRequest(name="x")),
        viewer.configuration.PutAssociation(wanted()),
        viewer.configuration.DeleteAssociation(pb.DeleteConfiguredRequest(name="one")),
        viewer.alarms.SetState(pb.SetAlarmStateRequest(alarm_id="1", state=pb.OPERATOR_STATE_ACK)),
        viewer.alarms.Purge(pb.PurgeAlarmsRequest()),
    ):
        await refused(call, grpc.StatusCode.PERMISSION_DENIED)


async def test_alarms_are_acknowledged_and_purged(bench, operator):
    bench.engine.submit(NodeLost(at=SystemClock().now(), name="Burgo", reason="cable pulled"))
    async with asyncio.timeout(5):
        while not bench.engine.management.alarms():
            await asyncio.sleep(0.01)
    (alarm,) = (await operator.alarms.List(pb.ListAlarmsRequest())).alarms
    noted = await operator.alarms.SetState(
        pb.SetAlarmStateRequest(alarm_id=alarm.alarm_id, state=pb.OPERATOR_STATE_ACK, text="on my way")
    )
    assert [(note.operator, note.state, note.text) for note in noted.notes] == [
        ("operator", pb.OPERATOR_STATE_ACK, "on my way")
    ]
    for request, code in (
        (pb.SetAlarmStateRequest(alarm_id="99", state=pb.OPERATOR_STATE_ACK), grpc.StatusCode.NOT_FOUND),
        (pb.SetAlarmStateRequest(alarm_id=alarm.alarm_id), grpc.StatusCode.INVALID_ARGUMENT),
        (
            pb.SetAlarmStateRequest(alarm_id=alarm.alarm_id, state=pb.OPERATOR_STATE_ACK, text="x" * 2_000),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
    ):
        await refused(operator.alarms.SetState(request), code)
    assert (await operator.alarms.Purge(pb.PurgeAlarmsRequest())).purged == 0
    request = pb.PurgeAlarmsRequest(
        clearance=pb.PurgeAlarmsRequest.CLEARANCE_ANY,
        severities=[pb.ALARM_SEVERITY_MAJOR],
        operator_state=pb.OPERATOR_STATE_ACK,
        operator="operator",
        older_than_s=0,
    )
    assert (await operator.alarms.Purge(request)).purged == 1
    assert not (await operator.alarms.List(pb.ListAlarmsRequest(include_cleared=True))).alarms
