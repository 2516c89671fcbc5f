"""The actions of `ietf-alarms` (RFC 8632): set-operator-state of an alarm, purge-alarms of the list.

Rule of this file: the server has found the instance that an action names; what stands at the end of the path
is checked here, since values of an action's input come as they were sent.
"""

from enum import StrEnum
from typing import TypeVar

from lxml import etree

from keyweave_controller.engine.ports import Engine
from keyweave_controller.management.alarms import Alarm, AlarmSeverity, OperatorState
from keyweave_controller.management.handling import PurgeWish
from keyweave_controller.northbound import alarm_tree, markup
from keyweave_controller.northbound.alarm_desk import AlarmDesk
from keyweave_controller.northbound.markup import al, found
from keyweave_core.errors import SchemaViolation
from keyweave_core.netconf.protocol.elements import Element

_LIST = "/ietf-alarms:alarms/alarm-list"
_AGES_S = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400, "weeks": 604_800}
_CLEARANCES: dict[str, bool | None] = {"any": None, "cleared": True, "not-cleared": False}

Member = TypeVar("Member", bound=StrEnum)


class AlarmCalls:
    """Carries out the actions; `desk` journals them."""

    def __init__(self, engine: Engine, desk: AlarmDesk) -> None:
        self._engine = engine
        self._desk = desk

    async def call(self, action: etree._Element, user: str) -> list[Element] | None:
        """Carry out an <action>; KeyError when it is none of these."""
        listed = action.find(f"{al('alarms')}/{al('alarm-list')}")
        if listed is None:
            raise KeyError(action.tag)
        purge = listed.find(al("purge-alarms"))
        if purge is not None:
            return [_purged(await self._desk.purge(_wish(purge), user))]
        entry = listed.find(al("alarm"))
        noted = None if entry is None else entry.find(al("set-operator-state"))
        if entry is None or noted is None:
            raise KeyError(action.tag)
        state = _member(OperatorState, noted, "state", f"{_LIST}/alarm/set-operator-state")
        if state is None:
            raise SchemaViolation(
                "state is missing", path=f"{_LIST}/alarm/set-operator-state", tag="missing-element"
            )
        await self._desk.note(self._alarm(entry).alarm_id, state, found(noted, al("text")) or "", user)
        return None

    def _alarm(self, entry: etree._Element) -> Alarm:
        resource = found(entry, al("resource")) or ""
        kind = (found(entry, al("alarm-type-id")) or "").strip().rpartition(":")[2]
        for alarm in alarm_tree.newest(self._engine.management.alarms(cleared=True)):
            if alarm.resource == resource and alarm.type.value == kind:
                return alarm
        raise SchemaViolation(f"no alarm {kind} of {resource}", path=f"{_LIST}/alarm", tag="data-missing")


def _purged(count: int) -> Element:
    output = markup.tree(al("output"), {None: markup.ALARMS})
    markup.number(output, al("purged-alarms"), count)
    return output[0]


def _wish(purge: etree._Element) -> PurgeWish:
    path = f"{_LIST}/purge-alarms"
    clearance = (found(purge, al("alarm-clearance-status")) or "").strip()
    if clearance not in _CLEARANCES:
        raise SchemaViolation(
            f"alarm-clearance-status {clearance[:60]!r}: want any, cleared or not-cleared",
            path=f"{path}/alarm-clearance-status",
            tag="invalid-value" if clearance else "missing-element",
        )
    by = purge.find(al("operator-state-filter"))
    return PurgeWish(
        cleared=_CLEARANCES[clearance],
        older_than_s=_age_s(purge.find(al("older-than")), path),
        severities=_severities(purge.find(al("severity")), path),
        operator_state=None if by is None else _member(OperatorState, by, "state", path),
        operator=None if by is None else found(by, al("user")),
    )


def _age_s(element: etree._Element | None, path: str) -> float | None:
    for name, unit_s in _AGES_S.items() if element is not None else ():
        value = found(element, al(name)) if element is not None else None
        if value is None:
            continue
        if not value.strip().isascii() or not value.strip().isdigit() or int(value) > 65_535:
            raise SchemaViolation(f"{name} must be 0..65535", path=f"{path}/older-than/{name}")
        return float(int(value) * unit_s)
    return None


def _severities(element: etree._Element | None, path: str) -> frozenset[AlarmSeverity] | None:
    if element is None:
        return None
    order = list(AlarmSeverity)
    for name in ("below", "is", "above"):
        one = _member(AlarmSeverity, element, name, f"{path}/severity")
        if one is not None:
            place = order.index(one)
            return frozenset({"below": order[:place], "is": [one], "above": order[place + 1 :]}[name])
    return None


def _member(kind: type[Member], parent: etree._Element, name: str, path: str) -> Member | None:
    value = found(parent, al(name))
    if value is None:
        return None
    try:
        return kind(value.strip())
    except ValueError as error:
        raise SchemaViolation(f"{name} {value[:60]!r} is not known", path=f"{path}/{name}") from error
