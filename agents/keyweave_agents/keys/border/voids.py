"""Keys that a peer takes back: one job an order, ended when each of its keys has an answer.

Rule of this file: it collects; what becomes of a key is decided in `inbound` and `outbound`. An order that
came with a callback is answered there, a few times if it is not heard.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from keyweave_agents.keys.border.inbound import Inbound
from keyweave_agents.keys.border.outbound import Outbound
from keyweave_agents.keys.border.values import (
    Acked,
    AckStatus,
    Answer,
    BorderRules,
    Parties,
    Post,
    VoidOrder,
)
from keyweave_core.runtime.clock import Clock

TELLINGS = 6
"""How often the end of a void is told; after that the peer asks again."""


@dataclass(slots=True, eq=False)
class VoidJob:
    """A void order on its way; `results` grow until every key has one."""

    peer: str
    parties: Parties
    callback: str | None
    key_ids: tuple[str, ...]
    until_s: float
    results: dict[str, AckStatus] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """Whether every key has its answer."""
        return len(self.results) == len(self.key_ids)

    def acks(self) -> tuple[Acked, ...]:
        """The answers, grouped."""
        groups: dict[AckStatus, list[str]] = {}
        for key_id in self.key_ids:
            groups.setdefault(self.results[key_id], []).append(key_id)
        return tuple(
            Acked(key_ids=tuple(ids[at : at + 1024]), status=status, parties=self.parties)
            for status, ids in groups.items()
            for at in range(0, len(ids), 1024)
        )


@dataclass(slots=True)
class _End:
    post: Post
    delay_s: float
    due_s: float = 0.0
    times: int = 0


class Voids:
    """Orders on their way, and ends that are still to be told."""

    def __init__(
        self,
        inbound: Inbound,
        outbound: Outbound,
        clock: Clock,
        rules: BorderRules,
        number: Callable[[], int],
    ) -> None:
        self._in = inbound
        self._out = outbound
        self._clock = clock
        self._rules = rules
        self._number = number
        self._jobs: list[VoidJob] = []
        self._ends: dict[int, _End] = {}

    def begin(self, peer: str, order: VoidOrder) -> VoidJob:
        """Take keys back, of both directions."""
        mine = tuple(key_id for key_id in order.key_ids if self._out.knows(peer, key_id))
        if not order.key_ids:
            mine = self._out.between(peer, order.parties)
        theirs = tuple(key_id for key_id in order.key_ids if key_id not in mine)
        if theirs or not order.key_ids:
            theirs = self._in.void(peer, order.parties, theirs)
        job = VoidJob(
            peer=peer,
            parties=order.parties,
            callback=order.callback,
            key_ids=(*mine, *theirs),
            until_s=self._clock.monotonic() + self._rules.recall_s + 1.0,
        )
        others = (key_id for key_id in theirs if not self._in.knows(peer, key_id))  # of another peer
        job.results.update(dict.fromkeys(others, AckStatus.NOT_PRESENT))
        self._jobs.append(job)
        for key_id in mine:
            self._out.void(peer, order.parties, key_id, job.results.__setitem__)
        self.settle()
        return job

    def settle(self) -> None:
        """See which jobs have come to an end."""
        for job in list(self._jobs):
            for key_id in job.key_ids:
                if key_id not in job.results and self._in.knows(job.peer, key_id):
                    said = self._in.said(job.peer, job.parties, key_id)
                    if said is not None:
                        job.results[key_id] = said[0]
            if not job.done and job.until_s <= self._clock.monotonic():
                for key_id in job.key_ids:
                    job.results.setdefault(key_id, AckStatus.FAILED_TO_VOID)
            if job.done:
                self._jobs.remove(job)
                if job.callback is not None and job.key_ids:
                    post = Post(
                        number=self._number(),
                        peer=job.peer,
                        kind="ack",
                        acks=job.acks(),
                        callback=job.callback,
                    )
                    self._ends[post.number] = _End(post, delay_s=self._rules.retry_first_s)

    def to_tell(self, now_s: float) -> list[Post]:
        """Ends that are to be told now; each is away until `told`."""
        due = [end for end in self._ends.values() if end.due_s <= now_s]
        for end in due:
            end.due_s = now_s + self._rules.ack_wait_s
        return [end.post for end in due]

    def told(self, post: Post, answer: Answer) -> bool:
        """What came of telling; False when the post was none of these."""
        end = self._ends.get(post.number)
        if end is None:
            return False
        end.times += 1
        if answer.taken or end.times >= TELLINGS:
            del self._ends[post.number]
        else:
            end.due_s = self._clock.monotonic() + end.delay_s
            end.delay_s *= 2
        return True
