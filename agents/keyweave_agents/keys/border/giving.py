"""Giving keys of other networks to ours: an association is asked for, batches go out, what failed goes again.

Rule of this file: only keys in state ACCEPTED are given, each in one batch at a time. The same keys make the
same batch, after a crash too, so whoever stored it knows it again.
"""

from collections.abc import Callable, Mapping

from keyweave_agents.keys.abroad import Asking, Home
from keyweave_agents.keys.border.records import HeldKey, HeldState, batch_id_of
from keyweave_agents.keys.border.values import Domain, Parties
from keyweave_agents.keys.lanes import Request
from keyweave_agents.keys.relaying.frames import uuid_bytes
from keyweave_agents.material import concatenate
from keyweave_core.errors import KeyweaveError

Way = tuple[str, Parties, int, bytes]
"""Keys that go together: peer, applications, bytes of a key, extensions for whoever gets them next."""


class Giving:
    """Those of `keys` that are on their way through our network.

    `note` puts a changed key on the shelf, `landed` is told of each that its destination holds, `fail` of
    each that will not get through, and why.
    """

    def __init__(
        self,
        home: Home,
        asking: Asking,
        keys: Mapping[str, HeldKey],
        domains: Mapping[str, Domain],
        *,
        note: Callable[[HeldKey], None],
        landed: Callable[[HeldKey], None],
        fail: Callable[[HeldKey, str], None],
    ) -> None:
        self._home = home
        self._asking = asking
        self._keys = keys
        self._domains = domains
        self._note = note
        self._landed = landed
        self._fail = fail
        self._ways: dict[Way, dict[str, None]] = {}  # keys that wait to be given
        self._requests: dict[Way, Request] = {}
        self._batches: dict[bytes, tuple[str, ...]] = {}

    def add(self, held: HeldKey) -> None:
        """A key waits to be given."""
        if held.value is not None:
            self._ways.setdefault(_way(held, len(held.value)), {})[held.key_id] = None

    def drop(self, held: HeldKey) -> None:
        """It waits no more (its value must still be there)."""
        if held.value is not None:
            self._ways.get(_way(held, len(held.value)), {}).pop(held.key_id, None)

    def work(self) -> None:
        """Ask for associations, and give what can be given now."""
        for way, waiting in list(self._ways.items()):
            request = self._requests.get(way)
            if request is not None and request.error is not None:
                self._refused(way, str(request.error))
            elif waiting:
                self._give(way, waiting)
            if not waiting:
                del self._ways[way]
                self._end_request(way)

    def _give(self, way: Way, waiting: dict[str, None]) -> None:
        _, parties, key_bytes, _ = way
        while waiting:
            room = self._home.room(parties.initiator, parties.targets, key_bytes)
            if room is None:
                self._ask(way)
                return
            if not room:
                return
            batch = tuple(waiting)[:room]
            for key_id in batch:
                del waiting[key_id]
            ids = b"".join(uuid_bytes(key_id) for key_id in batch)
            batch_id = batch_id_of(ids)
            values = (self._keys[key_id].value for key_id in batch)
            payload = concatenate(value for value in values if value is not None)
            self._batches[batch_id] = batch
            app_id = self._home.give(parties.initiator, parties.targets, batch_id, ids, payload)
            payload.wipe()
            if app_id is None:
                self._back(batch_id)
                return
            for key_id in batch:
                held = self._keys[key_id]
                if held.app_id != app_id:
                    held.app_id = app_id
                    self._note(held)

    def _ask(self, way: Way) -> None:
        """Want an association as if the initiator had asked here."""
        if way in self._requests:
            return
        peer, parties, key_bytes, _ = way
        domain = self._domains.get(peer)
        if domain is None:
            self._refused(way, "there is no way to this network any more")
            return
        first, *others = parties.targets
        request = Request(
            server=parties.initiator,
            client=first,
            also=tuple(others),
            number=0,
            size_bits=8 * key_bytes,
            qos=domain.qos,
            priority=domain.priority,
        )
        try:
            self._asking.request(request)
        except KeyweaveError as error:
            self._refused(way, str(error))
            return
        if request.keys is None:
            self._requests[way] = request

    def _refused(self, way: Way, why: str) -> None:
        self._requests.pop(way, None)
        for key_id in list(self._ways.get(way, ())):
            self._fail(self._keys[key_id], why)

    def _end_request(self, way: Way) -> None:
        request = self._requests.pop(way, None)
        if request is not None:
            self._asking.abandon(request)

    def landed(self, batch_id: bytes) -> None:
        """See `abroad.Abroad`."""
        for key_id in self._batches.pop(batch_id, ()):
            held = self._keys.get(key_id)
            if held is not None and held.state is HeldState.ACCEPTED:
                self._landed(held)

    def _back(self, batch_id: bytes) -> None:
        for key_id in self._batches.pop(batch_id, ()):
            held = self._keys.get(key_id)
            if held is not None and held.state is HeldState.ACCEPTED:
                self.add(held)

    given_up = _back


def _way(held: HeldKey, key_bytes: int) -> Way:
    return held.peer, held.parties, key_bytes, held.optional
