"""The <rpc-error> of RFC 6241 clause 4.3 as an exception that can be raised, written and read.

Rule of this file: children stand in the order the RFC gives; names in error-path carry prefixes that are
declared on the element itself. Inside the program a path is text whose names are 'module:name' (the module
name serves as the prefix), and the map from module to namespace goes with it.
"""

import re
from collections.abc import Mapping
from typing import TypeAlias

from lxml import etree

from keyweave_core.errors import InvalidInput, KeyweaveError, Refused, SchemaViolation
from keyweave_core.netconf.protocol.elements import element as new_element

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
XML = "http://www.w3.org/XML/1998/namespace"

_SEGMENT = re.compile(
    r"/([A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)|\[(?!\s*\d|\s*\.)([A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)"
)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


Structure: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]
"""A container of error-info: its Clark name, and Clark name and text of each leaf in it."""


class RpcError(InvalidInput):
    """An rpc was answered with an error, or is to be.

    `path` names the node as '/module:name/...[module:key='value']' ('' for none), `namespaces` maps the
    prefixes in it. `info` holds (tag, text) pairs, the tag in Clark form; `structures` (tag, pairs) where the
    standard puts a structure into error-info. `others` are further errors of the same reply.
    """

    def __init__(
        self,
        tag: str,
        message: str,
        *,
        type: str = "application",  # noqa: A002 - the name of the field in the standard
        severity: str = "error",
        app_tag: str | None = None,
        path: str = "",
        namespaces: Mapping[str, str] | None = None,
        info: tuple[tuple[str, str], ...] = (),
        structures: "tuple[Structure, ...]" = (),
        others: "tuple[RpcError, ...]" = (),
    ) -> None:
        super().__init__(f"{tag}: {message}" + (f" (at {path})" if path else ""))
        self.tag = tag
        self.message = message
        self.type = type
        self.severity = severity
        self.app_tag = app_tag
        self.path = path
        self.namespaces = dict(namespaces or {})
        self.info = info
        self.structures = structures
        self.others = others


def base_info(**fields: str) -> tuple[tuple[str, str], ...]:
    """error-info of the base namespace: bad_element='x' becomes <bad-element>x</bad-element>."""
    return tuple((f"{{{BASE}}}{name.replace('_', '-')}", text) for name, text in fields.items())


def bad_element(tag: str, message: str, name: str, **more: str) -> RpcError:
    """A protocol-layer error about one parameter of an operation."""
    return RpcError(tag, message, type="protocol", info=base_info(bad_element=name, **more))


def qualify_path(path: str, modules: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Put a prefix before every name of an instance path and collect the namespaces used.

    Takes the JSON form (RFC 7951: a name without module is in its parent's) as well as the full one. A
    name whose module is unknown keeps the form it has.
    """
    used: dict[str, str] = {}
    module = ""

    def segment(found: re.Match[str]) -> str:
        nonlocal module
        prefix, name, key_prefix, key = found.groups()
        if name is not None:
            if prefix:
                module = prefix[:-1]
            own = module
            lead = "/"
        else:
            own = key_prefix[:-1] if key_prefix else module
            name, lead = key, "["
        if own not in modules:
            return found.group(0)
        used[own] = modules[own]
        return f"{lead}{own}:{name}"

    # Values are set aside first: a '/' or '[' inside quotes is no segment.
    values = _QUOTED.findall(path)
    bare = _QUOTED.sub("\0", path)
    full = _SEGMENT.sub(segment, bare)
    for value in values:
        full = full.replace("\0", value, 1)
    return full, used


def from_fault(fault: KeyweaveError, modules: Mapping[str, str]) -> RpcError:
    """The rpc-error that tells a client of `fault`; `modules` maps module names to namespaces."""
    if isinstance(fault, RpcError):
        return fault
    if isinstance(fault, SchemaViolation):
        path, used = qualify_path(fault.path, modules)
        return RpcError(
            fault.tag,
            fault.reason,
            app_tag=fault.app_tag,
            path=path,
            namespaces=used,
            info=_info_of(fault, path),
        )
    if isinstance(fault, Refused):
        return RpcError("operation-failed", "; ".join(fault.reasons))
    if isinstance(fault, InvalidInput):
        return RpcError("invalid-value", str(fault))
    return RpcError("operation-failed", str(fault) or type(fault).__name__)


def _info_of(fault: SchemaViolation, path: str) -> tuple[tuple[str, str], ...]:
    """bad-element is mandatory for these tags (RFC 6241 appendix A); the last name of the path is it."""
    if fault.tag not in ("unknown-element", "missing-element", "bad-element", "unknown-namespace"):
        return ()
    last = _QUOTED.sub("", path).rpartition("/")[2].partition("[")[0].rpartition(":")[2]
    return base_info(bad_element=last) if last else ()


def error_element(error: RpcError) -> etree._Element:
    """One <rpc-error>; `others` are not written."""
    element = new_element(f"{{{BASE}}}rpc-error", {None: BASE})

    def put(name: str, text: str) -> etree._Element:
        child = etree.SubElement(element, f"{{{BASE}}}{name}")
        child.text = _printable(text)
        return child

    put("error-type", error.type)
    put("error-tag", error.tag)
    put("error-severity", error.severity)
    if error.app_tag is not None:
        put("error-app-tag", error.app_tag)
    if error.path:
        path = etree.SubElement(element, f"{{{BASE}}}error-path", nsmap=dict(error.namespaces))
        path.text = _printable(error.path)
    put("error-message", error.message).set(f"{{{XML}}}lang", "en")
    if error.info or error.structures:
        info = put("error-info", "")
        for tag, text in error.info:
            etree.SubElement(info, tag).text = _printable(text)
        for tag, leaves in error.structures:
            structure = etree.SubElement(info, tag, nsmap={"e": etree.QName(tag).namespace or BASE})
            for name, text in leaves:
                etree.SubElement(structure, name).text = _printable(text)
    return element


def _printable(text: str) -> str:
    """Text that XML 1.0 can carry: what came from a peer may hold control characters."""
    return "".join(c if c >= " " or c in "\t\n\r" else "?" for c in text if c not in "\ufffe\uffff")


def read_error(element: etree._Element) -> RpcError:
    """Read one <rpc-error> leniently: fields that the server left out become what their absence means."""

    def text(name: str) -> str | None:
        found = element.findtext(f"{{{BASE}}}{name}")
        return None if found is None else found.strip()

    info = element.find(f"{{{BASE}}}error-info")
    path = element.find(f"{{{BASE}}}error-path")
    return RpcError(
        text("error-tag") or "operation-failed",
        text("error-message") or "",
        type=text("error-type") or "application",
        severity=text("error-severity") or "error",
        app_tag=text("error-app-tag"),
        path="" if path is None else (path.text or "").strip(),
        namespaces={} if path is None else {p: u for p, u in path.nsmap.items() if p},
        info=()
        if info is None
        else tuple((str(child.tag), _all_text(child)) for child in info.iterchildren("*")),
    )


def _all_text(element: etree._Element) -> str:
    return "".join(str(text) for text in element.itertext()).strip()
