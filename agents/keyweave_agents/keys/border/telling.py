"""Telling peers what became of the keys that they handed over, until they have heard it.

Rule of this file: what is said follows from the state of a key and from nothing else. Acknowledgements of one
peer and callback go together, as many keys as a request of reasonable size holds.
"""

from collections.abc import Callable, Mapping

from keyweave_agents.keys.border.records import SAID, HeldKey
from keyweave_agents.keys.border.values import Acked, AckStatus, Answer, BorderRules, Parties, Post
from keyweave_core.runtime.clock import Clock

MOST_TOLD = 2048
"""Keys in one acknowledgement: peers bound the size of a request."""

MOST_REFUSALS = 8
"""A peer that refuses so often to hear of its own key is left alone."""


class Telling:
    """What peers are still to be told, of the keys in `keys`; `heard` gets each that they have heard of."""

    def __init__(
        self,
        keys: Mapping[str, HeldKey],
        heard: Callable[[HeldKey], None],
        clock: Clock,
        rules: BorderRules,
    ) -> None:
        self._keys = keys
        self._heard = heard
        self._clock = clock
        self._rules = rules
        self._due: dict[str, None] = {}

    def add(self, held: HeldKey) -> None:
        """The peer shall hear of a key (again)."""
        held.told = False
        self._due[held.key_id] = None

    def drop(self, held: HeldKey) -> None:
        """Nothing is to be said of a key any more, or something else says it."""
        held.told = True
        self._due.pop(held.key_id, None)

    def to_tell(self) -> dict[tuple[str, str], list[Acked]]:
        """What peers are to be told now, by peer and callback; grouped by status and applications."""
        now_s = self._clock.monotonic()
        groups: dict[tuple[str, str], dict[tuple[AckStatus, Parties, str], list[str]]] = {}
        told: dict[tuple[str, str], int] = {}
        for key_id in list(self._due):
            held = self._keys[key_id]
            status = SAID.get(held.state)
            if held.callback is None or status is None or held.told:
                del self._due[key_id]
                continue
            place = (held.peer, held.callback)
            if held.again_s > now_s or told.get(place, 0) >= MOST_TOLD:
                continue
            told[place] = told.get(place, 0) + 1
            held.again_s = now_s + self._rules.ack_wait_s  # until it was posted
            group = groups.setdefault(place, {})
            group.setdefault((status, held.parties, held.message), []).append(key_id)
        return {
            place: [
                Acked(key_ids=tuple(ids[at : at + 1024]), status=status, parties=parties, message=message)
                for (status, parties, message), ids in group.items()
                for at in range(0, len(ids), 1024)
            ]
            for place, group in groups.items()
        }

    def told(self, post: Post, answer: Answer, again_s: float) -> None:
        """What came of telling: heard, or to be said again at `again_s`.

        A peer that refuses to hear of its own key is left alone after a while.
        """
        for acked in post.acks:
            for key_id in acked.key_ids:
                held = self._keys.get(key_id)
                if held is None or SAID.get(held.state) is not acked.status:
                    continue
                held.refusals += answer.refused
                if answer.taken or held.refusals >= MOST_REFUSALS:
                    held.told = True
                    held.again_s = 0.0  # who asks once more hears it at once
                    self._due.pop(key_id, None)
                    self._heard(held)
                else:
                    held.again_s = again_s
