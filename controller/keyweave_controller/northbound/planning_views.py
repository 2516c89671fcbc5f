"""Answers to questions as messages of keyweave.v1.

Rule of this file: pure functions, as in `views`; a link is told by its id and the names of its ends.
"""

from collections.abc import Iterable

from keyweave_controller.control.actions import Alternative
from keyweave_controller.control.candidates import Candidate
from keyweave_controller.control.holdings import LinkLoad
from keyweave_controller.control.state import NetworkState
from keyweave_controller.control.what_if import LinkImpact, Outcome
from keyweave_controller.control.why import PricedPath
from keyweave_controller.northbound import views
from keyweave_core.model.ids import LinkId
from keyweave_proto.v1 import keyweave_pb2 as pb


def names_of(state: NetworkState) -> views.Names:
    """What people call the nodes."""
    return {node_id: record.name for node_id, record in state.nodes.items()}


def candidate(value: Candidate, names: views.Names, expires_at: float | None) -> pb.PathCandidate:
    """One path or group of paths; `expires_at` None: it cannot be deployed."""
    return pb.PathCandidate(
        path_id=value.id,
        node_ids=value.nodes,
        node_names=views.names_along(value.nodes, names),
        link_ids=value.links,
        hops=value.hops,
        cost=value.cost,
        bottleneck_bps=max(0, value.bottleneck_bps),
        distance_km=value.distance_km,
        latency_ms=value.latency_ms,
        expires_at=views.timestamp(expires_at),
        others=[
            pb.CandidateWay(
                node_ids=other.nodes,
                node_names=views.names_along(other.nodes, names),
                link_ids=other.links,
                hops=other.hops,
                cost=other.cost,
                bottleneck_bps=max(0, other.bottleneck_bps),
                distance_km=other.distance_km,
                latency_ms=other.latency_ms,
            )
            for other in value.others
        ],
        total_cost=value.total_cost,
        shared_risks=value.shared_risks,
    )


def alternatives(values: Iterable[Alternative]) -> list[pb.Alternative]:
    """What would be granted instead."""
    return [
        pb.Alternative(
            rate_bps=value.rate_bps,
            starts_at=views.timestamp(value.starts_at),
            service_class=views.class_member(value.service_class),
            note=value.note,
        )
        for value in values
    ]


def outcome(value: Outcome, names: views.Names) -> pb.Outcome:
    """What would become of one association or demand."""
    return pb.Outcome(
        id=value.id,
        source=value.source,
        destination=value.destination,
        fate=f"FATE_{value.fate.value.upper()}",
        node_ids=value.nodes,
        node_names=views.names_along(value.nodes, names),
        link_ids=value.links,
        reasons=value.reasons,
        priority=value.priority,
        before_bps=value.before_bps,
        after_bps=value.after_bps,
        hops_before=value.hops_before,
        hops=len(value.links),
        preempted_by=value.preempted_by,
        alternatives=alternatives(value.alternatives),
        demand=value.demand,
    )


def impact(value: LinkImpact) -> pb.LinkImpact:
    """How much of a link would be promised."""
    return pb.LinkImpact(
        link_id=value.link_id,
        a_name=value.a,
        b_name=value.b,
        reserved_before_bps=value.before_bps,
        reserved_bps=value.after_bps,
        usable_bps=value.usable_bps,
    )


def priced(value: PricedPath, names: views.Names) -> pb.PricedPath:
    """One path with its price."""
    return pb.PricedPath(
        node_names=views.names_along(value.nodes, names),
        link_ids=value.links,
        cost=value.cost,
        bottleneck_bps=value.bottleneck_bps,
        verdict=value.verdict,
        latency_ms=value.latency_ms,
    )


def load(value: LinkLoad, state: NetworkState) -> pb.LinkLoad:
    """What is promised on a link, and to whom."""
    a, b = _ends(state, value.link_id)
    return pb.LinkLoad(
        link_id=value.link_id,
        a_name=a,
        b_name=b,
        skr_bps=value.skr_bps,
        usable_bps=value.usable_bps,
        reserved_bps=value.reserved_bps,
        holders=[
            pb.LinkHolder(
                app_id=each.app_id,
                source=each.source,
                destination=each.destination,
                priority=each.priority,
                reserved_bps=each.reserved_bps,
                preemptible=each.preemptible,
            )
            for each in value.holders
        ],
    )


def _ends(state: NetworkState, link_id: LinkId) -> tuple[str, str]:
    record = state.links.get(link_id)
    return (state.node_name(record.a), state.node_name(record.b)) if record else ("", "")
