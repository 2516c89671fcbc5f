"""The eleven notifications of ETSI GS QKD 015, and what each means for the network.

Rule of this file: translation to the rooms that know. A notification that names nothing known changes
nothing; one that repeats what is known changes nothing either.
"""

import re
from dataclasses import replace
from typing import assert_never

from keyweave_controller.control import associations, closing, fallback, measures, recovery
from keyweave_controller.control.events import LinkMeasure, Notified
from keyweave_controller.control.judging import judge_link
from keyweave_controller.control.state import LinkRecord, NetworkState, NodeRecord
from keyweave_controller.control.turn import Turn
from keyweave_core.model.application import AppStatus
from keyweave_core.model.ids import AppId, InterfaceId, LinkId, NodeId
from keyweave_core.model.link import InterfaceStatus, LinkStatus
from keyweave_core.model.notifications import (
    Alarm,
    ApplicationDisconnected,
    ApplicationNew,
    ApplicationQosUpdate,
    ApplicationReport,
    Concern,
    Event,
    InterfaceDown,
    InterfaceNew,
    InterfaceOut,
    InterfaceReport,
    LinkDown,
    LinkOverloaded,
    LinkPerfUpdate,
    LinkReport,
)

_ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")

TROUBLE_LASTS_S = 30.0
"""An agent's alarm about an association counts this long after it was last repeated (ours repeat it every ten
seconds while it lasts)."""


def notified(turn: Turn, event: Notified) -> None:
    """Dispatch one notification of a node whose tree has been read."""
    node = turn.state.nodes.get(event.node_id)
    if node is None:
        return
    match event.notification:
        case ApplicationNew() as wish:
            associations.application_new(turn, event.node_id, wish)
        case ApplicationQosUpdate() as wish:
            associations.qos_update(turn, event.node_id, wish)
        case ApplicationDisconnected(app_id=app_id):
            closing.disconnected(turn, event.node_id, app_id)
        case InterfaceNew(interface=interface):
            node.interfaces[interface.interface_id] = interface
            turn.touch_node(node.node_id)
        case InterfaceDown(interface_id=interface_id, reason=reason):
            _interface(turn, node, interface_id, InterfaceStatus.FAILED, reason or "")
        case InterfaceOut(interface_id=interface_id):
            _interface(turn, node, interface_id, None, "the interface was taken out")
        case LinkDown(link_id=link_id, reason=reason):
            _link_down(turn, node, link_id, reason or "")
        case LinkPerfUpdate(link_id=link_id, performance=performance):
            if link_id is not None:
                update = LinkMeasure(link_id=link_id, performance=performance)
                measures.measured(turn, node.node_id, (update,))
        case LinkOverloaded(link_id=link_id, performance=performance):
            if link_id is not None:
                update = LinkMeasure(link_id=link_id, performance=performance)
                measures.overloaded(turn, node.node_id, update)
        case Alarm(link=link, interface=interface, application=application):
            _report(turn, node, link, interface, application, attention=True)
        case Event(link=link, interface=interface, application=application):
            _report(turn, node, link, interface, application, attention=False)
        case unreachable:
            assert_never(unreachable)


def _link_down(turn: Turn, node: NodeRecord, link_id: LinkId | None, reason: str) -> None:
    link = turn.state.links.get(link_id) if link_id else None
    if link is None or node.node_id not in link.ends:
        return
    end = link.ends[node.node_id]
    if end.status not in (LinkStatus.PASSIVE, LinkStatus.OFF):
        # 015 names no status here; PASSIVE unless the pool is known to be empty (`beliefs.end_status`).
        _set_status(turn, node, link, LinkStatus.PASSIVE, reason)


def _set_status(turn: Turn, node: NodeRecord, link: LinkRecord, status: LinkStatus, reason: str) -> None:
    if reason and not link.down_reason and status is not LinkStatus.ACTIVE:
        link.down_reason = reason
    link.ends[node.node_id] = replace(link.ends[node.node_id], status=status, at=turn.at)
    turn.touch_link(link.link_id)
    judge_link(turn, link)


def _interface(
    turn: Turn,
    node: NodeRecord,
    interface_id: InterfaceId | None,
    status: InterfaceStatus | None,
    reason: str,
) -> None:
    """An interface failed (`status`) or went away (None); its links make no key any more."""
    known = node.interfaces.get(interface_id) if interface_id is not None else None
    if interface_id is None or known is None:
        return
    if status is None:
        del node.interfaces[interface_id]
    else:
        node.interfaces[interface_id] = replace(known, status=status)
    turn.touch_node(node.node_id)
    for link in turn.state.links.values():
        end = link.ends.get(node.node_id)
        if end is not None and end.interface_id == interface_id:
            _link_down(turn, node, link.link_id, f"interface {interface_id} of {node.name}: {reason}")


