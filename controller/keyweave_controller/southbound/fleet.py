"""All agents of the inventory: one supervised session each, found by node id.

Rule of this file: a node belongs to the inventory entry that showed it first; a second entry that claims
the same node is told apart as a lie of the second. One agent's trouble never reaches another's session.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from keyweave_controller.control.actions import NodeEdit
from keyweave_controller.control.events import Event
from keyweave_controller.engine.sessions import AgentSession
from keyweave_controller.settings import AgentSettings, SouthboundSettings
from keyweave_controller.southbound.dialogue import Dial
from keyweave_controller.southbound.supervised import SupervisedAgent
from keyweave_core.errors import PeerUnreachable
from keyweave_core.model.ids import LinkId, NodeId, SaeId
from keyweave_core.runtime.clock import Clock


class Fleet:
    """The Agents port of the engine.

    `dialler` makes, for an inventory entry, what connects to it (and may raise SettingsError here).
    """

    def __init__(
        self,
        *,
        settings: SouthboundSettings,
        agents: Sequence[AgentSettings],
        dialler: Callable[[AgentSettings], Dial],
        clock: Clock,
        uniform: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._dials = {entry.name: dialler(entry) for entry in agents}
        self._clock = clock
        self._uniform = uniform
        self._agents: list[SupervisedAgent] = []
        self._by_node: dict[NodeId, SupervisedAgent] = {}
        self._node_of: dict[str, NodeId] = {}

    async def run(self, submit: Callable[[Event], None]) -> None:
        """Keep every session standing until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._agents = [self._agent(name, dial, submit) for name, dial in self._dials.items()]
            for agent in self._agents:
                group.create_task(agent.run(), name=f"agent {agent.name}")

    def ways(self) -> Mapping[str, tuple[str, ...]]:
        """How each agent of the inventory is worked with now, by name; () while there is no session."""
        return {agent.name: agent.ways for agent in self._agents}

    def sessions(self) -> Mapping[str, AgentSession]:
        """The sessions that stand now, by the name of the agent."""
        standing = ((agent.name, agent.session) for agent in self._agents)
        return {name: session for name, session in standing if session is not None}

    async def configure(self, node_id: NodeId, edit: NodeEdit) -> None:
        """Write the edit atomically. Raises Refused (the agent will not) or Unavailable (try again)."""
        await self._find(node_id).configure(edit)

    async def refuse(
        self, node_id: NodeId, server: SaeId, clients: tuple[SaeId, ...], reasons: tuple[str, ...]
    ) -> None:
        """Tell the agent that an application gets no keys; errors as `configure`."""
        await self._find(node_id).refuse(server, clients, reasons)

    async def release(self, node_id: NodeId, link_id: LinkId) -> None:
        """Tell the agent that the operator trusts its link again; errors as `configure`."""
        await self._find(node_id).release(link_id)

    async def read(self, node_id: NodeId) -> None:
        """Read the node's tree again and submit it as NodeRead; errors as `configure`."""
        await self._find(node_id).read()

    def _find(self, node_id: NodeId) -> SupervisedAgent:
        agent = self._by_node.get(node_id)
        if agent is None:
            raise PeerUnreachable(f"no agent has shown node {node_id} since this controller started")
        return agent

    def _agent(self, name: str, dial: Dial, submit: Callable[[Event], None]) -> SupervisedAgent:
        def claim(node_id: NodeId) -> str:
            return self._claim(agent, node_id)

        agent = SupervisedAgent(
            name=name,
            dial=dial,
            settings=self._settings,
            clock=self._clock,
            uniform=self._uniform,
            submit=submit,
            claim=claim,
        )
        return agent

    def _claim(self, agent: SupervisedAgent, node_id: NodeId) -> str:
        """Note that `agent` is `node_id`; the objection when another agent is, else ''."""
        holder = self._by_node.get(node_id)
        if holder is not None and holder is not agent:
            return f"node {node_id} is already shown by agent {holder.name}"
        previous = self._node_of.get(agent.name)
        if previous is not None and previous != node_id:
            del self._by_node[previous]
        self._by_node[node_id] = agent
        self._node_of[agent.name] = node_id
        return ""
