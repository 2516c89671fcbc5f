"""An attacker on the wires between key managers that are at work: he keeps, changes, repeats and makes up.

Rule of this file: what he does is given, so the same list of steps does the same. TLS is taken as broken: he
stands inside it. What must hold whatever he does is in `Attack.check`; that it all works again once he is
gone, in `Attack.recover`.
"""

from pathlib import Path

from tests.agents.keys.network import MASTER, SLAVE, HandClock, Network, chain, uid

from keyweave_agents.keys.failures import KeysNotFound
from keyweave_agents.keys.plan import SuppliedKey
from keyweave_agents.keys.plane import KeyPlane
from keyweave_agents.keys.relaying.frames import Batch, Reason, Sealed
from keyweave_agents.keys.relaying.sealed_reading import _as_laid, _by_schema, _complain, _fits, read_sealed
from keyweave_agents.keys.relaying.wire import decode
from keyweave_agents.keys.settings import KeyLimits
from keyweave_agents.material import Secret
from keyweave_core.errors import MalformedMessage
from keyweave_core.model.application import RelayMethod

CORPUS = Path(__file__).parent / "relay"
SITES = 3
MOST_RECORDS = 12


def corpus() -> list[tuple[str, bytes]]:
    """Name and content of every kept frame, in a fixed order."""
    return [(path.name, path.read_bytes()) for path in sorted(CORPUS.glob("*.bin"))]


def frame(data: bytes) -> None:
    """Reading a frame: a value or MalformedMessage; by hand and by the schema it is the same message."""
    try:
        found = decode(data)
    except MalformedMessage:
        return
    if not isinstance(found, Sealed):
        return
    end = len(data) - 18
    start = 2 if data[1] < 0x80 else 3 if data[2] < 0x80 else 4
    laid, other = _as_laid(data, start, end), _by_schema(data, start, end)
    _complain(other)
    if _fits(found):
        _complain(found)
    assert read_sealed(data) == found
    if laid is not None:
        for name in ("proved", "tag", "pad", "content", "ciphertext", "method", "counter"):
            assert getattr(laid, name) == getattr(other, name), name


def change(data: bytes, how: int, at: int, other: bytes) -> bytes:
    """A frame as the attacker spoils it."""
    changed = bytearray(data or b"\0")
    at %= len(changed)
    match how % 6:
        case 0:
            changed[at] ^= 1 << how % 8
        case 1:
            del changed[at:]
        case 2:
            del changed[at : at + 1 + how % 40]
        case 3:
            changed[at : at + 16] = other[at : at + 16]
        case 4:
            changed[-16:] = other[-16:]
        case _:
            changed[at:at] = other[at : at + 1 + how % 40]
    return bytes(changed)


