"""The engine: the only writer. Events are made durable, the machine decides, the outcome is handed out.

Rule of this file: an event is in the journal before it is handled, and handled before its actions leave.

    submit --> queue --> batch --> journal (one commit, in a thread) --> network.handle --> management.handle
                 ^                                                            |
                 +---- outcomes and timers <---- carry <---- actions ---------+--> answers, watchers

Restart: newest snapshot, then the journal's tail, both without carrying anything out; then
`ControllerStarted` takes up what was unfinished. Figures that only refresh what is shown are not journaled
(`Network.is_light`); those that are carry the average that was counted of them (`Network.weighed`).
"""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import msgspec

from keyweave_controller.control.actions import Action, Answer, Changed
from keyweave_controller.control.configuration import LinkFacts, Policy, Tariff
from keyweave_controller.control.events import (
    AlarmsPurged,
    ControllerStarted,
    Event,
    InventoryNode,
    LinksMeasured,
)
from keyweave_controller.control.network import Network
from keyweave_controller.control.optical.plant import Plant
from keyweave_controller.engine import codec
from keyweave_controller.engine.carry import Carrier
from keyweave_controller.engine.journal import Entry, Journal
from keyweave_controller.engine.lease import Fenced
from keyweave_controller.engine.optimiser import SolverThread
from keyweave_controller.engine.ports import Agents, Optimiser, Request
from keyweave_controller.engine.settling import Settling
from keyweave_controller.engine.watch import Collected, Watchers
from keyweave_controller.management.alarms import AlarmChanged
from keyweave_controller.management.manager import Management, ManagementChange, UsageChanged
from keyweave_core.errors import DeadlineExceeded, MalformedMessage, SettingsError, Unavailable
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import get_logger

_BATCH_MOST = 500
_STORE_RETRIES_S = (0.05, 0.2, 1.0, 5.0)


