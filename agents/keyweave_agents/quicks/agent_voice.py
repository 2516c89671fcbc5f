"""What our key manager tells its SDN agent: that it is there, who wants keys, what happens.

Rule of this file: nothing here holds up the key manager. What cannot be told now is told again (who it is,
who waits for keys) or dropped with a line in the log (events): the agent reads figures by itself.
"""

import asyncio
from collections.abc import Callable
from typing import assert_never

from keyweave_agents.keys.plan import (
    AssociationExpired,
    AssociationRemoved,
    AssociationWanted,
    FallbackBegan,
    FallbackEnded,
    KeyEvent,
    PoolEmptied,
    PoolFilled,
    PoolLow,
    PoolRecovered,
    QosWanted,
    RelayRestored,
    RelayTrouble,
    StoreRestored,
    StoreTrouble,
)
from keyweave_agents.keys.ports import KeyControl
from keyweave_agents.quantum.observed import LinkDown, LinkUp, ModuleEvent
from keyweave_agents.quicks import messages as said
from keyweave_agents.quicks.caller import Caller, NotOk
from keyweave_core.errors import InvalidInput, PeerUnreachable
from keyweave_core.model.application import AppQos
from keyweave_core.model.ids import SaeId
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import Logger
from keyweave_core.runtime.retry import Backoff

Pair = tuple[SaeId, tuple[SaeId, ...]]

REFUSALS = frozenset({400, 403, 404, 409, 422})
"""Answers to a registration that end it: asking again would bring the same."""

MOST_TELLING = 64

LINK_UP, LINK_DOWN, POOL_EMPTY, POOL_FILLED, RELAY_TROUBLE, RELAY_RESTORED = 1, 2, 3, 4, 5, 6
FALLBACK, FALLBACK_OVER, EXPIRED, STORE_TROUBLE, STORE_RESTORED = 7, 8, 9, 10, 11
POOL_LOW, POOL_RECOVERED = 12, 13
"""Codes of `PUT /notification/event`; the interface leaves them to the key manager."""


class AgentVoice:
    """Tells the agent while `run` does. `figures` gives the newest of every link, by id."""

    def __init__(
        self,
        caller: Caller,
        keys: KeyControl,
        introduction: said.Introduction,
        *,
        figures: Callable[[], tuple[said.LinkKpi, ...]],
        registration_s: float,
        clock: Clock,
        uniform: Callable[[], float],
        log: Logger,
    ) -> None:
        self._caller = caller
        self._keys = keys
        self._introduction = introduction
        self._figures = figures
        self._registration_s = registration_s
        self._clock = clock
        self._uniform = uniform
        self._log = log
        self._asking: set[Pair] = set()
        self._telling = 0
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Introduce the key manager, then tell what it says, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(self._introduce())
            while True:
                self._tell_of(await self._keys.next_event(), tasks)

    def module_said(self, event: ModuleEvent) -> None:
        """Hear of a QKD module (called from the loop; never blocks)."""
        if self._tasks is None:
            return
        if isinstance(event, LinkUp):
            self._report(self._tasks, "info", LINK_UP, f"link {event.link_id}: key is generated")
        elif isinstance(event, LinkDown):
            self._report(self._tasks, "error", LINK_DOWN, f"link {event.link_id}: {event.reason}")

    async def _introduce(self) -> None:
        for delay_s in Backoff(first_s=0.2, most_s=5.0).delays(self._uniform):
            try:
                await self._caller.tell("POST", "/notification/registration", self._introduction)
            except (PeerUnreachable, InvalidInput) as error:
                self._log.warning("agent_not_told", what="registration", reason=str(error))
                await self._clock.sleep(delay_s)
                continue
            self._log.info("agent_told", what="registration")
            return

    def _tell_of(self, event: KeyEvent, tasks: asyncio.TaskGroup) -> None:
        match event:
            case AssociationWanted():
                pair = (event.server, event.clients)
                if pair not in self._asking:
                    self._asking.add(pair)
                    tasks.create_task(self._ask(event, pair))
            case PoolEmptied():
                self._report(tasks, "warning", POOL_EMPTY, f"link {event.link_id}: its pool is empty")
            case PoolFilled():
                self._report(
                    tasks, "info", POOL_FILLED, f"link {event.link_id}: there is key in its pool again"
                )
            case RelayTrouble():
                self._report(tasks, "error", RELAY_TROUBLE, f"key stream {event.link_id}: {event.reason}")
            case RelayRestored():
                self._report(
                    tasks, "info", RELAY_RESTORED, f"key stream {event.link_id}: keys get through again"
                )
            case FallbackBegan():
                self._report(tasks, "warning", FALLBACK, f"association {event.app_id}: {event.reason}")
            case FallbackEnded():
                self._report(tasks, "info", FALLBACK_OVER, f"association {event.app_id}: quantum keys again")
            case PoolLow():
                text = f"link {event.link_id}: its pool is low, {event.stored_bits} bit left"
                self._report(tasks, "warning", POOL_LOW, text)
            case PoolRecovered():
                text = f"link {event.link_id}: its pool is well filled again"
                self._report(tasks, "info", POOL_RECOVERED, text)
            case StoreTrouble():
                self._report(tasks, "error", STORE_TROUBLE, event.reason)
            case StoreRestored():
                self._report(tasks, "info", STORE_RESTORED, "the key store can be written again")
            case AssociationExpired():
                self._report(tasks, "info", EXPIRED, f"association {event.app_id} has expired")
            case AssociationRemoved() | QosWanted():
                pass  # ended by the agent itself; QuicKS knows no change of qualities
            case _:
                assert_never(event)

    async def _ask(self, wish: AssociationWanted, pair: Pair) -> None:
        """Register applications that want keys; a refusal ends their requests, anything else is asked again
        while they wait."""
        registration = said.Registration(
            source=wish.server,
            destination=wish.clients,
            qos_request=said.QosRequest(type="etsi_004", etsi_004=qos_of(wish.qos, wish.priority)),
            performance=self._figures(),
        )
        try:
            await self._caller.ask(
                "POST", "/link/registration", said.Registered, registration, wait_s=self._registration_s
            )
        except NotOk as error:
            self._log.info("registration_refused", source=wish.server, status=error.status, reason=str(error))
            if error.status in REFUSALS:
                self._keys.refuse(wish.server, wish.clients, error.reasons)
        except (PeerUnreachable, InvalidInput) as error:
            self._log.warning("agent_not_told", what="link registration", reason=str(error))
        finally:
            self._asking.discard(pair)

    def _report(self, tasks: asyncio.TaskGroup, level: said.Level, code: int, reason: str) -> None:
        if self._telling >= MOST_TELLING:
            self._log.warning("agent_not_told", what="event", reason=reason)
            return
        self._telling += 1
        report = said.EventReport(level=level, code=code, reason=reason[:4096])
        tasks.create_task(self._send(report))

    async def _send(self, report: said.EventReport) -> None:
        try:
            await self._caller.tell("PUT", "/notification/event", report)
        except (PeerUnreachable, InvalidInput) as error:
            self._log.warning("agent_not_told", what="event", said=report.reason, reason=str(error))
        finally:
            self._telling -= 1


def qos_of(qos: AppQos, priority: int, key_bytes: int = 32) -> said.Qos004:
    """An association's wish in the words of 004; 0: no wish."""
    return said.Qos004(
        key_chunk_size=key_bytes,
        max_bps=qos.max_bandwidth_bps or 0,
        min_bps=qos.min_bandwidth_bps or 0,
        ttl=qos.ttl_s or 0,
        priority=priority,
    )
