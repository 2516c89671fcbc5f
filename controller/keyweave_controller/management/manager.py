"""The management layer: what happened, seen as faults, accounts, performance and audit.

Rule of this file: a fold. It follows the network event by event and never changes it; the same events give
the same alarms and the same bill.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from keyweave_controller.control.actions import Action, Changed
from keyweave_controller.control.configuration import Tariff
from keyweave_controller.control.events import (
    AlarmNoted,
    AlarmsPurged,
    ControllerStarted,
    Event,
    NodeLost,
    NodeRead,
    NodeRejected,
    UsageReported,
)
from keyweave_controller.control.network import Network
from keyweave_controller.management.accounting import Accounting, Bill, UsageRecord
from keyweave_controller.management.alarms import Alarm, AlarmChanged, OperatorNote, OperatorState
from keyweave_controller.management.audit import Audit, AuditEntry
from keyweave_controller.management.faults import Faults, Scope
from keyweave_controller.management.performance import Performance, Restoration
from keyweave_core.model.ids import AppId


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageChanged:
    """Usage of one association over one path grew; `record` is as it looks now."""

    record: UsageRecord


ManagementChange = AlarmChanged | UsageChanged


@dataclass(slots=True, kw_only=True)
class ManagementState:
    """What a snapshot holds."""

    faults: Faults = field(default_factory=Faults)
    accounting: Accounting = field(default_factory=Accounting)
    performance: Performance = field(default_factory=Performance)
    audit: Audit = field(default_factory=Audit)
    settings_tariff: Tariff = field(default_factory=Tariff)
    tariff: Tariff = field(default_factory=Tariff)


class Management:
    """Alarms, usage, performance and audit of one network."""

    def __init__(self, state: ManagementState | None = None) -> None:
        self._state = state or ManagementState()

    def handle(self, event: Event, actions: list[Action], network: Network) -> list[ManagementChange]:
        """Follow one event that `network` has just handled with `actions`; what looks different now."""
        changes: list[ManagementChange] = []
        if isinstance(event, ControllerStarted):
            self._state.settings_tariff = event.tariff
        self._state.tariff = network.state.operator.tariff or self._state.settings_tariff
        changed = next((one for one in actions if isinstance(one, Changed)), Changed())
        names = self._names(event, network)
        if changed != Changed() or names:
            scope = Scope(
                node_ids=changed.node_ids,
                link_ids=changed.link_ids,
                app_ids=changed.app_ids,
                names=names,
                configuration=changed.configuration,
            )
            changes.extend(self._state.faults.refresh(network, event.at, scope))
            self._state.performance.follow(network.state, event.at, changed.app_ids)
        if isinstance(event, UsageReported):
            grown = self._state.accounting.report(event, network.state)
            changes.extend(UsageChanged(record=record) for record in grown)
        if isinstance(event, AlarmNoted):
            note = OperatorNote(
                at=event.at, operator=event.operator, state=OperatorState(event.state), text=event.text
            )
            changes.extend(self._state.faults.note(event.alarm_id, note))
        elif isinstance(event, AlarmsPurged):
            self._state.faults.purge(frozenset(event.alarm_ids))
        self._state.audit.follow(event, actions)
        return changes

    def _names(self, event: Event, network: Network) -> frozenset[str]:
        match event:
            case NodeRead() | NodeLost() | NodeRejected():
                return frozenset({event.name})
            case ControllerStarted():
                known = {one.resource.removeprefix("agent:") for one in self._state.faults.active.values()}
                return frozenset(known | network.state.inventory.keys())
            case _:
                return frozenset()

    def alarms(self, *, cleared: bool = False) -> list[Alarm]:
        """Alarms that last, oldest first; with `cleared` the kept history before them."""
        active = list(self._state.faults.active.values())
        return [*self._state.faults.history, *active] if cleared else active

    def usage(self) -> list[UsageRecord]:
        """Usage by association and path, in order of first use."""
        return list(self._state.accounting.usage.values())

    @property
    def tariff(self) -> Tariff:
        """The prices in force: those configured, else those of the settings."""
        return self._state.tariff

    @property
    def settings_tariff(self) -> Tariff:
        """The prices of the settings."""
        return self._state.settings_tariff

    def bill(self, tariff: Tariff | None = None, app_ids: Iterable[AppId] | None = None) -> Bill:
        """The bill of everything, or of some associations, by the prices in force or by `tariff`."""
        return self._state.accounting.bill(tariff or self._state.tariff, app_ids)

    def restorations(self) -> list[Restoration]:
        """Changes of path, oldest first."""
        return list(self._state.performance.restorations)

    def audit(self) -> list[AuditEntry]:
        """Answered northbound requests, oldest first."""
        return list(self._state.audit.entries)

    def to_snapshot(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        plain: dict[str, Any] = msgspec.to_builtins(self._state, str_keys=True)
        return plain

    @classmethod
    def from_snapshot(cls, plain: dict[str, Any]) -> "Management":
        """The management of a snapshot. Raises msgspec.ValidationError naming the place that does not fit."""
        return cls(msgspec.convert(plain, ManagementState, strict=False, str_keys=True))
