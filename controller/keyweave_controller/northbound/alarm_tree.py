"""Alarms as YANG data of `ietf-alarms` (RFC 8632) with the types of `keyweave-qkd-alarms`.

Rule of this file: pure. The alarm list holds one entry for each resource and type: the alarm that lasts, else
the one cleared last. An entry is cleared, raised again, and stays until it is purged.
"""

from collections import Counter
from collections.abc import Iterable

from lxml import etree

from keyweave_controller.management.alarms import (
    Alarm,
    AlarmSeverity,
    AlarmType,
    OperatorNote,
    OperatorState,
)
from keyweave_controller.northbound import markup
from keyweave_controller.northbound.markup import ALARMS, QKD_ALARMS, al, kwa

_PREFIXES: dict[str | None, str] = {None: ALARMS}
_IDENTITIES = {"kwa": QKD_ALARMS}

_MEANINGS = {
    AlarmType.LINK_DOWN: "A physical link makes no key.",
    AlarmType.NODE_UNREACHABLE: "The controller has no session with a node.",
    AlarmType.INTERFACE_FAILED: "A QKD module failed.",
    AlarmType.CONFIG_MISMATCH: "What a node tells cannot be believed.",
    AlarmType.CAPACITY_OVERBOOKED: "A link has promised, or gives, more key than it makes.",
    AlarmType.CHANNEL_BELOW_DEMAND: "A quantum channel, as lit, makes less than is promised.",
    AlarmType.RELAY_FAILED: "Keys of an association do not get through on their path.",
    AlarmType.APP_QOS_VIOLATED: "An association does not get what it was promised.",
    AlarmType.LINK_FLAPPING: "A link fails so often that it is used only when nothing else fits.",
    AlarmType.ASSOCIATION_DEGRADED: "An association runs on, with less than it was promised.",
    AlarmType.ASSOCIATION_PREEMPTED: "One of higher priority took the place of an association.",
    AlarmType.FALLBACK_ACTIVE: "Keys of an association are made by ML-KEM: the quantum layer cannot serve.",
    AlarmType.EAVESDROPPING_SUSPECTED: "Errors on a link look like somebody listening; its key is not used.",
    AlarmType.KEY_STORE_FAILED: "A node cannot write its key store, and gives and relays no keys.",
    AlarmType.AUTHENTICATION_FAILED: "Messages of relay fail their proof again and again.",
}

_SEVERITIES = {
    AlarmType.LINK_DOWN: AlarmSeverity.MAJOR,
    AlarmType.NODE_UNREACHABLE: AlarmSeverity.MAJOR,
    AlarmType.INTERFACE_FAILED: AlarmSeverity.MAJOR,
    AlarmType.CONFIG_MISMATCH: AlarmSeverity.MAJOR,
    AlarmType.CAPACITY_OVERBOOKED: AlarmSeverity.MINOR,
    AlarmType.CHANNEL_BELOW_DEMAND: AlarmSeverity.MAJOR,
    AlarmType.RELAY_FAILED: AlarmSeverity.MINOR,
    AlarmType.APP_QOS_VIOLATED: AlarmSeverity.CRITICAL,
    AlarmType.LINK_FLAPPING: AlarmSeverity.WARNING,
    AlarmType.ASSOCIATION_DEGRADED: AlarmSeverity.MAJOR,
    AlarmType.ASSOCIATION_PREEMPTED: AlarmSeverity.MAJOR,
    AlarmType.FALLBACK_ACTIVE: AlarmSeverity.MAJOR,
    AlarmType.EAVESDROPPING_SUSPECTED: AlarmSeverity.CRITICAL,
    AlarmType.KEY_STORE_FAILED: AlarmSeverity.CRITICAL,
    AlarmType.AUTHENTICATION_FAILED: AlarmSeverity.MAJOR,
}


def newest(alarms: Iterable[Alarm]) -> list[Alarm]:
    """One alarm for each resource and type, of `alarms` in order of time with those that last at the end."""
    by_key = {(alarm.resource, alarm.type): alarm for alarm in alarms}
    return list(by_key.values())


def alarm(value: Alarm, by_id: dict[str, Alarm]) -> etree._Element:
    """One entry of the alarm list; `by_id` finds the alarm it hangs under."""
    element = markup.tree(al("alarm"), _PREFIXES)
    _identify(element, value)
    _relations(element, value, by_id)
    markup.moment(element, al("time-created"), value.raised_at)
    markup.flag(element, al("is-cleared"), not value.active)
    markup.moment(element, al("last-raised"), value.raised_at)
    markup.moment(element, al("last-changed"), value.changed_at)
    markup.member(element, al("perceived-severity"), value.severity)
    markup.text(element, al("alarm-text"), value.text or "-")
    for note in value.notes:
        _put_note(etree.SubElement(element, al("operator-state-change")), note)
    _more(element, value)
    markup.moment(element, kwa("cleared-at"), value.cleared_at)
    return element


