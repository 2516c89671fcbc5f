"""Where an association may run.

Rule of this file: decides and changes nothing; `associations` and `recovery` act on it.
"""

from keyweave_controller.control import admission, routing
from keyweave_controller.control.routing import RouteWish
from keyweave_controller.control.service import Service
from keyweave_controller.control.state import NetworkState, PathRecord
from keyweave_core.model.ids import NodeId


def route_wish(
    state: NetworkState,
    near: NodeId,
    far: NodeId,
    rate_bps: int,
    service: Service,
    beside: tuple[PathRecord, ...] = (),
) -> RouteWish:
    """What is asked of routing for keys of `rate_bps` between two nodes."""
    return RouteWish(
        source=near,
        destination=far,
        rate_bps=admission.hop_bps(rate_bps, service.key_bits, state.policy),
        constraints=service.constraints,
        strategy=routing.strategy_name(service, state.policy),
        beside=beside,
    )
