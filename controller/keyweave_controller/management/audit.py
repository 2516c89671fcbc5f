"""Who asked for what, and what came of it.

Rule of this file: one entry a northbound request, made when it is answered; bounded, newest last.
"""

from dataclasses import dataclass, field

from keyweave_controller.control.actions import Action, Answer
from keyweave_controller.control.events import (
    AssociationClosed,
    AssociationRequested,
    ClassicalWished,
    ClassicalWithdrawn,
    Event,
    OperatorConfigured,
    PlantConfigured,
)
from keyweave_core.model.ids import AppId

ENTRIES_KEPT = 1_000
_OPEN_MOST = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One request. `reasons` is empty when it was granted."""

    request_id: str
    requester: str
    asked: str
    asked_at: float
    answered_at: float
    app_id: AppId | None
    reasons: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Asked:
    """A request that has no answer yet."""

    requester: str
    asked: str
    at: float


@dataclass(slots=True, kw_only=True)
class Audit:
    """Answered requests, oldest first, and the open ones by request id."""

    entries: list[AuditEntry] = field(default_factory=list)
    asked: dict[str, Asked] = field(default_factory=dict)

    def follow(self, event: Event, actions: list[Action]) -> None:
        """Note a request and any answers."""
        match event:
            case AssociationRequested():
                words = f"open {event.source} -> {', '.join((event.destination, *event.further))}"
                self.asked[event.request_id] = Asked(requester=event.requester, asked=words, at=event.at)
            case AssociationClosed():
                words = f"close {event.app_id}"
                self.asked[event.request_id] = Asked(requester=event.requester, asked=words, at=event.at)
            case OperatorConfigured(configuration=wanted):
                words = f"configure {len(wanted.associations)} associations, {len(wanted.tenants)} tenants"
                self.asked[event.request_id] = Asked(requester=event.requester, asked=words, at=event.at)
            case PlantConfigured(plant=plant):
                words = (
                    f"configure a fibre plant of {len(plant.fibres)} fibres" if plant else "no fibre plant"
                )
                self.asked[event.request_id] = Asked(requester=event.requester, asked=words, at=event.at)
            case ClassicalWished(channel=light):
                words = f"switch on classical channel {light.name} at {light.launch_dbm:g} dBm"
                self.asked[event.request_id] = Asked(requester=event.requester, asked=words, at=event.at)
            case ClassicalWithdrawn(name=name):
                words = f"switch off classical channel {name}"
                self.asked[event.request_id] = Asked(requester=event.requester, asked=words, at=event.at)
            case _:
                pass
        for action in actions:
            asked = self.asked.pop(action.request_id, None) if isinstance(action, Answer) else None
            if asked is not None and isinstance(action, Answer):
                self.entries.append(
                    AuditEntry(
                        request_id=action.request_id,
                        requester=asked.requester,
                        asked=asked.asked,
                        asked_at=asked.at,
                        answered_at=event.at,
                        app_id=action.app_id,
                        reasons=action.reasons,
                    )
                )
        while len(self.asked) > _OPEN_MOST:
            del self.asked[next(iter(self.asked))]
        del self.entries[: max(0, len(self.entries) - ENTRIES_KEPT)]
