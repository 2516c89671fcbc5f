"""Who keeps the keys at the far end of a virtual link: doubt, question and answer, without any proof.

Rule of this file: these messages carry no one-time tag, because they pass where no key may be left to make
one. So they can end keys or make them wait, and never supply one.
"""

from keyweave_agents.keys.plan import Route
from keyweave_agents.keys.relaying.frames import Ask, Doubt, Keeper, Letter
from keyweave_agents.keys.relaying.records import Endpoint
from keyweave_agents.keys.relaying.routes import RouteTable
from keyweave_agents.keys.relaying.session import LinkSession
from keyweave_agents.keys.relaying.wire import encode
from keyweave_core.model.ids import LinkId


class Hints:
    """Passes them along the routes of one node."""

    def __init__(self, routes: RouteTable, endpoint: Endpoint) -> None:
        self._routes = routes
        self._endpoint = endpoint

    def doubt(self, route: Route) -> None:
        """Whoever is behind may have restarted: pass it back to the source."""
        if route.prev_hop is None:
            self._endpoint.doubted(route.link_id)
            return
        for session in self._routes.ready(route.prev_hop):
            session.send(encode(Doubt(link_id=route.link_id)))

    def ask(self, link_id: LinkId) -> None:
        """Ask the destination of a virtual link who it is; the source hears it by `Endpoint.kept`.

        Where a link forks nobody is asked: the answer of one would be none of all.
        """
        sessions = self._routes.next_sessions(link_id)
        if len(sessions) == 1 and not self._routes[link_id].ends_here:
            sessions[0].send(encode(Ask(link_id=link_id)))

    def asked(self, session: LinkSession, frame: Ask) -> None:
        """Answer as the destination, or pass the question on."""
        route = self._routes.get(frame.link_id)
        if route is None or route.prev_hop != session.remote or not session.ready:
            return
        if route.next_hop is None:
            session.send(encode(Keeper(link_id=frame.link_id, keeper=self._endpoint.keeper)))
        else:
            self.ask(frame.link_id)

    def answered(self, session: LinkSession, frame: Keeper) -> None:
        """Hear the answer as the source, or pass it back."""
        route = self._routes.get(frame.link_id)
        if route is None or route.next_hops != (session.remote,) or route.ends_here:
            return
        if route.prev_hop is None:
            self._endpoint.kept(frame.link_id, frame.keeper)
            return
        for back in self._routes.ready(route.prev_hop)[:1]:
            back.send(encode(frame))

    def write(self, letter: Letter) -> bool:
        """Send a letter of an end node of its link on its way; whether there was a way to begin with.

        Through a fork it goes to every branch.
        """
        route = self._routes.get(letter.link_id)
        if route is None:
            return False
        hops = route.next_hops if letter.forward else (route.prev_hop,)
        sessions = [self._routes.ready(hop)[:1] for hop in hops if hop is not None]
        for session in sessions:
            for one in session:
                one.send(encode(letter))
        return bool(sessions) and all(sessions)

    def brought(self, session: LinkSession, letter: Letter) -> None:
        """Hand a letter over to this node, or pass it on, or both at a leaf on the way."""
        route = self._routes.facing(letter.link_id, session.remote, forward=letter.forward)
        if route is None or not session.ready:
            return
        if route.delivers if letter.forward else route.prev_hop is None:
            self._endpoint.letter(letter)
        if route.next_hop is not None if letter.forward else route.prev_hop is not None:
            self.write(letter)
