"""Letters between the two ends of an association: who writes them, whither, and who reads them.

Rule of this file: a letter is a hint. It may be lost, repeated or made up by a node on the way, so nothing is
checked here but that it came along the association that it names, from the other end.
"""

from collections.abc import Callable

from keyweave_agents.keys.plan import AssociationEnds
from keyweave_agents.keys.register import Register
from keyweave_agents.keys.relaying.frames import Letter, LetterKind
from keyweave_agents.keys.relaying.relay import Relay
from keyweave_core.model.ids import AppId, SaeId

LetterHandler = Callable[[AppId, bytes], None]
"""Gets the association and the body of a letter."""


class Letters:
    """The letters of one node. Implements `ports.KeyLetters`."""

    def __init__(self, register: Register, relay: Relay) -> None:
        self._register = register
        self._relay = relay
        self._readers: dict[LetterKind, LetterHandler] = {}

    def ends(self, app_id: AppId) -> AssociationEnds | None:
        """See `ports.KeyLetters`."""
        association = self._register.by_id.get(app_id)
        if association is None:
            return None
        plan = association.plan
        routes = [self._relay.routes.get(link_id) for link_id in plan.links]
        direct = all(
            route is not None
            and (route.next_hops if plan.source else (route.prev_hop,)) == (plan.remote_node,)
            for route in routes
        )
        return AssociationEnds(
            app_id=app_id, server=plan.server, clients=plan.clients, direct=direct, qos=plan.qos
        )

    def between(self, server: SaeId, client: SaeId) -> AssociationEnds | None:
        """See `ports.KeyLetters`."""
        association = self._register.between(server, client)
        return None if association is None else self.ends(association.plan.app_id)

    def on_letters(self, kind: LetterKind, handler: LetterHandler) -> None:
        """See `ports.KeyLetters`."""
        self._readers[kind] = handler

    def send_letter(self, app_id: AppId, kind: LetterKind, body: bytes) -> bool:
        """See `ports.KeyLetters`."""
        association = self._register.by_id.get(app_id)
        if association is None:
            return False
        forward = association.plan.source
        return any(
            self._relay.hints.write(
                Letter(link_id=link_id, app_id=app_id, forward=forward, kind=kind, body=body)
            )
            for link_id in association.plan.links
        )

    def deliver(self, letter: Letter) -> None:
        """A letter came; nobody reads it when it did not come along its association."""
        association = self._register.by_id.get(letter.app_id)
        reader = self._readers.get(letter.kind)
        if association is None or reader is None or association.plan.source is letter.forward:
            return
        if letter.link_id in (*association.plan.links, *association.former):
            reader(letter.app_id, letter.body)
