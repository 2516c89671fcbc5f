"""How a border node bears with a peer: when our network hears of trouble, and when the peer is left alone.

Rule of this file: an alarm for a refusal at once and for silence after the third time, then every ten
seconds, and its end when keys get through. Keys of applications that were refused wait, each time longer, so
that neither side spends its key on what the other does not take.
"""

from collections.abc import Callable

from keyweave_agents.keys.border.sending import Sending
from keyweave_agents.keys.border.values import Answer, BorderRules, Parties
from keyweave_agents.keys.plan import KeyEvent, RelayRestored, RelayTrouble
from keyweave_core.model.ids import LinkId
from keyweave_core.runtime.clock import Clock

TROUBLE_EVERY_S = 10.0
FAILURES_BEFORE_TROUBLE = 3

Way = tuple[str, Parties]
"""Keys that meet the same answer: peer and applications."""


class Patience:
    """What a border node remembers of how its peers behaved."""

    def __init__(self, clock: Clock, rules: BorderRules, emit: Callable[[KeyEvent], None]) -> None:
        self._clock = clock
        self._rules = rules
        self._emit = emit
        self._failures: dict[str, int] = {}  # in a row, by peer
        self._troubled: dict[LinkId, float] = {}  # told until when, by virtual link
        self._paused: dict[Way, tuple[float, float]] = {}  # until, and for how long

    def judge(self, one: Sending, answer: Answer) -> None:
        """A peer answered, or did not."""
        if answer.taken:
            self._failures[one.peer] = 0
            return
        times = self._failures[one.peer] = self._failures.get(one.peer, 0) + 1
        if answer.status is not None or times >= FAILURES_BEFORE_TROUBLE:
            self.trouble(one, answer.reason)

    def trouble(self, one: Sending, why: str) -> None:
        """Tell our controller, but not all the time."""
        now_s, link_id = self._clock.monotonic(), one.batch.link_id
        if link_id and self._troubled.get(link_id, now_s) <= now_s:
            self._troubled[link_id] = now_s + TROUBLE_EVERY_S
            self._emit(RelayTrouble(link_id=link_id, reason=f"the network {one.peer}: {why}"))

    def through(self, one: Sending) -> None:
        """A whole batch got through."""
        self._paused.pop((one.peer, one.parties), None)
        if self._troubled.pop(one.batch.link_id, None) is not None:
            self._emit(RelayRestored(link_id=one.batch.link_id))

    def pause(self, one: Sending) -> None:
        """A batch was given up: leave the peer alone with keys of these applications."""
        way, rules = (one.peer, one.parties), self._rules
        delay_s = min(rules.pause_most_s, 2 * self._paused.get(way, (0.0, rules.retry_first_s))[1])
        self._paused[way] = (self._clock.monotonic() + delay_s, delay_s)

    def pauses(self, peer: str, parties: Parties) -> bool:
        """Whether keys of these applications wait now."""
        paused = self._paused.get((peer, parties))
        return paused is not None and paused[0] > self._clock.monotonic()

    def tick(self) -> None:
        """Forget refusals that are long over."""
        now_s = self._clock.monotonic()
        for way, (until_s, _) in list(self._paused.items()):
            if until_s + self._rules.pause_most_s <= now_s:
                del self._paused[way]
