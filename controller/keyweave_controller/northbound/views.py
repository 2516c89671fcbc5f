"""What the network looks like from outside: records of the controller as messages of keyweave.v1.

Rule of this file: pure functions; nothing here asks, waits or decides. `names` maps node ids to the names of
the inventory; a node without one shows its id.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum

from google.protobuf.timestamp_pb2 import Timestamp

from keyweave_controller.control import terms
from keyweave_controller.control.configuration import Tariff
from keyweave_controller.control.service import Service, ServiceClass
from keyweave_controller.control.state import Association, PathRecord
from keyweave_controller.management.accounting import Bill, UsageRecord
from keyweave_controller.management.alarms import Alarm
from keyweave_core.model.application import AppQos
from keyweave_core.model.ids import NodeId
from keyweave_proto.v1 import keyweave_pb2 as pb

Names = Mapping[NodeId, str]


def timestamp(at_s: float | None) -> Timestamp | None:
    """Seconds since 1970 as a Timestamp, rounded to microseconds; None stays None."""
    if at_s is None:
        return None
    micros = round(at_s * 1e6)
    return Timestamp(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000)


def seconds(moment: Timestamp) -> float:
    """Seconds since 1970 of a Timestamp."""
    return moment.seconds + moment.nanos / 1e9


def association(
    record: Association, names: Names, tenant: str = "", degraded: Iterable[str] = ()
) -> pb.Association:
    """One key association with its paths; `tenant`: on whose account it runs; `degraded`: what it lacks."""
    past = sorted(record.past_paths.values(), key=lambda item: (item.since, item.link_id))
    return pb.Association(
        app_id=record.app_id,
        source=record.source,
        destination=record.destination,
        source_node_id=record.source_node,
        destination_node_id=record.destination_node,
        source_node=names.get(record.source_node, record.source_node),
        destination_node=names.get(record.destination_node, record.destination_node),
        state=member("ASSOCIATION_STATE", record.state),
        reasons=record.reasons,
        qos=qos(record.qos),
        priority=record.priority,
        requested_by=record.requested_by,
        created_at=timestamp(record.created_at),
        changed_at=timestamp(record.changed_at),
        expires_at=timestamp(record.expires_at),
        path=path(record.path, names),
        next_path=path(record.next_path, names),
        past_paths=[path_view(item, names) for item in past],
        outage_since=timestamp(record.outage_since),
        outage_s=record.outage_s,
        configured_as=record.configured_as,
        tenant=tenant,
        service=service(terms.in_words(record.service)),
        others=[path_view(item, names) for item in record.others],
        next_others=[path_view(item, names) for item in record.next_others],
        share_bps=record.share_bps,
        degraded=degraded,
        preempted_by=record.preempted_by or "",
        trouble=record.trouble,
        further_destinations=record.further,
        further_node_ids=record.further_nodes,
        further_nodes=names_along(record.further_nodes, names),
        booked=[pb.BookedPath(link_ids=links) for links in record.booked],
        degraded_bps=record.degraded_bps,
        fallback=record.fallback,
        fallback_since=timestamp(record.fallback_since),
    )


def class_member(value: ServiceClass | None) -> str:
    """The name of the member of a class of service."""
    return member("SERVICE_CLASS", value)


def service(value: Service) -> pb.Service:
    """How an association is served."""
    bounds = value.constraints
    return pb.Service(
        service_class=class_member(value.service_class),
        protection=f"PROTECTION_{value.protection.name}",  # its values are 1:1 and 1+1
        disjointness=member("DISJOINTNESS", value.disjointness),
        ways=value.ways,
        preemptible=value.preemptible,
        key_bits=value.key_bits,
        strategy=value.strategy,
        starts_at=timestamp(value.starts_at),
        constraints=pb.Constraints(
            max_hops=bounds.max_hops or 0,
            max_latency_ms=bounds.max_latency_ms,
            min_trust=bounds.min_trust,
            exclude_links=sorted(bounds.exclude_links),
            exclude_nodes=sorted(bounds.exclude_nodes),
            include_links=sorted(bounds.include_links),
            include_nodes=sorted(bounds.include_nodes),
            exclude_risks=sorted(bounds.exclude_risks),
            technologies=[member("TECHNOLOGY", one) for one in sorted(bounds.technologies)],
            domains=sorted(bounds.domains),
            min_stored_bits=bounds.min_stored_bits,
            max_key_age_s=bounds.max_key_age_s,
            direct_only=bounds.direct_only,
        ),
        key_mode=member("KEY_MODE", value.key_mode),
        relay_method=member("RELAY_METHOD", value.relay_method),
        share_threshold=value.share_threshold,
    )


def qos(value: AppQos) -> pb.Qos:
    """What an application asked for."""
    return pb.Qos(
        min_bandwidth_bps=value.min_bandwidth_bps,
        max_bandwidth_bps=value.max_bandwidth_bps,
        jitter_ms=value.jitter_ms,
        ttl_s=value.ttl_s,
        shared_path=value.clients_shared_path_enable,
        shared_keys=value.clients_shared_keys_required,
    )


def path(record: PathRecord | None, names: Names) -> pb.Path | None:
    """One virtual link; None stays None."""
    return None if record is None else path_view(record, names)


def path_view(record: PathRecord, names: Names) -> pb.Path:
    """One virtual link."""
    return pb.Path(
        virtual_link_id=record.link_id,
        node_ids=record.nodes,
        node_names=names_along(record.nodes, names),
        link_ids=record.links,
        hops=record.hops,
        bandwidth_bps=record.bandwidth_bps,
        since=timestamp(record.since),
        hop_bps=record.hop_bps,
        relay_method=member("RELAY_METHOD", record.method),
        steps=[pb.PathStep(from_node_id=here, to_node_id=there) for here, there in record.steps],
    )


def alarm(value: Alarm) -> pb.Alarm:
    """One alarm."""
    return pb.Alarm(
        alarm_id=value.alarm_id,
        type=value.type,
        severity=member("ALARM_SEVERITY", value.severity),
        resource=value.resource,
        resource_name=value.resource_name,
        text=value.text,
        raised_at=timestamp(value.raised_at),
        changed_at=timestamp(value.changed_at),
        cleared_at=timestamp(value.cleared_at),
        affected_app_ids=value.affected,
        cause_alarm_id=value.cause or "",
        notes=[
            pb.OperatorNote(
                at=timestamp(note.at),
                operator=note.operator,
                state=member("OPERATOR_STATE", note.state),
                text=note.text,
            )
            for note in value.notes
        ],
    )


def usage(record: UsageRecord) -> pb.UsageRecord:
    """What one association received over one path."""
    return pb.UsageRecord(
        app_id=record.app_id,
        source=record.source,
        destination=record.destination,
        virtual_link_id=record.link_id or "",
        node_ids=record.nodes,
        node_names=record.node_names,
        hops=record.hops,
        delivered_bits=record.bits,
        delivered_keys=record.keys,
        first_at=timestamp(record.first_at),
        last_at=timestamp(record.last_at),
        further_destinations=record.further,
        origin=member("KEY_ORIGIN", record.origin),
    )


def bill(value: Bill, tariff: Tariff) -> pb.Bill:
    """The bill, with the prices it was made by. Money is decimal text, never a float."""
    return pb.Bill(
        currency=value.currency,
        lines=[
            pb.BillLine(
                app_id=line.app_id,
                source=line.source,
                destination=line.destination,
                node_names=line.path,
                hops=line.hops,
                delivered_bits=line.bits,
                delivered_keys=line.keys,
                amount=f"{line.amount:f}",
                further_destinations=line.further,
                origin=member("KEY_ORIGIN", line.origin),
            )
            for line in value.lines
        ],
        total=f"{value.total:f}",
        tariff=tariff_view(tariff),
    )


def tariff_view(value: Tariff) -> pb.Tariff:
    """The prices."""
    return pb.Tariff(
        per_mbit=f"{value.per_mbit:f}",
        per_key=f"{value.per_key:f}",
        per_further_hop=f"{value.per_further_hop:f}",
        currency=value.currency,
        decimals=value.decimals,
        hybrid_per_mbit=_amount(value.hybrid_per_mbit),
        hybrid_per_key=_amount(value.hybrid_per_key),
        pqc_per_mbit=_amount(value.pqc_per_mbit),
        pqc_per_key=_amount(value.pqc_per_key),
    )


def _amount(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"


def names_along(nodes: Iterable[NodeId], names: Names) -> list[str]:
    """The names of nodes, in their order."""
    return [names.get(node_id, node_id) for node_id in nodes]


def member(prefix: str, value: StrEnum | None) -> str:
    """The name of the member that shows `value`; the zero of its enumeration for None.

    Members of `proto` are those of the model: in capitals, hyphens as underscores, behind the prefix.
    """
    if value is None:
        return f"{prefix}_UNSPECIFIED"
    return f"{prefix}_{value.value.upper().replace('-', '_')}"
