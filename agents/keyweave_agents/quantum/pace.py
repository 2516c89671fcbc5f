"""How a rate becomes blocks: when the next is due and how long it is.

Rule of this file: no clock and no key, numbers only. Over any time the blocks hold the bits that the rate
gave, less than one byte of which waits.
"""

from keyweave_agents.quantum.frames import MAX_BLOCK_BYTES

SHORTEST_S = 0.05
LONGEST_S = 2.0
_BLOCK_BITS = 2048
_MOST_CATCHING_UP_S = 1.0


def interval_s(rate_bps: int) -> float:
    """Seconds between blocks: long enough for 2048 bits, at least 0.05 (20 a second), at most 2.

    Small blocks would burden the pools with book-keeping, rare ones would make a slow link look dead.
    """
    if rate_bps <= 0:
        return SHORTEST_S
    return min(LONGEST_S, max(SHORTEST_S, _BLOCK_BITS / rate_bps))


class Pace:
    """Turns a rate that may change into whole bytes, from the moment it is made."""

    def __init__(self, now_s: float) -> None:
        self._last_s = now_s
        self._carry_bits = 0.0

    def due(self, rate_bps: int, now_s: float) -> list[int]:
        """Sizes in bytes of the blocks due now, each 1..65536; `rate_bps` held since the last call.

        Time in which the program did not run (a suspended machine) makes no key: at most the longest interval
        and one second are made up for.
        """
        elapsed = min(max(0.0, now_s - self._last_s), LONGEST_S + _MOST_CATCHING_UP_S)
        self._last_s = now_s
        self._carry_bits += rate_bps * elapsed
        whole, self._carry_bits = divmod(self._carry_bits, 8)
        full, rest = divmod(int(whole), MAX_BLOCK_BYTES)
        return [MAX_BLOCK_BYTES] * full + ([rest] if rest else [])
