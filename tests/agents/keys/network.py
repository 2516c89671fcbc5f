"""A network of key planes with hand-driven wires: every fault a test wants, no socket, no real time.

Each wire is one direction of the connection of a physical link, a queue of frames. The network watches what
passes: it records every range of pool bits that a sealed message names, and fails at once when two different
messages name the same bit.
"""

import random
from collections import defaultdict, deque

from tests.agents.keys.paper import PaperDisk, PaperLedger

from keyweave_agents.keys.border.values import Beyond
from keyweave_agents.keys.failures import LedgerFailed
from keyweave_agents.keys.lanes import Request
from keyweave_agents.keys.plan import AssociationPlan, KeyEvent, KeyPlan, Route, SuppliedKey
from keyweave_agents.keys.plane import KeyPlane
from keyweave_agents.keys.pqc.identity import PqcIdentity
from keyweave_agents.keys.relaying.frames import Ack, Batch, Sealed
from keyweave_agents.keys.relaying.sealed import lay, write_acks, write_batch
from keyweave_agents.keys.relaying.wire import Splitter, decode
from keyweave_agents.keys.settings import KeyLimits, KeySettings, Neighbour
from keyweave_agents.keys.store import PadRange
from keyweave_agents.material import Secret
from keyweave_agents.quantum.intake import KeyBlock
from keyweave_core.errors import MalformedMessage
from keyweave_core.model.application import AppQos, KeyMode, RelayMethod
from keyweave_core.model.ids import AppId, LinkId, NodeId, SaeId

MASTER, SLAVE = SaeId("sae-master"), SaeId("sae-slave")


def uid(number: int) -> str:
    """A UUID that shows its number."""
    return f"00000000-0000-4000-8000-{number:012x}"


APP = AppId(uid(0xA00))


def message(
    content: Batch | Ack,
    pad: tuple[PadRange, ...],
    ciphertext: bytes = b"",
    tag: bytes = bytes(16),
    *,
    method: RelayMethod = RelayMethod.OTP,
    counter: int = 0,
) -> bytes:
    """A frame with a sealed message, its length in front, that somebody made up."""
    written = write_batch(content) if isinstance(content, Batch) else write_acks([content])
    frame, _, _ = lay(pad, written, len(ciphertext), method, counter)
    frame[len(frame) - 18 - len(ciphertext) : -18] = ciphertext
    frame[-16:] = tag
    return bytes(frame)


class HandClock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.time_s = 1_700_000_000.0

    def now(self) -> float:
        return self.time_s

    def monotonic(self) -> float:
        return self.time_s

    async def sleep(self, _duration_s: float) -> None:
        raise AssertionError("planes do not sleep")


