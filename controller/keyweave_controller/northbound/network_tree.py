"""Nodes, QKD modules and links as YANG data: `ietf-network` and its topology with the facts of QKD.

Rule of this file: pure, one function a record. A QKD link is shown as two links of RFC 8345, one in each
direction, with the same facts.
"""

from collections.abc import Iterable, Mapping

from lxml import etree

from keyweave_controller.control import admission, topology
from keyweave_controller.control.configuration import Policy
from keyweave_controller.control.facts import KnownLink
from keyweave_controller.control.state import LinkEnd, LinkRecord, NetworkState, NodeRecord
from keyweave_controller.northbound import markup
from keyweave_controller.northbound.markup import NETWORK, QKD, TOPOLOGY, kwn, nt, nw
from keyweave_core.model.ids import NodeId
from keyweave_core.model.link import Interface
from keyweave_core.model.node import NodeStatus
from keyweave_core.model.units import UINT32_MAX

NETWORK_ID = "qkd"
"""Name of the one network that the controller shows."""

_PREFIXES: dict[str | None, str] = {None: NETWORK, "nt": TOPOLOGY, "kwn": QKD}

Names = Mapping[NodeId, str]


def networks() -> tuple[etree._Element, etree._Element]:
    """An empty `networks` and the QKD network in it."""
    top = markup.tree(nw("networks"), _PREFIXES)
    network = etree.SubElement(top, nw("network"))
    markup.text(network, nw("network-id"), NETWORK_ID)
    types = etree.SubElement(network, nw("network-types"))
    etree.SubElement(types, kwn("qkd-network"))
    return top, network


def node(record: NodeRecord, trust: int = 0, domain: str = "") -> etree._Element:
    """One node with its modules as termination points, and what the operator says of the site."""
    element = markup.tree(nw("node"), _PREFIXES)
    markup.text(element, nw("node-id"), record.node_id)
    qkd = etree.SubElement(element, kwn("qkd"))
    markup.text(qkd, kwn("node-id"), record.node_id)
    markup.text(qkd, kwn("name"), record.name)
    markup.flag(qkd, kwn("connected"), record.connected)
    markup.member(qkd, kwn("status"), record.status)
    markup.text(qkd, kwn("location-id"), record.location_id)
    markup.text(qkd, kwn("version"), record.version)
    markup.member(qkd, kwn("trust-level"), record.trust_level)
    markup.number(qkd, kwn("trust"), trust, most=100)
    markup.text(qkd, kwn("domain"), domain)
    can = record.capabilities
    markup.flag(qkd, kwn("relays-keys"), can.key_relay_mode_enable)
    markup.flag(qkd, kwn("reports-link-statistics"), can.link_stats_support)
    markup.flag(qkd, kwn("reports-application-statistics"), can.application_stats_support)
    markup.texts(qkd, kwn("consumer"), sorted(record.consumers))
    markup.text(qkd, kwn("lost-reason"), record.lost_reason)
    markup.texts(qkd, kwn("fault"), (*record.rejected, *record.faults))
    markup.moment(qkd, kwn("changed-at"), record.changed_at or None)
    for _, module in sorted(record.interfaces.items()):
        _termination_point(element, module)
    return element


def unread_node(name: str, reason: str, faults: Iterable[str] = ()) -> etree._Element:
    """An agent of the inventory whose tree was never read or never believed: a name and why."""
    element = markup.tree(nw("node"), _PREFIXES)
    markup.text(element, nw("node-id"), name)
    qkd = etree.SubElement(element, kwn("qkd"))
    markup.text(qkd, kwn("name"), name)
    markup.flag(qkd, kwn("connected"), False)
    markup.member(qkd, kwn("status"), NodeStatus.FAILURE)
    markup.text(qkd, kwn("lost-reason"), reason)
    markup.texts(qkd, kwn("fault"), faults)
    return element


def unread(state: NetworkState) -> list[etree._Element]:
    """Every agent of the inventory that has no node record."""
    known = {record.name for record in state.nodes.values()}
    found = []
    for name in sorted(state.inventory.keys() - known):
        faults = state.rejected.get(name, ())
        found.append(
            unread_node(name, state.unreached.get(name, "" if faults else "not reached yet"), faults)
        )
    return found


def _termination_point(parent: etree._Element, module: Interface) -> None:
    element = etree.SubElement(parent, nt("termination-point"))
    markup.text(element, nt("tp-id"), str(module.interface_id))
    qkd = etree.SubElement(element, kwn("qkd"))
    markup.number(qkd, kwn("interface-id"), module.interface_id)
    markup.text(qkd, kwn("model"), module.model)
    markup.member(qkd, kwn("technology"), module.technology)
    markup.member(qkd, kwn("role-support"), module.role_support)
    markup.member(qkd, kwn("status"), module.status)
    markup.text(qkd, kwn("attached-device"), module.device)
    markup.number(qkd, kwn("attached-port"), module.port)
    markup.text(qkd, kwn("wavelength-range"), module.wavelength_range)
    markup.decimal(qkd, kwn("max-absorption-db"), module.max_absorption_db)


def links(record: LinkRecord, names: Names, policy: Policy, known: KnownLink) -> list[etree._Element]:
    """Both directions of one physical link; `policy` says which share of its rate may be promised, `known`
    what no agent tells.
    """
    directions = (
        [(record.a, record.b)] if record.a == record.b else [(record.a, record.b), (record.b, record.a)]
    )
    return [_direction(record, near, far, names, policy, known) for near, far in directions]