class ControllerEngine:
    """One controller over one store; implements `ports.Engine`.

    Make it, then `await run(agents)` for as long as it shall live. `submit`, `ask` and `watch` may be called
    before that; what they bring waits. `ask_limit_s`: longest wait of `ask`. `snapshot_every`: events
    between two snapshots.
    """

    def __init__(
        self,
        *,
        store_url: str,
        clock: Clock,
        policy: Policy,
        tariff: Tariff | None = None,
        inventory: tuple[InventoryNode, ...] = (),
        link_facts: tuple[LinkFacts, ...] = (),
        plant: Plant | None = None,
        holder: str = "controller",
        ask_limit_s: float = 30.0,
        snapshot_every: int = 5_000,
        optimiser: Optimiser | None = None,
    ) -> None:
        """Open the store, take the lease and replay. SettingsError and Unavailable name the store."""
        self._clock = clock
        self._policy, self._tariff, self._inventory = policy, tariff or Tariff(), inventory
        self._link_facts, self._plant = link_facts, plant
        self._ask_limit_s, self._snapshot_every = ask_limit_s, snapshot_every
        self._optimiser = optimiser or SolverThread()
        self._log = get_logger("engine")
        self._queue: asyncio.Queue[Event] = asyncio.Queue()
        self._asked: dict[str, list[asyncio.Future[Answer]]] = {}
        self._watchers = Watchers()
        self._network, self._management = Network(), Management()
        self._seq = self._snapshot_seq = 0
        self._journal = Journal(store_url, holder=holder, at=clock.now())
        try:
            self._restore()
        except BaseException:
            self._journal.close()
            raise

    @property
    def network(self) -> Network:
        """The state, to look at and never to change."""
        return self._network

    @property
    def management(self) -> Management:
        """Alarms, usage and bills, to look at and never to change."""
        return self._management

    @property
    def epoch(self) -> int:
        """The number of this term; grows with every controller that opens the store."""
        return self._journal.epoch

    @property
    def seq(self) -> int:
        """The number of the last event handled."""
        return self._seq

    def submit(self, event: Event) -> None:
        """Queue an event; returns at once. Order of submission is order of handling."""
        self._queue.put_nowait(event)

    async def ask(self, event: Request) -> Answer:
        """Submit a request and wait for its Answer.

        Raises DeadlineExceeded after `ask_limit_s` (the request goes on; asking again with the same
        request id gets its answer) and Unavailable when the engine stops meanwhile.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        waiting = self._asked.setdefault(event.request_id, [])
        waiting.append(future)
        limit = asyncio.ensure_future(self._clock.sleep(self._ask_limit_s))
        self.submit(event)
        try:
            await asyncio.wait((future, limit), return_when=asyncio.FIRST_COMPLETED)
            if not future.done():
                raise DeadlineExceeded(
                    f"request {event.request_id} has no outcome after {self._ask_limit_s:g} s"
                )
            return future.result()
        finally:
            limit.cancel()
            if future in waiting:
                waiting.remove(future)
            if not waiting and self._asked.get(event.request_id) is waiting:
                del self._asked[event.request_id]

    def watch(self) -> AsyncIterator[Changed]:
        """Changes from now on; a watcher that falls behind gets them merged, never lost, never unbounded."""
        return self._watchers.watch()

    def collect(self) -> Collected:
        """Changes from now on, kept merged until they are taken: for whoever is asked now and then."""
        return self._watchers.collect()

    async def run(self, agents: Agents) -> None:
        """Run until cancelled, then close the store. Raises Fenced when another controller took over."""
        started = ControllerStarted(
            at=self._clock.now(),
            policy=self._policy,
            inventory=self._inventory,
            tariff=self._tariff,
            link_facts=self._link_facts,
            plant=self._plant,
        )
        early, self._queue = self._queue, asyncio.Queue()
        self.submit(started)  # the first event of a term, whatever came before
        while not early.empty():
            self.submit(early.get_nowait())
        why = "the controller is stopping"
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="journal") as thread:
                await self._run(agents, thread)
        except Unavailable as error:
            why = f"the controller stops: {error}"
            raise
        finally:
            self._watchers.close()
            for future in [one for waiting in self._asked.values() for one in waiting]:
                if not future.done():
                    future.set_exception(Unavailable(why))
            self._journal.close()

    async def _run(self, agents: Agents, thread: ThreadPoolExecutor) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                carrier = Carrier(agents, self._clock, self.submit, tasks, self._optimiser)
                settling = Settling(self._clock, self.submit)
                tasks.create_task(settling.run(lambda: self._network.state))
                while True:
                    batch = [await self._queue.get(), *self._take_batch()]
                    await self._take(batch, carrier, settling, thread)
        except BaseExceptionGroup as group:
            # The body is the only task that ends by itself; its error is the one worth telling.
            raise group.exceptions[0] from group

    def _take_batch(self) -> list[Event]:
        batch: list[Event] = []
        while len(batch) < _BATCH_MOST and not self._queue.empty():
            batch.append(self._queue.get_nowait())
        return batch

    async def _take(
        self, batch: list[Event], carrier: Carrier, settling: Settling, thread: ThreadPoolExecutor
    ) -> None:
        # Lightness is judged against the state as it is, so only what no waiting event precedes can be light.
        while batch:
            first = self._network.weighed(batch[0])
            if not isinstance(first, LinksMeasured) or not self._network.is_light(first):
                break
            self._deliver(self._network.show(first), carrier)
            settling.follow(first, self._network.state)
            del batch[0]
        if not batch:
            return
        batch = [self._network.weighed(event) for event in batch]
        entries = []
        for seq, event in enumerate(batch, start=self._seq + 1):
            kind, body = codec.encode(event)
            entries.append(Entry(seq=seq, at=event.at, kind=kind, body=body))
        await self._append(entries, thread)
        for seq, event in enumerate(batch, start=self._seq + 1):
            self._seq = seq
            self._deliver(self._step(event), carrier)
            settling.follow(event, self._network.state)
        if self._seq - self._snapshot_seq >= self._snapshot_every:
            await self._snapshot(thread)

    async def _append(self, entries: list[Entry], thread: ThreadPoolExecutor) -> None:
        """Write to the journal, patiently: a busy database is no reason to stop, a lost lease is."""
        loop = asyncio.get_running_loop()
        for delay_s in (*_STORE_RETRIES_S, None):
            try:
                await loop.run_in_executor(
                    thread, lambda: self._journal.append(entries, at=self._clock.now())
                )
            except Fenced:
                raise
            except Unavailable as error:
                if delay_s is None:
                    raise
                self._log.warning("store not available", reason=str(error), again_in_s=delay_s)
                await self._clock.sleep(delay_s)
            else:
                return

    def _step(self, event: Event) -> list[Action]:
        """Let the machine and management take one event.

        A defect of ours must not stop the network: it is logged and the next event is taken. A replay meets
        the same defect at the same event, so the state stays the same.
        """
        actions: list[Action] = []
        try:
            actions = self._network.handle(event)
            news = self._management.handle(event, actions, self._network)
            told = any(isinstance(action, Changed) for action in actions)
            if (news or isinstance(event, AlarmsPurged)) and not told:
                # An alarm about an agent never read, or usage: nothing of the network changed.
                actions.append(_of_management(news))
        except Exception:  # noqa: BLE001 - see above
            self._log.exception("event not handled", seq=self._seq, kind=type(event).__name__)
        return actions

    def _deliver(self, actions: list[Action], carrier: Carrier) -> None:
        for action in actions:
            match action:
                case Answer():
                    for future in self._asked.pop(action.request_id, []):
                        if not future.done():
                            future.set_result(action)
                case Changed():
                    self._watchers.tell(action)
                case _:
                    carrier.carry(action)

    async def _snapshot(self, thread: ThreadPoolExecutor) -> None:
        body = msgspec.json.encode(
            {"network": self._network.to_snapshot(), "management": self._management.to_snapshot()}
        ).decode()
        seq, at = self._seq, self._clock.now()
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(thread, lambda: self._journal.save_snapshot(seq=seq, at=at, body=body))
        except Fenced:
            raise
        except Unavailable as error:
            self._log.warning("snapshot not written", seq=seq, reason=str(error))
        self._snapshot_seq = seq

    def _restore(self) -> None:
        snapshot = self._journal.newest_snapshot()
        if snapshot is not None:
            try:
                plain = msgspec.json.decode(snapshot.body)
                self._network = Network.from_snapshot(plain["network"])
                self._management = Management.from_snapshot(plain["management"])
            except (msgspec.MsgspecError, KeyError, TypeError) as error:
                raise SettingsError(f"the store's snapshot {snapshot.seq} cannot be read: {error}") from error
            self._seq = self._snapshot_seq = snapshot.seq
        for entry in self._journal.entries_after(self._seq):
            try:
                event = codec.decode(entry.kind, entry.body)
            except MalformedMessage as error:
                raise SettingsError(f"the store's event {entry.seq} cannot be read: {error}") from error
            self._seq = entry.seq
            self._step(event)


def _of_management(news: list[ManagementChange]) -> Changed:
    """What watchers are told of alarms and usage: the associations concerned, perhaps none."""
    apps = {app_id for one in news if isinstance(one, AlarmChanged) for app_id in one.alarm.affected}
    apps |= {one.record.app_id for one in news if isinstance(one, UsageChanged)}
    return Changed(app_ids=frozenset(apps))
