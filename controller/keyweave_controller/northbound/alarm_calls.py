"""The actions of `ietf-alarms` (RFC 8632): set-operator-state of an alarm, purge-alarms of the list.

Rule of this file: the server has found the instance that an action names, and the schema has checked the
input; values come as they were sent.
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
from keyweave_yang.actions import ActionCall

_LIST = "/ietf-alarms:alarms/alarm-list"
_AGES_S = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400, "weeks": 604_800}
_CLEARANCES: dict[str, bool | None] = {"any": None, "cleared": True, "not-cleared": False}

Member = TypeVar("Member", bound=StrEnum)


class AlarmCalls:
    """Carries out the actions; `desk` journals them."""

    def __init__(self, engine: Engine, desk: AlarmDesk) -> None:
        self._engine = engine
        self._desk = desk

    async def call(self, action: ActionCall, user: str) -> list[Element] | None:
        """Carry out an action that the schema has checked; KeyError when it is none of these."""
        wish = action.element
        if wish.tag == al("purge-alarms"):
            return [_purged(await self._desk.purge(_wish(wish), user))]
        if wish.tag != al("set-operator-state"):
            raise KeyError(wish.tag)
        alarm = self._alarm(action.node)
        state = OperatorState((found(wish, al("state")) or "").strip())
        await self._desk.note(alarm.alarm_id, state, found(wish, al("text")) or "", user)
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
    by = purge.find(al("operator-state-filter"))
    return PurgeWish(
        cleared=_CLEARANCES[clearance],
        older_than_s=_age_s(purge.find(al("older-than"))),
        severities=_severities(purge.find(al("severity")), path),
        operator_state=None if by is None else _member(OperatorState, by, "state", path),
        operator=None if by is None else found(by, al("user")),
    )


def _age_s(element: etree._Element | None) -> float | None:
    for child in element.iterchildren("*") if element is not None else ():
        unit_s = _AGES_S.get(etree.QName(child).localname)
        if unit_s is not None:
            return float(int(child.text or "0") * unit_s)
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
