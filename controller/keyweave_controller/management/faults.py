"""From the state of the network to alarms.

Rule of this file: what should be alarmed is derived from the state, never from the message that reported
it. So a fibre cut that both ends report makes one alarm, a repetition makes none, and every alarm clears
exactly when its reason is gone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from keyweave_controller.control.network import Network
from keyweave_controller.management import troubles
from keyweave_controller.management.alarms import Alarm, AlarmChanged, AlarmType, OperatorNote
from keyweave_controller.management.troubles import Trouble
from keyweave_core.model.ids import AppId, LinkId, NodeId

HISTORY_KEPT = 1_000
"""Cleared alarms kept for looking back."""

NOTES_KEPT = 32
"""Notes of operators kept with an alarm, the newest."""


@dataclass(slots=True, kw_only=True)
class Faults:
    """The alarm list: `active` by key, and the last `HISTORY_KEPT` cleared ones, oldest first."""

    active: dict[str, Alarm] = field(default_factory=dict)
    history: list[Alarm] = field(default_factory=list)
    raised: int = 0

    def refresh(self, network: Network, at: float, scope: "Scope") -> list[AlarmChanged]:
        """Compare the alarms of what changed with the state; the alarms raised, changed and cleared."""
        troubles = {trouble.key: trouble for trouble in scope.troubles(network, at)}
        changes: list[AlarmChanged] = []
        for key, trouble in troubles.items():
            alarm = self.active.get(key)
            if alarm is None:
                alarm = self._raise(trouble, at)
            elif not self._update(alarm, trouble, at):
                continue
            changes.append(AlarmChanged(alarm=replace(alarm)))
        for key, alarm in list(self.active.items()):
            if key not in troubles and scope.covers(alarm.resource):
                alarm.cleared_at = alarm.changed_at = at
                del self.active[key]
                self.history.append(alarm)
                changes.append(AlarmChanged(alarm=replace(alarm)))
        del self.history[: max(0, len(self.history) - HISTORY_KEPT)]
        return changes

    def note(self, alarm_id: str, note: OperatorNote) -> list[AlarmChanged]:
        """An operator says something of an alarm; no such alarm (any more): nothing."""
        for alarm in (*self.active.values(), *self.history):
            if alarm.alarm_id == alarm_id:
                alarm.notes = (*alarm.notes, note)[-NOTES_KEPT:]
                return [AlarmChanged(alarm=replace(alarm))]
        return []

    def purge(self, alarm_ids: frozenset[str]) -> None:
        """Forget alarms."""
        self.history = [alarm for alarm in self.history if alarm.alarm_id not in alarm_ids]
        self.active = {key: one for key, one in self.active.items() if one.alarm_id not in alarm_ids}

    def _raise(self, trouble: Trouble, at: float) -> Alarm:
        self.raised += 1
        alarm = Alarm(
            alarm_id=str(self.raised),
            resource=trouble.resource,
            resource_name=trouble.resource_name,
            type=trouble.type,
            severity=trouble.severity,
            text=trouble.text,
            raised_at=at,
            changed_at=at,
            affected=trouble.affected,
            cause=self._cause(trouble),
        )
        self.active[trouble.key] = alarm
        return alarm

    def _update(self, alarm: Alarm, trouble: Trouble, at: float) -> bool:
        affected = tuple(dict.fromkeys((*alarm.affected, *trouble.affected)))
        cause = self._cause(trouble) or alarm.cause
        now = (trouble.text, trouble.severity, affected, cause, trouble.resource_name)
        if now == (alarm.text, alarm.severity, alarm.affected, alarm.cause, alarm.resource_name):
            return False
        alarm.text, alarm.severity, alarm.affected, alarm.cause, alarm.resource_name = now
        alarm.changed_at = at
        return True

    def _cause(self, trouble: Trouble) -> str | None:
        if trouble.cause_resource is None:
            return None
        cause = self.active.get(f"{AlarmType.LINK_DOWN}|{trouble.cause_resource}")
        return cause.alarm_id if cause else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What may have changed, so that a small event costs little. `names` are agents without node record.

    `configuration`: which of the operator's entries are served.
    """

    node_ids: frozenset[NodeId] = frozenset()
    link_ids: frozenset[LinkId] = frozenset()
    app_ids: frozenset[AppId] = frozenset()
    names: frozenset[str] = frozenset()
    configuration: bool = False

    def covers(self, resource: str) -> bool:
        """An alarm about `resource` is judged in this scope."""
        kind, _, of = resource.partition(":")
        match kind:
            case "link":
                return of in self.link_ids
            case "node":
                return of in self.node_ids
            case "interface":
                return of.partition("/")[0] in self.node_ids
            case "association":
                return of in self.app_ids
            case "configured":
                return self.configuration
            case _:
                return of in self.names

    def troubles(self, network: Network, at: float) -> Iterator[Trouble]:
        """Everything that is wrong with what is in scope: causes before what hangs under them."""
        state = network.state
        for name in sorted(self.names):
            yield from troubles.of_agent(state, name)
        for node_id in sorted(self.node_ids):
            yield from troubles.of_node(network, node_id)
        for link_id in sorted(self.link_ids):
            yield from troubles.of_link(network, link_id, at)
        for app_id in sorted(self.app_ids):
            yield from troubles.of_association(state, app_id)
        if self.configuration:
            yield from troubles.of_configuration(state)
