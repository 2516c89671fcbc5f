"""Reading an <rpc> and the parameters of its operation, each complaint in the form of RFC 6241 appendix A."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

from lxml import etree

from keyweave_core.netconf.data.edit import Operation
from keyweave_core.netconf.data.selection import Selection, SubtreeSelection
from keyweave_core.netconf.data.xpath import NoNodeSet, XPathSelection
from keyweave_core.netconf.data.xpath_syntax import BadXPath
from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.protocol.messages import NMDA, NOTIFICATION
from keyweave_core.netconf.protocol.rpc_errors import BASE, RpcError, bad_element, base_info
from keyweave_core.netconf.server.stores.datastores import Store
from keyweave_core.runtime.clock import parse_date_and_time

RPC = f"{{{BASE}}}rpc"
DATASTORES = "urn:ietf:params:xml:ns:yang:ietf-datastores"
_DEFAULT_OPERATIONS = (Operation.MERGE, Operation.REPLACE, Operation.NONE)  # RFC 6241 clause 7.2
_NAMED = frozenset({"running", "candidate", "startup", "intended", "operational"})

E = TypeVar("E", bound=StrEnum)


def parameters(operation: etree._Element, *known: str) -> dict[str, etree._Element]:
    """The children of an operation by local name.

    Raises RpcError unknown-element for a name that is not in `known` or not of the operation's namespace
    (a filter may be of the base namespace anywhere: clients send it so), bad-element for a second of a kind.
    A Clark name in `known` is a parameter that another module adds; one that ends in '*' may be repeated and
    is left to its reader, who finds the first here.
    """
    own = etree.QName(operation).namespace
    found: dict[str, etree._Element] = {}
    for child in operation.iterchildren("*"):
        name = etree.QName(child)
        local = name.localname
        expected = str(child.tag) in known or (
            (local in known or f"{local}*" in known)
            and (name.namespace == own or (local == "filter" and name.namespace == BASE))
        )
        if not expected:
            operation_name = etree.QName(operation).localname
            raise bad_element("unknown-element", f"{operation_name} has no parameter {local[:100]!r}", local)
        if local not in found:
            found[local] = child
        elif f"{local}*" not in known:
            raise bad_element("bad-element", f"parameter {local} stands here twice", local)
    return found


def required(found: Mapping[str, etree._Element], name: str) -> etree._Element:
    """A parameter that must be there; RpcError missing-element otherwise."""
    if name not in found:
        raise bad_element("missing-element", f"parameter {name} is missing", name)
    return found[name]


def text_of(found: Mapping[str, etree._Element], name: str) -> str | None:
    """The text of a parameter, None when it is absent."""
    return (found[name].text or "").strip() if name in found else None


def choice(found: Mapping[str, etree._Element], name: str, kind: type[E]) -> E | None:
    """A parameter with fixed values, None when it is absent; RpcError invalid-value for another value."""
    text = text_of(found, name)
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError:
        known = ", ".join(kind)
        raise bad_element("invalid-value", f"{name} is one of {known}, not {text[:60]!r}", name) from None


def default_operation(found: Mapping[str, etree._Element]) -> Operation:
    """The parameter default-operation, merge when it is absent; RpcError invalid-value for another value."""
    text = text_of(found, "default-operation")
    if text is None:
        return Operation.MERGE
    if text not in _DEFAULT_OPERATIONS:
        known = ", ".join(_DEFAULT_OPERATIONS)
        message = f"default-operation is one of {known}, not {text[:60]!r}"
        raise bad_element("invalid-value", message, "default-operation")
    return Operation(text)


def url_not_offered() -> RpcError:
    """The refusal of a <url> instead of a datastore or configuration: the capability is not announced."""
    message = "url is no capability of this server"
    return RpcError("operation-not-supported", message, type="protocol", info=base_info(bad_element="url"))


def store_or_config(parameter: etree._Element, *, config: bool = False) -> Store | etree._Element:
    """What a <source> or <target> names: a datastore, or with `config` also an inline <config>.

    Raises RpcError missing-element, operation-not-supported (url), unknown-element or bad-element.
    """
    inner = parameter.findall("*")
    role = etree.QName(parameter).localname
    if not inner:
        raise bad_element("missing-element", f"{role} names no datastore", role)
    if len(inner) > 1:
        raise bad_element("bad-element", f"{role} names more than one thing", role)
    name = etree.QName(inner[0])
    if name.namespace == BASE:
        if name.localname in tuple(Store):
            return Store(name.localname)
        if name.localname == "config" and config:
            return inner[0]
        if name.localname == "url":
            raise url_not_offered()
    if name.namespace == NMDA and name.localname == "datastore":  # RFC 8526 clause 3.2
        return writable_store(inner[0])
    raise bad_element("unknown-element", f"{role} cannot be {name.localname[:60]!r}", name.localname)


def store(parameter: etree._Element) -> Store:
    """As `store_or_config`, for parameters that can only name a datastore."""
    found = store_or_config(parameter)
    assert isinstance(found, Store)  # noqa: S101 - without `config` there is no other answer
    return found


def identity_in(element: etree._Element, namespace: str) -> str | None:
    """The local name of the identity that the text of `element` names, None unless it is of `namespace`."""
    prefix, _, name = (element.text or "").strip().rpartition(":")
    return name if element.nsmap.get(prefix or None) == namespace else None


def named_datastore(parameter: etree._Element) -> str:
    """The local name of a datastore of ietf-datastores that a parameter names; RpcError invalid-value."""
    name = identity_in(parameter, DATASTORES)
    if name not in _NAMED:
        given = (parameter.text or "").strip()[:60]
        message = f"no datastore {given!r} here: want an identity of ietf-datastores with its prefix declared"
        raise bad_element("invalid-value", message, "datastore")
    return str(name)


def writable_store(parameter: etree._Element, stores: Sequence[Store] = tuple(Store)) -> Store:
    """As `named_datastore`, for what must be one of `stores`."""
    name = named_datastore(parameter)
    if name not in stores:
        raise bad_element(
            "invalid-value", f"{name} is no configuration datastore of this server", "datastore"
        )
    return Store(name)


def read_filter(found: Mapping[str, etree._Element], limits: NetconfLimits) -> Selection | None:
    """The parameter <filter> as something to apply, None when there is none (RFC 6241 clauses 7.1, 8.9.5).

    The attributes `type` and `select` may carry the base namespace, that of notifications or none; without
    a type the filter is a subtree. Raises RpcError bad-attribute (another type, a select that is no XPath or
    has a prefix nobody declared), missing-attribute (no select), invalid-value (a select without node-set).
    """
    element = found.get("filter")
    if element is None:
        return None
    kind = _filter_attribute(element, "type")
    if kind == "xpath":
        select = _filter_attribute(element, "select")
        if select is None:
            raise _bad_attribute("missing-attribute", "an xpath filter wants a select", "select")
        try:
            return XPathSelection(select, element.nsmap, max_cost=limits.max_xpath_cost)
        except NoNodeSet as fault:
            raise _bad_attribute("invalid-value", f"select: {fault}", "select") from fault
        except BadXPath as fault:
            raise _bad_attribute("bad-attribute", f"select: {fault}", "select") from fault
    if kind not in (None, "subtree"):
        raise _bad_attribute(
            "bad-attribute", f"filters are of type subtree or xpath, not {kind[:60]!r}", "type"
        )
    return read_subtree(element, limits)


def read_subtree(parameter: etree._Element, limits: NetconfLimits) -> SubtreeSelection:
    """The children of a parameter as a subtree filter; RpcError resource-denied for too big a one."""
    return SubtreeSelection(
        parameter.findall("*"), max_cost=limits.max_filter_cost, max_elements=limits.max_filter_elements
    )


def read_xpath(
    parameter: etree._Element,
    limits: NetconfLimits,
    *,
    modules: Mapping[str, str] | None = None,
    condition: bool = False,
) -> XPathSelection:
    """The XPath expression that a parameter holds as its text (RFC 8526, RFC 8639, RFC 8641).

    Prefixes are those in scope on the element, then the module names in `modules` (name to namespace). With
    `condition` any value will do, not just a node-set. Raises RpcError invalid-value.
    """
    name = etree.QName(parameter).localname
    namespaces: dict[str | None, str] = dict(modules.items() if modules else ())
    namespaces.update(parameter.nsmap)
    try:
        return XPathSelection(
            (parameter.text or "").strip(), namespaces, max_cost=limits.max_xpath_cost, condition=condition
        )
    except BadXPath as fault:
        raise bad_element("invalid-value", f"{name}: {fault}", name) from fault


def _filter_attribute(element: etree._Element, name: str) -> str | None:
    for tag in (name, f"{{{BASE}}}{name}", f"{{{NOTIFICATION}}}{name}"):
        if tag in element.attrib:
            return element.get(tag)
    return None


def _bad_attribute(tag: str, message: str, name: str) -> RpcError:
    return RpcError(tag, message, type="protocol", info=base_info(bad_attribute=name, bad_element="filter"))


def moment(found: Mapping[str, etree._Element], name: str) -> float | None:
    """A `yang:date-and-time` parameter as seconds since 1970, None when absent; RpcError invalid-value."""
    text = text_of(found, name)
    if text is None:
        return None
    try:
        return parse_date_and_time(text)
    except (ValueError, OverflowError) as error:
        raise bad_element(
            "invalid-value", f"{name} is no date and time with a zone: {text[:60]!r}", name
        ) from error


def operation_of(root: etree._Element) -> etree._Element:
    """The one operation of an <rpc>; RpcError (rpc layer) when the envelope is not right."""
    if root.tag != RPC:
        raise RpcError("malformed-message", f"expected <rpc>, got <{str(root.tag)[:120]}>", type="rpc")
    if "message-id" not in root.attrib:
        raise RpcError(
            "missing-attribute",
            "an <rpc> wants a message-id",
            type="rpc",
            info=base_info(bad_attribute="message-id", bad_element="rpc"),
        )
    operations = root.findall("*")
    if not operations:
        raise RpcError(
            "missing-element", "no operation in the <rpc>", type="rpc", info=base_info(bad_element="rpc")
        )
    if len(operations) > 1:
        name = etree.QName(operations[1]).localname
        raise RpcError(
            "bad-element", "an <rpc> holds one operation", type="rpc", info=base_info(bad_element=name)
        )
    return operations[0]
