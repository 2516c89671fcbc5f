"""Subscribe: when what is sent (gNMI clause 3.5.1.5).

    ONCE      everything, sync, the end
    POLL      everything, sync; the same again for every poll, until the client has no more to say
    STREAM    everything, sync; then changes as they come, samples and heartbeats as they fall due

Rule of this file: a subscriber is told from what it was sent last to what is now, so one that reads slowly
costs two views and misses what lay between; one that takes nothing for too long is ended. Nothing is queued.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass

from keyweave_core.errors import Exhausted
from keyweave_core.netconf.server.access import User
from keyweave_core.runtime.clock import Clock
from keyweave_gnmi.faults import BadValue
from keyweave_gnmi.models import check_extensions
from keyweave_gnmi.subscribing import Answering, Feed, Mode, SubscriptionPlan, Wish, read_plan
from keyweave_gnmi.views import View, Views
from keyweave_proto.gnmi import gnmi_pb2 as pb

_BREATH = 8
"""After this many messages in a row others get their turn."""


@dataclass(slots=True)
class _Due:
    """One thing that falls due again and again."""

    number: int  # of the wish in the plan
    wish: Wish
    every_s: float
    at_s: float  # monotonic
    heartbeat: bool


class Subscriber:
    """One Subscribe call."""

    def __init__(
        self,
        user: User,
        answering: Answering,
        views: Views,
        clock: Clock,
        *,
        requests: AsyncIterator[pb.SubscribeRequest],
        send: Callable[[pb.SubscribeResponse], Awaitable[None]],
    ) -> None:
        self._user = user
        self._answering = answering
        self._views = views
        self._clock = clock
        self._requests = requests
        self._send = send
        self._sent = 0

    async def run(self) -> None:
        """Serve the call to its end. Raises what is to be told to the caller."""
        first = await anext(self._requests, None)
        if first is None or first.WhichOneof("request") != "subscribe":
            raise BadValue("the first message must hold a subscription list")
        check_extensions(first.extension)
        plan = read_plan(first.subscribe, self._answering)
        feed = Feed(plan, self._answering, self._views)
        if plan.mode == pb.SubscriptionList.ONCE:
            await self._everything(feed, plan)
        elif plan.mode == pb.SubscriptionList.POLL:
            await self._poll(feed, plan)
        else:
            await self._stream(feed, plan)

    async def _everything(self, feed: Feed, plan: SubscriptionPlan) -> View:
        view = await self._views.operational(self._user)
        if not plan.updates_only:
            await self._tell(feed.everything(view, plan.wishes))
        await self._write(pb.SubscribeResponse(sync_response=True))
        return view

    async def _poll(self, feed: Feed, plan: SubscriptionPlan) -> None:
        await self._everything(feed, plan)
        async for request in self._requests:
            if request.WhichOneof("request") != "poll":
                raise BadValue("a subscription is asked for once: want polls from here on")
            await self._everything(feed, plan)

    async def _stream(self, feed: Feed, plan: SubscriptionPlan) -> None:
        listening = asyncio.create_task(self._nothing_more(), name="gnmi requests")
        telling = asyncio.create_task(self._tell_on(feed, plan), name="gnmi stream")
        try:
            await asyncio.wait([listening, telling], return_when=asyncio.FIRST_COMPLETED)
            # Listening ends only with a fault: a client that has no more to say still wants to hear.
            await (telling if telling.done() else listening)
        finally:
            for task in (listening, telling):
                task.cancel()
            await asyncio.gather(listening, telling, return_exceptions=True)

    async def _nothing_more(self) -> None:
        async for _request in self._requests:
            raise BadValue("a stream takes one subscription list and nothing after it")
        await asyncio.Event().wait()

    async def _tell_on(self, feed: Feed, plan: SubscriptionPlan) -> None:
        if not plan.on_change:
            view = await self._everything(feed, plan)
            await self._run(feed, plan, view, None)
            return
        async with self._views.follow() as turned:
            event = turned()
            view = await self._everything(feed, plan)
            await self._run(feed, plan, view, (turned, event))

    async def _run(
        self,
        feed: Feed,
        plan: SubscriptionPlan,
        view: View,
        following: tuple[Callable[[], asyncio.Event], asyncio.Event] | None,
    ) -> None:
        told = view  # what the wishes for changes were told last
        # What each wish for samples was told last.
        sampled = {number: view for number, wish in enumerate(plan.wishes) if wish.mode is Mode.SAMPLE}
        due = self._first_due(plan)
        event = None if following is None else following[1]
        while True:
            await self._wait(due, event)
            if following is not None and event is not None and event.is_set():
                event = following[0]()
                now = self._views.latest(self._user)
                await self._tell(feed.news(told, now, plan.on_change))
                told = now
            for each in due:
                if each.at_s <= self._clock.monotonic():
                    await self._fall_due(feed, each, sampled)

    def _first_due(self, plan: SubscriptionPlan) -> list[_Due]:
        now = self._clock.monotonic()
        due: list[_Due] = []
        for number, wish in enumerate(plan.wishes):
            if wish.mode is Mode.SAMPLE:
                due.append(_Due(number, wish, wish.sample_s, now + wish.sample_s, heartbeat=False))
            # A sample that is always told needs no heartbeat.
            if wish.heartbeat_s and (wish.suppress_redundant or wish.mode is Mode.ON_CHANGE):
                due.append(_Due(number, wish, wish.heartbeat_s, now + wish.heartbeat_s, heartbeat=True))
        return due

    async def _fall_due(self, feed: Feed, due: _Due, sampled: dict[int, View]) -> None:
        view = await self._views.operational(self._user, max_age_s=self._answering.limits.min_sample_s / 2)
        before = sampled.get(due.number)
        if due.heartbeat or before is None or not due.wish.suppress_redundant:
            if before is not None and not due.heartbeat:
                await self._tell(feed.gone(before, view, [due.wish]))
            await self._tell(feed.everything(view, [due.wish]))
        else:
            await self._tell(feed.news(before, view, [due.wish]))
        if before is not None:
            sampled[due.number] = view
        # One that fell behind goes on from now: samples are not caught up with.
        due.at_s = max(due.at_s + due.every_s, self._clock.monotonic())

    async def _wait(self, due: Iterable[_Due], event: asyncio.Event | None) -> None:
        """Until something is due or the view has changed."""
        waiting: list[asyncio.Future[object]] = []
        next_s = min((each.at_s for each in due), default=None)
        if next_s is not None:
            pause_s = next_s - self._clock.monotonic()
            if pause_s <= 0:
                return
            waiting.append(asyncio.ensure_future(self._clock.sleep(pause_s)))
        if event is not None:
            waiting.append(asyncio.ensure_future(event.wait()))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()

    async def _tell(self, notifications: Iterable[pb.Notification]) -> None:
        for notification in notifications:
            await self._write(pb.SubscribeResponse(update=notification))

    async def _write(self, response: pb.SubscribeResponse) -> None:
        limit_s = self._answering.limits.write_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                await self._send(response)
        except TimeoutError as error:
            raise Exhausted(f"nothing was taken for {limit_s:g} s: too slow a subscriber") from error
        self._sent += 1
        if self._sent % _BREATH == 0:
            await asyncio.sleep(0)
