"""What callers see of the system: configuration, and configuration with state, looked at once for all.

Rule of this file: the device is asked for its state when somebody wants it and never by two at a time; who
asks while an answer is being made waits for the next one only when that one began too early. While somebody
follows changes, the view is made anew when running changes, when the system tells of an event, and at a
bounded pace for the state that nothing tells of; with nobody there, nothing runs.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property

from lxml import etree

from keyweave_core.errors import InternalFault
from keyweave_core.netconf.data.changes import Change, changes
from keyweave_core.netconf.server.access import User
from keyweave_core.netconf.server.stores.datastores import Store
from keyweave_core.netconf.server.system import System
from keyweave_core.runtime.log import Logger

_BUSY_SHARE = 10
"""A view that took long is not made again before this many times as long has passed."""


class Data:
    """Top-level elements, known by identity: the same object is the same data."""

    def __init__(self, elements: Sequence[etree._Element]) -> None:
        self.elements = tuple(elements)

    @cached_property
    def text(self) -> bytes:
        """Equal for equal data, mostly."""
        return b"".join(etree.tostring(element, with_tail=False) for element in self.elements)


@dataclass(frozen=True, slots=True)
class View:
    """The data at one moment, as one user may see it. Elements are shared: read them, never change them."""

    data: Data
    at_s: float  # seconds since 1970

    @property
    def elements(self) -> tuple[etree._Element, ...]:
        """The top-level elements."""
        return self.data.elements

    @property
    def at_ns(self) -> int:
        """Nanoseconds since 1970."""
        return round(self.at_s * 1e9)


class Views:
    """The views of one system."""

    def __init__(self, system: System, *, refresh_s: float, log: Logger) -> None:
        self._system = system
        self._clock = system.clock
        self._refresh_s = refresh_s
        self._log = log
        self._making: asyncio.Task[View] | None = None
        self._making_since_s = 0.0
        self._latest: View | None = None
        self._latest_since_s = 0.0  # monotonic: when the making of the latest began
        self._followers = 0
        self._follow_task: asyncio.Task[None] | None = None
        self._stirred = asyncio.Event()
        self._turned = asyncio.Event()
        # Made once for all who ask, forgotten with the view that they are of.
        self._for_user: dict[User, Data] = {}
        self._differences: dict[tuple[int, int], tuple[Data, Data, list[Change]]] = {}

    def config(self, user: User) -> View:
        """Running."""
        elements = self._system.datastores.read(Store.RUNNING).elements
        readable = self._system.access.readable(user, elements)
        return View(Data(self._own_left_out(readable)), self._clock.now())

    async def operational(self, user: User, *, max_age_s: float = 0.0) -> View:
        """Running with observed state on top, begun at most `max_age_s` seconds ago."""
        return self.as_seen_by(user, await self._whole(max_age_s))

    def as_seen_by(self, user: User, view: View) -> View:
        """The part of a whole view that a user may read."""
        is_latest = self._latest is not None and view.data is self._latest.data
        seen = self._for_user.get(user) if is_latest else None
        if seen is None:
            readable = self._system.access.readable(user, view.elements)
            seen = view.data if readable is view.elements else Data(readable)
            if is_latest:
                self._for_user[user] = seen
        return View(seen, view.at_s)

    def latest(self, user: User) -> View:
        """The view made last; to be called behind an event of `follow`."""
        if self._latest is None:
            raise InternalFault("no view has been made yet")
        return self.as_seen_by(user, self._latest)

    def between(self, before: View, after: View) -> list[Change]:
        """What changed from one view to another of the same user; made once for all who ask."""
        old, new = before.data, after.data
        if old is new:
            return []
        key = (id(old), id(new))
        if key not in self._differences:
            same = old.text == new.text
            found = [] if same else changes(old.elements, new.elements, self._system.places)
            self._differences[key] = (old, new, found)  # with the data, so that their ids stay theirs
        return self._differences[key][2]

    @asynccontextmanager
    async def follow(self) -> AsyncIterator[Callable[[], asyncio.Event]]:
        """Keep the view fresh; yields a function that gives the event of the next one being there."""
        self._followers += 1
        if self._followers == 1:
            self._follow_task = asyncio.create_task(self._keep_fresh(), name="gnmi views")
        try:
            yield lambda: self._turned
        finally:
            self._followers -= 1
            if self._followers == 0 and self._follow_task is not None:
                self._follow_task.cancel()
                self._follow_task = None

    async def close(self) -> None:
        """End what runs."""
        for task in (self._follow_task, self._making):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _whole(self, max_age_s: float) -> View:
        now = self._clock.monotonic()
        if self._latest is not None and max_age_s > 0 and now - self._latest_since_s <= max_age_s:
            return self._latest
        while self._making is not None:
            making, since_s = self._making, self._making_since_s
            await asyncio.wait([making])
            if since_s >= now - max_age_s and not making.cancelled() and making.exception() is None:
                return making.result()
        self._making_since_s = self._clock.monotonic()
        self._making = asyncio.create_task(self._make(), name="gnmi view")
        return await asyncio.shield(self._making)

    async def _make(self) -> View:
        try:
            since_s, at_s = self._making_since_s, self._clock.now()
            elements = await self._system.operational()
            data = Data(self._own_left_out(elements))
            same = self._latest is not None and self._latest.data.text == data.text
            if self._latest is not None and same:
                data = self._latest.data  # who holds it sees at once that nothing changed
            self._latest = view = View(data, at_s)
            self._latest_since_s = since_s
            if not same:
                self._for_user.clear()
                self._differences.clear()
                turned, self._turned = self._turned, asyncio.Event()
                turned.set()
            return view
        finally:
            self._making = None

    async def _keep_fresh(self) -> None:
        stop_running = self._system.datastores.watch(lambda _change: self._stirred.set())
        stop_events = self._system.stream.watch(lambda _event: self._stirred.set())
        try:
            while True:
                await self._make_one()
        finally:
            stop_running()
            stop_events()

    async def _make_one(self) -> None:
        began_s = self._clock.monotonic()
        self._stirred.clear()
        try:
            await self._whole(0.0)
        except Exception:  # noqa: BLE001 - one look that fails must not end all that follow
            self._log.exception("state cannot be read")
        took_s = self._clock.monotonic() - began_s
        timer = asyncio.ensure_future(self._clock.sleep(max(self._refresh_s, took_s * _BUSY_SHARE)))
        stirred = asyncio.ensure_future(self._stirred.wait())
        try:
            await asyncio.wait([timer, stirred], return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            stirred.cancel()

    def _own_left_out(self, elements: Sequence[etree._Element]) -> tuple[etree._Element, ...]:
        own = self._system.own
        return tuple(element for element in elements if etree.QName(element).namespace not in own)
