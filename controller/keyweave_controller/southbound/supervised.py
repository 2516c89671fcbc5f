"""One agent: a session that is kept standing, and what it says turned into events.

    DOWN --connect, hello, subscribe, read the tree--> UP       NodeRead (or NodeRejected)
    UP   --notification, poll-->                       UP       Notified, LinksMeasured, UsageReported
    UP   --poll finds other entries, audit-->          UP       NodeRead (reconnected=False)
    UP   --closed, silent, malformed, oversized-->     DOWN     NodeLost once, then again by backoff for ever

Rule of this file: subscribe before reading, so that nothing falls between; whatever the agent does wrong
ends its own session with a reason and nothing else. What is kept over reconnections is bounded by the node.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from keyweave_controller.control.actions import NodeEdit
from keyweave_controller.control.events import (
    Event,
    LinksMeasured,
    NodeLost,
    NodeRead,
    NodeRejected,
    Notified,
    UsageReported,
)
from keyweave_controller.engine.sessions import AgentSession
from keyweave_controller.settings import SouthboundSettings
from keyweave_controller.southbound.dialogue import Dial, Dialogue
from keyweave_controller.southbound.digest import Digest
from keyweave_core.errors import InvalidInput, KeyweaveError, PeerUnreachable, SchemaViolation
from keyweave_core.model.ids import LinkId, NodeId, SaeId
from keyweave_core.model.node import Node
from keyweave_core.model.notifications import (
    Alarm,
    ApplicationDisconnected,
    ApplicationNew,
    ApplicationQosUpdate,
    LinkDown,
    LinkOverloaded,
    LinkPerfUpdate,
    Notification,
)
from keyweave_core.model.notifications import Event as EventReport
from keyweave_core.runtime.clock import Clock, date_and_time, parse_date_and_time
from keyweave_core.runtime.log import get_logger

FIRST_REPLAY_S = 10.0
"""How far back the first subscription asks: an application that waits since the controller went down."""

_ASKED = (ApplicationNew, ApplicationQosUpdate, ApplicationDisconnected)
"""Notifications that ask for something. What others said before the tree was read, the tree says better."""


class SupervisedAgent:
    """The supervised session of one inventory entry.

    `claim` tells the fleet which node this agent is; it returns why not, or "". `uniform` gives numbers of
    [0, 1) for the jitter of reconnections.
    """

    def __init__(
        self,
        *,
        name: str,
        dial: Dial,
        settings: SouthboundSettings,
        clock: Clock,
        uniform: Callable[[], float],
        submit: Callable[[Event], None],
        claim: Callable[[NodeId], str],
    ) -> None:
        self.name = name
        self._dial = dial
        self._settings = settings
        self._clock = clock
        self._uniform = uniform
        self._submit = submit
        self._claim = claim
        self._log = get_logger("southbound").bind(agent=name)
        self._digest = Digest()
        self._dialogue: Dialogue | None = None  # set while the session stands and its tree is believed
        self._node_id: NodeId | None = None
        self._last_event: float | None = None
        self._lost_told = False
        self._complaints: tuple[str, ...] = ()
        self._rejected: tuple[str, ...] = ()  # why the tree was not believed when last told

    async def run(self) -> None:
        """Keep the session standing until cancelled."""
        delays = self._delays()
        while True:
            began = self._clock.monotonic()
            self._tell_lost(await self._one_session())
            # A session that stood for a while was a good one: the next attempt starts without patience.
            if self._clock.monotonic() - began > self._settings.backoff.most_s:
                delays = self._delays()
            await self._clock.sleep(next(delays))

    @property
    def ways(self) -> tuple[str, ...]:
        """How the agent is worked with; () while there is no session."""
        return self._dialogue.ways if self._dialogue is not None else ()

    @property
    def session(self) -> AgentSession | None:
        """The session that stands, if any."""
        return self._dialogue.session if self._dialogue is not None else None

    async def configure(self, edit: NodeEdit) -> None:
        """Write `edit` atomically. Refused: the agent will not; Unavailable: try again."""
        await self._standing().edit(edit)

    async def refuse(self, server: SaeId, clients: tuple[SaeId, ...], reasons: tuple[str, ...]) -> None:
        """Tell the agent that an application gets no keys; nothing where it has no such operation."""
        await self._standing().refuse(server, clients, reasons)

    async def release(self, link_id: LinkId) -> None:
        """Tell the agent that the operator trusts its link again. Refused: it has no such operation."""
        await self._standing().release(link_id)

    async def read(self) -> None:
        """Read the whole tree again; it comes as NodeRead(reconnected=False)."""
        await self._read(self._standing(), reconnected=False)

    def _standing(self) -> Dialogue:
        if self._dialogue is None:
            raise PeerUnreachable(f"agent {self.name} is not connected, or its tree is not believed")
        return self._dialogue

    async def _one_session(self) -> str:
        """Connect and serve one session to its end; the reason of the end, as a sentence."""
        try:
            dialogue = await self._dial()
        except KeyweaveError as error:
            return str(error)
        try:
            await self._serve(dialogue)
        except KeyweaveError as error:
            return str(error)
        except ExceptionGroup as group:
            faults = _leaves(group)
            for fault in faults:
                if not isinstance(fault, KeyweaveError):
                    self._log.error("fault while serving an agent", exc_info=fault)
            return str(faults[0]) or type(faults[0]).__name__
        finally:
            self._dialogue = None
            await dialogue.close()
        return "the session ended"

    async def _serve(self, dialogue: Dialogue) -> None:
        """Subscribe, read, and follow; ends by raising why."""
        since = self._clock.now() - FIRST_REPLAY_S if self._last_event is None else self._last_event
        await dialogue.subscribe(date_and_time(since))
        await self._read(dialogue, reconnected=True)
        read_at = self._clock.now()
        # No TaskGroup: when a task fails in the moment this one is cancelled, it would lose the cancellation.
        tasks = [
            asyncio.ensure_future(self._notifications(dialogue, read_at)),
            asyncio.ensure_future(self._poll(dialogue)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        faults = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        if faults:
            raise ExceptionGroup("the session ended", faults)

    async def _read(self, dialogue: Dialogue, *, reconnected: bool) -> None:
        """Read the whole tree and submit it; one that cannot be believed is told as NodeRejected.

        The session of a rejected tree stays up and the tree is read again at the pace of polling: an agent
        that lies must not be able to make us connect, journal and alarm without end.
        """
        node = await self._believed(dialogue)
        if node is not None:
            self._tell_node(dialogue, node, reconnected=reconnected)

    async def _believed(self, dialogue: Dialogue) -> Node | None:
        """The whole tree; None, and told, when it cannot be believed."""
        try:
            node, faults = await dialogue.read_node()
            objection = self._claim(node.node_id)
            if objection:
                raise SchemaViolation(objection, path="/etsi-qkd-sdn-node:qkd_node/qkdn_id")
        except SchemaViolation as error:
            self._reject((str(error),))
            return None
        self._complain(faults)
        return node

    def _tell_node(self, dialogue: Dialogue, node: Node, *, reconnected: bool) -> None:
        if self._dialogue is None:
            self._log.info("agent up", node_id=node.node_id, ways=dialogue.ways)
        self._dialogue = dialogue
        self._node_id = node.node_id
        self._rejected = ()
        self._lost_told = False
        self._digest.read(node)
        self._submit(NodeRead(at=self._clock.now(), name=self.name, node=node, reconnected=reconnected))
        self._tell_usage(node)

    def _reject(self, faults: tuple[str, ...]) -> None:
        self._node_id = None
        self._dialogue = None
        if faults != self._rejected:
            self._rejected = faults
            self._log.warning("tree rejected", faults=faults)
            self._submit(NodeRejected(at=self._clock.now(), name=self.name, faults=faults))

    async def _notifications(self, dialogue: Dialogue, read_at: float) -> None:
        async for event_time, notification in dialogue.notifications():
            self._tell_last_usage(notification)
            at = _seconds(event_time)
            if at is not None:
                self._last_event = max(at, self._last_event or at)
                if dialogue.replaying and at <= read_at and not isinstance(notification, _ASKED):
                    continue
            if self._node_id is not None:
                self._digest.forget(_link_of(notification))
                self._submit(self._notified(self._node_id, notification, event_time))

    def _notified(self, node_id: NodeId, notification: Notification, event_time: str) -> Notified:
        return Notified(
            at=self._clock.now(), node_id=node_id, notification=notification, event_time=event_time
        )

    async def _poll(self, dialogue: Dialogue) -> None:
        """Figures and usage at the configured pace; a node that is too slow is asked less often, not more.

        015 has no word for "somebody edited me", so what another hand added or took shows here, and what it
        changed within an entry at the next audit. The whole tree is told only when it differs.
        """
        audited = self._clock.monotonic()
        while True:
            await self._clock.sleep(self._settings.poll_interval_s)
            node_id = self._node_id
            if node_id is None:
                await self._read(dialogue, reconnected=True)
                continue
            figures, link_faults = await dialogue.read_figures()
            usage, usage_faults = await dialogue.read_usage()
            if figures.node_id != node_id or usage.node_id != node_id:
                raise InvalidInput(f"agent {self.name} is another node now")
            self._complain((*link_faults, *usage_faults))
            moved = self._digest.news(figures.links)
            if moved:
                self._submit(LinksMeasured(at=self._clock.now(), node_id=node_id, links=moved))
            self._tell_usage(usage)
            if self._digest.renamed(figures.links, usage.applications):
                await self._read(dialogue, reconnected=False)
                audited = self._clock.monotonic()
            elif self._clock.monotonic() - audited >= self._settings.audit_interval_s:
                audited = self._clock.monotonic()
                node = await self._believed(dialogue)
                if node is not None and self._digest.rewritten(node):
                    self._tell_node(dialogue, node, reconnected=False)

    def _tell_usage(self, node: Node) -> None:
        for app_id, periods in self._digest.periods(node.applications).items():
            self._submit(
                UsageReported(at=self._clock.now(), node_id=node.node_id, app_id=app_id, periods=periods)
            )

    def _tell_last_usage(self, notification: Notification) -> None:
        """What an application had received that was taken from the agent; told again it counts once."""
        application = notification.application if isinstance(notification, EventReport) else None
        node_id = self._node_id
        if application is None or application.app_id is None or node_id is None:
            return
        periods = self._digest.last_periods(application.app_id, application.last_periods)
        if periods:
            at = self._clock.now()
            self._submit(UsageReported(at=at, node_id=node_id, app_id=application.app_id, periods=periods))

    def _complain(self, faults: tuple[str, ...]) -> None:
        """Say what the decoder dropped, once, however often the agent repeats it."""
        if faults and faults != self._complaints:
            self._log.warning("values of the agent were dropped", faults=faults)
        if faults:
            self._complaints = faults

    def _tell_lost(self, reason: str) -> None:
        if not self._lost_told:
            self._lost_told = True
            self._log.warning("agent lost", reason=reason)
            self._submit(NodeLost(at=self._clock.now(), name=self.name, reason=reason))

    def _delays(self) -> Iterator[float]:
        return self._settings.backoff.delays(self._uniform)


def _leaves(group: BaseExceptionGroup[Exception]) -> list[Exception]:
    """The exceptions inside a group, however deep."""
    found: list[Exception] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


def _link_of(notification: Notification) -> LinkId | None:
    """The link that a notification speaks of."""
    match notification:
        case LinkDown() | LinkPerfUpdate() | LinkOverloaded():
            return notification.link_id
        case Alarm(link=link) | EventReport(link=link):
            return link.link_id if link else None
        case _:
            return None


def _seconds(event_time: str) -> float | None:
    with contextlib.suppress(ValueError):
        return parse_date_and_time(event_time)
    return None
