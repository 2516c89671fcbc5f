"""Telling watchers what changed, without ever waiting for them.

Rule of this file: a watcher that is slow gets its changes merged into one; what it misses is how often a
thing changed, never that it did. So each watcher costs a bounded amount of memory.
"""

import asyncio
from collections.abc import AsyncIterator
from weakref import WeakSet

from keyweave_controller.control.actions import Changed


class Watchers:
    """Everybody who watches now."""

    def __init__(self) -> None:
        # Weak: a watcher that was asked for and never read from leaves nothing behind.
        self._slots: WeakSet[_Slot] = WeakSet()
        self._closed = False

    def tell(self, changed: Changed) -> None:
        """Something looks different."""
        for slot in list(self._slots):
            slot.add(changed)

    def close(self) -> None:
        """No more changes will come: every watcher ends after what it has."""
        self._closed = True
        for slot in list(self._slots):
            slot.ready.set()

    def watch(self) -> AsyncIterator[Changed]:
        """Changes from this call on (not from the first `anext`), merged while nobody takes them."""
        slot = _Slot()
        self._slots.add(slot)
        return self._follow(slot)

    def collect(self) -> "Collected":
        """Changes from this call on, merged until they are taken."""
        slot = _Slot()
        self._slots.add(slot)
        return Collected(slot)

    async def _follow(self, slot: "_Slot") -> AsyncIterator[Changed]:
        try:
            while True:
                if slot.changed is None:
                    if self._closed:
                        return
                    slot.ready.clear()
                    await slot.ready.wait()
                    continue
                changed, slot.changed = slot.changed, None
                yield changed
        finally:
            self._slots.discard(slot)


class _Slot:
    """What one watcher has not taken yet."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.changed: Changed | None = None

    def add(self, changed: Changed) -> None:
        waiting = self.changed or Changed()
        self.changed = Changed(
            node_ids=waiting.node_ids | changed.node_ids,
            link_ids=waiting.link_ids | changed.link_ids,
            app_ids=waiting.app_ids | changed.app_ids,
            configuration=waiting.configuration or changed.configuration,
        )
        self.ready.set()


class Collected:
    """What changed since it was taken last; collecting ends when this object is gone."""

    def __init__(self, slot: _Slot) -> None:
        self._slot = slot

    def take(self) -> Changed | None:
        """Everything that changed since the last call, as one; None when nothing did."""
        changed, self._slot.changed = self._slot.changed, None
        return changed
