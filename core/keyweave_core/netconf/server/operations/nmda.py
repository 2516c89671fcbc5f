"""Reading and editing by datastore (RFC 8526): get-data and edit-data.

Rule of this file: `intended` is running, as nothing here transforms configuration; `operational` is what
<get> returns. Filters of every kind are ANDed; access control comes before all of them.
"""

from collections.abc import Mapping, Sequence

from lxml import etree

from keyweave_core.netconf.data.defaults import Mode, reported, untagged
from keyweave_core.netconf.data.origin import ORIGIN, ORIGINS, annotated, with_origins, without_origins
from keyweave_core.netconf.data.prune import cut, marked, only_config
from keyweave_core.netconf.data.selection import Selection
from keyweave_core.netconf.protocol.elements import Element
from keyweave_core.netconf.protocol.messages import NMDA, to_bytes
from keyweave_core.netconf.protocol.rpc_errors import bad_element
from keyweave_core.netconf.server.operations.calls import Answer, Caller, Method, Registry
from keyweave_core.netconf.server.operations.parameters import (
    choice,
    default_operation,
    identity_in,
    named_datastore,
    parameters,
    read_subtree,
    read_xpath,
    required,
    text_of,
    url_not_offered,
    writable_store,
)
from keyweave_core.netconf.server.operations.reading import Reading
from keyweave_core.netconf.server.stores.snapshots import Store
from keyweave_core.netconf.server.system import System

_MAX_DEPTH = 65535
_INPUT = (
    "datastore",
    "subtree-filter",
    "xpath-filter",
    "config-filter",
    "origin-filter*",
    "negated-origin-filter*",
    "max-depth",
    "with-origin",
    "with-defaults",
)


def operations(system: System, registry: Registry) -> Mapping[str, Method]:
    """get-data and edit-data."""
    group = _ByDatastore(system, registry)
    return {f"{{{NMDA}}}get-data": group.get_data, f"{{{NMDA}}}edit-data": group.edit_data}


class _ByDatastore:
    def __init__(self, system: System, registry: Registry) -> None:
        self._system = system
        self._reading = Reading(system, registry)

    async def get_data(self, caller: Caller, operation: etree._Element) -> Answer:
        """The selected part of a datastore."""
        found = parameters(operation, *_INPUT)
        name = named_datastore(required(found, "datastore"))
        origins = _origins(operation, found)
        if name != "operational" and ("with-origin" in found or origins is not None):
            what = "with-origin" if "with-origin" in found else "origin-filter"
            raise bad_element("invalid-value", f"only operational data has an origin, not {name}", what)
        selection = self._selection(found)
        config = _boolean(found, "config-filter")
        depth = _depth(found)
        mode = choice(found, "with-defaults", Mode)
        tell = "with-origin" in found or origins is not None
        # What is there by default is told by its mark, so that comes off later.
        later = tell and mode is Mode.REPORT_ALL
        elements = await self._elements(name, selection, Mode.REPORT_ALL_TAGGED if later else mode)
        elements = self._system.access.readable(caller.user, elements)
        top = self._system.places.top
        if tell:
            elements = annotated(elements, self._system.datastores.read(Store.RUNNING).elements, top)
        if later:
            elements = untagged(elements)
        if depth is not None:
            elements = marked(elements)
        if selection is not None:
            elements = selection.apply(elements, top)
        if config is not None:
            elements = only_config(elements, config, top)
        if origins is not None:
            elements = with_origins(elements, origins, top)
        if depth is not None:
            cut(elements, depth, top)
        if origins is not None and "with-origin" not in found:
            without_origins(elements)
        content = b"".join(to_bytes(element) for element in elements)
        return Answer(b'<data xmlns="%b">%b</data>' % (NMDA.encode(), content))

    async def edit_data(self, caller: Caller, operation: etree._Element) -> Answer:
        """Edit a datastore; all or nothing."""
        found = parameters(operation, "datastore", "default-operation", "config", "url")
        store = writable_store(required(found, "datastore"), self._system.datastores.stores)
        default = default_operation(found)
        if "url" in found:
            raise url_not_offered()
        config = required(found, "config")
        await self._system.datastores.edit(caller.editor, store, config, default=default)
        return Answer()

    async def _elements(
        self, name: str, selection: Selection | None, mode: Mode | None
    ) -> Sequence[etree._Element]:
        if name == "operational":
            return await self._reading.operational(selection, mode)
        stores = self._system.datastores
        store = Store.RUNNING if name == "intended" else Store(name)
        if store not in stores.stores:
            raise bad_element("invalid-value", f"this server has no datastore {name}", "datastore")
        return reported(stores.read(store).elements, mode, self._system.schema)

    def _selection(self, found: Mapping[str, Element]) -> Selection | None:
        limits = self._system.limits
        if "subtree-filter" in found and "xpath-filter" in found:
            raise bad_element("bad-element", "one kind of filter at a time", "xpath-filter")
        if "subtree-filter" in found:
            return read_subtree(found["subtree-filter"], limits)
        if "xpath-filter" in found:
            return read_xpath(found["xpath-filter"], limits, modules=self._system.places.namespaces)
        return None


def _origins(operation: etree._Element, found: Mapping[str, Element]) -> frozenset[str] | None:
    """The origins to keep, None when all are."""
    if "origin-filter" in found and "negated-origin-filter" in found:
        raise bad_element("bad-element", "one kind of origin filter at a time", "negated-origin-filter")
    for name, negated in (("origin-filter", False), ("negated-origin-filter", True)):
        if name in found:
            given: set[str] = set()
            for element in operation.iterchildren(f"{{{NMDA}}}{name}"):
                origin = identity_in(element, ORIGIN)
                if origin == "origin":
                    given |= ORIGINS
                elif origin in ORIGINS:
                    given.add(origin)
                else:
                    raise bad_element("invalid-value", f"no origin {(element.text or '')[:60]!r}", name)
            return frozenset(ORIGINS - given if negated else given)
    return None


def _boolean(found: Mapping[str, Element], name: str) -> bool | None:
    text = text_of(found, name)
    if text not in (None, "true", "false"):
        raise bad_element("invalid-value", f"{name} is true or false, not {text[:60]!r}", name)
    return None if text is None else text == "true"


def _depth(found: Mapping[str, Element]) -> int | None:
    text = text_of(found, "max-depth")
    if text is None or text == "unbounded":
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= _MAX_DEPTH):
        message = f"max-depth is unbounded or 1..{_MAX_DEPTH}, not {text[:20]!r}"
        raise bad_element("invalid-value", message, "max-depth")
    return int(text)
