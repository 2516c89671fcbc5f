"""The whole key management of one node without sockets: pools, relay and supply behind one door.

Rule of this file: everything that happens comes in through a method here, what goes to neighbours lies in
`take_outbox` and what the controller shall hear goes to `emit`. A chain of planes with queues between them
is a whole network in one test; `manager` puts sockets and waiting around one plane.
"""

from collections import deque
from collections.abc import Callable

from keyweave_agents.keys.border.door import Border
from keyweave_agents.keys.border.values import Beyond
from keyweave_agents.keys.plan import (
    KeyEvent,
    KeyPlan,
    KeyState,
    PoolEmptied,
    PoolFilled,
    PoolLow,
    PoolRecovered,
)
from keyweave_agents.keys.pqc.identity import PqcIdentity
from keyweave_agents.keys.relaying.frames import Frame
from keyweave_agents.keys.relaying.pad import Raw
from keyweave_agents.keys.relaying.session import LinkSession
from keyweave_agents.keys.relaying.split import MOST_SHARES
from keyweave_agents.keys.settings import KeySettings
from keyweave_agents.keys.storage.ledger import Ledger, MemoryLedger
from keyweave_agents.keys.storage.pool_memory import pool_memories
from keyweave_agents.keys.store import LinkPool
from keyweave_agents.keys.supply import Supply
from keyweave_agents.quantum.intake import Distrusted, KeyBlock
from keyweave_core.errors import InvalidInput
from keyweave_core.model.application import RelayMethod
from keyweave_core.model.ids import LinkId, NodeId
from keyweave_core.model.link import KeyPool
from keyweave_core.runtime.clock import Clock

USEFUL_BYTES = 64
"""A pool with less than this in both directions cannot relay one 256-bit key: it counts as empty."""

RATE_WINDOW_S = 5.0


class _Gauge:
    """Consumption of one pool over the last seconds, and whether it was empty when last looked at."""

    def __init__(self) -> None:
        self.empty = True
        self.low: bool | None = None  # None: it was not well filled yet
        self._samples: deque[tuple[float, int]] = deque()

    def sample(self, now_s: float, taken_bytes: int) -> None:
        """Remember a reading of the counter."""
        self._samples.append((now_s, taken_bytes))
        while len(self._samples) > 2 and self._samples[1][0] <= now_s - RATE_WINDOW_S:
            self._samples.popleft()

    def rate_bps(self, now_s: float, taken_bytes: int) -> int:
        """Bits taken per second since the oldest reading."""
        if not self._samples:
            return 0
        at_s, before = self._samples[0]
        return round(8 * (taken_bytes - before) / max(1.0, now_s - at_s))


