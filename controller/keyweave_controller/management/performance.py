"""How well the network did: times to restore, and time without keys.

Rule of this file: durations are between events as the controller saw them; outage seconds live in the
association itself (`Association.outage_s`), this fold adds what happened around them.
"""

from dataclasses import dataclass, field

from keyweave_controller.control.state import AssociationState, NetworkState
from keyweave_core.model.ids import AppId, LinkId

RESTORATIONS_KEPT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoration:
    """One change of path: from the moment it began to the moment both ends used the new one."""

    app_id: AppId
    began_at: float
    took_s: float
    hops: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Underway:
    """A change of path that has begun: towards which virtual link, and when."""

    link_id: LinkId
    began_at: float


@dataclass(slots=True, kw_only=True)
class Performance:
    """The last `RESTORATIONS_KEPT` changes of path, oldest first, and those under way."""

    restorations: list[Restoration] = field(default_factory=list)
    moving: dict[AppId, Underway] = field(default_factory=dict)

    def follow(self, state: NetworkState, at: float, app_ids: frozenset[AppId]) -> None:
        """Note which associations began or ended a change of path."""
        for app_id in sorted(app_ids):
            association = state.associations.get(app_id)
            if association is not None and association.state is AssociationState.MOVING:
                path = association.next_path
                if path is not None:
                    underway = Underway(link_id=path.link_id, began_at=association.changed_at)
                    self.moving.setdefault(app_id, underway)
                continue
            began = self.moving.pop(app_id, None)
            path = association.path if association is not None else None
            if began is not None and path is not None and path.link_id == began.link_id:
                self.restorations.append(
                    Restoration(
                        app_id=app_id, began_at=began.began_at, took_s=at - began.began_at, hops=path.hops
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
