"""Two networks of key planes with a border between them, driven by hand: X = 1-2, Y = 1-2, X2 beside Y1.

    MASTER at X1 -- X2 (border) ==posts== (border) Y1 -- Y2 SLAVE

Each network has its own wires (`network.Network`) and, for a controller, a line of code that grants what is
wanted. What the borders say to each other goes through the real messages; a test loses, repeats and delays
it, and kills border nodes: what their ledgers had not made durable is gone then.
"""

import dataclasses
from collections.abc import Callable

from tests.agents.keys.network import APP, MASTER, SLAVE, HandClock, Network

from keyweave_agents.keys.border.door import Border
from keyweave_agents.keys.border.failures import Refusal
from keyweave_agents.keys.border.values import Answer, Beyond, BorderRules, Domain, Post
from keyweave_agents.keys.plan import AssociationWanted, SuppliedKey
from keyweave_agents.keys.plane import KeyPlane
from keyweave_agents.service import wire020 as wire
from keyweave_agents.service import write020 as write
from keyweave_core.model.application import KeyOrigin
from keyweave_core.model.ids import SaeId

RULES = BorderRules(tombstone_s=3600.0)
X_BORDER, Y_BORDER = 2, 1

Fault = Callable[[Post], str]
"""What happens to a post: "ok", "lost" (never comes), "deaf" (comes, the answer is lost), "busy" (503)."""


class Side(Network):
    """One network; its border node knows the other. Every node has a disk."""

    def __init__(self, clock: HandClock, border: int, beyond: Beyond, seed: int, **settings: object) -> None:
        self.border_node = border
        self._beyond = beyond
        self._shared = clock
        super().__init__(
            [(1, 2)], seed=seed, durable=True, buffer_keys=4, pool_capacity_bits=60_000, **settings
        )

    def _make(self, number: int) -> KeyPlane:
        self.clock = self._shared
        return super()._make(number)

    def beyond(self, number: int) -> Beyond | None:
        return self._beyond if number == self.border_node else None

    @property
    def border(self) -> Border:
        return self.planes[self.border_node].border

    def kept(self) -> bool:
        """Make durable what the border node noted."""
        return self.commit(self.border_node)

    def crash(self, number: int | None = None) -> None:
        """A node (that at the border) dies and starts again; the wires come back at once."""
        self.restart(number or self.border_node)
        for link_id in self.links:
            self.connect(link_id)
        self.settle()
        self.fill()


