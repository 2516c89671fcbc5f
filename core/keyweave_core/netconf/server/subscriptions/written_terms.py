"""Terms as the standards write them: in subscription-modified and in the state `subscriptions`."""

import copy

from lxml import etree

from keyweave_core.netconf.protocol.elements import Element
from keyweave_core.netconf.protocol.messages import PUSH, SUBSCRIBED
from keyweave_core.netconf.server.events.stream import STREAM
from keyweave_core.netconf.server.subscriptions.terms import OnChange, Periodic, PushTerms, Terms
from keyweave_core.runtime.clock import date_and_time

_DATASTORES = "urn:ietf:params:xml:ns:yang:ietf-datastores"


def put_terms(parent: Element, terms: Terms) -> None:
    """Append the leaves and containers that tell the terms."""
    if isinstance(terms, PushTerms):
        leaf = etree.SubElement(parent, f"{{{PUSH}}}datastore", nsmap={"yp": PUSH, "ds": _DATASTORES})
        leaf.text = f"ds:{terms.datastore}"
    else:
        _put(parent, SUBSCRIBED, "stream", STREAM)
        if terms.start_s is not None:
            _put(parent, SUBSCRIBED, "replay-start-time", date_and_time(terms.start_s))
    if terms.filter is not None:
        parent.append(copy.deepcopy(terms.filter.parameter))
    if terms.stop_s is not None:
        _put(parent, SUBSCRIBED, "stop-time", date_and_time(terms.stop_s))
    _put(parent, SUBSCRIBED, "encoding", "encode-xml")
    if isinstance(terms, PushTerms):
        _put_trigger(parent, terms.trigger)


def _put_trigger(parent: Element, trigger: Periodic | OnChange) -> None:
    if isinstance(trigger, Periodic):
        part = etree.SubElement(parent, f"{{{PUSH}}}periodic", nsmap={"yp": PUSH})
        _put(part, PUSH, "period", str(round(trigger.period_s * 100)))
        if trigger.anchor_s is not None:
            _put(part, PUSH, "anchor-time", date_and_time(trigger.anchor_s))
        return
    part = etree.SubElement(parent, f"{{{PUSH}}}on-change", nsmap={"yp": PUSH})
    _put(part, PUSH, "dampening-period", str(round(trigger.dampening_s * 100)))
    _put(part, PUSH, "sync-on-start", "true" if trigger.sync else "false")
    for edit in sorted(trigger.excluded):
        _put(part, PUSH, "excluded-change", edit.value)


def _put(parent: Element, namespace: str, name: str, text: str) -> None:
    etree.SubElement(parent, f"{{{namespace}}}{name}").text = text
