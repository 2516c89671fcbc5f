"""What the controller says to an agent over one NETCONF session, and how answers become values.

Rule of this file: the place that knows operations (RFC 6241, RFC 5277) and 015 data at once. `approach` says
which operations; agents without our module, with the published 015 module or with the other reading of
virt_next_hop are served alike.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import TYPE_CHECKING, Self, TypeVar

from lxml import etree

from keyweave_controller.control.actions import NodeEdit
from keyweave_controller.engine.sessions import AgentSession
from keyweave_controller.southbound import modules
from keyweave_controller.southbound.approach import Approach, choose
from keyweave_controller.southbound.forms import Forms, HopForm, speaks_of_hops
from keyweave_core.errors import KeyweaveError, PeerUnreachable, Refused, SchemaViolation, Unavailable
from keyweave_core.model.ids import LinkId, SaeId
from keyweave_core.model.node import Node
from keyweave_core.model.notifications import Notification
from keyweave_core.netconf.client.client import NetconfClient
from keyweave_core.netconf.protocol.rpc_errors import RpcError
from keyweave_yang import edits
from keyweave_yang.decode import decode_node
from keyweave_yang.notify import decode_notification
from keyweave_yang.refusals import encode_refusal
from keyweave_yang.releases import encode_release

_BUSY_TAGS = frozenset({"in-use", "lock-denied", "resource-denied"})
"""error-tags that say: not now. Everything else says: not this."""

_T = TypeVar("_T")


class NetconfDialogue:
    """A `Dialogue` over NETCONF; made by `begin`."""

    def __init__(
        self, name: str, client: NetconfClient, approach: Approach, forms: Forms, *, since: float = 0.0
    ) -> None:
        self._name = name
        self._client = client
        self._approach = approach
        self._forms = forms
        self._editing = asyncio.Lock()
        self._found: tuple[str, ...] = ()
        self._since = since
        self.replaying = False  # notifications up to replayComplete are of the past

    @classmethod
    async def begin(
        cls, name: str, client: NetconfClient, hops: HopForm = "adjacent", *, since: float = 0.0
    ) -> Self:
        """Choose how to work with the server at the other end, and look at its modules.

        `since`: when the session was opened, seconds since 1970.

        Raises PeerUnreachable, naming what lacks, for a server that cannot be worked with: nothing to write
        to, or no 015 module where it lists its modules.
        """
        approach = choose(name, client.capabilities)
        dialogue = cls(name, client, approach, Forms(hops=hops, ours=approach.ours), since=since)
        dialogue._found = await dialogue._asked(modules.look(name, client, approach))
        return dialogue

    @property
    def ways(self) -> tuple[str, ...]:
        """How this agent is worked with."""
        secured = self._client.peer.key_exchange or self._client.peer.cipher
        told = (*self._approach.ways, *self._found, *self._forms.ways)
        return (*told, f"secured by {secured}") if secured else told

    @property
    def session(self) -> AgentSession:
        """The session that carries it."""
        peer = self._client.peer
        return AgentSession(
            since=self._since,
            session_id=self._client.session_id or None,
            host=peer.source_host,
            key_exchange=peer.key_exchange,
            cipher=peer.cipher,
        )

    async def subscribe(self, since: str) -> None:
        """Subscribe to the agent's events from `since` (yang:date-and-time) on, or from now if it cannot."""
        if not self._approach.events:
            return
        try:
            await self._client.create_subscription(start_time=since)
            self.replaying = True
        except RpcError:
            # No replay log, or a clock that is behind ours: the newest events are better than none.
            await self._asked(self._client.create_subscription())

    async def read_node(self) -> tuple[Node, tuple[str, ...]]:
        """The whole tree, and what of it was dropped. SchemaViolation when it is no tree of a node."""
        return await self._read(edits.node_filter())

    async def read_figures(self) -> tuple[Node, tuple[str, ...]]:
        """Status, performance and pools of the links alone, as a node; errors as `read_node`."""
        return await self._read(edits.figures_filter())

    async def read_usage(self) -> tuple[Node, tuple[str, ...]]:
        """Statistics of the applications alone, as a node; errors as `read_node`."""
        return await self._read(edits.usage_filter())

    async def edit(self, edit: NodeEdit) -> None:
        """Make the edit real, all or nothing. Refused: the agent will not; Unavailable: try again."""
        async with self._editing:
            try:
                await self._make(self._forms.written(edit))
            except Refused as refusal:
                # The published 015 module excludes every virt_ leaf by its `when` on a validating server.
                plainer = self._forms.without_hops(edit)
                if plainer is None or not speaks_of_hops(refusal):
                    raise
                await self._make(self._forms.written(plainer))
                self._forms.remember(edit)

    async def refuse(self, server: SaeId, clients: tuple[SaeId, ...], reasons: tuple[str, ...]) -> None:
        """Tell an agent that an application gets no keys; a foreign agent has no such operation."""
        if self._approach.ours:
            await self._asked(self._client.rpc(encode_refusal(server, clients, reasons)))

    async def release(self, link_id: LinkId) -> None:
        """Tell an agent that the operator trusts a link; a foreign agent has no such operation."""
        if not self._approach.ours:
            raise Refused(f"agent {self._name} has no operation release-link")
        await self._asked(self._client.rpc(encode_release(link_id)))

    async def notifications(self) -> AsyncIterator[tuple[str, Notification]]:
        """The 015 notifications as they come, with their eventTime; ends by raising why the session ended."""
        async for envelope in self._client.notifications():
            if str(envelope.content.tag).endswith("}replayComplete"):
                self.replaying = False
                continue
            try:
                notification = decode_notification(envelope.content)
            except SchemaViolation:
                continue  # of another module, or it names nothing: no affair of ours
            yield envelope.event_time, notification
        raise PeerUnreachable(f"agent {self._name}: the session was closed")

    async def close(self) -> None:
        """End the session."""
        await self._client.close()

    async def _read(self, subtree: etree._Element) -> tuple[Node, tuple[str, ...]]:
        node, faults = decode_node(await self._asked(self._client.get(subtree)))
        return self._forms.read(node), faults

    async def _make(self, edit: NodeEdit) -> None:
        config = edits.edit_config(
            put_links=edit.put_links,
            put_applications=edit.put_applications,
            remove_links=edit.remove_links,
            remove_applications=edit.remove_applications,
            tune_links=edit.tune_links,
        )
        if self._approach.target == "running":
            await self._write("running", config)
        else:
            await self._edit_candidate(config)

    async def _write(self, target: str, config: etree._Element) -> None:
        rollback = "rollback-on-error" if self._approach.rollback else None
        await self._asked(
            self._client.edit_config(target, config, default_operation="merge", error_option=rollback)
        )

    async def _edit_candidate(self, config: etree._Element) -> None:
        """Lock, edit, commit, unlock; the candidate is as it was after any failure.

        No <validate> between: <commit> validates (RFC 6241 clause 8.3.4.1), and netconfd 2.13 answers <ok/>
        to a commit after a validate and commits nothing.
        """
        await self._asked(self._client.lock("candidate"))
        try:
            await self._write("candidate", config)
            await self._asked(self._client.commit())
        except KeyweaveError:
            await _quietly(self._client.discard())
            raise
        finally:
            await _quietly(self._client.unlock("candidate"))

    async def _asked(self, call: Awaitable[_T]) -> _T:
        """Await a call; an rpc-error becomes Refused with the agent's words, Unavailable when it is busy."""
        try:
            return await call
        except RpcError as error:
            text = f"agent {self._name}: {error.tag}: {error.message}"
            if error.path:
                text += f" (at {error.path})"
            if error.tag in _BUSY_TAGS:
                raise Unavailable(text) from error
            raise Refused(text) from error


async def _quietly(call: Awaitable[None]) -> None:
    """Tidy up; the failure that is already on its way says more than one here."""
    try:
        await call
    except KeyweaveError:
        return


if TYPE_CHECKING:
    from keyweave_controller.southbound.dialogue import Dialogue

    def _is_dialogue(dialogue: NetconfDialogue) -> Dialogue:
        return dialogue
