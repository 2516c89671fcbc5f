"""What the controller hears of associations that streams ask for, change and give back."""

from keyweave_agents.control.reports import of_key_event
from keyweave_agents.keys.plan import AssociationExpired, AssociationWanted, QosWanted
from keyweave_core.model import notifications as told
from keyweave_core.model.application import AppQos, AppType
from keyweave_core.model.ids import AppId, NodeId, SaeId
from keyweave_core.model.node import Node
from keyweave_yang.notify import decode_notification, encode_notification

APP = AppId("0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a07")
HERE = Node(node_id=NodeId("0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a01"))
QOS = AppQos(min_bandwidth_bps=4096, max_bandwidth_bps=40_000, ttl_s=600)


def test_the_id_that_an_application_brings_along_is_told() -> None:
    wanted = AssociationWanted(
        server=SaeId("alice"), clients=(SaeId("bob"),), qos=QOS, priority=2, app_id=APP
    )
    (notification,) = of_key_event(wanted, HERE, {})
    assert notification == told.ApplicationNew(
        app_type=AppType.CLIENT,
        server_app_id=SaeId("alice"),
        client_app_ids=(SaeId("bob"),),
        priority=2,
        local_node_id=HERE.node_id,
        qos=QOS,
        app_id=APP,
    )
    assert decode_notification(encode_notification(notification)) == notification


def test_other_qualities_and_the_end() -> None:
    (notification,) = of_key_event(QosWanted(app_id=APP, qos=QOS, priority=5), HERE, {})
    assert notification == told.ApplicationQosUpdate(app_id=APP, qos=QOS, priority=5)
    assert decode_notification(encode_notification(notification)) == notification
    assert of_key_event(AssociationExpired(app_id=APP), HERE, {}) == (
        told.ApplicationDisconnected(app_id=APP),
    )
