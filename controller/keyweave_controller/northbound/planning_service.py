"""The Planning service: which paths would do, and what would become of what runs."""

# ruff: noqa: N802 - methods are called as the proto calls them

from collections.abc import Iterable

from keyweave_controller.control import candidates, what_if
from keyweave_controller.control.service import Constraints, Service
from keyweave_controller.control.state import NetworkState
from keyweave_controller.engine.ports import Engine
from keyweave_controller.northbound import views
from keyweave_controller.northbound.access import Access, Caller
from keyweave_controller.northbound.calls import unary
from keyweave_controller.northbound.refusals import InvalidField, NotKnown
from keyweave_core.model import ids
from keyweave_core.model.ids import LinkId, NodeId, SaeId
from keyweave_core.runtime.clock import Clock
from keyweave_proto.v1 import keyweave_pb2 as pb
from keyweave_proto.v1 import keyweave_pb2_grpc as pb_grpc


class PlanningService(pb_grpc.PlanningServicer):
    """keyweave.v1.Planning over the running engine. Whoever may look may ask."""

    def __init__(self, engine: Engine, access: Access, clock: Clock) -> None:
        self.access = access
        self._engine = engine
        self._clock = clock

    @unary()
    async def ComputePaths(self, request: pb.ComputePathsRequest, _caller: Caller) -> pb.ComputePathsResponse:
        """The best paths between two places."""
        if request.number > candidates.MOST:
            raise InvalidField("number", f"at most {candidates.MOST}, not {request.number}")
        state = self._state
        wish = candidates.PathWish(
            source=_place(state, "source", request.source),
            destination=_place(state, "destination", request.destination),
            rate_bps=request.min_bandwidth_bps if request.HasField("min_bandwidth_bps") else None,
            service=Service(
                constraints=Constraints(
                    max_hops=request.max_hops or None,
                    exclude_links=frozenset(_links(state, "exclude_link_ids", request.exclude_link_ids)),
                    exclude_nodes=frozenset(_places(state, "exclude_nodes", request.exclude_nodes)),
                    include_links=frozenset(_links(state, "include_link_ids", request.include_link_ids)),
                    include_nodes=frozenset(_places(state, "include_nodes", request.include_nodes)),
                )
            ),
            number=request.number or 1,
        )
        network = self._engine.network
        paths, reasons = candidates.compute_paths(state, network.mesh, wish, at=self._clock.now())
        names = _names(state)
        shown = [
            pb.PathCandidate(
                path_id=path.id,
                node_ids=path.nodes,
                node_names=views.names_along(path.nodes, names),
                link_ids=path.links,
                hops=path.hops,
                cost=path.cost,
                bottleneck_bps=max(0, path.bottleneck_bps),
                distance_km=path.distance_km,
            )
            for path in paths
        ]
        return pb.ComputePathsResponse(paths=shown, reasons=reasons)

    @unary()
    async def WhatIf(self, request: pb.WhatIfRequest, _caller: Caller) -> pb.WhatIfResponse:
        """What would become of every association, and of the demands."""
        if len(request.add_demands) > what_if.MOST:
            raise InvalidField("add_demands", f"at most {what_if.MOST}, not {len(request.add_demands)}")
        names = [demand.id for demand in request.add_demands]
        if len(set(names)) < len(names):
            raise InvalidField("add_demands", "an id is given twice")
        state = self._state
        question = what_if.Question(
            fail_links=tuple(_links(state, "fail_link_ids", request.fail_link_ids)),
            fail_nodes=tuple(_places(state, "fail_nodes", request.fail_nodes)),
            demands=tuple(
                what_if.Demand(
                    id=demand.id,
                    source=SaeId(demand.source),
                    destination=SaeId(demand.destination),
                    rate_bps=demand.min_bandwidth_bps if demand.HasField("min_bandwidth_bps") else None,
                    priority=demand.priority,
                )
                for demand in request.add_demands
            ),
        )
        known = _names(state)
        outcomes = what_if.what_if(state, question, at=self._clock.now())
        return pb.WhatIfResponse(
            outcomes=[
                pb.Outcome(
                    id=outcome.id,
                    source=outcome.source,
                    destination=outcome.destination,
                    fate=f"FATE_{outcome.fate.value.upper()}",
                    node_ids=outcome.nodes,
                    node_names=views.names_along(outcome.nodes, known),
                    link_ids=outcome.links,
                    reasons=outcome.reasons,
                )
                for outcome in outcomes
            ]
        )

    @property
    def _state(self) -> NetworkState:
        return self._engine.network.state


def _names(state: NetworkState) -> dict[NodeId, str]:
    return {node_id: record.name for node_id, record in state.nodes.items()}


def _place(state: NetworkState, field: str, text: str) -> NodeId:
    if not text:
        raise InvalidField(field, "must name an application or a node")
    node_id = candidates.place(state, text)
    if node_id is None:
        raise NotKnown("application or node", text)
    return node_id


def _places(state: NetworkState, field: str, texts: Iterable[str]) -> list[NodeId]:
    return [_place(state, field, text) for text in texts]


def _links(state: NetworkState, field: str, texts: Iterable[str]) -> list[LinkId]:
    links = []
    for text in texts:
        try:
            link_id = ids.link_id(text)
        except ValueError as error:
            raise InvalidField(field, str(error)) from error
        if link_id not in state.links:
            raise NotKnown("link", link_id)
        links.append(link_id)
    return links
