"""Reading configuration and state (RFC 6241 clauses 7.1 and 7.7)."""

from collections.abc import Mapping, Sequence

from lxml import etree

from keyweave_core.netconf.data.defaults import WITH_DEFAULTS, Mode, reported
from keyweave_core.netconf.data.selection import Selection
from keyweave_core.netconf.protocol.messages import MONITORING, to_bytes
from keyweave_core.netconf.protocol.rpc_errors import BASE
from keyweave_core.netconf.server import library, monitoring
from keyweave_core.netconf.server.operations.calls import Answer, Caller, Method, Registry, data_answer
from keyweave_core.netconf.server.operations.parameters import (
    choice,
    parameters,
    read_filter,
    required,
    store,
)
from keyweave_core.netconf.server.system import System

_WITH_DEFAULTS = f"{{{WITH_DEFAULTS}}}with-defaults"


def operations(system: System, registry: Registry) -> Mapping[str, Method]:
    """get and get-config."""
    group = Reading(system, registry)
    return {f"{{{BASE}}}get": group.get, f"{{{BASE}}}get-config": group.get_config}


class Reading:
    """What can be read of a server, and the operations that read it."""

    def __init__(self, system: System, registry: Registry) -> None:
        self._system = system
        self._registry = registry
        self._library = library.yang_library(system.modules, system.library_id, system.datastores.stores)
        self._modules_state = library.modules_state(system.modules, system.library_id)

    async def get_config(self, caller: Caller, operation: etree._Element) -> Answer:
        """The configuration of one datastore."""
        found = parameters(operation, "source", "filter", _WITH_DEFAULTS)
        snapshot = self._system.datastores.read(store(required(found, "source")))
        selection = read_filter(found, self._system.limits)
        mode = choice(found, "with-defaults", Mode)
        elements = reported(snapshot.elements, mode, self._system.schema)
        elements = self._system.access.readable(caller.user, elements)
        if selection is None:
            return data_answer(snapshot.xml if elements is snapshot.elements else _text(elements))
        return data_answer(_text(selection.apply(elements, self._system.places.top)))

    async def get(self, caller: Caller, operation: etree._Element) -> Answer:
        """Running and state."""
        found = parameters(operation, "filter", _WITH_DEFAULTS)
        selection = read_filter(found, self._system.limits)
        elements = await self.operational(selection, choice(found, "with-defaults", Mode))
        readable = self._system.access.readable(caller.user, elements)
        if selection is not None:
            readable = selection.apply(readable, self._system.places.top)
        return data_answer(_text(readable))

    async def operational(self, selection: Selection | None, mode: Mode | None) -> list[etree._Element]:
        """Running, what is observed and the server's own state: the top-level nodes that may be selected."""
        elements = await self._system.operational(None if selection is None else selection.wants)
        return [*reported(elements, mode, self._system.schema), *self._own_state(selection)]

    def _own_state(self, selection: Selection | None) -> list[etree._Element]:
        system = self._system

        def wanted(tag: str) -> bool:
            return selection is None or selection.wants(tag)

        elements = []
        tag = f"{{{MONITORING}}}netconf-state"
        if wanted(tag):
            elements.append(
                monitoring.netconf_state(
                    None if selection is None else selection.children_wanted(tag),
                    capabilities=system.capabilities,
                    stores=system.datastores.stores,
                    locks=system.datastores.locks,
                    modules=system.modules,
                    sessions=self._registry.facts(),
                    statistics=system.counters,
                )
            )
        elements += [e for e in (self._library, self._modules_state) if wanted(str(e.tag))]
        elements += [make() for tag, make in system.own_state.items() if wanted(tag)]
        return elements


def _text(elements: Sequence[etree._Element]) -> bytes:
    return b"".join(to_bytes(element) for element in elements)
