"""From what happens in the node to the notifications of GS QKD 015.

Rule of this file: no I/O and no clock; time comes in as seconds. What an event means:

    AssociationWanted   sdqkdn_application_new (CLIENT)
    QosWanted           sdqkdn_application_qos_update
    AssociationExpired  sdqkdn_application_disconnected
    LinkDown            sdqkdn_link_down, and alarm; only an event where somebody switched the link off
    LinkUp              event (ACTIVE), and sdqkdn_link_perf_update
    FiguresChanged      sdqkdn_link_perf_update, when it is enough and not too often (`pacing`), and
                        sdqkdn_link_overloaded when more is reserved than made
    PoolEmptied         alarm (OFF); sdqkdn_link_overloaded where the link still makes key (`pacing`)
    PoolFilled          event, and sdqkdn_link_perf_update (`pacing`)
    AssociationRemoved  event with the periods that no reading shows any more
    PoolLow             alarm (MINOR) with what is left
    PoolRecovered       event of the same
    RelayTrouble        alarm (MINOR) naming the link and the applications that it feeds
    RelayRestored       event naming the same: what got through ends the trouble
    FallbackBegan       alarm (MAJOR) naming the application and the origin of its keys from now on, pqc
    FallbackEnded       event naming the same with the origin that its mode wants
    IntrusionSuspected  alarm (MAJOR, OFF) of the physical link, what was destroyed and what had been used
    IntrusionOver       event of the same
    StoreTrouble        alarm (MAJOR) of every physical link here: nothing can leave over any of them
    StoreRestored       event of every physical link here
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from keyweave_agents.keys.plan import (
    AssociationExpired,
    AssociationRemoved,
    AssociationWanted,
    FallbackBegan,
    FallbackEnded,
    KeyEvent,
    PoolEmptied,
    PoolFilled,
    PoolLow,
    PoolRecovered,
    QosWanted,
    RelayRestored,
    RelayTrouble,
    StoreRestored,
    StoreTrouble,
)
from keyweave_agents.quantum.observed import (
    DownCause,
    FiguresChanged,
    IntrusionOver,
    IntrusionSuspected,
    LinkDown,
    LinkUp,
    ModuleEvent,
)
from keyweave_core.model import notifications as told
from keyweave_core.model.application import AppStatus, AppType, KeyOrigin
from keyweave_core.model.ids import LinkId
from keyweave_core.model.link import Interface, InterfaceStatus, Link, LinkPerformance, LinkStatus, LinkType
from keyweave_core.model.node import Node

_DELIBERATE = (DownCause.SWITCHED_OFF, DownCause.PEER_OFF)


def of_key_event(
    event: KeyEvent, node: Node, direct: Mapping[LinkId, LinkId]
) -> tuple[told.Notification, ...]:
    """What the key manager's event says to the controller.

    `node` is the observed tree; `direct` as in `apply.Decision`.
    """
    match event:
        case AssociationWanted():
            return (application_new(event, node),)
        case QosWanted():
            return (told.ApplicationQosUpdate(app_id=event.app_id, qos=event.qos, priority=event.priority),)
        case AssociationExpired():
            return (told.ApplicationDisconnected(app_id=event.app_id),)
        case PoolEmptied():
            return _pool_emptied(event, node)
        case PoolFilled():
            link = _link(node, event.link_id)
            return (
                told.Event(link=_report(event.link_id, link, "there is key in the pool again")),
                told.LinkPerfUpdate(link_id=event.link_id, performance=_figures(link)),
            )
        case AssociationRemoved():
            return (_removed(event),)
        case FallbackBegan():
            return (
                told.Alarm(
                    application=told.ApplicationReport(
                        app_id=event.app_id,
                        message=f"keys are made by ML-KEM: {event.reason}",
                        severity=told.Severity.MAJOR,
                        origin=KeyOrigin.PQC,
                    )
                ),
            )
        case FallbackEnded():
            return (
                told.Event(
                    application=told.ApplicationReport(
                        app_id=event.app_id, message="keys are quantum keys again", origin=KeyOrigin.QKD
                    )
                ),
            )
        case RelayTrouble():
            return (_relay_trouble(event, node, direct),)
        case RelayRestored():
            return (_relay_restored(event, node, direct),)
        case PoolLow():
            text = f"the pool is low: {event.stored_bits} bit left"
            return (told.Alarm(link=_report(event.link_id, _link(node, event.link_id), text)),)
        case PoolRecovered():
            text = "the pool is well filled again"
            return (told.Event(link=_report(event.link_id, _link(node, event.link_id), text)),)
        case StoreTrouble():
            reports = _of_every_fibre(node, event.reason, told.Severity.MAJOR)
            return tuple(told.Alarm(link=report) for report in reports)
        case StoreRestored():
            reports = _of_every_fibre(node, "the key store can be written again", told.Severity.MINOR)
            return tuple(told.Event(link=report) for report in reports)
        case _:
            assert_never(event)


def of_module_event(event: ModuleEvent, node: Node) -> tuple[told.Notification, ...]:
    """What a module's event says to the controller; `node` is the observed tree."""
    link = _link(node, event.link_id)
    match event:
        case LinkDown():
            return _link_down(event, node, link)
        case LinkUp():
            return (
                told.Event(link=_report(event.link_id, link, "key is generated", LinkStatus.ACTIVE)),
                told.LinkPerfUpdate(link_id=event.link_id, performance=_figures(link)),
            )
        case IntrusionSuspected():
            return (_intrusion(event, link),)
        case IntrusionOver():
            report = _report(event.link_id, link, "errors are low again: key is made and used")
            return (told.Event(link=replace(report, concern=told.Concern.INTRUSION)),)
        case FiguresChanged():
            return _figures_changed(event.link_id, _figures(link))
        case _:
            assert_never(event)


