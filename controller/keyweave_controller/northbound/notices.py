"""What becomes of the network as notifications of YANG modules.

Rule of this file: a notification tells a difference of something that matters (came, went, another state),
never a mere figure; and never the same twice. Whoever calls `news` after each change misses how often a thing
changed while it did not look, never that it did.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

from lxml import etree

from keyweave_controller.control.actions import Changed
from keyweave_controller.control.shortfalls import lacks
from keyweave_controller.control.state import Association, LinkRecord, NetworkState, NodeRecord
from keyweave_controller.engine.ports import Engine
from keyweave_controller.management.alarms import Alarm, AlarmSeverity
from keyweave_controller.northbound import alarm_tree, association_tree, markup
from keyweave_controller.northbound.markup import al, kwn
from keyweave_core.model.ids import AppId, LinkId, NodeId

Key = TypeVar("Key", NodeId, LinkId, AppId)


class Notices:
    """Remembers what was told of each thing. Made when the stream begins: what is there then is no news."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        state = engine.network.state
        self._nodes: dict[NodeId, object] = {one: _node(record) for one, record in state.nodes.items()}
        self._links: dict[LinkId, object] = {one: _link(record) for one, record in state.links.items()}
        self._apps: dict[AppId, object] = {one: _app(record) for one, record in state.associations.items()}
        self._shown = association_tree.shown_names(state)
        self._alarms = self._lasting()
        self._notes = {alarm.alarm_id: alarm.notes for alarm in self._noted()}

    def news(self, changed: Changed, running: Iterable[etree._Element]) -> Iterator[etree._Element]:
        """Content elements for what is different now; `running` may say which alarms are to be told."""
        state = self._engine.network.state
        for node_id in sorted(changed.node_ids):
            record = state.nodes.get(node_id)
            if _differs(self._nodes, node_id, _node(record) if record else None):
                yield _node_changed(node_id, record)
        for link_id in sorted(changed.link_ids):
            link = state.links.get(link_id)
            if _differs(self._links, link_id, _link(link) if link else None):
                yield _link_changed(link_id, link)
        if changed.app_ids:
            yield from self._associations(state, changed)
        yield from self._alarm_news(running)
        yield from self._operator_actions()

    def _associations(self, state: NetworkState, changed: Changed) -> Iterator[etree._Element]:
        before, self._shown = self._shown, association_tree.shown_names(state)
        opening = state.configuring.opened if state.configuring else {}
        for app_id in sorted(changed.app_ids):
            record = state.associations.get(app_id)
            if not _differs(self._apps, app_id, _app(record) if record else None) or record is None:
                continue  # one that was forgotten had been told closed before
            name = self._shown.get(app_id, app_id)
            if name == app_id:
                # Its entry comes with the commit at work, or has gone; unless the name is another's by now.
                known = opening.get(app_id) or record.configured_as or before.get(app_id, app_id)
                name = known if known not in self._shown.values() else app_id
            yield _association_changed(record, name, lacks(state, record))

    def _alarm_news(self, running: Iterable[etree._Element]) -> Iterator[etree._Element]:
        before, now = self._alarms, self._lasting()
        self._alarms = now
        told = [alarm for alarm_id, alarm in now.items() if before.get(alarm_id) != alarm]
        gone = before.keys() - now.keys()
        if gone:
            cleared = self._engine.management.alarms(cleared=True)
            told += [replace(alarm) for alarm in cleared if alarm.alarm_id in gone and not alarm.active]
        if not told:
            return
        wants = _AlarmWish(running)
        for alarm in told:
            if wants(alarm, before.get(alarm.alarm_id)):
                yield alarm_tree.notification(alarm, {**before, **now})

    def _operator_actions(self) -> Iterator[etree._Element]:
        before, noted = self._notes, self._noted()
        self._notes = {alarm.alarm_id: alarm.notes for alarm in noted}
        for alarm in noted:
            known = before.get(alarm.alarm_id, ())
            if alarm.notes is not known:
                yield from (alarm_tree.operator_action(alarm, one) for one in alarm.notes if one not in known)

    def _noted(self) -> list[Alarm]:
        return [alarm for alarm in self._engine.management.alarms(cleared=True) if alarm.notes]

    def _lasting(self) -> dict[str, Alarm]:
        return {alarm.alarm_id: replace(alarm) for alarm in self._engine.management.alarms()}


