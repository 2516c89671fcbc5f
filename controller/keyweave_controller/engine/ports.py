"""What the engine asks of the rim, and what the rim may ask of the engine.

Rule of this file: protocols only. `southbound.Fleet` is the Agents port; `northbound` uses the Engine port.
"""

from collections.abc import AsyncIterator
from typing import Protocol

from keyweave_controller.control.actions import Answer, Changed, NodeEdit
from keyweave_controller.control.events import (
    AlarmNoted,
    AlarmsPurged,
    AssociationClosed,
    AssociationRequested,
    ClassicalWished,
    ClassicalWithdrawn,
    ConfigurationAbandoned,
    ConfigurationKept,
    Event,
    LinkReleased,
    OperatorConfigured,
    PlantConfigured,
    ProposedMove,
)
from keyweave_controller.control.network import Network
from keyweave_controller.control.problem import PlacementProblem
from keyweave_controller.engine.watch import Collected
from keyweave_controller.management.manager import Management
from keyweave_core.model.ids import LinkId, NodeId, SaeId

Request = (
    AssociationRequested
    | AssociationClosed
    | OperatorConfigured
    | ConfigurationAbandoned
    | ConfigurationKept
    | PlantConfigured
    | ClassicalWished
    | ClassicalWithdrawn
    | AlarmNoted
    | AlarmsPurged
    | LinkReleased
)
"""Events that are answered by an `Answer` of their `request_id`."""


class Agents(Protocol):
    """The agents, by node id. Every call may be repeated with the same effect."""

    async def configure(self, node_id: NodeId, edit: NodeEdit) -> None:
        """Write the edit atomically. Raises Refused (the agent will not) or Unavailable (try again)."""
        ...

    async def refuse(
        self, node_id: NodeId, server: SaeId, clients: tuple[SaeId, ...], reasons: tuple[str, ...]
    ) -> None:
        """Tell the agent that an application gets no keys. An agent without that call is left to time out."""
        ...

    async def release(self, node_id: NodeId, link_id: LinkId) -> None:
        """Tell the agent that the operator trusts its link again; errors as `configure`."""
        ...

    async def read(self, node_id: NodeId) -> None:
        """Read the node's tree again and submit it as NodeRead."""
        ...


class Optimiser(Protocol):
    """Whoever seeks better placements."""

    async def propose(self, problem: PlacementProblem) -> tuple[ProposedMove, ...]:
        """The moves to a better placement, in order; each fits once those before it are made.

        Raises Unavailable when the solver fails.
        """
        ...


class Engine(Protocol):
    """The running engine as the rim sees it."""

    @property
    def network(self) -> Network:
        """The state, to look at and never to change."""
        ...

    @property
    def management(self) -> Management:
        """Alarms, usage and bills, to look at and never to change."""
        ...

    def submit(self, event: Event) -> None:
        """Queue an event; returns at once. Order of submission is order of handling."""
        ...

    async def ask(self, event: Request) -> Answer:
        """Submit a request and wait for its Answer. Raises DeadlineExceeded after the engine's limit."""
        ...

    def watch(self) -> AsyncIterator[Changed]:
        """Changes from now on; a watcher that falls behind gets them merged, never lost, never unbounded."""
        ...

    def collect(self) -> Collected:
        """Changes from now on, kept merged until they are taken: for whoever is asked now and then."""
        ...
