"""Keys that another network hands over to ours: accepted whole or not at all, given to one place once.

    ext_keys      all new or repeated as before -> ACCEPTED, on the shelf; else Refusal, nothing is kept
    association   asked for as if the initiator had asked here; open -> batches are given to key supply
    landed        -> RELAYED, and the peer is told until it has heard
    too late, or refused by our controller -> FAILED, recalled, the peer is told; it never comes back
    void          -> VOIDING, asked back from the destination -> VOIDED or STAYS; unknown ids -> ABSENT

Rule of this file: a key is given only in state ACCEPTED, and every way out of that state is noted on the
shelf before anybody hears of it. No I/O; times are monotonic seconds of the clock.
"""

import heapq
from collections import deque
from collections.abc import Callable, Mapping

from keyweave_agents.keys.abroad import Asking, Home
from keyweave_agents.keys.border.failures import Problem, Refusal
from keyweave_agents.keys.border.giving import Giving
from keyweave_agents.keys.border.recall import Recall
from keyweave_agents.keys.border.records import (
    ENDED,
    NO_ASSOCIATION,
    SAID,
    HeldKey,
    HeldState,
    digest_of,
    from_record,
    record_key,
    to_record,
)
from keyweave_agents.keys.border.telling import Telling
from keyweave_agents.keys.border.values import AckStatus, BorderRules, Domain, Offer, Parties
from keyweave_agents.keys.relaying.frames import uuid_text
from keyweave_agents.keys.storage.ledger import Shelf
from keyweave_core.runtime.clock import Clock

_SALT = b"salt"

SETTLED_S = 300.0
"""A relayed key of which its peer has heard is not handed over again after so long, unless by mistake."""