class _AlarmWish:
    """`/alarms/control`: which changes of alarms are notified (RFC 8632 section 4.2)."""

    def __init__(self, running: Iterable[etree._Element]) -> None:
        top = next((element for element in running if element.tag == al("alarms")), None)
        control = None if top is None else top.find(al("control"))
        self._which = "all-state-changes"
        self._level = AlarmSeverity.WARNING
        if control is not None:
            self._which = markup.found(control, al("notify-status-changes")) or self._which
            self._level = AlarmSeverity(
                markup.found(control, al("notify-severity-level")) or self._level.value
            )

    def __call__(self, alarm: Alarm, before: Alarm | None) -> bool:
        if before is not None and replace(before, notes=()) == replace(alarm, notes=()):
            return False  # what operators note is not a change of the alarm's state
        if self._which == "raise-and-clear":
            return before is None or not alarm.active
        if self._which == "severity-level":
            order = list(AlarmSeverity)
            highest = max(order.index(one.severity) for one in (alarm, before) if one is not None)
            return highest >= order.index(self._level)
        return True


def _differs(told: dict[Key, object], key: Key, now: object) -> bool:
    """Remember what is to be told of a thing (None: it is gone); False when that was told already."""
    if told.get(key) == now:
        return False
    if now is None:
        del told[key]
    else:
        told[key] = now
    return True


def _node(record: NodeRecord) -> object:
    return (record.name, record.connected, record.status, record.lost_reason)


def _link(record: LinkRecord) -> object:
    return (record.a, record.b, record.status, record.down_reason, bool(record.faults))


def _app(record: Association) -> object:
    return (
        record.state,
        record.reasons,
        tuple(path.link_id for path in record.paths),
        record.preempted_by,
        record.degraded_bps is None,
        len(record.booked),
    )


def _node_changed(node_id: NodeId, record: NodeRecord | None) -> etree._Element:
    element = markup.qkd_tree("node-changed")
    markup.text(element, kwn("node-id"), node_id)
    if record is None:
        etree.SubElement(element, kwn("removed"))
        return element
    markup.text(element, kwn("name"), record.name)
    markup.flag(element, kwn("connected"), record.connected)
    markup.member(element, kwn("status"), record.status)
    markup.text(element, kwn("lost-reason"), record.lost_reason)
    return element


def _link_changed(link_id: LinkId, record: LinkRecord | None) -> etree._Element:
    element = markup.qkd_tree("link-changed")
    markup.text(element, kwn("link-id"), link_id)
    if record is None:
        etree.SubElement(element, kwn("removed"))
        return element
    markup.texts(element, kwn("node-id"), (record.a, record.b))
    markup.member(element, kwn("status"), record.status)
    markup.number(element, kwn("skr-bps"), record.skr_bps)
    markup.text(element, kwn("down-reason"), record.down_reason)
    return element


def _association_changed(record: Association, name: str, degraded: Iterable[str]) -> etree._Element:
    element = markup.qkd_tree("association-changed")
    markup.text(element, kwn("name"), name)
    markup.text(element, kwn("app-id"), record.app_id)
    markup.member(element, kwn("status"), record.state)
    markup.texts(element, kwn("reason"), record.reasons)
    markup.texts(element, kwn("virtual-link-id"), (path.link_id for path in record.paths))
    markup.text(element, kwn("preempted-by"), record.preempted_by)
    markup.texts(element, kwn("degraded"), degraded)
    return element
