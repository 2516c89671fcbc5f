"""Keys of our network for applications of another: offered to its key manager until it has acknowledged them.

    arrived (from the relay)   noted, offered; not acknowledged in our network before the peer has relayed all
    202                        waits for acknowledgements; without them the same is offered again
    400, 401                   the peer keeps nothing: given up
    anything else              offered again, with growing pauses; the source hears why it takes so long
    failed for one key         the batch is given up, and what the peer has of it is voided
    nobody waits any more      likewise: the source repeats a batch for as long as it wants it
    voided by the peer         before all was acknowledged: given up; after: taken back from the source

Rule of this file: a batch is acknowledged in our network only in state RELAYED, and it gets there only by
acknowledgements of the very peer it was offered to. No I/O; times are monotonic seconds of the clock.
"""

from collections.abc import Callable, Iterable

from keyweave_agents.keys.abroad import Home
from keyweave_agents.keys.border.patience import Patience
from keyweave_agents.keys.border.recall import Recall
from keyweave_agents.keys.border.sending import Part, Sending, SendState, from_record, to_record
from keyweave_agents.keys.border.values import (
    Acked,
    AckStatus,
    Answer,
    BorderRules,
    HandedKey,
    Offer,
    Parties,
    Post,
    VoidOrder,
)
from keyweave_agents.keys.plan import AssociationPlan, KeyEvent
from keyweave_agents.keys.relaying.frames import Batch, Reason
from keyweave_agents.keys.storage.ledger import Shelf
from keyweave_agents.material import Secret
from keyweave_core.runtime.clock import Clock

LOOK_EVERY_S = 10.0
GONE_S = 900.0
"""Longer than any copy of a batch that was given up is on its way in our network."""

REPEATED_S = 120.0
"""After this time without a repetition nobody in our network asks for a relayed batch any more."""


