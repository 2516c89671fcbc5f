"""Records as messages: nothing gets lost, and no enumeration can drift from the model."""

from decimal import Decimal

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from keyweave_controller.control import facts
from keyweave_controller.control.configuration import Policy, Tariff
from keyweave_controller.control.service import Disjointness, Protection, Service, ServiceClass
from keyweave_controller.control.state import (
    Association,
    AssociationState,
    LinkRecord,
    NetworkState,
    PathRecord,
)
from keyweave_controller.management.accounting import Bill, BillLine
from keyweave_controller.management.alarms import Alarm, AlarmSeverity, AlarmType
from keyweave_controller.northbound import topology_views, views
from keyweave_core.model.application import AppQos
from keyweave_core.model.ids import AppId, LinkId, NodeId, SaeId
from keyweave_core.model.link import InterfaceStatus, LinkStatus, Role, Technology
from keyweave_core.model.node import NodeStatus, TrustLevel
from keyweave_proto.v1 import keyweave_pb2 as pb

A, B = NodeId("0a000000-0000-4000-8000-000000000000"), NodeId("0b000000-0000-4000-8000-000000000000")
LINK = LinkId("0c000000-0000-4000-8000-000000000000")
APP = AppId("0d000000-0000-4000-8000-000000000000")
NAMES = {A: "Aldea"}


@pytest.mark.parametrize(
    ("prefix", "model", "shown"),
    [
        ("NODE_STATUS", NodeStatus, pb.NodeStatus),
        ("TRUST_LEVEL", TrustLevel, pb.TrustLevel),
        ("LINK_STATUS", LinkStatus, pb.LinkStatus),
        ("INTERFACE_STATUS", InterfaceStatus, pb.InterfaceStatus),
        ("TECHNOLOGY", Technology, pb.Technology),
        ("ROLE", Role, pb.Role),
        ("ASSOCIATION_STATE", AssociationState, pb.AssociationState),
        ("ALARM_SEVERITY", AlarmSeverity, pb.AlarmSeverity),
        ("SERVICE_CLASS", ServiceClass, pb.ServiceClass),
        ("DISJOINTNESS", Disjointness, pb.Disjointness),
    ],
)
def test_every_member_of_the_model_has_its_number_and_zero_is_not_said(prefix, model, shown):
    numbers = {shown.Value(views.member(prefix, member)) for member in model}
    assert len(numbers) == len(model)
    assert shown.Value(views.member(prefix, None)) == 0
    assert len(shown.keys()) == len(model) + 1


def test_every_protection_has_its_number():
    shown = {views.service(Service(protection=one)).protection for one in Protection}
    assert shown == set(pb.Protection.values()) - {pb.PROTECTION_UNSPECIFIED}


@given(st.floats(min_value=0, max_value=4e9))
def test_moments_survive_to_the_microsecond(at_s):
    moment = views.timestamp(at_s)
    assert isinstance(moment, Timestamp)
    assert 0 <= moment.nanos < 1_000_000_000
    assert abs(views.seconds(moment) - at_s) < 2e-6


def test_no_moment_is_no_moment():
    assert views.timestamp(None) is None


def test_what_a_link_did_not_say_is_absent_and_overbooking_is_no_negative_number():
    record = LinkRecord(link_id=LINK, a=A, b=B, skr_bps=1000, reserved_bps={LINK: 5000})
    message = topology_views.link(record, NAMES, Policy(), facts.of_link(NetworkState(), record))
    assert (message.a_name, message.b_name) == ("Aldea", B)
    assert (message.reserved_bps, message.available_bps) == (5000, 0)
    for name in ("qber", "distance_km", "loss_db", "stored_bits", "capacity_bits", "down_since"):
        assert not message.HasField(name)


def test_an_association_keeps_zero_apart_from_nothing_and_all_its_paths():
    path = PathRecord(link_id=LINK, nodes=(A, B), links=(LINK,), bandwidth_bps=10, hop_bps=11, since=1.0)
    record = Association(
        app_id=APP,
        source=SaeId("a"),
        destination=SaeId("b"),
        source_node=A,
        destination_node=B,
        qos=AppQos(min_bandwidth_bps=0),
        priority=0,
        state=AssociationState.SUSPENDED,
        requested_by="x",
        created_at=1.5,
        changed_at=2.0,
        past_paths={LINK: path},
        reasons=("no way",),
    )
    message = views.association(record, NAMES)
    assert message.qos.HasField("min_bandwidth_bps")
    assert not message.qos.HasField("max_bandwidth_bps")
    assert not message.HasField("path")
    assert message.past_paths[0].node_names == ["Aldea", B]
    assert message.reasons == ["no way"]
    assert message.created_at.nanos == 500_000_000


def test_money_is_decimal_text():
    line = BillLine(
        app_id=APP, source=SaeId("a"), destination=SaeId("b"), path=("A", "B"), hops=1, keys=2, bits=512,
        amount=Decimal("0.0000001"),
    )  # fmt: skip
    bill = Bill(currency="EUR", lines=(line,), total=Decimal("0.0000001"))
    message = views.bill(bill, Tariff(per_mbit=Decimal("1E+2")))
    assert (message.total, message.lines[0].amount, message.tariff.per_mbit) == (
        "0.0000001",
        "0.0000001",
        "100",
    )


def test_an_alarm_says_what_hangs_under_it():
    alarm = Alarm(
        alarm_id="7",
        resource=f"link:{LINK}",
        resource_name="Aldea-Burgo",
        type=AlarmType.LINK_DOWN,
        severity=AlarmSeverity.MAJOR,
        text="dark",
        raised_at=1.0,
        changed_at=1.0,
        affected=(APP,),
    )
    message = views.alarm(alarm)
    assert (message.type, message.affected_app_ids) == ("link-down", [APP])
    assert not message.HasField("cleared_at")
