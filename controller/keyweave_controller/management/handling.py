"""Which alarms an operator takes off the list (RFC 8632 section 4.5, purge-alarms).

Rule of this file: pure; every condition that is given must hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from keyweave_controller.management.alarms import Alarm, AlarmSeverity, OperatorState


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeWish:
    """Conditions. `cleared` None: alarms that last and cleared ones; the other None: any.

    `older_than_s`: since the last change of the alarm. `operator`: who made the last note.
    """

    cleared: bool | None = True
    older_than_s: float | None = None
    severities: frozenset[AlarmSeverity] | None = None
    operator_state: OperatorState | None = None
    operator: str | None = None

    def selects(self, alarm: Alarm, at: float) -> bool:
        """The alarm meets every condition now."""
        note = alarm.notes[-1] if alarm.notes else None
        state = note.state if note else OperatorState.NONE
        return (
            self.cleared in (None, not alarm.active)
            and (self.older_than_s is None or at - alarm.changed_at > self.older_than_s)
            and (self.severities is None or alarm.severity in self.severities)
            and self.operator_state in (None, state)
            and self.operator in (None, note.operator if note else None)
        )


def to_purge(alarms: Sequence[Alarm], wish: PurgeWish, at: float) -> tuple[Alarm, ...]:
    """The alarms that `wish` selects. An older occurrence goes with the entry of the list that shows it."""
    newest = {(alarm.resource, alarm.type): alarm for alarm in alarms}
    chosen = {key for key, alarm in newest.items() if wish.selects(alarm, at)}
    return tuple(alarm for alarm in alarms if (alarm.resource, alarm.type) in chosen)