def _report(
    turn: Turn,
    node: NodeRecord,
    link: LinkReport | None,
    interface: InterfaceReport | None,
    application: ApplicationReport | None,
    *,
    attention: bool,
) -> None:
    known = turn.state.links.get(link.link_id) if link and link.link_id else None
    if link is not None and link.concern is not None:
        _concern(turn, node, known, link.concern, (link.message or "no reason given") if attention else "")
    if link is not None and link.status is not None and known is not None and node.node_id in known.ends:
        _link_report(turn, node, known, link.status, link.message or "")
    if interface is not None and interface.interface_id is not None and interface.status is not None:
        held = node.interfaces.get(interface.interface_id)
        if interface.status is InterfaceStatus.FAILED:
            _interface(turn, node, interface.interface_id, InterfaceStatus.FAILED, interface.message or "")
        elif held is not None:
            node.interfaces[interface.interface_id] = replace(held, status=interface.status)
            turn.touch_node(node.node_id)
    if application is None or application.app_id is None:
        return
    if application.origin is not None:
        message = _in_names(turn.state, application.message or "")
        fallback.told(turn, node.node_id, application.app_id, application.origin, message)
    elif application.status is AppStatus.OUT_OF_TIME:
        closing.disconnected(turn, node.node_id, application.app_id)
    elif not attention and application.status is AppStatus.ON:
        _trouble_over(turn, application.app_id)
    elif attention:
        unproven = link is not None and link.concern is Concern.AUTHENTICATION
        message = _in_names(turn.state, application.message or "the agent asks for attention")
        _trouble(turn, node, application.app_id, message, unproven=unproven)


def _in_names(state: NetworkState, message: str) -> str:
    """What an agent says with nodes as people call them: key managers know each other by their ids alone."""
    return _ID.sub(lambda found: state.node_name(NodeId(found[0])), message)


def _link_report(turn: Turn, node: NodeRecord, link: LinkRecord, status: LinkStatus, message: str) -> None:
    end = link.ends[node.node_id]
    if status is LinkStatus.ACTIVE:
        end = replace(end, overloaded=False)
        module = node.interfaces.get(end.interface_id) if end.interface_id is not None else None
        if module is not None and module.status is InterfaceStatus.FAILED:
            # 015 has no word for an interface that works again; one that makes key does.
            node.interfaces[module.interface_id] = replace(module, status=InterfaceStatus.ENABLED)
            turn.touch_node(node.node_id)
    elif status is LinkStatus.PASSIVE and end.pool is not None and end.pool.stored_bits <= 0:
        end = replace(end, pool=None)  # the level is older than this word: there is key again
    link.ends[node.node_id] = end
    _set_status(turn, node, link, status, message)


def _concern(turn: Turn, node: NodeRecord, link: LinkRecord | None, concern: Concern, message: str) -> None:
    """What a node says of itself by way of its links; an empty message: it is over."""
    if concern is Concern.INTRUSION:
        if link is not None and node.node_id in link.ends:
            link.ends[node.node_id] = replace(link.ends[node.node_id], quarantine=message)
            turn.touch_link(link.link_id)
            if not link.quarantine:
                recovery.link_changed(turn, link.link_id)
    elif concern is Concern.KEY_STORE and node.store_trouble != message:
        node.store_trouble = message
        turn.touch_node(node.node_id)


def _trouble(turn: Turn, node: NodeRecord, app_id: AppId, message: str, *, unproven: bool) -> None:
    """Keys of an association do not get through, until an event says that they do or nobody repeats it."""
    association = turn.state.associations.get(app_id)
    if association is not None and association.live:
        association.trouble, association.unproven = f"{node.name}: {message}", unproven
        turn.touch_app(app_id)
        turn.set_timer(f"trouble:{app_id}", turn.at + TROUBLE_LASTS_S)


def _trouble_over(turn: Turn, app_id: AppId) -> None:
    association = turn.state.associations.get(app_id)
    if association is not None and association.trouble:
        association.trouble, association.unproven = "", False
        turn.cancel_timer(f"trouble:{app_id}")
        turn.touch_app(app_id)
