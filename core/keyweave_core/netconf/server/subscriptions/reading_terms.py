"""Terms out of the input of establish-subscription and modify-subscription.

Rule of this file: what cannot be had is refused with the identity of the standard for it and a hint where one
is defined; what is no input of the operation at all with the errors of RFC 6241 appendix A. In a
modification what is not said stays as it was.
"""

import copy
from collections.abc import Mapping
from dataclasses import replace

from lxml import etree

from keyweave_core.netconf.data.selection import Selection
from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.protocol.elements import Element
from keyweave_core.netconf.protocol.messages import PUSH, SUBSCRIBED
from keyweave_core.netconf.protocol.rpc_errors import RpcError, bad_element
from keyweave_core.netconf.server.events.stream import STREAM
from keyweave_core.netconf.server.operations.parameters import moment, read_subtree, read_xpath, text_of
from keyweave_core.netconf.server.subscriptions.refusals import Request, refusal
from keyweave_core.netconf.server.subscriptions.terms import (
    Datastore,
    Edit,
    Filter,
    OnChange,
    Periodic,
    PushTerms,
    StreamTerms,
    Terms,
)

_DATASTORES = "urn:ietf:params:xml:ns:yang:ietf-datastores"
_STREAM_FILTERS = ("stream-subtree-filter", "stream-xpath-filter", "stream-filter-name")
_PUSH_FILTERS = ("datastore-subtree-filter", "datastore-xpath-filter", "selection-filter-ref")
_STREAM_INPUT = ("stop-time", *_STREAM_FILTERS)
_PUSH_INPUT = ("datastore", *_PUSH_FILTERS, "periodic", "on-change")
_MAX_CENTISECONDS = 2**32 - 1


