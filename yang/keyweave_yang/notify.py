"""The eleven notifications of 015 between XML and domain values, both ways side by side.

Rule of this file: Clark names decide; every leaf may be absent. The node and the time are not in the
content: they come from the session and the envelope of RFC 5277.
"""

from typing import assert_never

from lxml.etree import _Element

from keyweave_core.errors import SchemaViolation
from keyweave_core.model.application import AppStatus, AppType, KeyMode, KeyOrigin
from keyweave_core.model.ids import AppId, InterfaceId, LinkId, NodeId, SaeId
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
    Notification,
    Severity,
)
from keyweave_yang.namespaces import ETSI_NODE, etsi, is_element, kwq, local_name, new_tree
from keyweave_yang.read_entries import (
    read_interface,
    read_last_periods,
    read_performance,
    read_qos,
    read_sae,
)
from keyweave_yang.reading import Faults, Fields
from keyweave_yang.write_entries import (
    write_interface_leaves,
    write_last_period,
    write_performance,
    write_qos,
)
from keyweave_yang.writing import grow, identity, number, prose, text

ENVELOPE = "{urn:ietf:params:xml:ns:netconf:notification:1.0}notification"


def encode_notification(notification: Notification) -> _Element:
    """The content of the notification: the element that stands beside <eventTime>."""
    match notification:
        case ApplicationNew():
            return _application_new(notification)
        case ApplicationQosUpdate():
            top, app = _top("sdqkdn_application_qos_update", "qkd_application")
            text(app, etsi("app_id"), notification.app_id)
            write_qos(app, notification.qos)
            number(app, etsi("app_priority"), notification.priority)
        case ApplicationDisconnected():
            top, app = _top("sdqkdn_application_disconnected", "qkd_application")
            text(app, etsi("app_id"), notification.app_id)
        case InterfaceNew():
            top, interface = _top("sdqkdn_interface_new", "qkd_interface")
            write_interface_leaves(interface, notification.interface)
        case InterfaceDown():
            top, interface = _top("sdqkdn_interface_down", "qkd_interface")
            number(interface, etsi("qkdi_id"), notification.interface_id)
            prose(interface, etsi("reason"), notification.reason)
        case InterfaceOut():
            top, interface = _top("sdqkdn_interface_out", "qkd_interface")
            number(interface, etsi("qkdi_id"), notification.interface_id)
        case LinkDown():
            top, link = _top("sdqkdn_link_down", "qkd_link")
            text(link, etsi("qkdl_id"), notification.link_id)
            prose(link, etsi("reason"), notification.reason)
        case LinkPerfUpdate():
            top, link = _top("sdqkdn_link_perf_update", "qkd_link")
            text(link, etsi("qkdl_id"), notification.link_id)
            write_performance(link, etsi("performance"), notification.performance, physical=True)
        case LinkOverloaded():
            top, link = _top("sdqkdn_link_overloaded", "qkd_link")
            text(link, etsi("qkdl_id"), notification.link_id)
            write_performance(link, etsi("performance"), notification.performance, physical=False)
        case Alarm():
            return _report("alarm", notification)
        case Event():
            return _report("event", notification)
        case _:
            assert_never(notification)
    return top


def _top(name: str, inner: str) -> tuple[_Element, _Element]:
    top = new_tree(etsi(name))
    return top, grow(top, etsi(inner))


def _application_new(notification: ApplicationNew) -> _Element:
    top, app = _top("sdqkdn_application_new", "qkd_application")
    identity(app, etsi("app_type"), notification.app_type)
    text(app, etsi("server_app_id"), notification.server_app_id)
    for client in notification.client_app_ids:
        text(app, etsi("client_app_id"), client)
    number(app, etsi("app_priority"), notification.priority)
    text(app, etsi("local_qkdn_id"), notification.local_node_id)
    write_qos(app, notification.qos)
    text(app, kwq("app-id"), notification.app_id)
    text(app, kwq("key-mode"), notification.key_mode)
    return top


def _report(name: str, report: Alarm | Event) -> _Element:
    top = new_tree(etsi(name))
    if (link := report.link) is not None:
        holder = grow(top, etsi("link"))
        text(holder, etsi("qkdl_id"), link.link_id)
        identity(holder, etsi("qkdl_status"), link.status)
        _message(holder, link.message, link.severity)
        text(holder, kwq("concern"), link.concern)
    if (interface := report.interface) is not None:
        holder = grow(top, etsi("interface"))
        number(holder, etsi("qkdi_id"), interface.interface_id)
        identity(holder, etsi("qkdi_status"), interface.status)
        _message(holder, interface.message, interface.severity)
    if (app := report.application) is not None:
        holder = grow(top, etsi("application"))
        text(holder, etsi("app_id"), app.app_id)
        identity(holder, etsi("app_status"), app.status)
        _message(holder, app.message, app.severity)
        text(holder, kwq("key-origin"), app.origin)
        for period in app.last_periods if isinstance(report, Event) else ():  # no alarm has such rows
            write_last_period(holder, period)
    return top


