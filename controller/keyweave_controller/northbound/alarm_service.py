"""The Alarms service: what is wrong, and each raise, change and clear."""

# ruff: noqa: N802 - methods are called as the proto calls them

from collections.abc import AsyncIterator
from contextlib import aclosing

from keyweave_controller.engine.ports import Engine
from keyweave_controller.management.alarms import AlarmSeverity, OperatorState
from keyweave_controller.management.handling import PurgeWish
from keyweave_controller.northbound import views
from keyweave_controller.northbound.access import Access, Caller
from keyweave_controller.northbound.alarm_desk import MAX_TEXT, AlarmDesk
from keyweave_controller.northbound.calls import stream, unary
from keyweave_controller.northbound.following import changes_of
from keyweave_controller.northbound.refusals import InvalidField
from keyweave_proto.v1 import keyweave_pb2 as pb
from keyweave_proto.v1 import keyweave_pb2_grpc as pb_grpc


class AlarmService(pb_grpc.AlarmsServicer):
    """keyweave.v1.Alarms over the running engine."""

    def __init__(self, engine: Engine, access: Access, desk: AlarmDesk) -> None:
        self.access = access
        self._engine = engine
        self._desk = desk

    @unary()
    async def List(self, request: pb.ListAlarmsRequest, _caller: Caller) -> pb.ListAlarmsResponse:
        """Alarms that last, and the cleared ones when asked for; the newest first."""
        found = self._engine.management.alarms(cleared=request.include_cleared)
        found.sort(key=lambda alarm: alarm.raised_at, reverse=True)
        return pb.ListAlarmsResponse(alarms=[views.alarm(alarm) for alarm in found])

    @stream
    async def Watch(self, _request: pb.WatchAlarmsRequest) -> AsyncIterator[pb.AlarmUpdate]:
        """The alarms that last, then whatever becomes different."""
        told: dict[str, pb.Alarm] = {}
        async with aclosing(changes_of(self._engine)) as changes:
            await anext(changes)  # from here on nothing is missed
            told = self._lasting()
            yield pb.AlarmUpdate(snapshot=True, alarms=told.values())
            async for _ in changes:
                now = self._lasting()
                news = [alarm for alarm_id, alarm in now.items() if told.get(alarm_id) != alarm]
                news += self._cleared(told.keys() - now.keys())
                told = now
                if news:
                    yield pb.AlarmUpdate(alarms=news)

    @unary(changes=True)
    async def SetState(self, request: pb.SetAlarmStateRequest, caller: Caller) -> pb.Alarm:
        """Note what the caller makes of an alarm."""
        state = _operator_state(request.state)
        if state is None:
            raise InvalidField("state", "must be NONE, ACK or CLOSED")
        if len(request.text) > MAX_TEXT:
            raise InvalidField("text", f"at most {MAX_TEXT} characters, not {len(request.text)}")
        return views.alarm(await self._desk.note(request.alarm_id, state, request.text, caller.name))

    @unary(changes=True)
    async def Purge(self, request: pb.PurgeAlarmsRequest, caller: Caller) -> pb.PurgeAlarmsResponse:
        """Take alarms off the list."""
        wish = PurgeWish(
            cleared=_cleared(request.clearance),
            older_than_s=request.older_than_s if request.HasField("older_than_s") else None,
            severities=frozenset(_severity(one) for one in request.severities) or None,
            operator_state=_operator_state(request.operator_state),
            operator=request.operator or None,
        )
        return pb.PurgeAlarmsResponse(purged=await self._desk.purge(wish, caller.name))

    def _lasting(self) -> dict[str, pb.Alarm]:
        return {alarm.alarm_id: views.alarm(alarm) for alarm in self._engine.management.alarms()}

    def _cleared(self, alarm_ids: set[str]) -> list[pb.Alarm]:
        if not alarm_ids:
            return []
        found = self._engine.management.alarms(cleared=True)
        return [views.alarm(alarm) for alarm in found if alarm.alarm_id in alarm_ids]


_CLEARED: dict[int, bool | None] = {
    pb.PurgeAlarmsRequest.CLEARANCE_UNSPECIFIED: True,
    pb.PurgeAlarmsRequest.CLEARANCE_CLEARED: True,
    pb.PurgeAlarmsRequest.CLEARANCE_NOT_CLEARED: False,
    pb.PurgeAlarmsRequest.CLEARANCE_ANY: None,
}


def _cleared(value: int) -> bool | None:
    if value not in _CLEARED:
        raise InvalidField("clearance", f"there is no clearance {value}")
    return _CLEARED[value]


def _operator_state(value: int) -> OperatorState | None:
    """The member of ours; None for the unspecified one."""
    if value == pb.OPERATOR_STATE_UNSPECIFIED:
        return None
    if value not in pb.OperatorState.values():
        raise InvalidField("state", f"there is no state {value}")
    return OperatorState(pb.OperatorState.Name(value).removeprefix("OPERATOR_STATE_").lower())


def _severity(value: int) -> AlarmSeverity:
    if value == pb.ALARM_SEVERITY_UNSPECIFIED or value not in pb.AlarmSeverity.values():
        raise InvalidField("severities", f"there is no severity {value}")
    return AlarmSeverity(pb.AlarmSeverity.Name(value).removeprefix("ALARM_SEVERITY_").lower())