class Pair:
    """Both networks, and what passes between them."""

    def __init__(
        self,
        *,
        rules: BorderRules = RULES,
        seed: int = 1,
        grants: bool = True,
        side: type[Side] = Side,
        origins: frozenset[KeyOrigin] = frozenset({KeyOrigin.QKD, KeyOrigin.HYBRID}),
    ) -> None:
        clock = HandClock()
        self.clock = clock
        y = Domain(name="y", sae_ids=(SLAVE,), origins=origins)
        x = Domain(name="x", sae_ids=(MASTER,), origins=origins)
        self.x = side(clock, X_BORDER, Beyond(domains=(y,), rules=rules), seed)
        self.y = side(clock, Y_BORDER, Beyond(domains=(x,), rules=rules), seed + 1)
        self.grants = grants
        self.fault: Fault = lambda _: "ok"
        self.seen: list[Post] = []  # every post that came, to be repeated
        for side in (self.x, self.y):
            side.start()

    def begin(self) -> "Pair":
        """The association in X stands; that in Y comes when it is wanted."""
        self.x.associate([1, 2])
        return self

    def answer_to(self, side: Side, post: Post) -> Answer:
        """What the other side says to a post of `side`, as its server would."""
        other, peer = (self.y, "x") if side is self.x else (self.x, "y")
        border = other.border
        try:
            if post.offer is not None:
                body = write.keys_body(post.offer, f"https://{peer}/kmapi/v1/ext_keys/ack")
                border.accept(peer, wire.read_keys(body, most_keys=1024, min_bits=8, max_bits=65536))
                answer = Answer(status=202)
            elif post.order is not None:
                body = write.void_body(post.order, f"https://{peer}/kmapi/v1/ext_keys/ack")
                border.void(peer, wire.read_void(body, most_keys=1024))
                answer = Answer(status=202)
            else:
                border.acked(peer, wire.read_acks(write.acks_body(post.acks)))
                answer = Answer(status=200)
        except Refusal as refusal:
            answer = Answer(status=refusal.problem.status, reason=refusal.title)
        other.gather()
        return answer if other.kept() else Answer(status=503, reason="its disk is full")

    def exchange(self) -> bool:
        """Everything that is to be sent now goes, with whatever faults there are; whether there was any."""
        busy = False
        for side in (self.x, self.y):
            posts = side.border.due()
            busy = busy or bool(posts)
            durable = side.kept()
            for post in posts:
                if not durable:
                    side.border.posted(post, Answer(status=None, reason="our disk is full"))
                    continue
                fate = self.fault(post)
                answer = Answer(status=None, reason="nobody answers")
                if fate in ("ok", "deaf"):
                    self.seen.append(copy_of(post))
                    answer = self.answer_to(side, post)
                if fate == "busy":
                    answer = Answer(status=503, reason="503")
                if fate == "deaf":
                    answer = Answer(status=None, reason="nobody answers")
                side.border.posted(post, answer)
        return busy

    def repeat(self, number: int) -> None:
        """A post that came before comes again, and nobody waits for the answer."""
        if self.seen:
            post = copy_of(self.seen[number % len(self.seen)])
            self.answer_to(self.x if post.peer == "y" else self.y, post)

    def grant(self) -> None:
        """The controller of Y."""
        wanted = [event for event in self.y.events[Y_BORDER] if isinstance(event, AssociationWanted)]
        if wanted and self.grants and APP not in self.y.planes[Y_BORDER].snapshot().associations:
            self.y.associate([1, 2])

    def turn(self) -> None:
        """All that can happen without time passing."""
        busy = True
        while busy:
            busy = self.exchange()
            self.grant()
            for side in (self.x, self.y):
                side.settle()

    def wait(self, duration_s: float, step_s: float = 0.25) -> None:
        """Let time pass, with everything delivered."""
        for _ in range(round(duration_s / step_s)):
            self.clock.time_s += step_s
            for side in (self.x, self.y):
                side.tick()
                side.settle()
                self._refill(side)
            self.turn()

    def _refill(self, side: Side) -> None:
        """Fibres make key, when there is none left to speak of."""
        (link_id,) = side.links
        pool = side.planes[1].sessions[link_id].pool
        if min(pool.own.stored_bytes, pool.their.stored_bytes) < 1024:
            side.fill()

    def draw(self, number: int = 1) -> tuple[SuppliedKey, ...]:
        """What MASTER gets at X1 now."""
        return self.x.draw(number)

    def fetch(self, keys: tuple[SuppliedKey, ...]) -> tuple[SuppliedKey, ...]:
        """What SLAVE gets for these at Y2."""
        return self.y.fetch(keys, at=2)

    def key_ids(self) -> list[str]:
        """Every key that was ever offered to Y, in order."""
        return list(dict.fromkeys(key.key_id for post in self.seen if post.offer for key in post.offer.keys))


def copy_of(post: Post) -> Post:
    """With keys of its own: those of a post are wiped by whoever took them."""
    if post.offer is None:
        return post
    keys = tuple(
        dataclasses.replace(key, value=key.value.slice(0, len(key.value))) for key in post.offer.keys
    )
    return dataclasses.replace(post, offer=dataclasses.replace(post.offer, keys=keys))


__all__ = ["MASTER", "SLAVE", "Pair", "SaeId", "Side", "copy_of"]
