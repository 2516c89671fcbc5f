"""Ending sessions, one's own and others (RFC 6241 clauses 7.8 and 7.9)."""

from collections.abc import Mapping

from lxml import etree

from keyweave_core.netconf.protocol.rpc_errors import BASE, bad_element
from keyweave_core.netconf.server.operations.calls import Answer, Caller, Method, Registry, Termination
from keyweave_core.netconf.server.operations.parameters import parameters, required, text_of


def operations(registry: Registry) -> Mapping[str, Method]:
    """close-session and kill-session."""
    group = _Ending(registry)
    return {
        f"{{{BASE}}}close-session": group.close_session,
        f"{{{BASE}}}kill-session": group.kill_session,
    }


class _Ending:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def close_session(self, caller: Caller, operation: etree._Element) -> Answer:
        """Say goodbye."""
        parameters(operation)
        return Answer(then=lambda: caller.end("closed by its client", Termination.CLOSED))

    async def kill_session(self, caller: Caller, operation: etree._Element) -> Answer:
        """End another session."""
        found = parameters(operation, "session-id")
        required(found, "session-id")
        text = text_of(found, "session-id") or ""
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else 0
        victim = self._registry.find(number)
        if victim is None or number == caller.session_id:
            why = "is this session" if victim is not None else "is no session"
            raise bad_element("invalid-value", f"{text[:20]!r} {why}", "session-id")
        victim.end(f"killed by session {caller.session_id}", Termination.KILLED, killed_by=caller.session_id)
        return Answer()