class Attack:
    """A chain at work and everything that ever was on its wires."""

    def __init__(self, method: RelayMethod, seed: int) -> None:
        limits = KeyLimits(relay_records=MOST_RECORDS)
        self.network: Network = chain(SITES, seed=seed, limits=limits)
        self.sent: dict[bytes, bytes] = {}
        self.drawn: dict[str, bytes] = {}
        self.fetched: dict[str, bytes] = {}
        self.seen: list[tuple[tuple[str, int], bytes]] = []
        self._watch_source(self.network.planes[1])
        self._watch_destination(self.network.planes[SITES])
        self.network.start()
        self.network.associate(list(range(1, SITES + 1)), method=method)
        self.clock: HandClock = self.network.clock

    def _watch_source(self, plane: KeyPlane) -> None:
        submit, draw = plane.relay.submit, plane.relay.draw

        def submitted(batch: Batch, payload: Secret, now_s: float) -> None:
            self.sent[batch.batch_id] = batch.spelled().key_ids + bytes(payload.reveal())
            submit(batch, payload, now_s)

        def drew(batch: Batch, now_s: float) -> Secret | None:
            payload = draw(batch, now_s)
            if payload is not None:
                self.sent[batch.batch_id] = batch.spelled().key_ids + bytes(payload.reveal())
            return payload

        plane.relay.submit = submitted  # type: ignore[method-assign]  # listened to
        plane.relay.draw = drew  # type: ignore[method-assign]  # listened to

    def _watch_destination(self, plane: KeyPlane) -> None:
        arrived = plane.supply.arrived

        def came(batch: Batch, payload: Secret | None) -> Reason | None:
            if payload is not None:
                here = batch.spelled().key_ids + bytes(payload.reveal())
                assert self.sent.get(batch.batch_id) == here, "keys were accepted that nobody sent"
            return arrived(batch, payload)

        plane.supply.arrived = came  # type: ignore[method-assign]  # listened to

    # --- steps -----------------------------------------------------------------------------------

    def step(self, name: str, one: int, two: int) -> None:
        """One deed of the attacker, of an application or of the network."""
        network = self.network
        self._keep()
        busy = [(key, wire) for key, wire in network.wires.items() if wire]
        match name:
            case "deliver" if busy:
                network.deliver(*busy[one % len(busy)][0])
            case "settle":
                network.settle()
            case "lose" if busy:
                busy[one % len(busy)][1].popleft()
            case "swap" if busy:
                busy[one % len(busy)][1].rotate(1 + two)
            case "repeat" if busy:
                network.deliver(*busy[one % len(busy)][0], copy=True)
            case "change" if busy:
                wire = busy[one % len(busy)][1]
                wire[0] = change(wire[0], two, one * 7 + two, self.seen[two % len(self.seen)][1])
            case "replay" if self.seen:
                key, raw = self.seen[(one * 401 + two) % len(self.seen)]
                self._put(key, raw)
            case "elsewhere" if self.seen:
                _, raw = self.seen[(one * 401 + two) % len(self.seen)]
                links = sorted(network.wires)
                self._put(links[two % len(links)], raw)
            case "invent" if self.seen:
                key, raw = self.seen[(one * 401 + two) % len(self.seen)]
                other = self.seen[two % len(self.seen)][1]
                self._put(key, change(raw, two, one, other))
            case "tick":
                self.clock.time_s += 0.1 * (one % 40)
                network.tick()
            case "draw":
                self._note(self.drawn, network.draw(1 + one % 4))
            case "fetch":
                self._fetch()
            case "join":
                for link_id in network.links:
                    network.connect(link_id)
                network.gather()
            case "generate":
                network.generate(list(network.links)[one % len(network.links)], 64 + two)
            case _:
                pass
        self.check()

    def _keep(self) -> None:
        for key, wire in self.network.wires.items():
            if wire and len(self.seen) < 4000:
                self.seen.append((key, wire[-1]))

    def _put(self, key: tuple[str, int], raw: bytes) -> None:
        if key[0] in self.network.up and raw:
            self.network.wires[key].appendleft(raw)  # type: ignore[index]  # ids are texts

    def _note(self, side: dict[str, bytes], keys: tuple[SuppliedKey, ...]) -> None:
        for key in keys:
            assert key.key_id not in side, "a key was supplied twice on one side"
            side[key.key_id] = bytes(key.key.reveal())

    def _fetch(self) -> None:
        for key_id in self.drawn.keys() - self.fetched.keys():
            try:
                keys = self.network.planes[SITES].serving.fetch(SLAVE, MASTER, (key_id,))
            except KeysNotFound:
                continue
            self._note(self.fetched, keys)
            assert self.fetched[key_id] == self.drawn[key_id]

    # --- what must hold --------------------------------------------------------------------------

    def check(self) -> None:
        """Memory is bounded."""
        for plane in self.network.planes.values():
            relay = plane.relay
            under_way = relay._under_way
            assert len(under_way.stuck) <= len(under_way.open)
            assert len(under_way.open) <= MOST_RECORDS + 8  # and those of this node's own associations
            assert len(under_way.done) <= MOST_RECORDS
            assert len(relay._passage.landing._expected) <= MOST_RECORDS
            owed = sum(len(records) for records in relay._passage.receipts._owed.values())
            assert owed <= 2 * MOST_RECORDS

    def recover(self) -> None:
        """He is gone: keys flow, nothing was lost, both ends agree."""
        network = self.network
        for link_id in network.links:
            network.disconnect(link_id)
            network.connect(link_id)
        network.settle()
        for _ in range(40):
            for link_id in network.links:
                network.generate(link_id)
            network.wait(0.5)
        self._fetch()
        assert self.drawn.keys() == self.fetched.keys(), "a key that the master got is lost"
        fresh = network.draw(12)
        assert len(fresh) == 12, "the buffer did not fill again"
        self._note(self.drawn, fresh)
        self._fetch()
        assert self.drawn == self.fetched


__all__ = ["Attack", "change", "corpus", "frame", "uid"]
