"""The Topology service: nodes and physical links, as they are and as they change."""

# ruff: noqa: N802 - methods are called as the proto calls them

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing

from keyweave_controller.control import facts
from keyweave_controller.control.state import NetworkState
from keyweave_controller.engine.ports import Engine
from keyweave_controller.northbound import topology_views, wishes
from keyweave_controller.northbound.access import Access, Caller
from keyweave_controller.northbound.calls import stream, unary
from keyweave_controller.northbound.following import changes_of
from keyweave_controller.northbound.releases import release_link
from keyweave_core.model.ids import LinkId, NodeId
from keyweave_core.runtime.clock import Clock
from keyweave_proto.v1 import keyweave_pb2 as pb
from keyweave_proto.v1 import keyweave_pb2_grpc as pb_grpc


class TopologyService(pb_grpc.TopologyServicer):
    """keyweave.v1.Topology over the running engine."""

    def __init__(self, engine: Engine, access: Access, clock: Clock, new_id: Callable[[], str]) -> None:
        self.access = access
        self._engine = engine
        self._clock = clock
        self._new_id = new_id

    @unary()
    async def ListNodes(self, _request: pb.ListNodesRequest, _caller: Caller) -> pb.ListNodesResponse:
        """Every node, by name."""
        return pb.ListNodesResponse(nodes=_all_nodes(self._engine.network.state))

    @unary()
    async def ListLinks(self, _request: pb.ListLinksRequest, _caller: Caller) -> pb.ListLinksResponse:
        """Every physical link, by the names of its ends."""
        state = self._engine.network.state
        return pb.ListLinksResponse(links=_links(state, state.links))

    @unary(changes=True)
    async def ReleaseLink(self, request: pb.ReleaseLinkRequest, caller: Caller) -> pb.ReleaseLinkResponse:
        """Tell both ends of a link in quarantine that the operator trusts it again."""
        state = self._engine.network.state
        link_id = wishes.link(state, "link", request.link)
        request_id = f"release/grpc/{self._new_id()}"
        await release_link(self._engine, self._clock, request_id, link_id, caller.name)
        return pb.ReleaseLinkResponse(link=_links(state, [link_id])[0])

    @stream
    async def Watch(self, _request: pb.WatchTopologyRequest) -> AsyncIterator[pb.TopologyUpdate]:
        """Everything, then what changes."""
        state = self._engine.network.state
        async with aclosing(changes_of(self._engine)) as changes:
            await anext(changes)  # from here on nothing is missed
            yield pb.TopologyUpdate(snapshot=True, nodes=_all_nodes(state), links=_links(state, state.links))
            async for change in changes:
                update = pb.TopologyUpdate(
                    nodes=_nodes(state, change.node_ids),
                    links=_links(state, change.link_ids),
                    removed_node_ids=sorted(change.node_ids - state.nodes.keys()),
                    removed_link_ids=sorted(change.link_ids - state.links.keys()),
                )
                if update.ByteSize():
                    yield update


def _all_nodes(state: NetworkState) -> list[pb.Node]:
    """Every node that was read, and every agent of the inventory that was not."""
    nodes = _nodes(state, state.nodes)
    known = {node.name for node in nodes}
    for name in state.inventory:
        if name not in known:
            faults = state.rejected.get(name, ())
            reason = state.unreached.get(name, "" if faults else "not reached yet")
            nodes.append(topology_views.unread_node(name, reason, faults))
    return sorted(nodes, key=lambda node: node.name)


def _nodes(state: NetworkState, node_ids: Iterable[NodeId]) -> list[pb.Node]:
    found = [
        topology_views.node(state.nodes[node_id], *facts.of_node(state, node_id))
        for node_id in node_ids
        if node_id in state.nodes
    ]
    return sorted(found, key=lambda node: node.name)


def _links(state: NetworkState, link_ids: Iterable[LinkId]) -> list[pb.Link]:
    names = {node_id: record.name for node_id, record in state.nodes.items()}
    known = [state.links[link_id] for link_id in link_ids if link_id in state.links]
    found = [topology_views.link(one, names, state.policy, facts.of_link(state, one)) for one in known]
    return sorted(found, key=lambda link: (link.a_name, link.b_name, link.link_id))