def notification(value: Alarm, by_id: dict[str, Alarm]) -> etree._Element:
    """`alarm-notification` of an alarm as it looks now; a cleared one has the severity `cleared`."""
    element = markup.tree(al("alarm-notification"), _PREFIXES)
    _identify(element, value)
    _relations(element, value, by_id)
    markup.moment(element, al("time"), value.changed_at)
    markup.text(element, al("perceived-severity"), value.severity.value if value.active else "cleared")
    markup.text(element, al("alarm-text"), value.text or "-")
    _more(element, value)
    return element


def operator_action(value: Alarm, note: OperatorNote) -> etree._Element:
    """`operator-action` of an alarm: what an operator has just made of it.

    It hangs on its alarm (RFC 7950 section 7.16.2), which is told by its keys.
    """
    top = markup.tree(al("alarms"), _PREFIXES)
    entry = etree.SubElement(etree.SubElement(top, al("alarm-list")), al("alarm"))
    _identify(entry, value)
    _put_note(etree.SubElement(entry, al("operator-action")), note)
    return top


def inventory() -> etree._Element:
    """Every type of alarm that can be raised."""
    element = markup.tree(al("alarm-inventory"), _PREFIXES)
    for kind in AlarmType:
        entry = etree.SubElement(element, al("alarm-type"))
        _identity(entry, kind)
        etree.SubElement(entry, al("alarm-type-qualifier"))
        markup.flag(entry, al("will-clear"), True)
        markup.member(entry, al("severity-level"), _SEVERITIES[kind])
        markup.text(entry, al("description"), _MEANINGS[kind])
    return element


def summary(alarms: Iterable[Alarm]) -> etree._Element:
    """How many alarms there are, by severity."""
    element = markup.tree(al("summary"), _PREFIXES)
    counts: dict[AlarmSeverity, Counter[str]] = {severity: Counter() for severity in AlarmSeverity}
    for one in alarms:
        clearance = "not-cleared" if one.active else "cleared"
        closed = "closed" if one.notes and one.notes[-1].state is OperatorState.CLOSED else "not-closed"
        counts[one.severity].update(("total", clearance, f"{clearance}-{closed}"))
    names = (
        "total",
        "not-cleared",
        "cleared",
        "cleared-not-closed",
        "cleared-closed",
        "not-cleared-closed",
        "not-cleared-not-closed",
    )
    for severity in reversed(AlarmSeverity):
        entry = etree.SubElement(element, al("alarm-summary"))
        markup.member(entry, al("severity"), severity)
        for name in names:
            markup.number(entry, al(name), counts[severity][name])
    return element


def alarms(entries: Iterable[etree._Element], values: list[Alarm]) -> etree._Element:
    """The whole state of the module; `entries` are moved into it, one for each of `values`."""
    top = markup.tree(al("alarms"), _PREFIXES)
    top.append(inventory())
    top.append(summary(values))
    listed = etree.SubElement(top, al("alarm-list"))
    markup.number(listed, al("number-of-alarms"), len(values))
    markup.moment(listed, al("last-changed"), max((one.changed_at for one in values), default=None))
    listed.extend(entries)
    return top


def _identify(element: etree._Element, value: Alarm) -> None:
    markup.text(element, al("resource"), value.resource)
    _identity(element, value.type)
    etree.SubElement(element, al("alarm-type-qualifier"))


def _identity(element: etree._Element, kind: AlarmType) -> None:
    # The prefix is used in the text only: it is declared where it stands, so that a copy keeps it.
    etree.SubElement(element, al("alarm-type-id"), nsmap=_IDENTITIES).text = f"kwa:{kind.value}"


def _put_note(element: etree._Element, note: OperatorNote) -> None:
    markup.moment(element, al("time"), note.at)
    markup.text(element, al("operator"), note.operator or "-")
    markup.member(element, al("state"), note.state)
    markup.text(element, al("text"), note.text)


def _relations(element: etree._Element, value: Alarm, by_id: dict[str, Alarm]) -> None:
    markup.texts(element, al("impacted-resource"), (f"association:{app_id}" for app_id in value.affected))
    cause = by_id.get(value.cause or "")
    if cause is not None:
        markup.text(element, al("root-cause-resource"), cause.resource)


def _more(element: etree._Element, value: Alarm) -> None:
    markup.text(element, kwa("alarm-id"), value.alarm_id)
    markup.text(element, kwa("resource-name"), value.resource_name)
    markup.text(element, kwa("cause-alarm-id"), value.cause)
