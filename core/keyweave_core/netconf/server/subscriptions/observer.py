"""Datastores as they change, observed once for all that watch (RFC 8641).

Rule of this file: whoever watches shares one computation, and while nobody does there is none. Running is
followed exactly, change by change. Of operational the device does not announce everything, so it is made
anew when something has happened (an event, a change of running, a hint by `touch`) and, while somebody
watches, at a steady pace; never more often than the spacing allows.
"""

import asyncio
from collections.abc import Callable, Sequence

from keyweave_core.netconf.data.selection import Selection
from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.protocol.elements import Element
from keyweave_core.netconf.server.stores.snapshots import RunningChanged, Store
from keyweave_core.netconf.server.subscriptions.scenes import Scene
from keyweave_core.netconf.server.subscriptions.terms import Datastore
from keyweave_core.netconf.server.system import System
from keyweave_core.netconf.server.timers import after
from keyweave_core.runtime.log import Logger

Follower = Callable[[Scene], None]
"""Called with each scene that is news; must not raise or wait."""

# After so many followers others get a turn.
_FOLLOWERS_A_TURN = 8


class Observer:
    """Watches running and operational of a system."""

    def __init__(self, system: System, *, limits: NetconfLimits, log: Logger) -> None:
        self._system = system
        self._clock = system.clock
        self._pace_s = limits.push_poll_s
        self._spacing_s = limits.push_spacing_s
        self._log = log
        self._followers: dict[Datastore, list[Follower]] = {store: [] for store in Datastore}
        self._workers: dict[Datastore, asyncio.Task[None]] = {}
        self._latest: dict[Datastore, Scene] = {}
        self._taking: asyncio.Task[Scene] | None = None
        self._failing = False
        self._stale = True  # operational may be another one than the latest
        self._touched = asyncio.Event()
        self._committed = asyncio.Event()
        system.datastores.watch(self._changed)
        system.stream.watch(lambda _event: self.touch())

    def touch(self) -> None:
        """What is observed may have changed. Costs next to nothing while nobody watches."""
        self._stale = True
        self._touched.set()

    def follow(self, datastore: Datastore, follower: Follower) -> Callable[[], None]:
        """Call `follower` with each scene that differs from the one before. Returns how to stop."""
        followers = self._followers[datastore]
        followers.append(follower)
        if datastore not in self._workers:
            work = self._follow_running if datastore is Datastore.RUNNING else self._follow_operational
            self._workers[datastore] = asyncio.get_running_loop().create_task(work())

        def stop() -> None:
            if follower in followers:
                followers.remove(follower)
            if not followers:
                self._rest(datastore)

        return stop

    def selects(self, selection: Selection) -> bool:
        """False when a filter selects nothing in any of the schema's data, ever."""
        tops = (f"{{{node.namespace}}}{node.name}" for node in self._system.schema.tops())
        return any(selection.wants(tag) for tag in tops)

    def latest(self, datastore: Datastore) -> Scene | None:
        """The newest scene that was made, None when there is none at hand."""
        return self._latest.get(datastore)

    async def scene(self, datastore: Datastore) -> Scene:
        """The datastore as it is now.

        Operational may be as old as the spacing, when nothing is known to have happened since. Where the
        device cannot tell its state, the scene is that of running and not complete.
        """
        if datastore is Datastore.RUNNING:
            return self._running()
        known = self._latest.get(datastore)
        if known is not None and not self._stale and self._clock.now() - known.at_s < self._spacing_s:
            return known
        if self._taking is None:
            self._taking = asyncio.get_running_loop().create_task(self._take())
        # Whoever asks meanwhile gets the same; one that gives up must not take it from the others.
        return await asyncio.shield(self._taking)

    def close(self) -> None:
        """Watch no more; what was made is forgotten."""
        for datastore in Datastore:
            self._followers[datastore].clear()
            self._rest(datastore)

    def _rest(self, datastore: Datastore) -> None:
        worker = self._workers.pop(datastore, None)
        if worker is not None:
            worker.cancel()
        self._latest.pop(datastore, None)

    def _changed(self, _change: RunningChanged) -> None:
        self._committed.set()
        self.touch()

    def _running(self) -> Scene:
        elements = self._system.datastores.read(Store.RUNNING).elements
        known = self._latest.get(Datastore.RUNNING)
        if known is not None and known.elements is elements:
            return known
        scene = self._scene(elements)
        if self._followers[Datastore.RUNNING]:
            self._latest[Datastore.RUNNING] = scene
        return scene

    async def _take(self) -> Scene:
        self._stale = False  # what happens from here on makes it old again
        try:
            scene = self._scene(tuple(await self._system.operational()))
            self._latest[Datastore.OPERATIONAL] = scene
            if not self._followers[Datastore.OPERATIONAL]:
                after(self._clock, self._spacing_s, self._drop_unwatched)
            self._failing = False
        except Exception:  # noqa: BLE001 - a device that fails once must not end what watches it
            if not self._failing:  # one line an outage, not one a look
                self._log.exception("observed state could not be read")
            self._failing = True
            self._stale = True
            scene = self._scene(self._system.datastores.read(Store.RUNNING).elements, complete=False)
        self._taking = None
        return scene

    def _drop_unwatched(self) -> None:
        if not self._followers[Datastore.OPERATIONAL]:
            self._latest.pop(Datastore.OPERATIONAL, None)

    def _scene(self, elements: Sequence[Element], *, complete: bool = True) -> Scene:
        system = self._system
        return Scene(
            elements, at_s=self._clock.now(), access=system.access, places=system.places, complete=complete
        )

    async def _follow_running(self) -> None:
        while True:
            self._committed.clear()
            await self._serve(Datastore.RUNNING, self._running())
            await self._committed.wait()

    async def _follow_operational(self) -> None:
        shown = b""
        while True:
            self._touched.clear()
            scene = await self.scene(Datastore.OPERATIONAL)
            if scene.complete and scene.text != shown:
                shown = scene.text
                await self._serve(Datastore.OPERATIONAL, scene)
            await self._clock.sleep(self._spacing_s)
            cancel = after(self._clock, self._pace_s - self._spacing_s, self._ring)
            await self._touched.wait()
            cancel()

    def _ring(self) -> None:
        """The pace: look again, though nothing is known to have happened."""
        self._stale = True
        self._touched.set()

    async def _serve(self, datastore: Datastore, scene: Scene) -> None:
        for turn, follower in enumerate(tuple(self._followers[datastore]), 1):
            try:
                follower(scene)
            except Exception:  # noqa: BLE001 - a defect that meets one must not blind the others
                self._log.exception("a watcher of a datastore failed", datastore=datastore.value)
            if turn % _FOLLOWERS_A_TURN == 0:
                await asyncio.sleep(0)
