"""Changing configuration: edit-config, copy-config, delete-config (RFC 6241 clauses 7.2 to 7.4)."""

from collections.abc import Mapping, Sequence

from lxml import etree

from keyweave_core.netconf.data.defaults import WITH_DEFAULTS, Mode, reported
from keyweave_core.netconf.protocol.rpc_errors import BASE, RpcError, bad_element
from keyweave_core.netconf.server.operations.calls import Answer, Caller, Method
from keyweave_core.netconf.server.operations.parameters import (
    choice,
    default_operation,
    parameters,
    required,
    store,
    store_or_config,
    text_of,
    url_not_offered,
)
from keyweave_core.netconf.server.stores.datastores import Store, Test
from keyweave_core.netconf.server.system import System

_ERROR_OPTIONS = ("stop-on-error", "continue-on-error", "rollback-on-error")


def operations(system: System) -> Mapping[str, Method]:
    """edit-config, copy-config and delete-config."""
    group = _Writing(system)
    return {
        f"{{{BASE}}}edit-config": group.edit_config,
        f"{{{BASE}}}copy-config": group.copy_config,
        f"{{{BASE}}}delete-config": group.delete_config,
    }


class _Writing:
    def __init__(self, system: System) -> None:
        self._system = system

    async def edit_config(self, caller: Caller, operation: etree._Element) -> Answer:
        """Edit a datastore by operations on its nodes."""
        found = parameters(
            operation, "target", "default-operation", "test-option", "error-option", "config", "url"
        )
        target = store(required(found, "target"))
        if target is Store.STARTUP:
            raise bad_element("unknown-element", "edit-config edits running or candidate", "startup")
        default = default_operation(found)
        test = choice(found, "test-option", Test)
        option = text_of(found, "error-option")
        # Every edit of ours is all or nothing, which satisfies each of the three.
        if option is not None and option not in _ERROR_OPTIONS:
            raise bad_element("invalid-value", f"no error-option {option[:60]!r}", "error-option")
        if "url" in found:
            raise url_not_offered()
        config = required(found, "config")
        await self._system.datastores.edit(caller.editor, target, config, default=default, test=test)
        return Answer()

    async def copy_config(self, caller: Caller, operation: etree._Element) -> Answer:
        """Replace a datastore by another, or by a configuration given."""
        found = parameters(operation, "target", "source", f"{{{WITH_DEFAULTS}}}with-defaults")
        target = store(required(found, "target"))
        source = store_or_config(required(found, "source"), config=True)
        if source == target:
            raise bad_element("invalid-value", "source and target are the same", "target")
        mode = choice(found, "with-defaults", Mode)
        content: Store | Sequence[etree._Element] | etree._Element = source
        if isinstance(source, Store) and mode not in (None, Mode.EXPLICIT):
            system = self._system
            held = system.access.readable(caller.user, system.datastores.read(source).elements)
            content = reported(held, mode, system.schema)
        await self._system.datastores.copy(caller.editor, content, target)
        return Answer()

    async def delete_config(self, caller: Caller, operation: etree._Element) -> Answer:
        """Empty startup; no other datastore can be deleted."""
        target = store(required(parameters(operation, "target"), "target"))
        if target is not Store.STARTUP:
            raise RpcError("operation-not-supported", f"{target} cannot be deleted", type="protocol")
        await self._system.datastores.delete_startup(caller.editor)
        return Answer()