def _direction(
    record: LinkRecord, near: NodeId, far: NodeId, names: Names, policy: Policy, known: KnownLink
) -> etree._Element:
    element = markup.tree(nt("link"), _PREFIXES)
    markup.text(element, nt("link-id"), f"{record.link_id}/{near}")
    for tag, node_tag, tp_tag, node_id in (
        ("source", "source-node", "source-tp", near),
        ("destination", "dest-node", "dest-tp", far),
    ):
        side = etree.SubElement(element, nt(tag))
        markup.text(side, nt(node_tag), node_id)
        end = record.ends.get(node_id)
        if end is not None and end.interface_id is not None:
            markup.text(side, nt(tp_tag), str(end.interface_id))
    qkd = etree.SubElement(element, kwn("qkd"))
    markup.text(qkd, kwn("link-id"), record.link_id)
    markup.text(qkd, kwn("source-name"), names.get(near, near))
    markup.text(qkd, kwn("destination-name"), names.get(far, far))
    markup.member(qkd, kwn("status"), record.status)
    markup.decimal(qkd, kwn("distance-km"), _not_negative(record.distance_km))
    markup.decimal(qkd, kwn("loss-db"), _not_negative(record.loss_db))
    markup.decimal(qkd, kwn("qber"), _ratio(record.qber), 6)
    markup.number(qkd, kwn("skr-bps"), record.skr_bps)
    pools = [end.pool for end in record.ends.values() if end.pool is not None]
    markup.number(qkd, kwn("stored-bits"), min((pool.stored_bits for pool in pools), default=None))
    markup.number(qkd, kwn("capacity-bits"), min((pool.capacity_bits for pool in pools), default=None))
    markup.number(qkd, kwn("oldest-key-age-s"), known.oldest_age_s, most=UINT32_MAX)
    for technology in sorted(known.technologies):
        markup.member(qkd, kwn("technology"), technology)
    if known.latency_us > 0:  # 0: neither told nor to be reckoned from a length
        markup.decimal(qkd, kwn("latency-ms"), known.latency_us / 1_000)
    markup.texts(qkd, kwn("risk-group"), sorted(known.risk_groups))
    markup.number(qkd, kwn("reserved-bps"), admission.reserved_bps(record))
    markup.number(qkd, kwn("available-bps"), admission.available_bps(record, policy))
    markup.texts(qkd, kwn("fault"), record.faults)
    markup.moment(qkd, kwn("down-since"), record.down_since)
    markup.text(qkd, kwn("down-reason"), record.down_reason)
    markup.text(qkd, kwn("quarantine"), record.quarantine or None)
    if record.penalty:
        markup.decimal(qkd, kwn("penalty"), record.penalty)
    markup.moment(qkd, kwn("shy-until"), topology.shy_until(record, policy) or None)
    if record.suppressed_until:
        markup.flag(qkd, kwn("suppressed"), True)
    markup.moment(qkd, kwn("overbooked-since"), record.overbooked_since)
    for app_id, booking in sorted(record.bookings.items()):
        entry = etree.SubElement(qkd, kwn("booking"))
        markup.text(entry, kwn("app-id"), app_id)
        markup.number(entry, kwn("bandwidth-bps"), booking.rate_bps)
        markup.moment(entry, kwn("starts-at"), booking.starts_at)
        markup.moment(entry, kwn("ends-at"), booking.ends_at)
    if known.windows is not None:
        markup.flag(qkd, kwn("limited-in-time"), True)
        for window in known.windows:
            entry = etree.SubElement(qkd, kwn("window"))
            markup.moment(entry, kwn("starts-at"), window.starts_at)
            markup.moment(entry, kwn("ends-at"), window.ends_at)
            markup.number(entry, kwn("rate-bps"), window.rate_bps)
    for holder, rate_bps in sorted(record.reserved_bps.items()):
        entry = etree.SubElement(qkd, kwn("reservation"))
        markup.text(entry, kwn("virtual-link-id"), holder)
        markup.number(entry, kwn("bandwidth-bps"), rate_bps)
    for node_id, end in sorted(record.ends.items()):
        _end(qkd, node_id, end)
    return element


def _end(parent: etree._Element, node_id: NodeId, end: LinkEnd) -> None:
    element = etree.SubElement(parent, kwn("end"))
    markup.text(element, kwn("node-id"), node_id)
    markup.number(element, kwn("interface-id"), end.interface_id)
    markup.member(element, kwn("status"), end.status)
    markup.decimal(element, kwn("qber"), _ratio(end.performance.qber), 6)
    markup.number(element, kwn("skr-bps"), end.performance.skr_bps)
    if end.pool is not None:
        markup.number(element, kwn("stored-bits"), end.pool.stored_bits)
        markup.number(element, kwn("capacity-bits"), end.pool.capacity_bits)
    markup.number(element, kwn("effective-skr-bps"), end.performance.eskr_bps)
    markup.decimal(element, kwn("snr-db"), end.performance.snr_db)
    markup.moment(element, kwn("at"), end.at or None)


def _ratio(value: float | None) -> float | None:
    """What an agent says may be beyond belief; the leaf holds a share."""
    return None if value is None else min(max(value, 0.0), 1.0)


def _not_negative(value: float | None) -> float | None:
    return None if value is None else max(value, 0.0)
