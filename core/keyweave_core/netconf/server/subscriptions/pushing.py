"""A dynamic subscription to the content of a datastore (RFC 8641).

Rule of this file: nothing waits in a queue. A subscriber on change holds the view it was told last; whatever
happens while it is dampened or does not read, the next update leads from that view to the newest one. A
periodic one that does not read misses updates, is told so, and gets the newest when it reads again.
"""

import asyncio
import math
from collections.abc import Callable

from keyweave_core.errors import KeyweaveError
from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.protocol.messages import PUSH, notification_bytes
from keyweave_core.netconf.protocol.rpc_errors import RpcError
from keyweave_core.netconf.server.operations.calls import Caller
from keyweave_core.netconf.server.subscriptions.observer import Observer
from keyweave_core.netconf.server.subscriptions.refusals import Request, refusal
from keyweave_core.netconf.server.subscriptions.scenes import Scene, View
from keyweave_core.netconf.server.subscriptions.standing import Standing
from keyweave_core.netconf.server.subscriptions.terms import OnChange, Periodic, PushTerms
from keyweave_core.netconf.server.timers import after
from keyweave_core.runtime.clock import Clock, date_and_time


class PushSubscription:
    """Updates of a datastore for one subscriber; a `Reader` of its session."""

    def __init__(
        self,
        caller: Caller,
        terms: PushTerms,
        *,
        observer: Observer,
        standing: Standing,
        clock: Clock,
        limits: NetconfLimits,
    ) -> None:
        self.caller = caller
        self.terms = terms
        self.standing = standing
        self.sent = 0
        self.excluded = 0
        self._observer = observer
        self._clock = clock
        self._limit = limits.push_update_bytes
        self._known: View | None = None  # what the subscriber was told last
        self._patches = 0
        self._not_before_s = 0.0
        self._stop_following: Callable[[], None] | None = None
        self._timer: Callable[[], None] | None = None
        self._stop_timer: Callable[[], None] | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._running = False
        self._overdue = False  # an update could not be sent when it was due

    async def prepare(self, terms: PushTerms, request: Request) -> tuple[Scene, View]:
        """What the subscriber sees first by these terms. Raises RpcError when they cannot be fulfilled."""
        matching = terms.filter
        if matching is not None and not self._observer.selects(matching.selection):
            raise refusal(
                "unchanging-selection", "the filter selects nothing that is here", request=request, push=True
            )
        scene = await self._observer.scene(terms.datastore)
        view = scene.view(self.caller.user, matching)
        whole = isinstance(terms.trigger, Periodic) or terms.trigger.sync
        if whole and len(view.text) > self._limit:
            identity = "update-too-big" if isinstance(terms.trigger, Periodic) else "sync-too-big"
            hints = {
                "kilobytes-estimate": str(len(view.text) // 1024 + 1),
                "kilobytes-limit": str(self._limit // 1024),
            }
            message = f"an update of {len(view.text)} bytes is more than {self._limit}"
            raise refusal(identity, message, request=request, push=True, hints=hints)
        return scene, view

    def start(self, scene: Scene, view: View) -> None:
        """Begin with what was prepared, once the reply is written."""
        self._running = True
        self._begin(scene, view)

    def modify(self, terms: PushTerms, scene: Scene, view: View) -> None:
        """Go on by other terms, once the reply is written."""
        self._halt()
        self.standing.modified(terms)
        self.terms = terms
        self._begin(scene, view)

    def resync(self, scene: Scene, view: View) -> None:
        """Send everything (resync-subscription), once the reply is written."""
        self._known = view
        self._push_update(scene, view)
        self._catch_up()

    def resume(self) -> None:
        """The peer takes data again."""
        if self._overdue:
            self._overdue = False
            self.standing.resume()
            self._tick()
        if isinstance(self.terms.trigger, OnChange):
            self._catch_up()

    def close(self) -> None:
        """Send nothing more."""
        self._running = False
        self._halt()
        self.standing.close()

    def _begin(self, scene: Scene, view: View) -> None:
        terms, now_s = self.terms, self._clock.now()
        self._known = view
        if terms.stop_s is not None:
            self._stop_timer = after(self._clock, terms.stop_s - now_s, self._complete)
        match terms.trigger:
            case Periodic(period_s, anchor_s):
                if anchor_s is None:
                    anchor_s = now_s
                    self._push_update(scene, view)
                self._arm(anchor_s, period_s)
            case OnChange(sync=sync):
                if sync:
                    self._push_update(scene, view)
                self._stop_following = self._observer.follow(terms.datastore, self._show)
                self._catch_up()

    def _halt(self) -> None:
        for cancel in (self._timer, self._stop_timer, self._stop_following):
            if cancel is not None:
                cancel()
        self._timer = self._stop_timer = self._stop_following = None
        if self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None
        self._overdue = False
        self._not_before_s = 0.0

    def _complete(self) -> None:
        self.standing.complete()

    # Periodic.

    def _arm(self, anchor_s: float, period_s: float) -> None:
        now_s = self._clock.now()
        # A moment that is a hair away has just been served.
        periods = math.floor((now_s - anchor_s) / period_s + 1e-6) + 1
        due_s = anchor_s + periods * period_s

        def ring() -> None:
            self._arm(anchor_s, period_s)
            self._tick()

        self._timer = after(self._clock, due_s - now_s, ring)

    def _tick(self) -> None:
        if not self.caller.outlet.writable:
            self._overdue = True
            self.standing.suspend("unsupportable-volume")
        elif self._running and self._ticking is None and isinstance(self.terms.trigger, Periodic):
            self._ticking = asyncio.get_running_loop().create_task(self._update())

    async def _update(self) -> None:
        try:
            scene = await self._observer.scene(self.terms.datastore)
            view = self._view(scene)
            if view is None:
                return
            if not self.caller.outlet.writable:
                self._overdue = True
            elif len(view.text) > self._limit:
                self.standing.suspend("update-too-big")
            else:
                self.standing.resume()
                self._push_update(scene, view)
        finally:
            self._ticking = None

    # On change.

    def _show(self, _scene: Scene) -> None:
        self._catch_up()

    def _catch_up(self) -> None:
        """Tell what has changed since the subscriber was told last, if it may be told now."""
        trigger, known = self.terms.trigger, self._known
        scene = self._observer.latest(self.terms.datastore)
        if not self._running or scene is None or known is None or not isinstance(trigger, OnChange):
            return
        if not self.caller.outlet.writable:
            return  # `resume` comes back
        wait_s = self._not_before_s - self._clock.monotonic()
        if wait_s > 0:
            if self._timer is None:
                self._timer = after(self._clock, wait_s, self._undampen)
            return
        view = self._view(scene)
        if view is None or view is known or view.text == known.text:
            return
        try:
            patch = scene.patch(known, view, trigger.excluded)
        except (KeyweaveError, ValueError):
            # The device observed what the schema has no value for: tried again with the next scene.
            self.standing.suspend("insufficient-resources")
            return
        whole_will_do = trigger.sync and len(view.text) <= self._limit
        if patch.count and len(patch.xml) > self._limit and not whole_will_do:
            self.standing.suspend("update-too-big")
            return
        self.standing.resume()
        self._known = view
        if not patch.count:
            self.excluded += 1
            return
        self._not_before_s = self._clock.monotonic() + trigger.dampening_s
        if len(patch.xml) > self._limit:
            self._push_update(scene, view)
            return
        self._patches += 1
        self._send(
            scene,
            f'<push-change-update xmlns="{PUSH}"><id>{self.standing.number}</id><datastore-changes>'
            f"<yang-patch><patch-id>{self._patches}</patch-id>".encode(),
            patch.xml,
            b"</yang-patch></datastore-changes></push-change-update>",
        )

    def _undampen(self) -> None:
        self._timer = None
        self._catch_up()

    # Both.

    def _view(self, scene: Scene) -> View | None:
        """What the subscriber sees, None (and suspended) when that would cost too much."""
        try:
            return scene.view(self.caller.user, self.terms.filter)
        except RpcError:
            self.standing.suspend("insufficient-resources")
            return None

    def _push_update(self, scene: Scene, view: View) -> None:
        self._send(
            scene,
            f'<push-update xmlns="{PUSH}"><id>{self.standing.number}</id><datastore-contents>'.encode(),
            view.text,
            b"</datastore-contents>"
            + (b"" if scene.complete else b"<incomplete-update/>")
            + b"</push-update>",
        )

    def _send(self, scene: Scene, *parts: bytes) -> None:
        self.sent += 1
        self.caller.outlet.send(notification_bytes(date_and_time(scene.at_s), b"".join(parts)))
