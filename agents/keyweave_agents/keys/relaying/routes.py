"""Where virtual links go from this node, and over which physical links.

Rule of this file: looking up only; what is sent over them is the business of `relay` and `hints`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from keyweave_agents.keys.plan import Route
from keyweave_agents.keys.relaying.session import LinkSession
from keyweave_core.model.application import RelayMethod
from keyweave_core.model.ids import LinkId, NodeId


class RouteTable:
    """The configured routes, and the physical links of this node by the node at their other end."""

    def __init__(self) -> None:
        self._routes: dict[LinkId, Route] = {}
        self._sessions: dict[NodeId, list[LinkSession]] = {}

    def __getitem__(self, link_id: LinkId) -> Route:
        return self._routes[link_id]

    def __contains__(self, link_id: LinkId) -> bool:
        return link_id in self._routes

    def __iter__(self) -> Iterator[LinkId]:
        return iter(self._routes)

    def get(self, link_id: LinkId) -> Route | None:
        """The route of a virtual link."""
        return self._routes.get(link_id)

    def facing(self, link_id: LinkId, came_from: NodeId, *, forward: bool = True) -> Route | None:
        """The route of a virtual link, if what came from this neighbour goes that way on it.

        One that was ordered without a direction turns to face what comes.
        """
        route = self._routes.get(link_id)
        if route is None or came_from in ((route.prev_hop,) if forward else route.next_hops):
            return route
        if not route.either_way or None in (route.prev_hop, route.next_hop):
            return None
        turned = replace(route, prev_hop=route.next_hop, next_hop=route.prev_hop)
        if came_from not in ((turned.prev_hop,) if forward else turned.next_hops):
            return None
        self._routes[link_id] = turned
        return turned

    def all(self) -> Iterable[Route]:
        """Every route."""
        return self._routes.values()

    def set(self, routes: Iterable[Route]) -> None:
        """Hold exactly these."""
        self._routes = {route.link_id: route for route in routes}

    def add_session(self, session: LinkSession) -> None:
        """A physical link of this node."""
        self._sessions.setdefault(session.remote, []).append(session)

    def leads_on(self, link_id: LinkId) -> bool:
        """Whether a virtual link has a next hop here."""
        route = self._routes.get(link_id)
        return route is not None and route.next_hop is not None

    def over(self, hop: NodeId) -> list[Route]:
        """The routes on which a neighbour is a next hop."""
        return [route for route in self._routes.values() if hop in route.next_hops]

    def ready(self, hop: NodeId) -> list[LinkSession]:
        """The connected physical links to a neighbour."""
        return [session for session in self._sessions.get(hop, ()) if session.ready]

    def session_to(self, hop: NodeId, method: RelayMethod = RelayMethod.OTP) -> LinkSession | None:
        """The connected physical link that gives most towards a neighbour, by that method."""
        ready = self.ready(hop)
        if len(ready) < 2:
            return ready[0] if ready else None
        return max(ready, key=lambda session: session.room(method))

    def next_sessions(self, link_id: LinkId) -> list[LinkSession]:
        """The physical links that a batch takes from here; none unless all next hops are connected."""
        route = self._routes.get(link_id)
        if route is None:
            return []
        found = [self.session_to(hop, route.method) for hop in route.next_hops]
        sessions = [session for session in found if session is not None]
        return sessions if len(sessions) == len(found) else []
