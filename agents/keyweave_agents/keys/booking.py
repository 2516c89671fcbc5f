"""Counting the keys that applications were handed, and taking from the rate that they may have.

Rule of this file: keys are counted once it is durable that they were handed out. When it cannot be made so
nobody has got them: they are not counted, and their rate comes back.
"""

from keyweave_agents.keys.association import Association
from keyweave_agents.keys.buffers import TokenBucket
from keyweave_agents.keys.failures import RateExceeded
from keyweave_agents.keys.plan import KeyBundle, SuppliedKey
from keyweave_agents.keys.storage.undecided import Undecided
from keyweave_core.runtime.clock import Clock


class Booking:
    """The books of all associations of one node."""

    def __init__(self, undecided: Undecided, clock: Clock) -> None:
        self._undecided = undecided
        self._clock = clock

    def book(
        self, supplied: list[tuple[Association, KeyBundle | SuppliedKey]], bucket: TokenBucket | None = None
    ) -> None:
        """Count what was handed out once that is durable; give its rate back when it cannot be made so."""
        counted = [  # now: its keys may be wiped by then
            (one, keys.links[0] if keys.links else None, *_size(keys), keys.origin) for one, keys in supplied
        ]

        def settle() -> None:
            now_s = self._clock.now()
            for association, link_id, bits, keys, origin in counted:
                association.usage.count(link_id, bits, keys, now_s, origin)

        def undo() -> None:
            if bucket is not None:
                bucket.give_back(sum(entry[2] for entry in counted))

        self._undecided.add(settle, undo)

    def afford(self, association: Association, bits: int) -> None:
        """Take so much from the rate of an association. RateExceeded: it has not so much left."""
        bucket = association.bucket
        if bucket is not None and not bucket.take(bits, self._clock.monotonic()):
            raise RateExceeded(
                f"{bits} bit more would exceed the max_bandwidth of this association: "
                f"{bucket.rate_bps:.0f} bit/s, at most {bucket.burst_bits:.0f} bit at once"
            )


def _size(keys: KeyBundle | SuppliedKey) -> tuple[int, int]:
    """Bits, and how many keys they are."""
    return (keys.keys.bits, keys.count) if isinstance(keys, KeyBundle) else (keys.key.bits, 1)
