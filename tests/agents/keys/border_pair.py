"""Two networks of key planes with a border between them, driven by hand: X = 1-2, Y = 1-2, X2 beside Y1.

    MASTER at X1 -- X2 (border) ==posts== (border) Y1 -- Y2 SLAVE

Each network has its own wires (`network.Network`) and, for a controller, a line of code that grants what is
wanted. What the borders say to each other goes through the real messages; a test loses, repeats and delays
it, and kills border nodes: what their ledgers had not made durable is gone then.
"""

import dataclasses
from collections.abc import Callable

from tests.agents.keys.network import APP, MASTER, SLAVE, HandClock, Network, uid

from keyweave_agents.keys.border.door import Border
from keyweave_agents.keys.border.failures import Refusal
from keyweave_agents.keys.border.values import Answer, Beyond, BorderRules, Domain, Post
from keyweave_agents.keys.ledger import MemoryLedger
from keyweave_agents.keys.plan import AssociationWanted, SuppliedKey
from keyweave_agents.keys.plane import KeyPlane
from keyweave_agents.keys.settings import KeySettings, Neighbour
from keyweave_agents.service import wire020 as wire
from keyweave_core.model.ids import SaeId

RULES = BorderRules(tombstone_s=3600.0)
X_BORDER, Y_BORDER = 2, 1

Fault = Callable[[Post], str]
"""What happens to a post: "ok", "lost" (never comes), "deaf" (comes, the answer is lost), "busy" (503)."""


class CrashLedger(MemoryLedger):
    """A ledger of which only what was committed outlives a crash, and only the border's."""

    def __init__(self, kept_records: dict[str, dict[bytes, bytes]] | None = None) -> None:
        super().__init__()
        self.durable: dict[str, dict[bytes, bytes]] = {}
        for name, records in (kept_records or {}).items():
            for key, value in records.items():
                self.shelf(name).put(key, value)
        self.commit()

    def commit(self) -> None:
        self.durable = {
            name: {key: bytes(value) for key, value in self.shelf(name).items()}
            for name in ("border-in", "border-out", "border-recall")
        }


class Side(Network):
    """One network; its border node knows the other."""

    def __init__(self, clock: HandClock, border: int, beyond: Beyond, seed: int) -> None:
        self.border_node = border
        self.beyond = beyond
        self.kept: dict[str, dict[bytes, bytes]] = {}
        self.ledgers: dict[int, CrashLedger] = {}
        self.shared = clock
        super().__init__([(1, 2)], seed=seed)

    def _make(self, number: int) -> KeyPlane:
        self.clock = self.shared
        neighbours = tuple(
            Neighbour(node_id=uid(self.other(link_id, number)), link_id=link_id, host="x", port=1)
            for link_id in self.links
        )
        ledger = self.ledgers[number] = CrashLedger(self.kept if number == self.border_node else None)
        return KeyPlane(
            KeySettings(neighbours=neighbours, pool_capacity_bits=400_000, buffer_keys=4),
            self.node(number),
            self.clock,
            self.random.randbytes,
            self.events[number].append,
            ledger,
            self.beyond if number == self.border_node else None,
        )

    @property
    def border(self) -> Border:
        return self.planes[self.border_node].border

    def commit(self) -> None:
        self.ledgers[self.border_node].commit()

    def crash(self) -> None:
        """The border node dies and starts again; the wires come back at once."""
        self.kept = self.ledgers[self.border_node].durable
        self.restart(self.border_node)
        for link_id in self.links:
            self.connect(link_id)
        self.settle()
        self.fill()


class Pair:
    """Both networks, and what passes between them."""

    def __init__(self, *, rules: BorderRules = RULES, seed: int = 1, grants: bool = True) -> None:
        clock = HandClock()
        self.clock = clock
        self.x = Side(
            clock, X_BORDER, Beyond(domains=(Domain(name="y", sae_ids=(SLAVE,)),), rules=rules), seed
        )
        self.y = Side(
            clock, Y_BORDER, Beyond(domains=(Domain(name="x", sae_ids=(MASTER,)),), rules=rules), seed + 1
        )
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
                body = wire.keys_body(post.offer, f"https://{peer}/kmapi/v1/ext_keys/ack")
                border.accept(peer, wire.read_keys(body, most_keys=1024, min_bits=8, max_bits=65536))
                answer = Answer(status=202)
            elif post.order is not None:
                body = wire.void_body(post.order, f"https://{peer}/kmapi/v1/ext_keys/ack")
                border.void(peer, wire.read_void(body, most_keys=1024))
                answer = Answer(status=202)
            else:
                border.acked(peer, wire.read_acks(wire.acks_body(post.acks)))
                answer = Answer(status=200)
        except Refusal as refusal:
            answer = Answer(status=refusal.problem.status, reason=refusal.title)
        other.gather()
        other.commit()
        return answer

    def exchange(self) -> None:
        """Everything that is to be sent now goes, with whatever faults there are."""
        for side in (self.x, self.y):
            side.commit()
            for post in side.border.due():
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
        for _ in range(6):
            self.exchange()
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
                side.fill()
            self.turn()

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
