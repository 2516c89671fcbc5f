"""The candidate's way into running: commit, cancel-commit, discard-changes, validate (RFC 6241 clauses 8.3,
8.4, 8.6)."""

from collections.abc import Mapping

from lxml import etree

from keyweave_core.netconf.protocol.rpc_errors import BASE, bad_element
from keyweave_core.netconf.server.operations.calls import Answer, Caller, Method
from keyweave_core.netconf.server.operations.parameters import parameters, required, store_or_config, text_of
from keyweave_core.netconf.server.stores.confirmed import DEFAULT_TIMEOUT_S, MAX_TIMEOUT_S, CommitRequest
from keyweave_core.netconf.server.system import System


def operations(system: System) -> Mapping[str, Method]:
    """commit, cancel-commit, discard-changes and validate."""
    group = _Committing(system)
    return {
        f"{{{BASE}}}commit": group.commit,
        f"{{{BASE}}}cancel-commit": group.cancel,
        f"{{{BASE}}}discard-changes": group.discard,
        f"{{{BASE}}}validate": group.validate,
    }


class _Committing:
    def __init__(self, system: System) -> None:
        self._system = system

    async def commit(self, caller: Caller, operation: etree._Element) -> Answer:
        """Make the candidate the running configuration, for good or until it is confirmed."""
        found = parameters(operation, "confirmed", "confirm-timeout", "persist", "persist-id")
        await self._system.datastores.commit(caller.editor, _request(found))
        return Answer()

    async def cancel(self, caller: Caller, operation: etree._Element) -> Answer:
        """Bring running back to what it was before the pending confirmed commit."""
        found = parameters(operation, "persist-id")
        await self._system.datastores.cancel_commit(caller.editor, text_of(found, "persist-id"))
        return Answer()

    async def discard(self, caller: Caller, operation: etree._Element) -> Answer:
        """Make the candidate equal to running."""
        parameters(operation)
        await self._system.datastores.discard(caller.session_id)
        return Answer()

    async def validate(self, _caller: Caller, operation: etree._Element) -> Answer:
        """Validate a datastore, or a configuration given."""
        source = store_or_config(required(parameters(operation, "source"), "source"), config=True)
        self._system.datastores.validate(source)
        return Answer()


def _request(found: Mapping[str, etree._Element]) -> CommitRequest:
    confirmed = "confirmed" in found
    for name in ("confirm-timeout", "persist"):
        if name in found and not confirmed:
            # Who sends it expects a roll back that a plain commit would never make.
            raise bad_element("missing-element", f"{name} wants confirmed beside it", "confirmed")
    return CommitRequest(
        confirmed=confirmed,
        timeout_s=_timeout(text_of(found, "confirm-timeout")),
        persist=text_of(found, "persist"),
        persist_id=text_of(found, "persist-id"),
    )


def _timeout(text: str | None) -> int:
    if text is None:
        return DEFAULT_TIMEOUT_S
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else 0
    if not 1 <= number <= MAX_TIMEOUT_S:
        raise bad_element(
            "invalid-value",
            f"confirm-timeout {text[:20]!r}: want 1..{MAX_TIMEOUT_S} seconds",
            "confirm-timeout",
        )
    return number
