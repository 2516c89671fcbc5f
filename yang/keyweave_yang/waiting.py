"""`waiting-application` of keyweave-qkd-node: requests without an association, as data.

Rule of this file: the agent encodes; who reads data only decodes an entry into the notification that says the
same (`sdqkdn_application_new`).
"""

from collections.abc import Iterable

from lxml import etree

from keyweave_core.errors import SchemaViolation
from keyweave_core.model.application import AppQos, AppType, KeyMode
from keyweave_core.model.ids import NodeId, SaeId
from keyweave_core.model.notifications import ApplicationNew
from keyweave_yang.namespaces import kwq
from keyweave_yang.reading import Faults, Fields
from keyweave_yang.writing import grow, number, text


def encode_waiting(root: etree._Element, waiting: Iterable[ApplicationNew]) -> None:
    """Put the list below the `qkd_node` element `root`: one entry a pair of applications."""
    for request in waiting:
        for client in request.client_app_ids:
            entry = grow(root, kwq("waiting-application"))
            text(entry, kwq("server-app-id"), request.server_app_id)
            text(entry, kwq("client-app-id"), client)
            number(entry, kwq("priority"), request.priority)
            number(entry, kwq("min-bandwidth"), request.qos.min_bandwidth_bps)
            number(entry, kwq("max-bandwidth"), request.qos.max_bandwidth_bps)
            number(entry, kwq("jitter"), request.qos.jitter_ms)
            number(entry, kwq("ttl"), request.qos.ttl_s)
            text(entry, kwq("key-mode"), request.key_mode)


def decode_waiting(entry: etree._Element, node_id: NodeId | None = None) -> ApplicationNew:
    """Read one entry of the list at node `node_id`. SchemaViolation when it does not name both parties."""
    fields = Fields(entry, "waiting-application", Faults())
    server, client = fields.text(kwq("server-app-id")), fields.text(kwq("client-app-id"))
    if server is None or client is None:
        raise SchemaViolation("waiting-application without both applications", tag="missing-element")
    return ApplicationNew(
        app_type=AppType.CLIENT,
        server_app_id=SaeId(server),
        client_app_ids=(SaeId(client),),
        priority=fields.uint32(kwq("priority")) or 0,
        local_node_id=node_id,
        qos=AppQos(
            min_bandwidth_bps=fields.uint32(kwq("min-bandwidth")),
            max_bandwidth_bps=fields.uint32(kwq("max-bandwidth")),
            jitter_ms=fields.uint32(kwq("jitter")),
            ttl_s=fields.uint32(kwq("ttl")),
        ),
        key_mode=fields.word(kwq("key-mode"), KeyMode),
    )
