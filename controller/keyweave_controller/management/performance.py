"""How well the network did: times to restore, and time without keys.

Rule of this file: durations are between events as the controller saw them; outage seconds live in the
association itself (`Association.outage_s`), this fold adds what happened around them.
"""

from dataclasses import dataclass, field

from keyweave_controller.control.state import AssociationState, NetworkState
from keyweave_core.model.ids import AppId

RESTORATIONS_KEPT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoration:
    """One change of path: from the moment it began to the moment both ends used the new one."""

    app_id: AppId
    began_at: float
    took_s: float
    hops: int


@dataclass(slots=True, kw_only=True)
class Performance:
    """The last `RESTORATIONS_KEPT` changes of path, oldest first, and those under way."""

    restorations: list[Restoration] = field(default_factory=list)
    moving: dict[AppId, float] = field(default_factory=dict)

    def follow(self, state: NetworkState, at: float, app_ids: frozenset[AppId]) -> None:
        """Note which associations began or ended a change of path."""
        for app_id in sorted(app_ids):
            association = state.associations.get(app_id)
            if association is not None and association.state is AssociationState.MOVING:
                if association.next_path is not None:
                    self.moving.setdefault(app_id, association.changed_at)
                continue
            began_at = self.moving.pop(app_id, None)
            if began_at is None or association is None or association.path is None:
                continue
            if association.path.since >= began_at:  # otherwise it was taken back
                self.restorations.append(
                    Restoration(
                        app_id=app_id, began_at=began_at, took_s=at - began_at, hops=association.path.hops
                    )
                )
        del self.restorations[: max(0, len(self.restorations) - RESTORATIONS_KEPT)]


def outage_s(state: NetworkState, app_id: AppId, at: float) -> float:
    """Seconds that an association was without path and without key so far; 0 for an unknown one."""
    association = state.associations.get(app_id)
    if association is None:
        return 0.0
    running = max(0.0, at - association.outage_since) if association.outage_since is not None else 0.0
    return association.outage_s + running
