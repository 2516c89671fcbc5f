"""The associations that end at one node, and who is found by what.

Rule of this file: finding changes nothing. Whoever takes associations in or out of `by_id`, or changes their
plans, calls `index` when done; until then they are found as before.
"""

from collections.abc import Iterator, Sequence

from keyweave_agents.keys.association import Association
from keyweave_agents.keys.views import rank
from keyweave_core.model.ids import AppId, LinkId, SaeId


class Register:
    """Associations by id, by those who get their keys, and by virtual link."""

    def __init__(self) -> None:
        self.by_id: dict[AppId, Association] = {}
        # Whose source is here, by who gets the keys and nobody else: one client, or exactly these.
        self._by_pair: dict[tuple[SaeId, SaeId], list[Association]] = {}
        self._by_group: dict[tuple[SaeId, frozenset[SaeId]], list[Association]] = {}
        self._by_ends: dict[tuple[SaeId, SaeId], list[Association]] = {}  # ... or destination

    def index(self) -> None:
        """Find associations by their plans as they are now."""
        self._by_pair, self._by_group, self._by_ends = {}, {}, {}
        for association in self.by_id.values():
            server, clients = association.plan.server, association.plan.clients
            for client in clients:
                self._by_ends.setdefault((server, client), []).append(association)
            if association.plan.source:
                self._by_group.setdefault((server, frozenset(clients)), []).append(association)
                if len(clients) == 1:
                    self._by_pair.setdefault((server, clients[0]), []).append(association)

    def of_pair(self, server: SaeId, client: SaeId) -> Sequence[Association]:
        """Those whose source is here and whose keys `client` gets, and nobody else."""
        return self._by_pair.get((server, client), ())

    def of_group(self, server: SaeId, clients: tuple[SaeId, ...]) -> Sequence[Association]:
        """Those whose source is here and whose keys exactly these clients get, in whatever order."""
        return self._by_group.get((server, frozenset(clients)), ())

    def within(self, server: SaeId, clients: tuple[SaeId, ...]) -> Iterator[Association]:
        """Those whose source is here and whose keys any or all of these clients get, and nobody else."""
        for (master, group), found in self._by_group.items():
            if master == server and group.issubset(clients):
                yield from found

    def between(self, server: SaeId, client: SaeId) -> Association | None:
        """The best one that has not expired whose keys both get, at either end of it."""
        found = [one for one in self._by_ends.get((server, client), ()) if not one.expired]
        return max(found, key=rank) if found else None

    def sources_over(self, link_id: LinkId) -> Iterator[Association]:
        """Those whose source is here and that a virtual link backs."""
        for association in self.by_id.values():
            if association.plan.source and link_id in association.plan.links:
                yield association