def _message(holder: _Element, message: str | None, severity: Severity | None) -> None:
    prose(holder, etsi("message"), message)
    identity(holder, etsi("severity"), severity)


def decode_notification(element: _Element, faults: Faults | None = None) -> Notification:
    """Read a notification: its content, or the whole <notification> of RFC 5277.

    Bad values are dropped (told to `faults` when given). Raises SchemaViolation when it is none of the
    eleven, or an sdqkdn_interface_new without a usable qkdi_id, which names nothing.
    """
    faults = faults or Faults()
    if element.tag == ENVELOPE:
        element = _content(element)
    if not str(element.tag).startswith(f"{{{ETSI_NODE}}}"):
        raise SchemaViolation(f"no notification of 015: {str(element.tag)[:200]}", tag="unknown-element")
    name = local_name(element)
    fields = Fields(element, name, faults)
    if name in ("alarm", "event"):
        return _read_report(name, fields)
    for holder in ("qkd_application", "qkd_interface", "qkd_link"):
        inner = fields.inner(etsi(holder))
        if inner is not None:
            return _read(name, inner)
    return _read(name, fields)


def _content(envelope: _Element) -> _Element:
    for child in envelope:
        if is_element(child) and str(child.tag).startswith(f"{{{ETSI_NODE}}}"):
            return child
    raise SchemaViolation("the notification carries nothing of 015", tag="unknown-element")


def _read(name: str, fields: Fields) -> Notification:
    match name:
        case "sdqkdn_application_new":
            return ApplicationNew(
                app_type=fields.identity(etsi("app_type"), AppType),
                server_app_id=read_sae(fields, etsi("server_app_id")),
                client_app_ids=fields.texts(etsi("client_app_id"), SaeId),
                priority=fields.uint32(etsi("app_priority")) or 0,
                local_node_id=fields.uuid(etsi("local_qkdn_id"), NodeId),
                qos=read_qos(fields),
                app_id=fields.uuid(kwq("app-id"), AppId),
                key_mode=fields.word(kwq("key-mode"), KeyMode),
            )
        case "sdqkdn_application_qos_update":
            return ApplicationQosUpdate(
                app_id=fields.uuid(etsi("app_id"), AppId),
                qos=read_qos(fields),
                priority=fields.uint32(etsi("app_priority")) or 0,
            )
        case "sdqkdn_application_disconnected":
            return ApplicationDisconnected(app_id=fields.uuid(etsi("app_id"), AppId))
        case "sdqkdn_interface_new":
            interface = read_interface(fields)
            if interface is None:
                raise SchemaViolation("sdqkdn_interface_new without a usable qkdi_id", tag="data-missing")
            return InterfaceNew(interface=interface)
        case "sdqkdn_interface_down":
            return InterfaceDown(interface_id=_interface_id(fields), reason=fields.text(etsi("reason")))
        case "sdqkdn_interface_out":
            return InterfaceOut(interface_id=_interface_id(fields))
        case "sdqkdn_link_down":
            return LinkDown(link_id=fields.uuid(etsi("qkdl_id"), LinkId), reason=fields.text(etsi("reason")))
        case "sdqkdn_link_perf_update":
            return LinkPerfUpdate(
                link_id=fields.uuid(etsi("qkdl_id"), LinkId),
                performance=read_performance(fields.inner(etsi("performance"))),
            )
        case "sdqkdn_link_overloaded":
            return LinkOverloaded(
                link_id=fields.uuid(etsi("qkdl_id"), LinkId),
                performance=read_performance(fields.inner(etsi("performance"))),
            )
        case _:
            raise SchemaViolation(f"no notification of 015: {name[:100]}", tag="unknown-element")


def _interface_id(fields: Fields) -> InterfaceId | None:
    value = fields.uint32(etsi("qkdi_id"))
    return None if value is None else InterfaceId(value)


def _read_report(name: str, fields: Fields) -> Alarm | Event:
    link = fields.inner(etsi("link"))
    interface = fields.inner(etsi("interface"))
    app = fields.inner(etsi("application"))
    make = Alarm if name == "alarm" else Event
    return make(
        link=None
        if link is None
        else LinkReport(
            link_id=link.uuid(etsi("qkdl_id"), LinkId),
            status=link.identity(etsi("qkdl_status"), LinkStatus),
            message=link.text(etsi("message")),
            severity=link.identity(etsi("severity"), Severity),
            concern=link.word(kwq("concern"), Concern),
        ),
        interface=None
        if interface is None
        else InterfaceReport(
            interface_id=_interface_id(interface),
            status=interface.identity(etsi("qkdi_status"), InterfaceStatus),
            message=interface.text(etsi("message")),
            severity=interface.identity(etsi("severity"), Severity),
        ),
        application=None
        if app is None
        else ApplicationReport(
            app_id=app.uuid(etsi("app_id"), AppId),
            status=app.identity(etsi("app_status"), AppStatus),
            message=app.text(etsi("message")),
            severity=app.identity(etsi("severity"), Severity),
            last_periods=read_last_periods(app),
            origin=app.word(kwq("key-origin"), KeyOrigin),
        ),
    )