class Network:
    """Nodes 1..n; `edges` are pairs of node numbers, each one physical link.

    `durable`: every node has a disk, and nothing leaves it that is not committed there (`gather`).
    """

    def __init__(
        self, edges: list[tuple[int, int]], *, seed: int = 1, durable: bool = False, **settings: object
    ) -> None:
        self.clock = HandClock()
        self.random = random.Random(seed)  # noqa: S311 - a repeatable test, no secret
        self.edges = edges
        self.links = {LinkId(uid(0x100 + index)): edge for index, edge in enumerate(edges)}
        self.numbers = sorted({number for edge in edges for number in edge})
        self.up: set[LinkId] = set()
        self.wires: dict[tuple[LinkId, int], deque[bytes]] = defaultdict(deque)  # by sender
        self.events: dict[int, list[KeyEvent]] = defaultdict(list)
        self.plans: dict[int, KeyPlan] = {number: KeyPlan() for number in self.numbers}
        self.spent: dict[tuple[LinkId, int], dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
        self.messages: set[bytes] = set()
        self.counters: set[tuple[LinkId, int, tuple[PadRange, ...], int]] = set()
        self.link_keys: dict[tuple[LinkId, int], set[tuple[PadRange, ...]]] = defaultdict(set)
        self.bad: list[str] = []
        self._settings = settings
        self._block = 0
        self.disks = {number: PaperDisk() for number in self.numbers} if durable else {}
        self.held: dict[int, list[tuple[LinkId, bytes]]] = defaultdict(list)  # waits for a commit
        self.planes = {number: self._make(number) for number in self.numbers}

    def node(self, number: int) -> NodeId:
        return NodeId(uid(number))

    def link(self, one: int, other: int) -> LinkId:
        return next(link_id for link_id, edge in self.links.items() if set(edge) == {one, other})

    def other(self, link_id: LinkId, number: int) -> int:
        one, two = self.links[link_id]
        return two if number == one else one

    def _make(self, number: int) -> KeyPlane:
        neighbours = tuple(
            Neighbour(node_id=uid(self.other(link_id, number)), link_id=link_id, host="x", port=1)
            for link_id, edge in self.links.items()
            if number in edge
        )
        values: dict[str, object] = {"pool_capacity_bits": 400_000, "buffer_keys": 16, **self._settings}
        settings = KeySettings(neighbours=neighbours, **values)  # type: ignore[arg-type]  # tests choose
        return KeyPlane(
            settings,
            self.node(number),
            self.clock,
            self.random.randbytes,
            self.events[number].append,
            identity=self.identity(number),
            ledger=PaperLedger(self.disks[number]) if self.disks else None,
            beyond=self.beyond(number),
        )

    def beyond(self, _number: int) -> Beyond | None:
        """The networks at a node's border; nobody here (see `border_pair`)."""
        return None

    def identity(self, _number: int) -> PqcIdentity | None:
        """Who a node is in ML-DSA; nobody here (see `pqc_network`)."""
        return None

    # --- what a test does ------------------------------------------------------------------------

    def connect(self, link_id: LinkId) -> None:
        """The two key managers of a link find each other."""
        if link_id not in self.up:
            self.up.add(link_id)
            for number in self.links[link_id]:
                self.planes[number].connected(link_id)

    def disconnect(self, link_id: LinkId) -> None:
        """The connection breaks; what is on the wire is lost."""
        if link_id in self.up:
            self.up.discard(link_id)
            for number in self.links[link_id]:
                self.planes[number].disconnected(link_id)
                self.wires[link_id, number].clear()
                self.held[number] = [item for item in self.held[number] if item[0] != link_id]

    def restart(self, number: int) -> None:
        """A node dies and starts again with the same plan: empty, or with what it has on its disk."""
        self.held[number] = []
        for link_id, edge in self.links.items():
            if number in edge:
                self.disconnect(link_id)
        self.planes[number] = self._make(number)
        self.planes[number].configure(self.plans[number])

    def generate(self, link_id: LinkId, size: int = 512, *, only: int | None = None) -> bool:
        """One block of fresh key at both ends (or at one, when the fibre breaks in between)."""
        one, two = self.links[link_id]
        owner = self.planes[one].next_owner(link_id)
        if owner is None:
            return False
        self._block += 1
        bits = self.random.randbytes(size)
        for number in (one, two):
            if only in (None, number):
                block = KeyBlock(block_id=self._block, owner=owner, material=Secret(bits))
                self.planes[number].deposit(link_id, block)
        self.gather()
        return True

    def fill(self, link_id: LinkId | None = None, size: int = 512) -> None:
        """Fill the pools of one or all links."""
        for one in [link_id] if link_id else list(self.links):
            while self.generate(one, size):
                pass

    def associate(
        self,
        path: list[int],
        *,
        virtual: int = 0x500,
        qos: AppQos | None = None,
        keep: bool = False,
        app_id: AppId = APP,
        expires_at: float | None = None,
        mode: KeyMode = KeyMode.QKD_ONLY,
        method: RelayMethod = RelayMethod.OTP,
    ) -> LinkId:
        """Put a path and the association at its ends on every node (`keep`: beside what is there)."""
        link_id = LinkId(uid(virtual))
        for index, number in enumerate(path):
            before = self.node(path[index - 1]) if index else None
            after = self.node(path[index + 1]) if index + 1 < len(path) else None
            old = self.plans[number] if keep else KeyPlan()
            associations = tuple(one for one in old.associations if one.app_id != app_id)
            if number in (path[0], path[-1]):
                associations += (
                    AssociationPlan(
                        app_id=app_id,
                        server=MASTER,
                        clients=(SLAVE,),
                        source=number == path[0],
                        links=(link_id,),
                        remote_node=self.node(path[-1] if number == path[0] else path[0]),
                        qos=qos or AppQos(),
                        expires_at=expires_at,
                        mode=mode,
                    ),
                )
            routes = old.routes
            if len(path) > 1:
                routes += (Route(link_id=link_id, prev_hop=before, next_hop=after, method=method),)
            self.plans[number] = KeyPlan(routes=routes, associations=associations)
        for number in path:
            self.planes[number].configure(self.plans[number])
        self.gather()
        return link_id

    def request(
        self, number: int = 1, size_bits: int = 256, *, at: int = 1, also: tuple[SaeId, ...] | None = None
    ) -> Request:
        """Ask for keys at the source's node, for SLAVE and `also`; answered now or later.

        Unless told: for all clients of the association that SLAVE is a client of.
        """
        if also is None:
            plans = [plan for plan in self.plans.get(at, KeyPlan()).associations if SLAVE in plan.clients]
            also = tuple(client for client in plans[0].clients if client != SLAVE) if plans else ()
        request = Request(
            server=MASTER,
            client=SLAVE,
            number=number,
            size_bits=size_bits,
            qos=AppQos(),
            priority=0,
            also=also,
        )
        self.planes[at].serving.request(request)
        self.gather()
        return request

    def draw(self, number: int = 1, size_bits: int = 256, *, at: int = 1) -> tuple[SuppliedKey, ...]:
        """Keys that are there now; none when they are not."""
        request = self.request(number, size_bits, at=at)
        if request.keys is None:
            self.planes[at].serving.abandon(request)
            return ()
        return self.planes[at].serving.collect(request)

    def fetch(self, keys: tuple[SuppliedKey, ...], *, at: int) -> tuple[SuppliedKey, ...]:
        """The slave's side of what the master drew."""
        return self.planes[at].serving.fetch(SLAVE, MASTER, tuple(key.key_id for key in keys))

    # --- the wires -------------------------------------------------------------------------------

    def gather(self) -> None:
        """Make missing keys and put what planes want to say on the wires, once what they noted is durable."""
        for number, plane in self.planes.items():
            plane.supply.refill()
            self.held[number] += plane.take_outbox()
            if not self.commit(number):
                continue
            frames, self.held[number] = self.held[number], []
            for link_id, raw in frames:
                if link_id in self.up:
                    frame = next(iter(Splitter().feed(raw)))
                    self._watch(link_id, number, frame)
                    self.wires[link_id, number].append(frame)

    def commit(self, number: int, *, lazy: bool = False) -> bool:
        """Make durable what a node noted (`lazy`: also what nobody waits for); False when it cannot be."""
        plane = self.planes[number]
        ledger = plane.ledger
        if ledger.kept >= ledger.noted and not (lazy and ledger.stale):
            return True
        try:
            ledger.commit()
        except LedgerFailed:
            plane.decided(kept=False)
            return False
        plane.decided(kept=True)
        return True

    def _watch(self, link_id: LinkId, sender: int, raw: bytes) -> None:
        frame = decode(raw)
        if not isinstance(frame, Sealed) or raw in self.messages:
            return
        self.messages.add(raw)
        if frame.method is RelayMethod.AES_256_GCM:
            nonce = (link_id, sender, frame.pad, frame.counter)
            assert nonce not in self.counters, "a nonce was used twice"
            self.counters.add(nonce)
            if frame.pad in self.link_keys[link_id, sender]:
                return
            self.link_keys[link_id, sender].add(frame.pad)
        for item in frame.pad:
            bits = set(range(item.offset, item.offset + item.length))
            used = self.spent[link_id, sender][item.block_id]
            assert not bits & used, "pad bits were used twice"
            used |= bits

    def deliver(
        self, link_id: LinkId, sender: int, position: int = 0, *, copy: bool = False, gather: bool = True
    ) -> None:
        """Hand one frame on the wire over; `copy`: and leave it there. Not `gather`: nothing follows yet."""
        wire = self.wires[link_id, sender]
        raw = wire[position]
        if not copy:
            del wire[position]
        try:
            self.planes[self.other(link_id, sender)].handle(link_id, decode(raw))
        except MalformedMessage as error:
            self.bad.append(str(error))
            self.disconnect(link_id)
        if gather:
            self.gather()

    def settle(self) -> None:
        """Deliver everything in order until the wires are quiet."""
        self.gather()
        for _ in range(100_000):
            busy = [key for key, wire in self.wires.items() if wire]
            if not busy:
                return
            for link_id, sender in busy:
                if self.wires[link_id, sender]:
                    self.deliver(link_id, sender)
        raise AssertionError("the wires never come to rest")

    def wait(self, duration_s: float, step_s: float = 0.25) -> None:
        """Let time pass, with everything delivered."""
        for _ in range(round(duration_s / step_s)):
            self.clock.time_s += step_s
            self.tick()
            self.settle()

    def tick(self) -> None:
        """One beat of every plane."""
        for number, plane in self.planes.items():
            plane.tick()
            self.commit(number, lazy=True)
        self.gather()

    def start(self) -> None:
        """Connect every link and fill every pool."""
        for link_id in self.links:
            self.connect(link_id)
        self.settle()
        self.fill()
        self.settle()

    def levels(self, link_id: LinkId) -> set[int]:
        """Stored bits at the two ends."""
        return {self.planes[number].sessions[link_id].pool.stored_bits for number in self.links[link_id]}


def chain(length: int, *, seed: int = 1, **settings: object) -> Network:
    """Nodes 1..length in a row."""
    return Network([(number, number + 1) for number in range(1, length)], seed=seed, **settings)


__all__ = ["APP", "MASTER", "SLAVE", "KeyLimits", "Network", "chain", "uid"]
