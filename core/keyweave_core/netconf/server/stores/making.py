"""A configuration becomes real: first in the device, then where it outlives the process.

Rule of this file: what cannot be kept is undone in the device, so that both agree with running.
"""

from keyweave_core.errors import KeyweaveError, Refused, SchemaViolation
from keyweave_core.netconf.data.schema_paths import SchemaMap
from keyweave_core.netconf.ports import Device, Keeper
from keyweave_core.netconf.protocol.rpc_errors import RpcError, from_fault
from keyweave_core.netconf.server.stores.snapshots import Editor, Snapshot
from keyweave_core.runtime.log import Logger


class Making:
    """The device and the keeper of a server; `keeps_running` is false when startup is what is kept."""

    def __init__(
        self, device: Device, keeper: Keeper | None, places: SchemaMap, log: Logger, *, keeps_running: bool
    ) -> None:
        self._device = device
        self._keeper = keeper
        self._places = places
        self._log = log
        self._keeps_running = keeps_running

    async def make(self, old: Snapshot, new: Snapshot, by: Editor | None, *, keep: bool) -> None:
        """Make `new` real instead of `old`, and keep it; RpcError (nothing changed) when that is refused.

        `by` is who wants it; None: the system.
        """
        user = "" if by is None else by.user.name
        try:
            await self._device.apply(old.elements, new.elements, user)
        except (SchemaViolation, Refused) as fault:
            raise from_fault(fault, self._places.namespaces) from fault
        if keep:
            try:
                await self.keep_running(new)
            except RpcError:
                await self._undo(new, old, user)
                raise

    async def keep_running(self, running: Snapshot) -> None:
        """Have running outlive the process, unless startup is for that."""
        if self._keeps_running:
            await self.keep(running)

    async def keep(self, content: Snapshot | None) -> None:
        """Have this outlive the process; RpcError when it does not."""
        if self._keeper is None:
            return
        try:
            await self._keeper.keep(None if content is None else content.elements)
        except (KeyweaveError, OSError) as fault:
            raise RpcError("operation-failed", f"not kept for the next start: {fault}") from fault

    async def _undo(self, new: Snapshot, old: Snapshot, user: str) -> None:
        try:
            await self._device.apply(new.elements, old.elements, user)
        except Exception as fault:  # noqa: BLE001 - the caller tells why it was to be undone; this is for the log
            self._log.error("the device does not go back to its running configuration", reason=str(fault))
