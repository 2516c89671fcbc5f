"""An association as others see it: the service layer, the controller, and the choice between several.

Rule of this file: looking changes nothing but the end of a statistics period whose time is over.
"""

from keyweave_agents.keys.association import Association
from keyweave_agents.keys.plan import AssociationView, StoreStatus
from keyweave_agents.keys.settings import KeySettings
from keyweave_core.model.application import AppStatus


def rank(association: Association) -> tuple[bool, bool, int, int]:
    """Which of several associations of one pair of applications serves: the largest.

    One whose keys go to the fewest others, before one of higher priority.
    """
    plan = association.plan
    return (association.open, not association.expired, -len(plan.clients), plan.priority)


def store_status(association: Association, settings: KeySettings) -> StoreStatus:
    """What ETSI GS QKD 014 `status` needs to know."""
    ready = ready_keys(association, settings.default_key_bits)
    return StoreStatus(
        stored_key_count=ready if association.open else 0,
        max_key_count=max(settings.buffer_keys, ready),
        remote_node=association.plan.remote_node,
        mode=association.plan.mode,
        in_fallback=association.in_fallback,
    )


def association_view(
    association: Association, default_key_bits: int, stored_here: int, wall_s: float
) -> AssociationView:
    """What the controller is shown; `stored_here` are keys that wait at this node for the slave."""
    association.usage.roll(wall_s)
    if association.expired:
        status = AppStatus.OUT_OF_TIME
    else:
        status = AppStatus.ON if association.open else AppStatus.DISCONNECTED
    source = association.plan.source
    return AssociationView(
        app_id=association.plan.app_id,
        status=status,
        stored_keys=ready_keys(association, default_key_bits) if source else stored_here,
        statistics=association.usage.closed(),
        origin=association.origin,
    )


def ready_keys(association: Association, size_bits: int) -> int:
    """Keys of a size that can be supplied now."""
    lane = association.lanes.get(size_bits)
    return lane.stock(fallback=association.in_fallback) if lane is not None else 0