def application_new(event: AssociationWanted, node: Node) -> told.ApplicationNew:
    """What the controller is told of applications that wait for an association at `node`."""
    return told.ApplicationNew(
        app_type=AppType.CLIENT,
        server_app_id=event.server,
        client_app_ids=event.clients,
        priority=event.priority,
        local_node_id=node.node_id,
        qos=event.qos,
        key_mode=event.mode,
        app_id=event.app_id,
    )


def _link_down(event: LinkDown, node: Node, link: Link | None) -> tuple[told.Notification, ...]:
    down = told.LinkDown(link_id=event.link_id, reason=event.reason)
    if event.cause in _DELIBERATE:
        return (down, told.Event(link=_report(event.link_id, link, event.reason)))
    alarm = told.Alarm(link=_report(event.link_id, link, event.reason, severity=told.Severity.MAJOR))
    module = _interface(node, link)
    if module is None or module.status is not InterfaceStatus.FAILED:
        return (down, alarm)
    return (told.InterfaceDown(interface_id=module.interface_id, reason=event.reason), down, alarm)


def _figures_changed(link_id: LinkId, figures: LinkPerformance) -> tuple[told.Notification, ...]:
    update = told.LinkPerfUpdate(link_id=link_id, performance=figures)
    # A link that makes nothing is down, not overloaded.
    if 0 < (figures.skr_bps or 0) < (figures.expected_consumption_bps or 0):
        return (update, told.LinkOverloaded(link_id=link_id, performance=figures))
    return (update,)


def _pool_emptied(event: PoolEmptied, node: Node) -> tuple[told.Notification, ...]:
    link = _link(node, event.link_id)
    if link is not None and link.status is LinkStatus.ACTIVE:
        return (told.LinkOverloaded(link_id=event.link_id, performance=_figures(link)),)
    report = _report(event.link_id, link, "no key left in the pool", LinkStatus.OFF, told.Severity.MAJOR)
    return (told.Alarm(link=report),)


def _removed(event: AssociationRemoved) -> told.Event:
    return told.Event(
        application=told.ApplicationReport(
            app_id=event.app_id,
            status=AppStatus.DISCONNECTED,
            message="the application was taken from this node",
            last_periods=event.statistics,
        )
    )


def _relay_trouble(event: RelayTrouble, node: Node, direct: Mapping[LinkId, LinkId]) -> told.Alarm:
    link_id = direct.get(event.link_id, event.link_id)
    fed = next((entry for entry in node.applications if link_id in entry.backing_link_ids), None)
    concern = told.Concern.AUTHENTICATION if event.unproven else None
    return told.Alarm(
        link=replace(_report(link_id, _link(node, link_id), event.reason), concern=concern),
        application=None
        if fed is None
        else told.ApplicationReport(
            app_id=fed.app_id, status=fed.status, message=event.reason, severity=told.Severity.MINOR
        ),
    )


def _relay_restored(event: RelayRestored, node: Node, direct: Mapping[LinkId, LinkId]) -> told.Event:
    link_id = direct.get(event.link_id, event.link_id)
    fed = next((entry for entry in node.applications if link_id in entry.backing_link_ids), None)
    text = "keys get through again"
    return told.Event(
        link=_report(link_id, _link(node, link_id), text),
        application=None
        if fed is None
        else told.ApplicationReport(app_id=fed.app_id, status=fed.status, message=text),
    )


def _intrusion(event: IntrusionSuspected, link: Link | None) -> told.Alarm:
    found = event.quarantine
    text = (
        f"{found.reason}; {found.discarded_bits} bits of key were destroyed, "
        f"{found.spent_bits} bits had been used before"
    )
    report = _report(event.link_id, link, text, LinkStatus.OFF, told.Severity.MAJOR)
    return told.Alarm(link=replace(report, concern=told.Concern.INTRUSION))


def _of_every_fibre(node: Node, message: str, severity: told.Severity) -> tuple[told.LinkReport, ...]:
    return tuple(
        replace(_report(link.link_id, link, message, severity=severity), concern=told.Concern.KEY_STORE)
        for link in node.links
        if link.type is LinkType.PHYS
    )


def _report(
    link_id: LinkId,
    link: Link | None,
    message: str,
    status: LinkStatus | None = None,
    severity: told.Severity = told.Severity.MINOR,
) -> told.LinkReport:
    known = status if status is not None or link is None else link.status
    return told.LinkReport(link_id=link_id, status=known, message=message, severity=severity)


def _figures(link: Link | None) -> LinkPerformance:
    return LinkPerformance() if link is None else link.performance


def _link(node: Node, link_id: LinkId) -> Link | None:
    return next((link for link in node.links if link.link_id == link_id), None)


def _interface(node: Node, link: Link | None) -> Interface | None:
    if link is None or link.local is None:
        return None
    wanted = link.local.interface_id
    return next((each for each in node.interfaces if each.interface_id == wanted), None)
