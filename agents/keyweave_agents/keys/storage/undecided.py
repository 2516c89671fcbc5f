"""What was handed out and is not durable yet: settled when it is, taken back when it cannot be made so.

Rule of this file: nothing handed out is overwritten before it is settled. Whoever got it has not shown it to
anybody by then: answers leave when the ledger is durable (`gate`).
"""

from collections import deque
from collections.abc import Callable

from keyweave_agents.keys.storage.ledger import Ledger

Act = Callable[[], None]


class Undecided:
    """The handings-out of one key manager, oldest first."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: deque[tuple[int, Act, Act]] = deque()

    @property
    def open(self) -> bool:
        """Whether anything that was noted is not durable yet."""
        return self._ledger.kept < self._ledger.noted

    def add(self, settle: Act, undo: Act) -> None:
        """Something was noted and handed out: `settle` at once when it is durable already."""
        if self.open:
            self._waiting.append((self._ledger.noted, settle, undo))
        else:
            settle()

    def settle(self) -> None:
        """A commit came through."""
        kept = self._ledger.kept
        while self._waiting and self._waiting[0][0] <= kept:
            self._waiting.popleft()[1]()

    def undo(self) -> None:
        """A commit failed: take everything back, the latest first."""
        self.settle()
        while self._waiting:
            self._waiting.pop()[2]()