class KeyPlane:
    """Key management of one node, driven from outside.

    What must outlive the process is noted in `ledger`; who sends what lies in the outbox, or answers a
    request, makes that durable first.
    """

    def __init__(
        self,
        settings: KeySettings,
        node_id: NodeId,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        emit: Callable[[KeyEvent], None],
        ledger: Ledger | None = None,
        beyond: Beyond | None = None,
        identity: PqcIdentity | None = None,
    ) -> None:
        self._clock = clock
        self._emit = emit
        self._low_bits = settings.pool_low_bits
        self._outbox: list[tuple[LinkId, Raw]] = []
        self.ledger: Ledger = ledger if ledger is not None else MemoryLedger()
        self.supply = Supply(settings, node_id, clock, random_bytes, emit, identity, self.ledger)
        far = (beyond or Beyond()).with_ttl(settings.key_ttl_s)
        self.serving = self.supply.serving
        self.letters = self.supply.letters
        self.border = Border(
            self.supply.home, self.serving, self.letters, self.ledger, clock, random_bytes, emit, far
        )
        self.relay = self.supply.relay
        self.sessions: dict[LinkId, LinkSession] = {}
        self._gauges: dict[LinkId, _Gauge] = {}
        links = [LinkId(neighbour.link_id) for neighbour in settings.neighbours]
        memories = pool_memories(self.ledger, links, clock.now)
        for neighbour in settings.neighbours:
            link_id = LinkId(neighbour.link_id)
            pool = LinkPool(
                link_id,
                node_id,
                NodeId(neighbour.node_id),
                settings.pool_capacity_bits,
                memories.get(link_id),
            )
            pool.restore(clock.monotonic())
            session = LinkSession(pool, self._sender(link_id))
            self.sessions[link_id] = session
            self._gauges[link_id] = _Gauge()
            self.relay.routes.add_session(session)

    def _sender(self, link_id: LinkId) -> Callable[[Raw], None]:
        return lambda frame: self._outbox.append((link_id, frame))

    def close(self) -> None:
        """Overwrite every key in memory, and note exactly how far everything is used. Nothing comes after."""
        self.supply.close()
        for session in self.sessions.values():
            session.pool.close()

    def decided(self, *, kept: bool) -> None:
        """What was noted is durable, or could not be made so: keys handed out are gone, or come back."""
        if kept:
            self.supply.undecided.settle()
        else:
            self.supply.undecided.undo()

    def take_outbox(self) -> list[tuple[LinkId, Raw]]:
        """Frames for the wire (with their length), by physical link, in order; they are the caller's now."""
        self.relay.flush()
        frames, self._outbox[:] = list(self._outbox), []
        return frames

    # --- key from below --------------------------------------------------------------------------

    def next_owner(self, link_id: LinkId) -> NodeId | None:
        """See `quantum.intake.KeySink`."""
        return self.sessions[link_id].pool.next_owner()

    def deposit(self, link_id: LinkId, block: KeyBlock) -> None:
        """See `quantum.intake.KeySink`."""
        now_s = self._clock.monotonic()
        if self.sessions[link_id].deposit(block, now_s):
            self.relay.resume(now_s)

    def distrust(self, link_id: LinkId, since_block_id: int) -> Distrusted:
        """See `quantum.intake.KeySink`."""
        discarded, spent = self.sessions[link_id].distrust(since_block_id)
        return Distrusted(discarded_bits=discarded, spent_bits=spent)

    def trust(self, link_id: LinkId) -> None:
        """See `quantum.intake.KeySink`."""
        self.sessions[link_id].pool.trust()
        self.relay.resume(self._clock.monotonic())

    # --- neighbours ------------------------------------------------------------------------------

    def connected(self, link_id: LinkId) -> None:
        """A connection to the key manager at the other end of a physical link stands."""
        self._unsaid(link_id)
        self.sessions[link_id].connected()

    def disconnected(self, link_id: LinkId) -> None:
        """It is gone."""
        self._unsaid(link_id)
        self.relay.lost(self.sessions[link_id])

    def _unsaid(self, link_id: LinkId) -> None:
        """What was meant for one connection is not said on the next."""
        self._outbox[:] = [item for item in self._outbox if item[0] != link_id]

    def handle(self, link_id: LinkId, frame: Frame) -> None:
        """A message came over it. MalformedMessage: close the connection."""
        self.relay.handle(self.sessions[link_id], frame, self._clock.monotonic())

    # --- orders from above -----------------------------------------------------------------------

    def configure(self, plan: KeyPlan) -> None:
        """See `ports.KeyControl`."""
        _check(plan)
        for association in plan.associations:
            objection = self.supply.modes.objection(association)
            if objection is not None:
                raise InvalidInput(f"application {association.app_id}: {objection}")
        now_s = self._clock.monotonic()
        self.relay.set_routes(plan.routes, now_s)
        self.supply.plan(plan.associations)
        self.relay.resume(now_s)

    def tick(self) -> None:
        """What time brings: repeats, expiry, periods, events about pools. Call a few times a second."""
        now_s = self._clock.monotonic()
        self.relay.tick(now_s)
        self.supply.tick()
        self.border.tick()
        for link_id, session in self.sessions.items():
            session.tick(now_s)
            gauge, pool = self._gauges[link_id], session.pool
            gauge.sample(now_s, pool.taken_bytes)
            empty = max(pool.own.stored_bytes, pool.their.stored_bytes) < USEFUL_BYTES
            if empty != gauge.empty:
                gauge.empty = empty
                self._emit(PoolEmptied(link_id=link_id) if empty else PoolFilled(link_id=link_id))
            self._watch_level(link_id, gauge, pool.stored_bits)

    def _watch_level(self, link_id: LinkId, gauge: _Gauge, stored_bits: int) -> None:
        """Tell when a pool falls below its low watermark, and when it holds twice as much again."""
        if not self._low_bits:
            return
        if stored_bits >= 2 * self._low_bits:
            if gauge.low:
                self._emit(PoolRecovered(link_id=link_id))
            gauge.low = False
        elif stored_bits < self._low_bits and gauge.low is False:
            gauge.low = True
            self._emit(PoolLow(link_id=link_id, stored_bits=stored_bits))

    def snapshot(self) -> KeyState:
        """See `ports.KeyControl`."""
        now_s = self._clock.monotonic()
        peers = frozenset(session.remote for session in self.sessions.values() if session.ready)
        return KeyState(
            pools={
                link_id: KeyPool(
                    stored_bits=session.pool.stored_bits,
                    capacity_bits=session.pool.capacity_bits,
                    oldest_age_s=session.pool.oldest_age_s(now_s),
                )
                for link_id, session in self.sessions.items()
            },
            consumption_bps={
                link_id: self._gauges[link_id].rate_bps(now_s, session.pool.taken_bytes)
                for link_id, session in self.sessions.items()
            },
            associations=self.supply.views(),
            waiting=self.serving.wanted,
            active_routes=frozenset(
                route.link_id
                for route in self.relay.routes.all()
                if all(hop is None or hop in peers for hop in (route.prev_hop, *route.next_hops))
            ),
            peers_up=peers,
        )


