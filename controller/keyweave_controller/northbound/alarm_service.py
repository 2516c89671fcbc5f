"""The Alarms service: what is wrong, and each raise, change and clear."""

# ruff: noqa: N802 - methods are called as the proto calls them

from collections.abc import AsyncIterator
from contextlib import aclosing

from keyweave_controller.engine.ports import Engine
from keyweave_controller.northbound import views
from keyweave_controller.northbound.access import Access, Caller
from keyweave_controller.northbound.calls import stream, unary
from keyweave_controller.northbound.following import changes_of
from keyweave_proto.v1 import keyweave_pb2 as pb
from keyweave_proto.v1 import keyweave_pb2_grpc as pb_grpc


class AlarmService(pb_grpc.AlarmsServicer):
    """keyweave.v1.Alarms over the running engine."""

    def __init__(self, engine: Engine, access: Access) -> None:
        self.access = access
        self._engine = engine

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

    def _lasting(self) -> dict[str, pb.Alarm]:
        return {alarm.alarm_id: views.alarm(alarm) for alarm in self._engine.management.alarms()}

    def _cleared(self, alarm_ids: set[str]) -> list[pb.Alarm]:
        if not alarm_ids:
            return []
        found = self._engine.management.alarms(cleared=True)
        return [views.alarm(alarm) for alarm in found if alarm.alarm_id in alarm_ids]
