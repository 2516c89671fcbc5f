"""Key associations, tenants and usage as YANG data of `keyweave-qkd-network`.

Rule of this file: pure, one function a record. An association of the configuration goes by the name of its
entry, every other one by its app id.
"""

from collections.abc import Iterable, Mapping

from lxml import etree

from keyweave_controller.control.configuration import ConfiguredAssociation
from keyweave_controller.control.state import Association, NetworkState, PathRecord
from keyweave_controller.control.tenants import Use
from keyweave_controller.management.accounting import UsageRecord
from keyweave_controller.northbound import markup
from keyweave_controller.northbound.configuration_tree import put_association
from keyweave_controller.northbound.markup import kwn
from keyweave_core.model.ids import AppId, NodeId

Names = Mapping[NodeId, str]


def shown_names(state: NetworkState) -> dict[AppId, str]:
    """What every association goes by: the entry's name for the newest one of each configured entry."""
    configured = {one.name for one in state.operator.associations}
    newest = {
        one.configured_as: one.app_id
        for one in state.associations.values()
        if one.configured_as in configured
    }
    by_app = {app_id: name for name, app_id in newest.items()}
    return {app_id: by_app.get(app_id, app_id) for app_id in state.associations}


def association(record: Association, name: str, names: Names, degraded: Iterable[str] = ()) -> etree._Element:
    """One association with what was asked for and what became of it; `degraded`: what it lacks."""
    element = put_association(
        markup.qkd_tree("key-associations"),
        ConfiguredAssociation(
            name=name,
            source=record.source,
            destination=record.destination,
            qos=record.qos,
            priority=record.priority,
            expires_at=record.expires_at,
            tenant=record.tenant,
            service=record.service,
        ),
        # An entry has the links and nodes in the words of its operator; both ways would stand side by side.
        names=name == record.app_id,
    )
    state = etree.SubElement(element, kwn("state"))
    markup.text(state, kwn("app-id"), record.app_id)
    markup.member(state, kwn("status"), record.state)
    markup.texts(state, kwn("reason"), record.reasons)
    markup.text(state, kwn("requested-by"), record.requested_by)
    markup.moment(state, kwn("created-at"), record.created_at)
    markup.moment(state, kwn("changed-at"), record.changed_at)
    markup.text(state, kwn("source-node-id"), record.source_node)
    markup.text(state, kwn("destination-node-id"), record.destination_node)
    markup.text(state, kwn("source-node"), names.get(record.source_node))
    markup.text(state, kwn("destination-node"), names.get(record.destination_node))
    markup.texts(state, kwn("further-destination"), record.further)
    markup.texts(state, kwn("further-node"), names_of(record.destination_nodes[1:], names))
    past = sorted(record.past_paths.values(), key=lambda one: (one.since, one.link_id))
    for tag, paths in (
        ("path", (record.path,) if record.path else ()),
        ("other-path", record.others),
        ("next-path", (record.next_path,) if record.next_path else ()),
        ("next-other-path", record.next_others),
        ("past-path", past),
    ):
        for path in paths:
            _virtual_link(etree.SubElement(state, kwn(tag)), path, names)
    markup.moment(state, kwn("outage-since"), record.outage_since)
    markup.decimal(state, kwn("outage-s"), record.outage_s)
    markup.number(state, kwn("share-bps"), record.share_bps)
    markup.number(state, kwn("degraded-bps"), record.degraded_bps)
    markup.texts(state, kwn("degraded"), degraded)
    markup.text(state, kwn("preempted-by"), record.preempted_by)
    for number, links in enumerate(record.booked, start=1):
        booked = etree.SubElement(state, kwn("booked-path"))
        markup.number(booked, kwn("number"), number)
        markup.texts(booked, kwn("link-id"), links)
    markup.text(state, kwn("trouble"), record.trouble)
    markup.member(state, kwn("granted-key-mode"), record.service.mode)
    markup.text(state, kwn("fallback"), record.fallback)
    markup.moment(state, kwn("fallback-since"), record.fallback_since)
    return element


def _virtual_link(element: etree._Element, path: PathRecord, names: Names) -> None:
    markup.text(element, kwn("virtual-link-id"), path.link_id)
    put_way(element, path.nodes, names)
    markup.texts(element, kwn("link-id"), path.links)
    for (here, there), link_id in zip(path.steps, path.links, strict=False):
        step = etree.SubElement(element, kwn("step"))
        markup.text(step, kwn("link-id"), link_id)
        markup.text(step, kwn("from-node-id"), here)
        markup.text(step, kwn("to-node-id"), there)
    markup.number(element, kwn("bandwidth-bps"), path.bandwidth_bps)
    markup.number(element, kwn("hop-bps"), path.hop_bps)
    markup.member(element, kwn("relay-method"), path.method)
    markup.moment(element, kwn("since"), path.since)


def put_way(element: etree._Element, nodes: tuple[NodeId, ...], names: Names) -> None:
    """The nodes of a way in order, by id and by name, and the hops between them."""
    markup.texts(element, kwn("node-id"), nodes)
    markup.texts(element, kwn("node-name"), names_of(nodes, names))
    if nodes:
        markup.number(element, kwn("hops"), len(nodes) - 1)


def names_of(nodes: Iterable[NodeId], names: Names) -> Iterable[str]:
    """What nodes are called; the id of one without a name."""
    return (names.get(node_id, node_id) for node_id in nodes)


def tenant_state(name: str, use: Use) -> etree._Element:
    """What a tenant has now."""
    element = etree.Element(kwn("tenant"))
    markup.text(element, kwn("name"), name)
    state = etree.SubElement(element, kwn("state"))
    markup.number(state, kwn("associations"), use.associations)
    markup.number(state, kwn("reserved-bps"), use.reserved_bps)
    return element


def usage(record: UsageRecord) -> etree._Element:
    """What one association received over one path."""
    element = etree.Element(kwn("usage"))
    markup.text(element, kwn("app-id"), record.app_id)
    markup.text(element, kwn("virtual-link-id"), record.link_id or "none")
    markup.member(element, kwn("origin"), record.origin)
    markup.text(element, kwn("source"), record.source)
    markup.text(element, kwn("destination"), record.destination)
    put_way(element, record.nodes, dict(zip(record.nodes, record.node_names, strict=False)))
    markup.number(element, kwn("delivered-bits"), record.bits)
    markup.number(element, kwn("delivered-keys"), record.keys)
    markup.moment(element, kwn("first-at"), record.first_at)
    markup.moment(element, kwn("last-at"), record.last_at)
    return element