class TermsReader:
    """Reads the terms that a server with these bounds and modules (name to namespace) can fulfil."""

    def __init__(self, limits: NetconfLimits, modules: Mapping[str, str]) -> None:
        self._costs = limits.for_subscriptions()
        self._limits = limits
        self._modules = modules

    def establish(self, operation: Element, now_s: float) -> Terms:
        """The terms of a new subscription. Raises RpcError."""
        names = ("stream", "replay-start-time", "encoding", *_STREAM_INPUT)
        found = _input(operation, {SUBSCRIBED: names, PUSH: _PUSH_INPUT})
        _check_encoding(found)
        if "datastore" in found:
            _forbid(found, "datastore", "stream", *_STREAM_FILTERS)
            if "replay-start-time" in found:
                raise refusal("replay-unsupported", "a datastore has no history", push=True)
            stop_s = _future(found, now_s)
            return PushTerms(
                datastore=_datastore(found["datastore"]),
                trigger=self._trigger(found, Request.ESTABLISH, None),
                filter=self._filter(found, Request.ESTABLISH, _PUSH_FILTERS),
                stop_s=stop_s,
            )
        if "stream" not in found:
            raise RpcError(
                "data-missing", "a stream or a datastore is wanted", type="protocol", app_tag="missing-choice"
            )
        _forbid(found, "stream", *_PUSH_INPUT)
        name = text_of(found, "stream") or ""
        if name != STREAM:
            raise bad_element("invalid-value", f"no stream {name[:60]!r}", "stream")
        start_s = moment(found, "replay-start-time")
        if start_s is not None and start_s >= now_s:
            raise bad_element("invalid-value", "replay-start-time is not in the past", "replay-start-time")
        stop_s = moment(found, "stop-time") if start_s is not None else _future(found, now_s)
        if start_s is not None and stop_s is not None and stop_s <= start_s:
            raise bad_element("invalid-value", "stop-time is not after replay-start-time", "stop-time")
        matching = self._filter(found, Request.ESTABLISH, _STREAM_FILTERS)
        return StreamTerms(filter=matching, start_s=start_s, stop_s=stop_s)

    def modify(self, operation: Element, old: Terms, now_s: float) -> Terms:
        """The terms after a modification (its `id` is read elsewhere). Raises RpcError."""
        found = _input(operation, {SUBSCRIBED: ("id", *_STREAM_INPUT), PUSH: _PUSH_INPUT})
        stop_s = _future(found, now_s) if "stop-time" in found else old.stop_s
        if isinstance(old, StreamTerms):
            _forbid(found, "stream", *_PUSH_INPUT)
            wanted = self._filter(found, Request.MODIFY, _STREAM_FILTERS) or old.filter
            return replace(old, filter=wanted, stop_s=stop_s)
        _forbid(found, "datastore", *_STREAM_FILTERS)
        if "datastore" in found and _datastore(found["datastore"]) is not old.datastore:
            raise bad_element("invalid-value", "a subscription keeps its datastore", "datastore")
        return replace(
            old,
            trigger=self._trigger(found, Request.MODIFY, old.trigger),
            filter=self._filter(found, Request.MODIFY, _PUSH_FILTERS) or old.filter,
            stop_s=stop_s,
        )

    def _filter(
        self, found: Mapping[str, Element], request: Request, names: tuple[str, ...]
    ) -> Filter | None:
        given = [name for name in names if name in found]
        if not given:
            return None
        if len(given) > 1:
            raise bad_element("bad-element", f"{given[0]} and {given[1]} exclude each other", given[1])
        name = given[0]
        parameter = found[name]
        push = names is _PUSH_FILTERS

        def unsupported(reason: str) -> RpcError:
            hints = {"filter-failure-hint": reason}
            return refusal("filter-unsupported", reason, request=request, push=push, hints=hints)

        selection: Selection
        if name.endswith("subtree-filter"):
            try:
                selection = read_subtree(parameter, self._costs)
            except RpcError as fault:
                raise unsupported(fault.message) from fault
        elif name.endswith("xpath-filter"):
            try:
                selection = read_xpath(parameter, self._costs, modules=self._modules, condition=not push)
            except RpcError as fault:
                raise unsupported(fault.message) from fault
        else:
            raise unsupported("there are no configured filters here")
        return Filter(selection=selection, parameter=copy.deepcopy(parameter), key=etree.tostring(parameter))

    def _trigger(
        self, found: Mapping[str, Element], request: Request, old: Periodic | OnChange | None
    ) -> Periodic | OnChange:
        periodic, on_change = found.get("periodic"), found.get("on-change")
        if periodic is not None and on_change is not None:
            raise bad_element("bad-element", "periodic and on-change exclude each other", "on-change")
        if periodic is not None:
            inner = _input(periodic, {PUSH: ("period", "anchor-time")})
            period_s = _centiseconds(inner, "period")
            if period_s is None:
                raise bad_element("missing-element", "a period is wanted", "period")
            if period_s < self._limits.push_min_period_s:
                least = str(round(self._limits.push_min_period_s * 100))
                raise refusal(
                    "period-unsupported",
                    f"the shortest period is {least} centiseconds",
                    request=request,
                    push=True,
                    hints={"period-hint": least},
                )
            return Periodic(period_s, moment(inner, "anchor-time"))
        if on_change is not None:
            fixed = () if request is Request.MODIFY else ("sync-on-start", "excluded-change")
            dampening = on_change.find(f"{{{PUSH}}}dampening-period")
            inner = _input(on_change, {PUSH: ("dampening-period", *fixed)}, many="excluded-change")
            before = old if isinstance(old, OnChange) else OnChange()
            dampening_s = (
                before.dampening_s if dampening is None else _centiseconds(inner, "dampening-period")
            )
            if request is Request.MODIFY:
                return replace(before, dampening_s=dampening_s or 0.0)
            return OnChange(dampening_s or 0.0, _sync(inner), _excluded(on_change))
        if old is not None:
            return old
        raise RpcError(
            "data-missing", "periodic or on-change is wanted", type="protocol", app_tag="missing-choice"
        )