class Inbound:
    """Every key that was handed over to this node and is not forgotten yet."""

    def __init__(
        self,
        home: Home,
        asking: Asking,
        recall: Recall,
        shelf: Shelf,
        clock: Clock,
        rules: BorderRules,
        domains: Mapping[str, Domain],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._home = home
        self._recall = recall
        self._shelf = shelf
        self._clock = clock
        self._rules = rules
        self._domains = domains
        self._keys: dict[str, HeldKey] = {}
        self._counts: dict[str, int] = {}
        self.giving = Giving(
            home, asking, self._keys, domains, note=self._note, landed=self._landed, fail=self._fail
        )
        self.telling = Telling(self._keys, self._heard, clock, rules)
        self._settled: deque[tuple[float, str]] = deque()  # relayed and heard of: when, oldest first
        self._ends: list[tuple[float, str]] = []  # when to look at a key, soonest first
        self._salt = self._load(random_bytes)

    def _load(self, random_bytes: Callable[[int], bytes]) -> bytes:
        salt = b""
        for key, value in self._shelf.items():
            if key == _SALT:
                salt = bytes(value)
                continue
            held = from_record(uuid_text(key), value, self._offset_s)
            value[:] = bytes(len(value))
            if held.state is HeldState.ACCEPTED:
                held.deadline_s = self._clock.monotonic() + self._rules.relay_s
            self._add(held)
            if held.state is HeldState.ACCEPTED:
                self.giving.add(held)
            elif held.state is HeldState.VOIDING:
                self._take_back(held)
            elif not held.told:
                self.telling.add(held)
            elif held.state is HeldState.RELAYED:
                self._settled.append((self._clock.monotonic(), held.key_id))
        if not salt:
            salt = random_bytes(32)
            self._shelf.put(_SALT, salt)
        return salt

    @property
    def _offset_s(self) -> float:
        return self._clock.now() - self._clock.monotonic()

    def _add(self, held: HeldKey) -> None:
        self._keys[held.key_id] = held
        heapq.heappush(self._ends, (min(held.until_s, held.deadline_s or held.until_s), held.key_id))
        self._counts[held.peer] = self._counts.get(held.peer, 0) + 1

    def _note(self, held: HeldKey) -> None:
        self._shelf.put(record_key(held.key_id), to_record(held, self._offset_s))

    def _heard(self, held: HeldKey) -> None:
        """The peer knows what became of a key."""
        self._note(held)
        if held.state is HeldState.RELAYED:
            self._settled.append((self._clock.monotonic(), held.key_id))

    def _check_room(self, peer: str, more: int) -> None:
        """Refusal when so many more keys cannot be remembered; the longest settled ones go for them."""
        long_ago_s = self._clock.monotonic() - SETTLED_S
        while self._counts.get(peer, 0) + more > self._rules.records:
            if not self._settled or self._settled[0][0] > long_ago_s:
                raise Refusal(Problem.GENERAL, "too many keys of this network are remembered here", {})
            held = self._keys.get(self._settled.popleft()[1])
            if held is not None and held.state is HeldState.RELAYED and held.told:
                self._forget(held)

    # --- what the peer asks ----------------------------------------------------------------------

    def accept(self, peer: str, offer: Offer) -> None:
        """Take all keys of an offer, or raise Refusal and keep none of them. The values are ours then."""
        now_s, rules = self._clock.monotonic(), self._rules
        fresh: list[HeldKey] = []
        again: list[HeldKey] = []
        ttl_s = rules.key_ttl_s if offer.ttl_s is None else min(offer.ttl_s, rules.key_ttl_s)
        for key in offer.keys:
            digest = digest_of(self._salt, key.value)
            held = self._keys.get(key.key_id)
            if held is None or (held.peer != peer and not held.digest):  # what others voided is not this one
                fresh.append(
                    HeldKey(
                        key_id=key.key_id,
                        peer=peer,
                        parties=offer.parties,
                        state=HeldState.ACCEPTED,
                        callback=offer.callback,
                        until_s=now_s + ttl_s,
                        digest=digest,
                        value=key.value,
                        agreed=offer.ttl_s is not None,
                        optional=offer.optional,
                        deadline_s=now_s + min(rules.relay_s, ttl_s),
                    )
                )
                continue
            again.append(held)
            if held.peer != peer or held.parties != offer.parties or (held.digest and held.digest != digest):
                raise Refusal(
                    Problem.INVALID_PARAMETER,
                    "another key was handed over under this id",
                    {"key_id": key.key_id},
                )
            if held.state not in (HeldState.ACCEPTED, HeldState.RELAYED, HeldState.FAILED):
                raise Refusal(
                    Problem.INVALID_PARAMETER, "a key of this id was voided", {"key_id": key.key_id}
                )
        self._check_room(peer, len(fresh))
        for held in fresh:
            before = self._keys.get(held.key_id)
            if before is not None:
                self._forget(before)
            self._add(held)
            self._note(held)
            self.giving.add(held)
        for held in again:
            held.callback = offer.callback
            if held.state is not HeldState.ACCEPTED:
                self.telling.add(held)
            self._note(held)

    def void(self, peer: str, parties: Parties, key_ids: tuple[str, ...]) -> tuple[str, ...]:
        """Take keys back; which of them (all between the parties when none is named). `said` tells the end.

        Raises Refusal when no more can be remembered: an id that never came must be.
        """
        if not key_ids:
            key_ids = tuple(
                key_id
                for key_id, held in self._keys.items()
                if held.peer == peer and held.parties == parties and held.state not in ENDED
            )
        strange = [key_id for key_id in key_ids if key_id not in self._keys]
        self._check_room(peer, len(strange))
        app_id = None
        if self._domains[peer].holds(parties.initiator):  # nobody takes back what another peer handed over
            app_id = self._home.association(parties.initiator, parties.targets)
        for key_id in key_ids:
            held = self._keys.get(key_id)
            if held is None:
                held = HeldKey(
                    key_id=key_id,
                    peer=peer,
                    parties=parties,
                    state=HeldState.VOIDING if app_id else HeldState.ABSENT,
                    callback=None,
                    until_s=self._clock.monotonic() + self._rules.tombstone_s,
                    told=True,
                    app_id=app_id or NO_ASSOCIATION,
                )
                self._add(held)
                self._note(held)
                if app_id:  # one that was forgotten here may still be where it was going
                    self._take_back(held, otherwise=HeldState.ABSENT)
            elif held.peer == peer and held.parties == parties:
                self._void_one(held)
        return key_ids

    def _void_one(self, held: HeldKey) -> None:
        match held.state:
            case HeldState.ACCEPTED | HeldState.RELAYED:
                relayed = held.state is HeldState.RELAYED
                self.giving.drop(held)
                held.wipe()
                self.telling.drop(held)  # the answer to the void says it
                if held.app_id:
                    held.state = HeldState.VOIDING
                    self._note(held)
                    self._take_back(held, otherwise=HeldState.STAYS if relayed else HeldState.VOIDED)
                else:
                    self._bury(held, HeldState.VOIDED)
            case HeldState.FAILED:
                self.telling.drop(held)
                self._bury(held, HeldState.VOIDED)
            case _:
                pass

    def _take_back(self, held: HeldKey, *, otherwise: HeldState = HeldState.STAYS) -> None:
        """Ask for a key where it went; `otherwise` is what it means when it is not there."""

        def done(_key_id: str, gone: bool | None) -> None:
            if held.state is HeldState.VOIDING:
                unknown = HeldState.STAYS if otherwise is not HeldState.ABSENT else HeldState.ABSENT
                self._bury(held, {True: HeldState.VOIDED, False: otherwise, None: unknown}[gone])

        self._recall.ask(held.app_id, (held.key_id,), done, self._rules.recall_s)

    def _bury(self, held: HeldKey, state: HeldState, message: str = "") -> None:
        """The end of a key, which is remembered."""
        self.giving.drop(held)
        held.wipe()
        held.state, held.message = state, message
        rules = self._rules
        for_s = min(rules.key_ttl_s, rules.tombstone_s) if state is HeldState.FAILED else rules.tombstone_s
        held.until_s = self._clock.monotonic() + for_s
        heapq.heappush(self._ends, (held.until_s, held.key_id))
        self._note(held)

    def said(self, peer: str, parties: Parties, key_id: str) -> tuple[AckStatus, str] | None:
        """What can be said of a key of this peer now; None: nothing yet."""
        held = self._keys.get(key_id)
        if held is None or held.peer != peer or held.parties != parties:
            return AckStatus.NOT_PRESENT, ""
        status = SAID.get(held.state)
        return None if status is None else (status, held.message)

    def optional_of(self, key_ids: bytes) -> bytes:
        """The extensions that came with keys and go on with them."""
        held = self._keys.get(uuid_text(key_ids[:16]))
        return b"" if held is None else held.optional

    def knows(self, peer: str, key_id: str) -> bool:
        """Whether this peer handed over (or voided) a key of this id."""
        held = self._keys.get(key_id)
        return held is not None and held.peer == peer

    # --- what our network does -------------------------------------------------------------------

    def _landed(self, held: HeldKey) -> None:
        """Its destination holds it."""
        held.wipe()
        held.state = HeldState.RELAYED
        self.telling.add(held)
        self._note(held)

    def _fail(self, held: HeldKey, why: str) -> None:
        """It does not get through; what may have arrived all the same is taken back."""
        self._bury(held, HeldState.FAILED, why[:1000])
        self.telling.add(held)
        if held.app_id:
            self._recall.ask(held.app_id, (held.key_id,), _nobody_asks, self._rules.recall_s)

    def tick(self) -> None:
        """What time brings: keys that did not get through, keys whose time is over, tombstones to forget."""
        now_s = self._clock.monotonic()
        while self._ends and self._ends[0][0] <= now_s:
            held = self._keys.get(heapq.heappop(self._ends)[1])
            if held is None:
                continue
            if held.state is HeldState.ACCEPTED and held.deadline_s <= now_s:
                why = self._home.trouble(held.parties.initiator, held.parties.targets)
                text = f"the keys did not get through within {self._rules.relay_s:g} s"
                self._fail(held, f"{text}: {why}" if why else text)
            elif held.state is HeldState.VOIDING:
                heapq.heappush(self._ends, (now_s + self._rules.recall_s, held.key_id))
            elif held.until_s > now_s:
                heapq.heappush(self._ends, (held.until_s, held.key_id))
            else:
                if held.state is HeldState.RELAYED and held.agreed and held.app_id:
                    self._recall.ask(held.app_id, (held.key_id,), _nobody_asks, self._rules.recall_s)
                self._forget(held)

    def _forget(self, held: HeldKey) -> None:
        held.wipe()
        del self._keys[held.key_id]
        self._counts[held.peer] -= 1
        self.telling.drop(held)
        self._shelf.delete(record_key(held.key_id), lazy=True)


def _nobody_asks(_key_id: str, _gone: bool | None) -> None:
    """Taken back without anybody waiting for it."""
