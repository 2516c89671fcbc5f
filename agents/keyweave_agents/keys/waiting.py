"""Requests for which there is no association yet.

Rule of this file: the controller is asked at once for each pair of applications, and again every two seconds
while a request of the pair waits (its answer may have been lost, or the network may have changed).
"""

from collections.abc import Callable, Container

from keyweave_agents.keys.lanes import Request
from keyweave_agents.keys.plan import AssociationWanted, KeyEvent
from keyweave_core.errors import Refused
from keyweave_core.model.ids import SaeId

ASK_AGAIN_S = 2.0

Pair = tuple[SaeId, SaeId]


class WaitingRoom:
    """Requests by pair of applications, oldest first."""

    def __init__(self, emit: Callable[[KeyEvent], None]) -> None:
        self._emit = emit
        self._requests: dict[Pair, list[Request]] = {}
        self._ask_s: dict[Pair, float] = {}

    def __len__(self) -> int:
        return sum(len(requests) for requests in self._requests.values())

    def add(self, request: Request, now_s: float) -> None:
        """Wait, and ask the controller when this is the first of its pair."""
        pair = (request.server, request.client)
        self._requests.setdefault(pair, []).append(request)
        if pair not in self._ask_s:
            self._ask(pair, now_s)

    def discard(self, request: Request) -> None:
        """Wait no longer (nothing when it did not)."""
        pair = (request.server, request.client)
        requests = self._requests.get(pair, [])
        if request in requests:
            requests.remove(request)
            if not requests:
                self._drop(pair)

    def release(self, pairs: Container[Pair]) -> list[Request]:
        """Take out the requests of these pairs."""
        found = [pair for pair in self._requests if pair in pairs]
        return [request for pair in found for request in self._drop(pair)]

    def refuse(self, server: SaeId, clients: tuple[SaeId, ...], reasons: tuple[str, ...]) -> None:
        """End the requests of `server` with one of `clients`."""
        for client in clients:
            for request in self._drop((server, client)):
                request.fail(Refused(*reasons))

    @property
    def wanted(self) -> tuple[AssociationWanted, ...]:
        """The pairs that wait, oldest first, as the controller is told of them."""
        return tuple(self._wanted(pair) for pair in self._requests)

    def tick(self, now_s: float) -> None:
        """Ask again where it is time."""
        for pair, ask_s in list(self._ask_s.items()):
            if ask_s <= now_s:
                self._ask(pair, now_s)

    def _ask(self, pair: Pair, now_s: float) -> None:
        self._ask_s[pair] = now_s + ASK_AGAIN_S
        self._emit(self._wanted(pair))

    def _wanted(self, pair: Pair) -> AssociationWanted:
        first = self._requests[pair][0]
        return AssociationWanted(
            server=first.server, clients=(first.client,), qos=first.qos, priority=first.priority
        )

    def _drop(self, pair: Pair) -> list[Request]:
        self._ask_s.pop(pair, None)
        return self._requests.pop(pair, [])
