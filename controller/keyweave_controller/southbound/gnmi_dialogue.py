"""What the controller says to an agent over gNMI, in the same trees as over NETCONF.

Rule of this file: gNMI knows data and no notifications, so what happens is read off the data: an application
that waits is an entry of `waiting-application`, a fibre that goes dark a new qkdl_status. Nor is there an
operation to refuse with: an application that gets nothing waits until its own patience ends.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Self

from lxml import etree

from keyweave_controller.control.actions import NodeEdit
from keyweave_controller.engine.sessions import AgentSession
from keyweave_controller.settings import AgentSettings, SouthboundSettings
from keyweave_controller.southbound.dialogue import Dial, Dialogue
from keyweave_controller.southbound.forms import Forms
from keyweave_core.errors import InvalidInput, PeerUnreachable, Refused, SchemaViolation
from keyweave_core.model.ids import LinkId, NodeId, SaeId
from keyweave_core.model.link import LinkStatus
from keyweave_core.model.node import Node
from keyweave_core.model.notifications import LinkDown, Notification
from keyweave_core.netconf.protocol.elements import element as new_element
from keyweave_core.netconf.protocol.rpc_errors import BASE
from keyweave_core.runtime.clock import Clock, date_and_time
from keyweave_core.runtime.tls import TlsSettings
from keyweave_gnmi.client import ClientLimits, GnmiClient
from keyweave_gnmi.tree_client import TreeClient
from keyweave_yang import edits
from keyweave_yang.decode import decode_node
from keyweave_yang.namespaces import etsi
from keyweave_yang.schema import load_schema
from keyweave_yang.waiting import decode_waiting

_NODE = "/etsi-qkd-sdn-node:qkd_node"
_LINKS = f"{_NODE}/qkd_links/qkd_link[qkdl_id=*]"
_FIGURES = (
    f"{_NODE}/qkdn_id",
    f"{_LINKS}/qkdl_type",
    f"{_LINKS}/qkdl_status",
    f"{_LINKS}/qkdl_performance",
    f"{_LINKS}/keyweave-qkd-node:key-pool",
)
_APPS = f"{_NODE}/qkd_applications/qkd_app[app_id=*]"
_USAGE = (f"{_NODE}/qkdn_id", f"{_APPS}/app_status", f"{_APPS}/app_statistics")
_WAITING = f"{_NODE}/keyweave-qkd-node:waiting-application"
_EVENTS = (_WAITING, f"{_LINKS}/qkdl_status")
_DARK = frozenset({LinkStatus.PASSIVE, LinkStatus.OFF})


class GnmiDialogue:
    """A `Dialogue` over gNMI; made by `begin`."""

    def __init__(
        self, name: str, client: GnmiClient, forms: Forms, clock: Clock, about: tuple[str, ...]
    ) -> None:
        self._name = name
        self._client = client
        self._tree = TreeClient(client, load_schema("agent"))
        self._forms = forms
        self._clock = clock
        self._about = about
        self._session = AgentSession(since=clock.now())
        self._editing = asyncio.Lock()
        self._statuses: dict[LinkId, LinkStatus | None] = {}
        self._node_id: NodeId | None = None
        self.replaying = False

    @classmethod
    async def begin(cls, agent: AgentSettings, client: GnmiClient, clock: Clock) -> Self:
        """Ask what the target can do. PeerUnreachable when it does not list the 015 module."""
        capabilities = await client.capabilities()
        revision = capabilities.modules.get("etsi-qkd-sdn-node")
        if revision is None:
            raise PeerUnreachable(f"agent {agent.name} does not list etsi-qkd-sdn-node")
        ours = "keyweave-qkd-node" in capabilities.modules
        about = [f"gNMI {capabilities.version}, Set in one transaction", f"etsi-qkd-sdn-node@{revision}"]
        about.append("changes by subscription; refusals cannot be told")
        forms = Forms(hops=agent.virt_next_hop, ours=ours)
        return cls(agent.name, client, forms, clock, tuple(about))

    @property
    def ways(self) -> tuple[str, ...]:
        """How this agent is worked with."""
        return (*self._about, *self._forms.ways)

    @property
    def session(self) -> AgentSession:
        """The session that carries it."""
        return self._session

    async def subscribe(self, since: str) -> None:
        """Nothing to ask for beforehand: `notifications` begins with the present."""

    async def read_node(self) -> tuple[Node, tuple[str, ...]]:
        """The whole tree, and what of it was dropped."""
        return await self._read((_NODE,))

    async def read_figures(self) -> tuple[Node, tuple[str, ...]]:
        """Status, performance and pools of the links alone, as a node."""
        return await self._read(_FIGURES)

    async def read_usage(self) -> tuple[Node, tuple[str, ...]]:
        """Statistics of the applications alone, as a node."""
        return await self._read(_USAGE)

    async def edit(self, edit: NodeEdit) -> None:
        """One Set. Refused: the agent will not; Unavailable: try again."""
        written = self._forms.written(edit)
        config = new_element(f"{{{BASE}}}config", {None: BASE})
        config.append(
            edits.edit_config(
                put_links=written.put_links,
                put_applications=written.put_applications,
                remove_links=written.remove_links,
                remove_applications=written.remove_applications,
                tune_links=written.tune_links,
            )
        )
        async with self._editing:
            try:
                await self._tree.edit(config)
            except InvalidInput as error:
                raise Refused(f"agent {self._name}: {error}") from error

    async def refuse(self, server: SaeId, clients: tuple[SaeId, ...], reasons: tuple[str, ...]) -> None:
        """gNMI has no such word."""

    async def release(self, link_id: LinkId) -> None:
        """gNMI has no such word."""
        raise Refused(f"agent {self._name} is reached by gNMI, which has no word to release link {link_id}")

    async def notifications(self) -> AsyncIterator[tuple[str, Notification]]:
        """What the data says happened, as the notifications that NETCONF would have brought."""
        async for told in self._tree.follow(_EVENTS):
            when = date_and_time(told.at_s or self._clock.now())
            for element in told.values:
                for notification in self._happened(element):
                    yield when, notification
        raise PeerUnreachable(f"agent {self._name}: the subscription ended")

    async def close(self) -> None:
        """End the connection."""
        await self._client.close()

    def _happened(self, element: etree._Element) -> list[Notification]:
        found: list[Notification] = []
        for entry in element.iter("{*}waiting-application"):
            try:
                found.append(decode_waiting(entry, self._node_id))
            except SchemaViolation:
                continue  # names nobody: told again when the agent can say more
        for link in element.iter(etsi("qkd_link")):
            link_id = LinkId(link.findtext(etsi("qkdl_id")) or "")
            name = (link.findtext(etsi("qkdl_status")) or "").rpartition(":")[2]
            status = next((one for one in LinkStatus if one.value == name), None)
            before = self._statuses.get(link_id)
            self._statuses[link_id] = status
            if before is LinkStatus.ACTIVE and status in _DARK:
                found.append(LinkDown(link_id=link_id, reason=f"status {name}"))
        return found

    async def _read(self, paths: tuple[str, ...]) -> tuple[Node, tuple[str, ...]]:
        node, faults = decode_node(await self._tree.read(paths))
        self._node_id = node.node_id
        return self._forms.read(node), faults


def gnmi_dial(agent: AgentSettings, settings: SouthboundSettings, tls: TlsSettings, clock: Clock) -> Dial:
    """What connects to one agent over gNMI, with mutual TLS."""
    limits = ClientLimits(
        connect_timeout_s=settings.connect_timeout_s,
        call_timeout_s=settings.rpc_timeout_s,
        keepalive_s=settings.keepalive_s,
    )

    async def dial() -> Dialogue:
        client = GnmiClient(agent.host, agent.port, tls, server_name=agent.certificate_name, limits=limits)
        try:
            await client.connect()
            return await GnmiDialogue.begin(agent, client, clock)
        except BaseException:
            await client.close()
            raise

    return dial


if TYPE_CHECKING:

    def _is_dialogue(dialogue: GnmiDialogue) -> Dialogue:
        return dialogue
