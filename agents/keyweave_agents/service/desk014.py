"""What both ways of key delivery share: who calls, the status, the audit record and the log.

Rule of this file: whatever is handed over is recorded here first; the log line of a request has the caller,
the method, counts, status and duration, and never an id of a key or its bytes.
"""

from collections.abc import Sequence

from keyweave_agents.keys.plan import StoreStatus
from keyweave_agents.keys.ports import KeySupply
from keyweave_agents.service import wire014 as wire
from keyweave_agents.service.audit import AuditLog, Delivery
from keyweave_agents.service.callers import Callers
from keyweave_agents.service.container import Piece
from keyweave_agents.service.settings import ServiceSettings
from keyweave_core.model.ids import NodeId, SaeId
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import get_logger


class Desk:
    """The common desk of `delivery014` (which may wait) and `quick014` (which never does)."""

    def __init__(
        self,
        settings: ServiceSettings,
        callers: Callers,
        keys: KeySupply,
        clock: Clock,
        *,
        kme_id: NodeId,
        audit: AuditLog | None,
    ) -> None:
        self.settings = settings
        self.callers = callers
        self.clock = clock
        self._log = get_logger("service")
        self._keys = keys
        self._kme_id = kme_id
        self._audit = audit
        self._extension = settings.status_extension

    # --- status ----------------------------------------------------------------------------------

    def status(self, caller: SaeId, other: SaeId) -> bytes:
        """The answer of `status` (clause 6.1) to master `caller`."""
        store = self._keys.status(caller, other)
        if store is not None and store.remote_node is not None:
            target = str(store.remote_node)
        else:
            # Not known before the controller has joined the two; known when both are ours.
            target = self._kme_id if self.callers.serves(other) else ""
        settings = self.settings
        status = wire.Status(
            source_KME_ID=self._kme_id,
            target_KME_ID=target,
            master_SAE_ID=caller,
            slave_SAE_ID=other,
            key_size=settings.default_key_bits,
            stored_key_count=0 if store is None else store.stored_key_count,
            max_key_count=settings.max_key_count if store is None else store.max_key_count,
            max_key_per_request=settings.max_keys_per_request,
            max_key_size=settings.max_key_bits,
            min_key_size=settings.min_key_bits,
            max_SAE_ID_count=settings.max_additional_slaves,
        )
        if self._extension:
            status.status_extension = _extension(store)
        return wire.status_body(status)

    # --- records ---------------------------------------------------------------------------------

    @property
    def audit_broken(self) -> bool:
        """Whether the last attempt to write the audit record failed."""
        return self._audit is not None and self._audit.broken

    def check(self) -> None:
        """Before keys are drawn: AuditFailed while the audit record cannot be written."""
        if self._audit is not None:
            self._audit.check()

    def record(
        self,
        method: str,
        caller: SaeId,
        master: SaeId,
        slaves: tuple[SaeId, ...],
        pieces: Sequence[Piece],
        status: int,
    ) -> None:
        """Note what a request for keys comes to (no pieces: nothing was handed over)."""
        if self._audit is None:
            return
        count, size_bits, origin = 0, 0, "qkd"
        for place, (bundle, _, number) in enumerate(pieces):
            bits = 128 * len(bundle.keys) // len(bundle.key_ids)  # 16 bytes of id a key
            size_bits = bits if place == 0 or bits == size_bits else 0
            origin = bundle.origin if place == 0 or bundle.origin == origin else "mixed"
            count += number
        self._audit.note(Delivery("014", method, caller, master, slaves, count, size_bits, status, origin))

    def flush(self) -> None:
        """Write what was noted; AuditFailed: nothing may be handed over."""
        if self._audit is not None:
            self._audit.flush()

    def log_request(
        self, caller: SaeId | None, method: str, count: int, status: int, started_s: float
    ) -> None:
        """The log line of a request, where the settings want it."""
        if self.settings.access_log:
            self._log.info(
                "request",
                caller=caller,
                method=method,
                count=count,
                status=status,
                ms=round((self.clock.monotonic() - started_s) * 1000, 2),
            )

    def close(self) -> None:
        """Force out the audit record."""
        if self._audit is not None:
            self._audit.close()


def _extension(store: StoreStatus | None) -> dict[str, object]:
    if store is None:
        return {"keyweave_association": False}
    return {
        "keyweave_association": True,
        "keyweave_mode": store.mode.value,
        "keyweave_in_fallback": store.in_fallback,
    }
