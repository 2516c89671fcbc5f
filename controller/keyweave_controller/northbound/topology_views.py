"""Nodes and links as messages of keyweave.v1.

Rule of this file: as in `views`.
"""

from collections.abc import Iterable

from keyweave_controller.control.admission import available_bps, reserved_bps
from keyweave_controller.control.configuration import Policy
from keyweave_controller.control.facts import KnownLink
from keyweave_controller.control.state import LinkEnd, LinkRecord, NodeRecord
from keyweave_controller.control.topology import shy_until
from keyweave_controller.northbound.views import Names, member, timestamp
from keyweave_core.model.ids import NodeId
from keyweave_core.model.link import Interface
from keyweave_core.model.node import NodeStatus
from keyweave_proto.v1 import keyweave_pb2 as pb


def node(record: NodeRecord, trust: int = 0, domain: str = "") -> pb.Node:
    """One node with its modules, and what the operator says of the site."""
    return pb.Node(
        node_id=record.node_id,
        name=record.name,
        connected=record.connected,
        status=member("NODE_STATUS", record.status),
        location_id=record.location_id,
        version=record.version,
        trust_level=member("TRUST_LEVEL", record.trust_level),
        relays_keys=record.capabilities.key_relay_mode_enable,
        reports_link_statistics=record.capabilities.link_stats_support,
        reports_application_statistics=record.capabilities.application_stats_support,
        consumers=sorted(record.consumers),
        interfaces=[interface(item) for _, item in sorted(record.interfaces.items())],
        lost_reason=record.lost_reason,
        changed_at=timestamp(record.changed_at),
        faults=(*record.rejected, *record.faults),
        trust=trust,
        domain=domain,
    )


def interface(module: Interface) -> pb.Interface:
    """One QKD module."""
    return pb.Interface(
        interface_id=module.interface_id,
        model=module.model or "",
        technology=member("TECHNOLOGY", module.technology),
        role_support=member("ROLE", module.role_support),
        status=member("INTERFACE_STATUS", module.status),
        attached_device=module.device or "",
        attached_port=module.port,
        wavelength_range=module.wavelength_range or "",
        max_absorption_db=module.max_absorption_db,
    )


def unread_node(name: str, reason: str, faults: Iterable[str] = ()) -> pb.Node:
    """An agent of the inventory whose tree was never read or never believed: a name and why."""
    return pb.Node(
        name=name, status=member("NODE_STATUS", NodeStatus.FAILURE), lost_reason=reason, faults=faults
    )


def link(record: LinkRecord, names: Names, policy: Policy, known: KnownLink) -> pb.Link:
    """One physical link; `policy` says which share of its key rate may be promised, `known` the rest."""
    pools = [end.pool for end in record.ends.values() if end.pool is not None]
    return pb.Link(
        link_id=record.link_id,
        a_node_id=record.a,
        b_node_id=record.b,
        a_name=names.get(record.a, record.a),
        b_name=names.get(record.b, record.b),
        status=member("LINK_STATUS", record.status),
        distance_km=record.distance_km,
        loss_db=record.loss_db,
        qber=record.qber,
        skr_bps=record.skr_bps,
        reserved_bps=reserved_bps(record),
        available_bps=max(0, available_bps(record, policy)),
        stored_bits=min((pool.stored_bits for pool in pools), default=None),
        capacity_bits=min((pool.capacity_bits for pool in pools), default=None),
        faults=record.faults,
        down_since=timestamp(record.down_since),
        down_reason=record.down_reason,
        reservations=[
            pb.Reservation(virtual_link_id=holder, bandwidth_bps=rate)
            for holder, rate in sorted(record.reserved_bps.items())
        ],
        ends=[_link_end(node_id, end) for node_id, end in sorted(record.ends.items())],
        risk_groups=sorted(known.risk_groups),
        latency_ms=known.latency_us / 1_000,
        technologies=[member("TECHNOLOGY", one) for one in sorted(known.technologies)],
        limited_in_time=known.windows is not None,
        windows=[
            pb.Window(
                starts_at=timestamp(window.starts_at),
                ends_at=timestamp(window.ends_at),
                rate_bps=window.rate_bps,
            )
            for window in known.windows or ()
        ],
        shy_until=timestamp(shy_until(record, policy) or None),
        overbooked_since=timestamp(record.overbooked_since),
        bookings=[
            pb.Booking(
                app_id=booking.app_id,
                rate_bps=booking.rate_bps,
                starts_at=timestamp(booking.starts_at),
                ends_at=timestamp(booking.ends_at),
            )
            for _, booking in sorted(record.bookings.items())
        ],
        quarantine=record.quarantine,
    )


def _link_end(node_id: NodeId, end: LinkEnd) -> pb.LinkEnd:
    return pb.LinkEnd(
        node_id=node_id,
        interface_id=end.interface_id,
        status=member("LINK_STATUS", end.status),
        skr_bps=end.performance.skr_bps,
        effective_skr_bps=end.performance.eskr_bps,
        qber=end.performance.qber,
        snr_db=end.performance.snr_db,
        stored_bits=end.pool.stored_bits if end.pool else None,
        capacity_bits=end.pool.capacity_bits if end.pool else None,
        at=timestamp(end.at or None),
    )
