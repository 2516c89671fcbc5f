"""A key manager in another process, as the SDN agent's own rooms see theirs: `keys.ports.KeyControl`.

Rule of this file: what shall be is in `configure`; one task brings it about, call by call, again and again
until the other side has it, and reads figures in between. The other side forgets orders when it restarts and
introduces itself then (`introduced`), so everything is ordered anew.

What the interface does not carry stays empty: usage of associations, numbers of stored keys. Who of the
neighbours is connected is taken from whether the key manager is there at all.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from keyweave_agents.keys.plan import (
    AssociationExpired,
    AssociationPlan,
    AssociationView,
    AssociationWanted,
    KeyEvent,
    KeyPlan,
    KeyState,
    PoolEmptied,
    PoolFilled,
)
from keyweave_agents.quicks import messages as said
from keyweave_agents.quicks.caller import Caller, NotOk
from keyweave_agents.quicks.orders import app_qos
from keyweave_agents.quicks.wanted import orders
from keyweave_core.errors import InvalidInput, KeyweaveError, PeerUnreachable
from keyweave_core.model.application import AppStatus
from keyweave_core.model.ids import LinkId, NodeId, SaeId
from keyweave_core.model.link import KeyPool
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import Logger

Pair = tuple[SaeId, tuple[SaeId, ...]]

RETRY_S = 1.0
MOST_EVENTS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was read of one link, and what its device says; None: nothing yet, or the other side is away."""

    kpi: said.Kpi | None = None
    device: said.QkdDevice | None = None


