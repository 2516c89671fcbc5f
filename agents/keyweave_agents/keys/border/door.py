"""The border of one node to other networks: both directions behind one door.

    key supply --Abroad--> Border --Home, Asking, KeyLetters--> key supply
    service 020: accept, void, acked, said ; due -> (sends) -> posted

Rule of this file: it routes and nothing else; what happens to keys stands in `inbound` and `outbound`. Every
node has one, because taking keys back reaches nodes that are at no border. Whatever is told to a peer leaves
only when the ledger is durable: whoever sends sees to that.
"""

import itertools
from collections.abc import Callable

from keyweave_agents.keys.abroad import Asking, Home
from keyweave_agents.keys.border.failures import Problem, Refusal
from keyweave_agents.keys.border.inbound import Inbound
from keyweave_agents.keys.border.outbound import Outbound
from keyweave_agents.keys.border.recall import Recall
from keyweave_agents.keys.border.values import (
    Acked,
    AckStatus,
    Answer,
    Beyond,
    Domain,
    Offer,
    Parties,
    Post,
    VoidOrder,
)
from keyweave_agents.keys.border.voids import VoidJob, Voids
from keyweave_agents.keys.buffers import TokenBucket
from keyweave_agents.keys.plan import AssociationPlan, KeyEvent
from keyweave_agents.keys.ports import KeyLetters
from keyweave_agents.keys.relaying.frames import Batch, Reason
from keyweave_agents.keys.storage.ledger import Ledger
from keyweave_agents.material import Secret
from keyweave_core.model.ids import SaeId
from keyweave_core.runtime.clock import Clock

MOST_KEY_BITS = 65_536
"""A rate, however low, lets one request through at a time."""


def _nobody() -> None:
    """Nobody listens."""


