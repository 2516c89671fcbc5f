"""What of the statistics outlives the process: a restart costs the bill a quarter of a second at most.

Rule of this file: counts are noted with every beat, lazily. A reader that saw a period before the restart
sees the same one after it: periods begin and end by the clock on the wall.
"""

import msgspec

from keyweave_agents.keys.storage.ledger import Ledger
from keyweave_agents.keys.usage import Usage, UsageRecord
from keyweave_core.model.ids import AppId


class UsageMemory:
    """The shelf of the statistics of one node, by application."""

    def __init__(self, ledger: Ledger) -> None:
        self._shelf = ledger.shelf("usage") if ledger.lasting else None
        self._left: dict[AppId, UsageRecord] = {}
        if self._shelf is not None:
            for key, value in self._shelf.items():
                self._left[AppId(key.decode())] = msgspec.json.decode(value, type=UsageRecord)

    def usage(self, app_id: AppId, period_s: float) -> Usage:
        """The statistics of an association, with what the last run left of them."""
        usage = Usage(period_s)
        left = self._left.pop(app_id, None)
        if left is not None:
            usage.restore(left)
        return usage

    def note(self, app_id: AppId, usage: Usage) -> None:
        """Keep what was counted, when something was since the last time."""
        if self._shelf is not None and usage.changed:
            self._shelf.put(app_id.encode(), msgspec.json.encode(usage.record()), lazy=True)
        usage.changed = False

    def forget(self, app_id: AppId) -> None:
        """The association was removed; its last periods were told."""
        if self._shelf is not None:
            self._shelf.delete(app_id.encode(), lazy=True)

    def forsake(self) -> None:
        """Nobody came for what is still left: forget it."""
        for app_id in self._left:
            self.forget(app_id)
        self._left.clear()