class Outbound:
    """Every batch that goes to another network from here and is not forgotten yet."""

    def __init__(
        self,
        home: Home,
        recall: Recall,
        shelf: Shelf,
        clock: Clock,
        rules: BorderRules,
        emit: Callable[[KeyEvent], None],
    ) -> None:
        self._home = home
        self._recall = recall
        self._shelf = shelf
        self._clock = clock
        self._rules = rules
        self._batches: dict[bytes, Sending] = {}  # oldest first
        self._active: dict[bytes, Sending] = {}  # those that something is still to be done about
        self._of_key: dict[str, bytes] = {}
        self._patience = Patience(clock, rules, emit)
        now_s = self._look_s = clock.monotonic()
        for key, value in shelf.items():
            self._add(from_record(key, value, now_s, self._offset_s))

    @property
    def _offset_s(self) -> float:
        return self._clock.now() - self._clock.monotonic()

    def _add(self, one: Sending) -> None:
        self._batches[one.batch.batch_id] = one
        if one.state in (SendState.OFFERED, SendState.VOIDING):
            self._active[one.batch.batch_id] = one
        for key_id in one.key_ids:
            self._of_key[key_id] = one.batch.batch_id

    def _note(self, one: Sending) -> None:
        self._shelf.put(one.batch.batch_id, to_record(one, self._offset_s))

    # --- from our network ------------------------------------------------------------------------

    def arrived(
        self,
        peer: str | None,
        plan: AssociationPlan,
        batch: Batch,
        payload: Secret,
        ttl_s: float,
        optional: bytes = b"",
    ) -> Reason | None:
        """See `abroad.Abroad.arrived`; `peer` None: the applications are not all of one network."""
        now_s = self._clock.monotonic()
        one = self._batches.get(batch.batch_id)
        if one is None:
            if peer is None:
                return Reason.BORDER_REFUSED
            if not self._make_room(batch.count):
                return Reason.FULL
            parties = Parties(initiator=plan.server, targets=plan.clients)
            if self._patience.pauses(peer, parties):
                return Reason.BORDER_PAUSED
            one = Sending(
                batch=batch,
                peer=peer,
                parties=parties,
                state=SendState.OFFERED,
                heard_s=now_s,
                until_s=now_s + ttl_s,
                ttl_s=ttl_s,
            )
            if any(key_id in self._of_key for key_id in one.key_ids):
                return Reason.FULL  # ids are random: only a faulty source makes one twice
            one.open = one.open_for(one.key_ids)
            self._add(one)
            self._note(one)
        if one.batch.key_ids != batch.key_ids or one.batch.key_bytes != batch.key_bytes:
            return Reason.CONTRADICTION
        one.heard_s = now_s
        if one.state is SendState.RELAYED:
            return None
        if one.state is not SendState.OFFERED:
            return Reason.BORDER_REFUSED
        if one.payload is None:
            one.batch, one.payload, one.optional = batch, payload.slice(0, len(payload)), optional
            self._cut(one, now_s)
        return one.reason

    def _make_room(self, keys: int) -> bool:
        """Whether so many more keys can be remembered; the oldest that are long relayed go for them."""
        if len(self._of_key) + keys <= self._rules.records:
            return True
        long_ago_s = self._clock.monotonic() - REPEATED_S
        for one in list(self._batches.values()):
            if len(self._of_key) + keys <= self._rules.records:
                break
            if one.state is SendState.RELAYED and one.heard_s <= long_ago_s:
                self._forget(one)
            elif one.state is not SendState.GONE:
                break
        return len(self._of_key) + keys <= self._rules.records

    def _cut(self, one: Sending, now_s: float) -> None:
        """Into messages, of the keys that the peer has not acknowledged."""
        left = [(place, key_id) for place, key_id in enumerate(one.key_ids)]
        most = self._rules.keys_per_post
        one.parts = [
            Part(
                key_ids=tuple(key_id for _, key_id in left[at : at + most]),
                first=at,
                due_s=now_s,
                delay_s=self._rules.retry_first_s,
            )
            for at in range(0, len(left), most)
        ]

    # --- to the peer -----------------------------------------------------------------------------

    def due(self, number: Callable[[], int]) -> list[Post]:
        """What is to be sent now; each is awaited until `posted`."""
        now_s = self._clock.monotonic()
        posts = []
        for one in self._active.values():
            if one.state is SendState.OFFERED and one.payload is not None:
                open_ids = one.open_ids
                for part in one.parts:
                    if not part.posted and part.due_s <= now_s and not open_ids.isdisjoint(part.key_ids):
                        part.posted, part.clear = True, False
                        posts.append(self._offer(one, part, number()))
            elif one.state is SendState.VOIDING and not one.void_posted and one.void_due_s <= now_s:
                one.void_posted = True
                order = VoidOrder(key_ids=tuple(sorted(one.open_ids)), parties=one.parties, callback=None)
                posts.append(
                    Post(
                        number=number(),
                        peer=one.peer,
                        kind="void",
                        order=order,
                        batch_id=one.batch.batch_id,
                    )
                )
        return posts

    def _offer(self, one: Sending, part: Part, number: int) -> Post:
        keys = tuple(
            HandedKey(key_id=key_id, value=one.value(part.first + index))
            for index, key_id in enumerate(part.key_ids)
        )
        return Post(
            number=number,
            peer=one.peer,
            kind="keys",
            offer=Offer(
                keys=keys,
                parties=one.parties,
                callback=None,
                ttl_s=one.ttl_s,
                optional=one.optional,
                origin=one.batch.origin,
            ),
            batch_id=one.batch.batch_id,
        )

    def posted(self, post: Post, answer: Answer) -> None:
        """What came of a post of ours."""
        one = self._batches.get(post.batch_id)
        if one is None:
            return
        self._patience.judge(one, answer)
        now_s, rules = self._clock.monotonic(), self._rules
        if post.kind == "void":
            one.void_posted = False
            one.void_delay_s = min(rules.retry_most_s, max(rules.retry_first_s, 2 * one.void_delay_s))
            one.void_due_s = now_s + (rules.ack_wait_s if answer.taken else one.void_delay_s)
            if answer.refused:
                self._gone(one)
            else:
                self.acked(one.peer, answer.acks)
            return
        part = next((part for part in one.parts if part.posted and part.key_ids == _ids(post)), None)
        if part is None:
            return
        part.posted = False
        if answer.refused:
            part.clear = True
            self._fail(one, part)
        elif answer.taken:
            part.taken = True
            part.delay_s = rules.retry_first_s
            part.due_s = now_s + rules.ack_wait_s
            one.reason = Reason.BORDER_PENDING
            self.acked(one.peer, answer.acks)
        else:
            part.due_s = now_s + part.delay_s
            part.delay_s = min(rules.retry_most_s, 2 * part.delay_s)
            if answer.status is None:
                one.reason = Reason.BORDER_DOWN

    # --- from the peer ---------------------------------------------------------------------------

    def acked(self, peer: str, acks: Iterable[Acked]) -> int:
        """Acknowledgements of a peer; how many of the keys they name were offered to it."""
        known = 0
        for acked in acks:
            for key_id in acked.key_ids:
                one = self._batches.get(self._of_key.get(key_id, b""))
                if one is not None and one.peer == peer and acked.parties.of(one.parties):
                    known += 1
                    self._ack_one(one, key_id, acked)
        return known

    def _ack_one(self, one: Sending, key_id: str, acked: Acked) -> None:
        match one.state:
            case SendState.OFFERED if acked.status is AckStatus.RELAYED:
                one.open -= {(key_id, target) for target in acked.parties.targets}
                if not one.open:
                    one.state = SendState.RELAYED
                    self._active.pop(one.batch.batch_id, None)
                    one.wipe()
                    self._note(one)
                    self._home.count(one.batch)
                    self._patience.through(one)
                    self._home.resume()
            case SendState.OFFERED:
                self._patience.trouble(one, f"keys {acked.status.value}; {acked.message}".removesuffix("; "))
                nowhere = {key_id} if acked.parties == one.parties else set()
                self._fail(one, None, without=nowhere)
            case SendState.RELAYED if acked.status in (AckStatus.VOIDED, AckStatus.FAILED):
                self._recall.ask(one.batch.app_id, (key_id,), _nobody_asks, self._rules.recall_s)
            case SendState.VOIDING if acked.status is not AckStatus.RELAYED:
                one.open -= {(key_id, target) for target in acked.parties.targets}
                if not one.open:
                    self._gone(one)
            case _:
                pass

    def _fail(self, one: Sending, refused: Part | None, *, without: set[str] | None = None) -> None:
        """Give a batch up; what the peer may hold of it is to be voided."""
        one.wipe()
        held = set(one.key_ids) - (without or set())
        for part in one.parts:
            if part.clear and not part.taken:
                held -= set(part.key_ids)
        if refused is not None:
            held -= set(refused.key_ids)
        one.open = one.open_for(held)
        one.reason = Reason.BORDER_REFUSED
        self._patience.pause(one)
        if held:
            one.state = SendState.VOIDING
            one.void_due_s = self._clock.monotonic()
            self._keep(one, self._rules.tombstone_s)
        else:
            self._gone(one)
        self._home.resume()

    def _gone(self, one: Sending) -> None:
        one.wipe()
        one.open = set()
        one.state = SendState.GONE
        self._active.pop(one.batch.batch_id, None)
        self._keep(one, GONE_S)

    def _keep(self, one: Sending, for_s: float) -> None:
        one.until_s = self._clock.monotonic() + for_s
        self._note(one)

    def void(self, peer: str, parties: Parties, key_id: str, done: Callable[[str, AckStatus], None]) -> None:
        """The peer takes a key back that we handed over."""
        one = self._batches.get(self._of_key.get(key_id, b""))
        if one is None or one.peer != peer or one.parties != parties:
            done(key_id, AckStatus.NOT_PRESENT)
        elif one.state is SendState.RELAYED:
            self._recall.ask(
                one.batch.app_id,
                (key_id,),
                lambda text, gone: done(text, AckStatus.VOIDED if gone else AckStatus.FAILED_TO_VOID),
                self._rules.recall_s,
            )
        else:
            if one.state is SendState.OFFERED:
                self._fail(one, None, without={key_id})
            done(key_id, AckStatus.VOIDED)

    def between(self, peer: str, parties: Parties) -> tuple[str, ...]:
        """All keys of these applications that this peer was offered."""
        return tuple(
            key_id
            for one in self._batches.values()
            if one.peer == peer and one.parties == parties and one.state is not SendState.GONE
            for key_id in one.key_ids
        )

    def knows(self, peer: str, key_id: str) -> bool:
        """Whether a key was offered to this peer."""
        one = self._batches.get(self._of_key.get(key_id, b""))
        return one is not None and one.peer == peer

    # --- time ------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Give up what nobody waits for, forget what is long over."""
        now_s = self._clock.monotonic()
        self._patience.tick()
        for one in list(self._active.values()):
            if one.state is SendState.OFFERED and one.heard_s + self._rules.forsaken_s <= now_s:
                if not one.parts:  # offered before a restart: the peer may have any of it
                    one.parts = [Part(one.key_ids, 0, now_s, 0.0, taken=True, clear=False)]
                self._fail(one, None)
        if now_s >= self._look_s:
            self._look_s = now_s + LOOK_EVERY_S
            for one in list(self._batches.values()):
                if one.until_s <= now_s and one.state is not SendState.OFFERED:
                    self._forget(one)

    def _forget(self, one: Sending) -> None:
        one.wipe()
        for key_id in one.key_ids:
            self._of_key.pop(key_id, None)
        del self._batches[one.batch.batch_id]
        self._active.pop(one.batch.batch_id, None)
        self._shelf.delete(one.batch.batch_id, lazy=True)


def _ids(post: Post) -> tuple[str, ...]:
    return () if post.offer is None else tuple(key.key_id for key in post.offer.keys)


def _nobody_asks(_key_id: str, _gone: bool | None) -> None:
    """Taken back without anybody waiting for it."""
