"""Requests for which there is no association yet.

Rule of this file: the controller is asked at once for each master and its slaves, and again every two seconds
while a request of theirs waits (its answer may have been lost, or the network may have changed).
"""

from collections.abc import Callable
from dataclasses import replace

from keyweave_agents.keys.lanes import Request
from keyweave_agents.keys.plan import AssociationWanted, KeyEvent
from keyweave_core.errors import Refused
from keyweave_core.model.ids import SaeId

ASK_AGAIN_S = 2.0

Group = tuple[SaeId, tuple[SaeId, ...]]
"""A master and those who shall get the same keys: mostly one."""


class WaitingRoom:
    """Requests by master and slaves, oldest first."""

    def __init__(self, emit: Callable[[KeyEvent], None]) -> None:
        self._emit = emit
        self._requests: dict[Group, list[Request]] = {}
        self._ask_s: dict[Group, float] = {}

    def __len__(self) -> int:
        return sum(len(requests) for requests in self._requests.values())

    def add(self, request: Request, now_s: float) -> None:
        """Wait, and ask the controller when this is the first of its group."""
        group = (request.server, request.clients)
        self._requests.setdefault(group, []).append(request)
        if group not in self._ask_s:
            self._ask(group, now_s)

    def discard(self, request: Request) -> None:
        """Wait no longer (nothing when it did not)."""
        group = (request.server, request.clients)
        requests = self._requests.get(group, [])
        if request in requests:
            requests.remove(request)
            if not requests:
                self._drop(group)

    def release(self, served: Callable[[Request], bool]) -> list[Request]:
        """Take out the requests that are served now."""
        found = [group for group, requests in self._requests.items() if served(requests[0])]
        return [request for group in found for request in self._drop(group)]

    def refuse(self, server: SaeId, clients: tuple[SaeId, ...], reasons: tuple[str, ...]) -> None:
        """End the requests of `server` with any or all of `clients` and nobody else."""
        refused = set(clients)
        for group in [one for one in self._requests if one[0] == server and refused.issuperset(one[1])]:
            for request in self._drop(group):
                request.fail(Refused(*reasons))

    @property
    def wanted(self) -> tuple[AssociationWanted, ...]:
        """The pairs that wait, oldest first, as the tree lists them.

        Of a master that asked for several slaves together the controller hears by notification alone: read as
        pairs, each slave would get keys of its own.
        """
        return tuple(self._wanted(group) for group in self._requests if len(group[1]) == 1)

    def tick(self, now_s: float) -> None:
        """Ask again where it is time."""
        for group, ask_s in list(self._ask_s.items()):
            if ask_s <= now_s:
                self._ask(group, now_s)

    def _ask(self, group: Group, now_s: float) -> None:
        self._ask_s[group] = now_s + ASK_AGAIN_S
        self._emit(self._wanted(group))

    def _wanted(self, group: Group) -> AssociationWanted:
        first = self._requests[group][0]
        qos = first.qos
        if len(first.clients) > 1:
            qos = replace(qos, clients_shared_keys_required=True)
        return AssociationWanted(server=first.server, clients=first.clients, qos=qos, priority=first.priority)

    def _drop(self, group: Group) -> list[Request]:
        self._ask_s.pop(group, None)
        return self._requests.pop(group, [])
