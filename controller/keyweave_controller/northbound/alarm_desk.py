"""What operators do with alarms, for every northbound: acknowledge, close, purge.

Rule of this file: it is journaled before the caller hears of it, with who did it.
"""

from collections.abc import Callable

from keyweave_controller.control.events import AlarmNoted, AlarmsPurged
from keyweave_controller.engine.ports import Engine
from keyweave_controller.management.alarms import Alarm, OperatorState
from keyweave_controller.management.handling import PurgeWish, to_purge
from keyweave_controller.northbound.refusals import NotKnown
from keyweave_core.runtime.clock import Clock

MAX_TEXT = 1_000
"""Longest text of a note, characters; the rest is cut off."""


class AlarmDesk:
    """Acts on the alarms of the running engine. `new_id` gives text that never repeats."""

    def __init__(self, engine: Engine, clock: Clock, new_id: Callable[[], str]) -> None:
        self._engine = engine
        self._clock = clock
        self._new_id = new_id

    async def note(self, alarm_id: str, state: OperatorState, text: str, operator: str) -> Alarm:
        """Note what an operator makes of an alarm; the alarm as it is then. Raises NotKnown."""
        self.find(alarm_id)
        event = AlarmNoted(
            at=self._clock.now(),
            request_id=f"alarm/{self._new_id()}",
            alarm_id=alarm_id,
            operator=operator,
            state=state.value,
            text=text[:MAX_TEXT],
        )
        await self._engine.ask(event)
        return self.find(alarm_id)

    async def purge(self, wish: PurgeWish, operator: str) -> int:
        """Take alarms off the list; how many entries of the list those were."""
        at = self._clock.now()
        chosen = to_purge(self._engine.management.alarms(cleared=True), wish, at)
        if chosen:
            event = AlarmsPurged(
                at=at,
                request_id=f"alarm/{self._new_id()}",
                alarm_ids=tuple(alarm.alarm_id for alarm in chosen),
                operator=operator,
            )
            await self._engine.ask(event)
        return len({(alarm.resource, alarm.type) for alarm in chosen})

    def find(self, alarm_id: str) -> Alarm:
        """The alarm of this id. Raises NotKnown."""
        for alarm in self._engine.management.alarms(cleared=True):
            if alarm.alarm_id == alarm_id:
                return alarm
        raise NotKnown("alarm", alarm_id)