def subscription_id(operation: Element, *, alone: bool = True) -> int:
    """The `id` of an operation that names a subscription, nothing else beside it unless told. RpcError."""
    namespace = etree.QName(operation).namespace or ""
    if alone:
        _input(operation, {namespace: ("id",)})
    element = operation.find(f"{{{namespace}}}id")
    if element is None:
        raise bad_element("missing-element", "an id is wanted", "id")
    text = (element.text or "").strip()
    if not (text.isascii() and text.isdigit() and int(text[:11]) < 2**32):
        raise bad_element("invalid-value", f"{text[:20]!r} is no id of a subscription", "id")
    return int(text)


def _input(parent: Element, known: Mapping[str, tuple[str, ...]], *, many: str = "") -> dict[str, Element]:
    """The children by local name; RpcError for strangers and for a second of a kind (but `many`)."""
    found: dict[str, Element] = {}
    for child in parent.iterchildren("*"):
        name = etree.QName(child)
        local = name.localname
        if local not in known.get(name.namespace or "", ()):
            where = etree.QName(parent).localname
            raise bad_element("unknown-element", f"{where} has no parameter {local[:100]!r}", local)
        if local in found and local != many:
            raise bad_element("bad-element", f"parameter {local} stands here twice", local)
        found[local] = child
    return found


def _forbid(found: Mapping[str, Element], target: str, *names: str) -> None:
    for name in names:
        if name in found:
            raise bad_element("bad-element", f"{name} is nothing for a subscription to a {target}", name)


def _future(found: Mapping[str, Element], now_s: float) -> float | None:
    stop_s = moment(found, "stop-time")
    if stop_s is not None and stop_s <= now_s:
        raise bad_element("invalid-value", "stop-time is not in the future", "stop-time")
    return stop_s


def _identity(element: Element) -> tuple[str, str]:
    """Namespace and name of an identityref; without prefix it is of the leaf's own module."""
    prefix, _, name = (element.text or "").strip().rpartition(":")
    own = etree.QName(element).namespace or ""
    return (element.nsmap.get(prefix, "") if prefix else own), name


def _datastore(element: Element) -> Datastore:
    namespace, name = _identity(element)
    if namespace != _DATASTORES:
        raise bad_element("invalid-value", f"{(element.text or '')[:60]!r} is no datastore", "datastore")
    try:
        return Datastore(name)
    except ValueError:
        known = ", ".join(Datastore)
        raise refusal(
            "datastore-not-subscribable", f"datastores for subscriptions are {known}", push=True
        ) from None


def _check_encoding(found: Mapping[str, Element]) -> None:
    if "encoding" in found and _identity(found["encoding"]) != (SUBSCRIBED, "encode-xml"):
        raise refusal(
            "encoding-unsupported", "notifications are encoded in XML here", push="datastore" in found
        )


def _centiseconds(found: Mapping[str, Element], name: str) -> float | None:
    text = text_of(found, name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and int(text[:11]) <= _MAX_CENTISECONDS):
        raise bad_element("invalid-value", f"{name} counts centiseconds, not {text[:20]!r}", name)
    return int(text) / 100


def _sync(found: Mapping[str, Element]) -> bool:
    text = text_of(found, "sync-on-start")
    if text not in (None, "true", "false"):
        raise bad_element(
            "invalid-value", f"sync-on-start is true or false, not {text[:20]!r}", "sync-on-start"
        )
    return text != "false"


def _excluded(on_change: Element) -> frozenset[Edit]:
    found = set()
    for element in on_change.iterchildren(f"{{{PUSH}}}excluded-change"):
        text = (element.text or "").strip()
        try:
            found.add(Edit(text))
        except ValueError:
            raise bad_element(
                "invalid-value",
                f"excluded-change is one of {', '.join(Edit)}, not {text[:20]!r}",
                "excluded-change",
            ) from None
    return frozenset(found)
