r"""Key delivery: the REST API of ETSI GS QKD 014 V1.1.1 of one agent, on its own port.

    request --> quick014 (keys lie ready) ----------------------> desk014 (record, log) --> answer
                  \-- everything else --> delivery014 (may wait) --/

Rule of this file: it builds and joins.
"""

from collections.abc import Iterable

from keyweave_agents.keys.ports import KeyDraw, KeySupply
from keyweave_agents.service.audit import AuditLog
from keyweave_agents.service.callers import callers_of
from keyweave_agents.service.delivery014 import KeyDelivery
from keyweave_agents.service.desk014 import Desk
from keyweave_agents.service.https import HttpsServer
from keyweave_agents.service.quick014 import QuickDelivery
from keyweave_agents.service.settings import ConsumerSettings, ServiceSettings
from keyweave_core.model.ids import NodeId
from keyweave_core.runtime.clock import Clock


class Etsi014Server:
    """Key delivery of one agent on its own port; it runs inside the loop of its caller."""

    def __init__(
        self,
        settings: ServiceSettings,
        consumers: Iterable[ConsumerSettings],
        keys: KeySupply,
        clock: Clock,
        *,
        node_id: NodeId,
        draw: KeyDraw | None = None,
    ) -> None:
        """`node_id` is also the KME id: whoever knows a node (the controller, the other end) knows it.

        `draw` is the same key manager where it can be asked without waiting. Deliveries are recorded where
        `settings.audit` names a directory. Raises SettingsError: the audit record, the revocation lists.
        """
        consumers = tuple(consumers)
        audit, wanted = None, settings.audit
        if wanted.enabled and wanted.directory is not None:
            audit = AuditLog(wanted.directory, wanted, clock)
        self._desk = Desk(settings, callers_of(settings, consumers), keys, clock, kme_id=node_id, audit=audit)
        app = KeyDelivery(self._desk, consumers, keys, draw)
        quick = None if draw is None else QuickDelivery(self._desk, draw)
        self._server = HttpsServer(app, settings, clock, quick)

    async def start(self) -> int:
        """Serve; returns the port. Raises SettingsError (a TLS file, or the address cannot be had)."""
        return await self._server.start()

    async def close(self) -> None:
        """Stop: running requests get `close_s` to end. Idempotent."""
        await self._server.close()
        self._desk.close()
