"""The plan of an SDN agent, made into relay orders for a key manager of whatever make.

Rule of this file: pure. Every virtual link is one key stream with its id. At the two ends an order goes out
as soon as an association lists the link, because it names the applications; on the way it names the
two end nodes, which is all that a node on the way knows. What the interface has no words for is refused, so
that nobody believes in a protection that is not there.
"""

from collections.abc import Mapping

from keyweave_agents.keys.plan import AssociationPlan, KeyPlan, Route
from keyweave_agents.quicks.agent_voice import qos_of
from keyweave_agents.quicks.messages import Addition, QosRequest, RelayOrder
from keyweave_core.errors import InvalidInput
from keyweave_core.model.application import AppQos, KeyMode, RelayMethod
from keyweave_core.model.ids import LinkId, NodeId


def check(plan: KeyPlan) -> None:
    """InvalidInput where the plan wants what this interface cannot order, naming it."""
    for route in plan.routes:
        if route.method is not RelayMethod.OTP:
            raise InvalidInput(
                f"virtual link {route.link_id}: QuicKS has no word for relay by {route.method}"
            )
        if route.branches or route.ends_here:
            raise InvalidInput(
                f"virtual link {route.link_id}: QuicKS has no words for forks and ends on the way"
            )
    for association in plan.associations:
        if len(association.clients) > 1:
            raise InvalidInput(f"application {association.app_id}: over QuicKS a key stream has one client")
        if len(association.links) > 1:
            raise InvalidInput(f"application {association.app_id}: over QuicKS keys are not split over links")
        if association.mode is not KeyMode.QKD_ONLY:
            raise InvalidInput(
                f"application {association.app_id}: QuicKS has no word for mode {association.mode}"
            )


def orders(
    plan: KeyPlan, authorities: Mapping[NodeId, str], node_id: NodeId, key_bytes: int
) -> dict[str, RelayOrder]:
    """The relay orders that a plan comes to, by key stream. Errors as `check`, and an unknown neighbour."""
    check(plan)
    ending: dict[LinkId, AssociationPlan] = {}
    found: dict[str, RelayOrder] = {}
    for association in plan.associations:
        if association.remote_node is None:
            continue  # nothing may be delivered yet
        for link_id in association.links:
            ending[link_id] = association
        if association.remote_node == node_id:
            found[association.app_id] = _order(association, (), key_bytes)
    for route in plan.routes:
        near = tuple(
            _authority(hop, authorities) for hop in (route.prev_hop, *route.next_hops) if hop is not None
        )
        owner = ending.get(route.link_id)
        if owner is not None:
            found[route.link_id] = _order(owner, near, key_bytes)
        elif route.prev_hop is not None and route.next_hop is not None:
            found[route.link_id] = _passing(route, near, key_bytes)
    return found


def _authority(hop: NodeId, authorities: Mapping[NodeId, str]) -> str:
    try:
        return authorities[hop]
    except KeyError as error:
        raise InvalidInput(f"node {hop} is no neighbour in keys.neighbours") from error


def _order(association: AssociationPlan, near: tuple[str, ...], key_bytes: int) -> RelayOrder:
    return RelayOrder(
        source=association.server,
        destination=association.clients,
        next_node_info=near,
        qos_request=QosRequest(
            type="etsi_004", etsi_004=qos_of(association.qos, association.priority, key_bytes)
        ),
        keyweave=Addition(app_id=association.app_id, remote_node_id=association.remote_node),
    )


def _passing(route: Route, near: tuple[str, ...], key_bytes: int) -> RelayOrder:
    qos = AppQos(min_bandwidth_bps=route.bandwidth_bps)
    return RelayOrder(
        source=str(route.prev_hop),
        destination=tuple(str(hop) for hop in route.next_hops),
        next_node_info=near,
        qos_request=QosRequest(type="etsi_004", etsi_004=qos_of(qos, 0, key_bytes)),
    )
