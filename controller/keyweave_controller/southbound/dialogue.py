"""What the controller says to one agent, whatever protocol carries it.

Rule of this file: one dialogue is one session; whatever ends it ends the dialogue with an error, and another
is dialled. The two forms are `netconf_dialogue` and `gnmi_dialogue`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from keyweave_controller.control.actions import NodeEdit
from keyweave_controller.engine.sessions import AgentSession
from keyweave_core.model.ids import LinkId, SaeId
from keyweave_core.model.node import Node
from keyweave_core.model.notifications import Notification


class Dialogue(Protocol):
    """An agent's session seen from the controller. Edits never overlap."""

    @property
    def ways(self) -> tuple[str, ...]:
        """How this agent is worked with, one sentence each: what it can do decided it."""
        ...

    @property
    def session(self) -> AgentSession:
        """The session that carries it."""
        ...

    @property
    def replaying(self) -> bool:
        """True while `notifications` still tells of what happened before `subscribe`."""
        ...

    async def subscribe(self, since: str) -> None:
        """Ask for events from `since` (yang:date-and-time) on, or from now; nothing where there are none."""
        ...

    async def read_node(self) -> tuple[Node, tuple[str, ...]]:
        """The whole tree, and what of it was dropped. SchemaViolation when it is no tree of a node."""
        ...

    async def read_figures(self) -> tuple[Node, tuple[str, ...]]:
        """Status, performance and pools of the links alone, as a node; errors as `read_node`."""
        ...

    async def read_usage(self) -> tuple[Node, tuple[str, ...]]:
        """Statistics of the applications alone, as a node; errors as `read_node`."""
        ...

    async def edit(self, edit: NodeEdit) -> None:
        """Make the edit real, all or nothing. Refused: the agent will not; Unavailable: try again."""
        ...

    async def refuse(self, server: SaeId, clients: tuple[SaeId, ...], reasons: tuple[str, ...]) -> None:
        """Tell the agent that an application gets no keys; nothing where it cannot be told."""
        ...

    async def release(self, link_id: LinkId) -> None:
        """Tell the agent that the operator trusts its link again. Refused: it cannot be told, or will not."""
        ...

    def notifications(self) -> AsyncIterator[tuple[str, Notification]]:
        """The 015 notifications as they come, with their time; ends by raising why the session ended."""
        ...

    async def close(self) -> None:
        """End the session."""
        ...


Dial = Callable[[], Awaitable[Dialogue]]
"""Connects to one agent; raises Unavailable or InvalidInput saying why not."""
