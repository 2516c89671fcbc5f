"""Global locks (RFC 6241 clauses 7.5 and 7.6)."""

from collections.abc import Mapping

from lxml import etree

from keyweave_core.netconf.protocol.rpc_errors import BASE
from keyweave_core.netconf.server.operations.calls import Answer, Caller, Method
from keyweave_core.netconf.server.operations.parameters import parameters, required, store
from keyweave_core.netconf.server.system import System


def operations(system: System) -> Mapping[str, Method]:
    """lock and unlock."""
    group = _Locking(system)
    return {f"{{{BASE}}}lock": group.lock, f"{{{BASE}}}unlock": group.unlock}


class _Locking:
    def __init__(self, system: System) -> None:
        self._system = system

    async def lock(self, caller: Caller, operation: etree._Element) -> Answer:
        """Take a lock."""
        target = store(required(parameters(operation, "target"), "target"))
        self._system.datastores.lock(caller.session_id, target)
        return Answer()

    async def unlock(self, caller: Caller, operation: etree._Element) -> Answer:
        """Give a lock back."""
        target = store(required(parameters(operation, "target"), "target"))
        self._system.datastores.unlock(caller.session_id, target)
        return Answer()
