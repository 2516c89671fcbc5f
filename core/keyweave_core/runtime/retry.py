"""Waiting between attempts: exponential backoff with full jitter, bounded.

Rule of this file: randomness is given, so that a test can hold it still.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

Uniform = Callable[[], float]
"""Returns numbers of [0, 1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Delays of `first_s`, doubled up to `most_s`, each multiplied by a number of [0.5, 1.0)."""

    first_s: float = 0.1
    most_s: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.first_s <= self.most_s:
            raise ValueError(f"backoff wants 0 < first_s <= most_s, not {self.first_s} and {self.most_s}")

    def delays(self, uniform: Uniform) -> Iterator[float]:
        """Endless delays in seconds; `uniform` returns numbers of [0, 1)."""
        delay = self.first_s
        while True:
            yield delay * (0.5 + uniform() / 2)
            delay = min(self.most_s, delay * 2)