class RemoteKeys:
    """`KeyControl` over the interface; lives while `run` does."""

    def __init__(
        self,
        caller: Caller,
        *,
        node_id: NodeId,
        authorities: Mapping[NodeId, str],
        links: tuple[LinkId, ...],
        devices: Mapping[LinkId, str],
        capacity_bits: int,
        key_bytes: int,
        poll_s: float,
        clock: Clock,
        log: Logger,
    ) -> None:
        self._caller = caller
        self._node_id = node_id
        self._authorities = dict(authorities)
        self._devices = dict(devices)
        self._capacity_bits = capacity_bits
        self._key_bytes = key_bytes
        self._poll_s = poll_s
        self._clock = clock
        self._log = log
        self._plan = KeyPlan()
        self._wanted: dict[str, said.RelayOrder] = {}
        self._standing: dict[str, said.RelayOrder | None] = {}  # None: stands, in whatever form
        self._refused: dict[str, said.RelayOrder] = {}
        self._events: asyncio.Queue[KeyEvent] = asyncio.Queue()
        self._stir = asyncio.Event()
        self._changed = asyncio.Event()
        self._refusals: OrderedDict[Pair, tuple[str, ...]] = OrderedDict()
        self._waiting: dict[Pair, AssociationWanted] = {}
        self._there = False
        self._ours: bool | None = None  # whether the key manager is of our make
        self._empty: dict[LinkId, bool] = {}
        self.figures = {link_id: Figures() for link_id in links}
        self.on_figures: Callable[[], None] = lambda: None

    # --- KeyControl ------------------------------------------------------------------------------

    def configure(self, plan: KeyPlan) -> None:
        """See `KeyControl.configure`. InvalidInput also for what the interface cannot order."""
        self._wanted = orders(plan, self._authorities, self._node_id, self._key_bytes)
        self._plan = plan
        self._refused = {}
        self._stir.set()
        self._wake()

    def refuse(self, server: SaeId, clients: tuple[SaeId, ...], reasons: tuple[str, ...]) -> None:
        """See `KeyControl.refuse`."""
        for pair in [one for one in self._waiting if one[0] == server and set(clients).issuperset(one[1])]:
            self._refusals[pair] = reasons
        self._wake()

    def snapshot(self) -> KeyState:
        """See `KeyControl.snapshot`."""
        pools = {
            link_id: KeyPool(
                stored_bits=0 if one.kpi is None else 8 * one.kpi.KAV, capacity_bits=self._capacity_bits
            )
            for link_id, one in self.figures.items()
        }
        standing = {stream for stream, order in self._standing.items() if self._wanted.get(stream) == order}
        return KeyState(
            pools=pools,
            consumption_bps={
                link_id: 0 if one.kpi is None else round(8 * (one.kpi.IKR + one.kpi.EXKR))
                for link_id, one in self.figures.items()
            },
            associations={plan.app_id: _view(plan, standing) for plan in self._plan.associations},
            active_routes=frozenset(LinkId(stream) for stream in standing) if self._there else frozenset(),
            peers_up=frozenset(self._authorities) if self._there else frozenset(),
            waiting=tuple(self._waiting.values()),
        )

    async def next_event(self) -> KeyEvent:
        """See `KeyControl.next_event`."""
        return await self._events.get()

    # --- what the key manager says (`agent_door`) -----------------------------------------------

    def introduced(self) -> None:
        """The key manager has started: it holds no orders."""
        self._standing.clear()
        self._refused.clear()
        self._ours = None
        self._stir.set()

    def serving(self, source: SaeId, destinations: tuple[SaeId, ...]) -> tuple[str, said.RelayOrder] | None:
        """The key stream that serves these applications and stands at our key manager; None: not yet."""
        for plan in self._plan.associations:
            if plan.source and plan.server == source and set(plan.clients) >= set(destinations):
                for stream in (*plan.links, plan.app_id):
                    order = self._standing.get(stream)
                    if order is not None and order == self._wanted.get(stream):
                        return stream, order
        return None

    async def registered(
        self, wish: AssociationWanted, deadline_s: float, ask_again_s: float = 2.0
    ) -> tuple[str, said.RelayOrder] | tuple[str, ...] | None:
        """Ask the controller and wait: the key stream, or the reasons of a refusal, or None in time."""
        pair = (wish.server, wish.clients)
        until_s = self._clock.monotonic() + deadline_s
        self._waiting[pair] = wish
        ask_s = 0.0
        try:
            while True:
                found = self.serving(*pair)
                if found is not None:
                    return found
                reasons = self._refusals.pop(pair, None)
                if reasons is not None:
                    return reasons
                now_s = self._clock.monotonic()
                if now_s >= until_s:
                    return None
                if now_s >= ask_s:
                    ask_s = now_s + ask_again_s
                    self._emit(wish)
                self._changed.clear()
                await self._soon(min(ask_s, until_s) - now_s)
        finally:
            self._waiting.pop(pair, None)
            self._refusals.pop(pair, None)

    def known_stream(self, key_stream_id: str) -> AssociationPlan | None:
        """The association behind a key stream of ours."""
        return next(
            (plan for plan in self._plan.associations if key_stream_id in (*plan.links, plan.app_id)), None
        )

    def ended(self, plan: AssociationPlan) -> None:
        """Its application closed it: the controller shall hear."""
        self._emit(AssociationExpired(app_id=plan.app_id))

    async def _soon(self, wait_s: float) -> None:
        """Until something changed, or a while."""
        change = asyncio.ensure_future(self._changed.wait())
        timer = asyncio.ensure_future(self._clock.sleep(max(0.0, wait_s)))
        try:
            await asyncio.wait((change, timer), return_when=asyncio.FIRST_COMPLETED)
        finally:
            change.cancel()
            timer.cancel()

    def _wake(self) -> None:
        self._changed.set()

    def _emit(self, event: KeyEvent) -> None:
        if self._events.qsize() >= MOST_EVENTS:
            self._events.get_nowait()
        self._events.put_nowait(event)

    # --- bringing it about -----------------------------------------------------------------------

    async def run(self) -> None:
        """Order and read until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_ordering())
            while True:
                await self._read()
                await self._clock.sleep(self._poll_s)

    async def _keep_ordering(self) -> None:
        while True:
            self._stir.clear()
            done = await self._order()
            self._wake()
            if done:
                await self._stir.wait()
            else:
                await self._clock.sleep(RETRY_S)

    async def _order(self) -> bool:
        """Bring the other side to what is wanted; false when something is to be tried again."""
        wanted = self._wanted
        try:
            # New ones first, so that a stream that replaces another stands before that one goes.
            for stream, order in wanted.items():
                if self._standing.get(stream) != order and self._refused.get(stream) != order:
                    await self._put(stream, order)
            for stream in [one for one in self._standing if one not in wanted]:
                await self._remove(stream)
        except PeerUnreachable as error:
            self._log.warning("key_manager_away", reason=str(error))
            return False
        return self._wanted is wanted or self._stir.is_set()

    async def _put(self, stream: str, order: said.RelayOrder) -> None:
        path = f"/link/relay/{stream}"
        if self._ours is None:
            self._ours = await self._is_ours()
        # Others might refuse a member that they do not know.
        sent = order if self._ours else msgspec.structs.replace(order, keyweave=None)
        change = said.RelayChange(
            source=sent.source,
            destination=sent.destination,
            next_node_info=sent.next_node_info,
            qos_request=sent.qos_request,
            keyweave=sent.keyweave,
        )
        try:
            if stream in self._standing:
                await self._caller.tell("PUT", path, change)
            else:
                await self._caller.tell("POST", path, sent)
        except NotOk as error:
            if error.status == 409:  # it stands from before: ours now
                self._standing[stream] = None
                await self._put(stream, order)
                return
            if error.status == 404 and stream in self._standing:
                del self._standing[stream]
                await self._put(stream, order)
                return
            # A refusal stands until the plan changes or the key manager starts anew.
            self._refused[stream] = order
            self._log.error("order_refused", key_stream=stream, status=error.status, reason=str(error))
            return
        self._standing[stream] = order
        self._wake()

    async def _is_ours(self) -> bool:
        try:
            info = await self._caller.ask("GET", "/monitor/device-info", said.DeviceInfo)
        except InvalidInput:  # a refusal, or something else than it should be
            return False
        return info.vendor == said.VENDOR

    async def _remove(self, stream: str) -> None:
        try:
            await self._caller.tell("DELETE", f"/link/relay/{stream}")
        except NotOk as error:
            if error.status != 404:
                self._log.error("order_refused", key_stream=stream, status=error.status, reason=str(error))
        self._standing.pop(stream, None)

    # --- reading ---------------------------------------------------------------------------------

    async def _read(self) -> None:
        try:
            status = await self._caller.ask("GET", "/monitor/status", said.MonitorStatus)
            devices = await self._caller.ask("GET", "/monitor/qkd-device", said.QkdDevices)
            by_id = {one.device_id: one for one in devices.qkd_devices}
            for link_id in self.figures:
                figures = await self._caller.ask("GET", f"/link/performance/{link_id}", said.Performance)
                self.figures[link_id] = Figures(
                    kpi=figures.current, device=by_id.get(self._devices.get(link_id, ""))
                )
        except KeyweaveError as error:
            if self._there:
                self._log.warning("key_manager_away", reason=str(error))
            self._there = False
            self.figures = dict.fromkeys(self.figures, Figures())
        else:
            if not self._there:
                self._stir.set()
            self._there = status.state != "offline"
        self._tell_pools()
        self.on_figures()

    def _tell_pools(self) -> None:
        for link_id, one in self.figures.items():
            if one.kpi is None:
                continue
            empty = one.kpi.KAV == 0
            if empty != self._empty.get(link_id, True):
                self._emit(PoolEmptied(link_id=link_id) if empty else PoolFilled(link_id=link_id))
            self._empty[link_id] = empty


def _view(plan: AssociationPlan, standing: set[str]) -> AssociationView:
    stands = bool(standing.intersection((*plan.links, plan.app_id)))
    return AssociationView(
        app_id=plan.app_id,
        status=AppStatus.ON if stands and plan.remote_node is not None else AppStatus.DISCONNECTED,
        stored_keys=0,
    )


def authorities_of(neighbours: Mapping[NodeId, tuple[str, int]]) -> dict[NodeId, str]:
    """host:port of each neighbour, as URIs write it."""
    return {
        node_id: f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        for node_id, (host, port) in neighbours.items()
    }


def registration_wish(registration: said.Registration) -> AssociationWanted:
    """What a registration asks the controller for. InvalidInput for an application named twice."""
    names = (registration.source, *registration.destination)
    if len(set(names)) < len(names):
        raise InvalidInput("source and destination name one application twice")
    request = registration.qos_request
    return AssociationWanted(
        server=SaeId(registration.source),
        clients=tuple(SaeId(one) for one in registration.destination),
        qos=app_qos(request),
        priority=request.etsi_004.priority if request.etsi_004 is not None else 0,
    )
