"""The YANG text of what is served (RFC 6022 clause 3.1)."""

from collections.abc import Mapping

from lxml import etree

from keyweave_core.netconf.protocol.elements import element
from keyweave_core.netconf.protocol.messages import MONITORING, to_bytes
from keyweave_core.netconf.server import monitoring
from keyweave_core.netconf.server.operations.calls import Answer, Caller, Method
from keyweave_core.netconf.server.operations.parameters import parameters, required, text_of
from keyweave_core.netconf.server.system import System


def operations(system: System) -> Mapping[str, Method]:
    """get-schema."""
    group = _Schemas(system)
    return {f"{{{MONITORING}}}get-schema": group.get_schema}


class _Schemas:
    def __init__(self, system: System) -> None:
        self._system = system

    async def get_schema(self, _caller: Caller, operation: etree._Element) -> Answer:
        """The text of one module."""
        found = parameters(operation, "identifier", "version", "format")
        required(found, "identifier")
        text = monitoring.find_schema(
            self._system.modules,
            text_of(found, "identifier") or "",
            text_of(found, "version"),
            text_of(found, "format") or "yang",
        )
        data = element(f"{{{MONITORING}}}data", {None: MONITORING})
        data.text = text
        return Answer(to_bytes(data))
