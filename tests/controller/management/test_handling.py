"""What operators note of alarms, and which they take off the list."""

import pytest

from keyweave_controller.control.events import AlarmNoted, AlarmsPurged, NodeLost
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate
from keyweave_controller.management.alarms import Alarm, AlarmSeverity, AlarmType, OperatorNote, OperatorState
from keyweave_controller.management.faults import NOTES_KEPT
from keyweave_controller.management.handling import PurgeWish, to_purge


def alarm(
    alarm_id: str = "1", *, cleared_at: float | None = None, changed_at: float = 100.0, **more
) -> Alarm:
    values = {"type": AlarmType.LINK_DOWN, "severity": AlarmSeverity.MAJOR, "resource": "link:x", **more}
    return Alarm(
        alarm_id=alarm_id,
        resource_name="x",
        text="t",
        raised_at=50.0,
        changed_at=changed_at,
        cleared_at=cleared_at,
        **values,
    )


ACKED = (OperatorNote(at=1.0, operator="ana", state=OperatorState.ACK),)


@pytest.mark.parametrize(
    ("wish", "one", "chosen"),
    [
        (PurgeWish(), alarm(), False),
        (PurgeWish(), alarm(cleared_at=90.0), True),
        (PurgeWish(cleared=None), alarm(), True),
        (PurgeWish(cleared=False), alarm(cleared_at=90.0), False),
        (PurgeWish(cleared=None, older_than_s=99.0), alarm(), True),
        (PurgeWish(cleared=None, older_than_s=100.0), alarm(), False),
        (PurgeWish(cleared=None, severities=frozenset({AlarmSeverity.MINOR})), alarm(), False),
        (PurgeWish(cleared=None, operator_state=OperatorState.NONE), alarm(), True),
        (PurgeWish(cleared=None, operator_state=OperatorState.ACK), alarm(notes=ACKED), True),
        (PurgeWish(cleared=None, operator="ben"), alarm(notes=ACKED), False),
        (PurgeWish(cleared=None, operator="ana"), alarm(notes=ACKED), True),
        (PurgeWish(cleared=None, operator="ana"), alarm(), False),
    ],
)
def test_every_condition_must_hold(wish: PurgeWish, one: Alarm, chosen: bool) -> None:
    assert bool(to_purge([one], wish, at=200.0)) is chosen


def test_older_occurrences_go_with_their_entry_and_only_with_it() -> None:
    past, now = alarm("1", cleared_at=60.0), alarm("2")
    assert to_purge([past, now], PurgeWish(), at=200.0) == ()
    assert to_purge([past, now], PurgeWish(cleared=None), at=200.0) == (past, now)


def test_notes_and_purges_are_folded_from_events() -> None:
    nodes = simulate([Span(a="A", b="B")])
    show = Rehearsal(nodes=nodes)
    show.start()
    show.feed(NodeLost(at=show.now, name="A", reason="gone"))
    (one,) = show.management.alarms()
    for number in range(NOTES_KEPT + 3):
        event = AlarmNoted(
            at=show.now + number, request_id=f"n{number}", alarm_id=one.alarm_id, operator="ana", state="ack"
        )
        show.feed(event)
    assert show.answers()["n0"].reasons == ()
    (noted,) = show.management.alarms()
    assert len(noted.notes) == NOTES_KEPT
    assert noted.notes[-1].at == show.now + NOTES_KEPT + 2
    show.feed(AlarmNoted(at=show.now, request_id="x", alarm_id="99", operator="ana", state="ack"))
    show.feed(AlarmsPurged(at=show.now, request_id="p", alarm_ids=(one.alarm_id, "99"), operator="ana"))
    assert show.management.alarms(cleared=True) == []
    show.feed(NodeLost(at=show.now, name="A", reason="still gone"))
    assert [again.alarm_id != one.alarm_id for again in show.management.alarms()] == [True]