def _check(plan: KeyPlan) -> None:
    links: set[LinkId] = set()
    for route in plan.routes:
        if route.link_id in links:
            raise InvalidInput(f"virtual link {route.link_id} stands twice in the plan")
        links.add(route.link_id)
        if route.prev_hop is None and route.next_hop is None:
            raise InvalidInput(f"virtual link {route.link_id} has neither a previous nor a next hop")
        if route.prev_hop in route.next_hops:
            raise InvalidInput(f"virtual link {route.link_id} goes back to where it comes from")
        if len(set(route.next_hops)) < len(route.next_hops):
            raise InvalidInput(f"virtual link {route.link_id} goes twice to one next hop")
        if route.branches and route.next_hop is None:
            raise InvalidInput(f"virtual link {route.link_id} has branches and no next hop")
        if route.method is RelayMethod.XOR_ANNOUNCE and (route.branches or route.ends_here):
            raise InvalidInput(
                f"virtual link {route.link_id} forks, and its keys are announced: a node keeps nothing that "
                "it could send over a second branch; use the one-time pad"
            )
        if route.ends_here and None in (route.prev_hop, route.next_hop):
            raise InvalidInput(f"virtual link {route.link_id} ends besides where it does not pass through")
    apps = set()
    for association in plan.associations:
        if association.app_id in apps:
            raise InvalidInput(f"application {association.app_id} stands twice in the plan")
        apps.add(association.app_id)
        if association.source and not association.clients:
            raise InvalidInput(f"application {association.app_id} has no client")
        if len(set(association.links)) < len(association.links):
            raise InvalidInput(f"application {association.app_id} is backed twice by one virtual link")
        if len(association.links) > MOST_SHARES:
            raise InvalidInput(
                f"application {association.app_id} is backed by {len(association.links)} virtual links; "
                f"keys are split over at most {MOST_SHARES}"
            )
        threshold = association.threshold
        if threshold is not None and not 1 <= threshold <= max(1, len(association.links)):
            raise InvalidInput(
                f"application {association.app_id} wants {threshold} of {len(association.links)} shares"
            )
        if threshold == 1 and len(association.links) > 1:
            raise InvalidInput(
                f"application {association.app_id} wants one of {len(association.links)} shares: each would "
                "be the key itself, and every path would know it"
            )
