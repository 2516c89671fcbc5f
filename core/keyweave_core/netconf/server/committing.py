"""The candidate's way into running: commit, discard-changes, validate (RFC 6241 clauses 8.3, 8.4, 8.6)."""

from collections.abc import Mapping

from lxml import etree

from keyweave_core.netconf.protocol.rpc_errors import BASE
from keyweave_core.netconf.server.calls import Answer, Caller, Method
from keyweave_core.netconf.server.datastores import Store
from keyweave_core.netconf.server.parameters import parameters, required, store_or_config
from keyweave_core.netconf.server.system import System


def operations(system: System) -> Mapping[str, Method]:
    """commit, discard-changes and validate."""
    group = _Committing(system)
    return {
        f"{{{BASE}}}commit": group.commit,
        f"{{{BASE}}}discard-changes": group.discard,
        f"{{{BASE}}}validate": group.validate,
    }


class _Committing:
    def __init__(self, system: System) -> None:
        self._system = system

    async def commit(self, caller: Caller, operation: etree._Element) -> Answer:
        """Make the candidate the running configuration."""
        parameters(operation)
        await self._system.datastores.commit(caller.editor)
        return Answer()

    async def discard(self, caller: Caller, operation: etree._Element) -> Answer:
        """Make the candidate equal to running."""
        parameters(operation)
        await self._system.datastores.discard(caller.session_id)
        return Answer()

    async def validate(self, _caller: Caller, operation: etree._Element) -> Answer:
        """Validate a datastore, or a configuration given."""
        source = store_or_config(required(parameters(operation, "source"), "source"), config=True)
        datastores = self._system.datastores
        datastores.check(datastores.read(source) if isinstance(source, Store) else datastores.inline(source))
        return Answer()