class Border:
    """Implements `abroad.Abroad`. At a node that is at no border nothing is `beyond`."""

    def __init__(
        self,
        home: Home,
        asking: Asking,
        letters: KeyLetters,
        ledger: Ledger,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        emit: Callable[[KeyEvent], None],
        beyond: Beyond,
    ) -> None:
        self.rules = beyond.rules
        self.domains = {domain.name: domain for domain in beyond.domains}
        self._home = home
        self._clock = clock
        self._recall = Recall(home, letters, ledger.shelf("border-recall"), clock)
        self._in = Inbound(
            home,
            asking,
            self._recall,
            ledger.shelf("border-in"),
            clock,
            self.rules,
            self.domains,
            random_bytes,
        )
        self._out = Outbound(home, self._recall, ledger.shelf("border-out"), clock, self.rules, emit)
        self._voids = Voids(self._in, self._out, clock, self.rules, lambda: next(self._numbers))
        self._pauses: dict[tuple[str, str], float] = {}  # by peer and callback that did not answer last
        self._rates = {
            domain.name: TokenBucket(
                domain.sends_rate_bps,
                max(4 * domain.sends_rate_bps, MOST_KEY_BITS * self.rules.keys_per_post),
                clock.monotonic(),
            )
            for domain in beyond.domains
        }
        self._numbers = itertools.count(1)
        self.stirred: Callable[[], None] = _nobody  # told whenever something may be due or settled
        home.cross(self)

    def domain_of(self, sae: SaeId) -> Domain | None:
        """The network beyond that an application belongs to; None: ours."""
        return next((domain for domain in self.domains.values() if domain.holds(sae)), None)

    # --- what key supply asks (`abroad.Abroad`) ----------------------------------------------------

    def holds(self, sae: SaeId) -> bool:
        """See `abroad.Abroad`."""
        return bool(self.domains) and self.domain_of(sae) is not None

    def arrived(self, plan: AssociationPlan, batch: Batch, payload: Secret) -> Reason | None:
        """See `abroad.Abroad`."""
        found = {domain.name if domain else None for domain in map(self.domain_of, plan.clients)}
        peer = found.pop() if len(found) == 1 else None
        if peer is not None and batch.origin not in self.domains[peer].origins:
            return Reason.OTHER_MODE
        ttl_s = float(plan.qos.ttl_s or self.rules.key_ttl_s)
        optional = self._in.optional_of(batch.key_ids)
        reason = self._out.arrived(peer, plan, batch, payload, ttl_s, optional)
        self.stirred()
        return reason

    def landed(self, batch_id: bytes) -> None:
        """See `abroad.Abroad`."""
        self._in.giving.landed(batch_id)
        self.stirred()

    def given_up(self, batch_id: bytes) -> None:
        """See `abroad.Abroad`."""
        self._in.giving.given_up(batch_id)

    def recalled(self, key_ids: bytes) -> frozenset[str]:
        """See `abroad.Abroad`."""
        return self._recall.noted(key_ids)

    # --- what a peer asks ------------------------------------------------------------------------

    def accept(self, peer: str, offer: Offer) -> None:
        """Take keys over from a peer, all or none. Raises Refusal; then nothing of them is kept."""
        domain = self.domains[peer]
        self._check_route(domain, offer.parties)
        if offer.origin not in domain.origins:
            raise Refusal(
                Problem.INVALID_PARAMETER,
                f"keys of origin {offer.origin} do not cross this border",
                {"origin": offer.origin},
            )
        bits = sum(key.value.bits for key in offer.keys)
        if not self._rates[peer].take(bits, self._clock.monotonic()):
            raise Refusal(Problem.GENERAL, "more keys than this network may hand over", {"rate": "exceeded"})
        self._in.accept(peer, offer)
        self._in.giving.work()
        self.stirred()

    def _check_route(self, domain: Domain, parties: Parties) -> None:
        if len(parties.targets) > self.rules.targets:
            raise Refusal(
                Problem.NO_ROUTE,
                f"one key goes to at most {self.rules.targets} target here",
                {"no_route_multiple_targets": ", ".join(parties.targets)[:1000]},
            )
        if not domain.holds(parties.initiator):
            raise Refusal(
                Problem.INVALID_PARAMETER,
                "the initiator is none of the applications that this network speaks for",
                {"initiator_sae_id": parties.initiator},
            )
        for target in parties.targets:
            beyond = self.domain_of(target)
            if beyond is domain:
                raise Refusal(
                    Problem.ROUTING,
                    "the key would go straight back to where it comes from",
                    {"invalid_routing": target},
                )
            if beyond is None and not domain.reaches(target):
                raise Refusal(
                    Problem.ROUTING,
                    "the target is not known here, or not for this network",
                    {"target_sae_id_not_recognized": target},
                )

    def said(self, peer: str, parties: Parties, key_ids: tuple[str, ...]) -> tuple[Acked, ...] | None:
        """What became of keys that a peer handed over; None: not all have come to an end yet."""
        groups: dict[tuple[AckStatus, str], list[str]] = {}
        for key_id in key_ids:
            said = self._in.said(peer, parties, key_id)
            if said is None:
                return None
            groups.setdefault(said, []).append(key_id)
        return tuple(
            Acked(key_ids=tuple(ids), status=status, parties=parties, message=message)
            for (status, message), ids in groups.items()
        )

    def void(self, peer: str, order: VoidOrder) -> VoidJob:
        """Take keys back, of both directions. The job ends by itself; a callback is told then."""
        job = self._voids.begin(peer, order)
        self.stirred()
        return job

    def acked(self, peer: str, acks: tuple[Acked, ...]) -> None:
        """Acknowledgements of a peer. Raises Refusal when it was offered none of the keys they name."""
        named = sum(len(acked.key_ids) for acked in acks)
        known = self._out.acked(peer, acks)
        self.stirred()
        if named and not known:
            first = acks[0].key_ids[0] if acks[0].key_ids else ""
            raise Refusal(Problem.KEY_NOT_PRESENT, "no such key was handed over", {"key_id": first})

    # --- what is sent ----------------------------------------------------------------------------

    def due(self) -> list[Post]:
        """What is to be sent to peers now. Each is away until `posted` says what came of it."""
        self._voids.settle()
        now_s = self._clock.monotonic()
        posts = self._out.due(lambda: next(self._numbers))
        for (peer, callback), acks in self._in.telling.to_tell().items():
            posts.append(
                Post(number=next(self._numbers), peer=peer, kind="ack", acks=tuple(acks), callback=callback)
            )
        posts += self._voids.to_tell(now_s)
        for post in [post for post in posts if post.peer not in self.domains]:  # known to an earlier run
            posts.remove(post)
            self.posted(post, Answer(status=None, reason="no network of this name"))
        return posts

    def posted(self, post: Post, answer: Answer) -> None:
        """What came of a post."""
        if post.kind != "ack":
            self._out.posted(post, answer)
        else:
            delay_s = self._pause(post, heard=answer.taken)
            if not self._voids.told(post, answer):
                self._in.telling.told(post, answer, self._clock.monotonic() + delay_s)
        self.stirred()

    def _pause(self, post: Post, *, heard: bool) -> float:
        """How long the callback of a peer is left alone after a failure."""
        place = (post.peer, post.callback or "")
        if heard:
            self._pauses.pop(place, None)
            return 0.0
        before_s = self._pauses.get(place, self.rules.retry_first_s / 2)
        self._pauses[place] = min(self.rules.retry_most_s, 2 * before_s)
        return self._pauses[place]

    # --- time ------------------------------------------------------------------------------------

    def tick(self) -> None:
        """What time brings. Call a few times a second."""
        self._recall.tick()
        if self.domains:
            self._out.tick()
            self._in.tick()
            self._in.giving.work()
            self._voids.settle()
            self.stirred()
