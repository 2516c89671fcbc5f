"""Secrets by ML-KEM with the key managers at the other ends of associations: all of one node.

Rule of this file: no I/O. Letters and time come in, letters go out through the host; which associations take
part is told by `associate`. Secrets live in memory alone: after a restart they are agreed anew.
"""

from collections.abc import Iterable

from keyweave_agents.keys.plan import AssociationPlan
from keyweave_agents.keys.pqc.destination import DestinationEnd
from keyweave_agents.keys.pqc.identity import Untrusted
from keyweave_agents.keys.pqc.letters import decode_letter
from keyweave_agents.keys.pqc.ports import Ends, Party, PqcHost
from keyweave_agents.keys.pqc.secret import SessionSecret
from keyweave_agents.keys.pqc.source import SourceEnd
from keyweave_agents.keys.relaying.frames import Batch
from keyweave_agents.material import Secret
from keyweave_core.errors import MalformedMessage
from keyweave_core.model.application import KeyMode
from keyweave_core.model.ids import AppId, NodeId, SaeId

PROPOSALS_A_TICK = 8
"""New proposals that a node makes at once: each costs a signature, some milliseconds of nothing else."""


class Pqc:
    """The agreements of one node."""

    def __init__(self, node_id: NodeId, party: Party, host: PqcHost) -> None:
        self._node_id = node_id
        self._party = party
        self._host = host
        self._sources: dict[AppId, SourceEnd] = {}
        self._destinations: dict[AppId, DestinationEnd] = {}

    def associate(self, plans: Iterable[AssociationPlan]) -> None:
        """Hold agreements of exactly those associations whose mode wants them; the others are wiped."""
        sources: dict[AppId, SourceEnd] = {}
        destinations: dict[AppId, DestinationEnd] = {}
        for plan in plans:
            ends = self._ends(plan)
            if ends is None:
                continue
            if plan.source:
                source = self._sources.get(plan.app_id)
                if source is None or source.ends != ends:
                    source = SourceEnd(ends, self._party, self._host)
                sources[plan.app_id] = source
            else:
                destination = self._destinations.get(plan.app_id)
                if destination is None or destination.ends != ends:
                    destination = DestinationEnd(ends, self._party, self._host)
                destinations[plan.app_id] = destination
        for old in self._ends_here():
            app_id = old.ends.app_id
            if sources.get(app_id) is not old and destinations.get(app_id) is not old:
                old.wipe()
        self._sources, self._destinations = sources, destinations

    def _ends(self, plan: AssociationPlan) -> Ends | None:
        far = plan.remote_node
        if plan.mode is KeyMode.QKD_ONLY or far in (None, self._node_id) or far is None:
            return None
        source, destination = (self._node_id, far) if plan.source else (far, self._node_id)
        return Ends(app_id=plan.app_id, source=source, destination=destination)

    def handle(self, app_id: AppId, body: bytes) -> None:
        """A letter about an association came."""
        end: SourceEnd | DestinationEnd | None = self._sources.get(app_id)
        end = end or self._destinations.get(app_id)
        if end is None:
            return  # an association of another mode: it tells by its silence
        try:
            end.handle(decode_letter(body), self._party.clock.monotonic())
        except (Untrusted, MalformedMessage) as error:
            self._host.forged(app_id, str(error))

    def tick(self) -> None:
        """What time brings: proposals, repeats, expiry."""
        now_s = self._party.clock.monotonic()
        for destination in self._destinations.values():
            destination.tick(now_s)
        left = PROPOSALS_A_TICK
        for source in self._sources.values():
            left -= source.tick(now_s, may_propose=left > 0)

    def _ends_here(self) -> list[SourceEnd | DestinationEnd]:
        return [*self._sources.values(), *self._destinations.values()]

    # --- the source ------------------------------------------------------------------------------

    def secret(self, app_id: AppId) -> SessionSecret | None:
        """The secret of which a source may make keys now."""
        end = self._sources.get(app_id)
        return end.secret if end is not None else None

    def trouble(self, app_id: AppId) -> str:
        """Why there is none."""
        end = self._sources.get(app_id)
        return end.trouble if end is not None else "no agreement by ML-KEM for this association"

    def overdue(self, app_id: AppId) -> bool:
        """Whether there is none for so long that somebody should look."""
        end = self._sources.get(app_id)
        return end is not None and end.overdue(self._party.clock.monotonic())

    def count(self, app_id: AppId, keys: int) -> None:
        """So many hybrid keys were made of the secret."""
        self._sources[app_id].count(keys)

    def offer(self, batch: Batch, clients: tuple[SaeId, ...]) -> Secret:
        """Make the keys of a batch of the secret that it names, and have the destination make them."""
        return self._sources[batch.app_id].offer(batch, clients, self._party.clock.monotonic())

    def withdraw(self, batch: Batch) -> None:
        """Stop repeating an offer."""
        end = self._sources.get(batch.app_id)
        if end is not None:
            end.withdraw(batch.batch_id)

    # --- the destination -------------------------------------------------------------------------

    def known(self, app_id: AppId, name: bytes) -> SessionSecret | None:
        """The secret of that name, when the source confirmed it; else the source is told."""
        end = self._destinations.get(app_id)
        secret = end.known(name) if end is not None else None
        if secret is None and end is not None:
            end.missed(name)
        return secret
