"""The Planning service: which paths would do, what would become of what runs, and why it is as it is."""

# ruff: noqa: N802 - methods are called as the proto calls them

from dataclasses import replace

from keyweave_controller.control import candidates, routing, what_if
from keyweave_controller.control.candidates import PathWish
from keyweave_controller.control.service import Protection
from keyweave_controller.control.state import ENDED, NetworkState
from keyweave_controller.control.supposing import LinkRate
from keyweave_controller.control.tenants import account
from keyweave_controller.control.why import why
from keyweave_controller.engine.ports import Engine
from keyweave_controller.northbound import planning_views, reading, views, wishes
from keyweave_controller.northbound.access import Access, Caller
from keyweave_controller.northbound.calls import unary
from keyweave_controller.northbound.path_book import PathBook
from keyweave_controller.northbound.refusals import InvalidField, NotKnown
from keyweave_controller.settings import CallerRole
from keyweave_core.model.ids import AppId
from keyweave_core.runtime.clock import Clock
from keyweave_proto.v1 import keyweave_pb2 as pb
from keyweave_proto.v1 import keyweave_pb2_grpc as pb_grpc

MOST_LISTED = 1_000
"""Most links, nodes, risks or rates of one question."""

SHORTEST_PREFIX = 4
"""Fewest characters that may stand for a whole id."""


class PlanningService(pb_grpc.PlanningServicer):
    """keyweave.v1.Planning over the running engine; `book` notes what may be deployed.

    Whoever may look may ask; only for who may change is anything noted, so nobody else can fill the book.
    """

    def __init__(self, engine: Engine, access: Access, clock: Clock, book: PathBook) -> None:
        self.access = access
        self._engine = engine
        self._clock = clock
        self._book = book

    @unary()
    async def ComputePaths(self, request: pb.ComputePathsRequest, caller: Caller) -> pb.ComputePathsResponse:
        """The best paths between two places, or the tree to several."""
        if request.number > candidates.MOST:
            raise InvalidField("number", f"at most {candidates.MOST}, not {request.number}")
        book = self._book if caller.role is CallerRole.OPERATOR else None
        return answered(self._engine, book, self._clock.now(), _path_wish(self._state, request))

    @unary()
    async def WhatIf(self, request: pb.WhatIfRequest, _caller: Caller) -> pb.WhatIfResponse:
        """What would become of every association, and of the demands."""
        state = self._state
        question = _question(state, request)
        told = what_if.told(state, question, at=self._clock.now())
        names = planning_views.names_of(state)
        return pb.WhatIfResponse(
            outcomes=[planning_views.outcome(one, names) for one in told.outcomes],
            links=[planning_views.impact(one) for one in told.links],
        )

    @unary()
    async def Explain(self, request: pb.ExplainRequest, _caller: Caller) -> pb.Explanation:
        """Why an association has what it has, or has nothing."""
        state = self._state
        app_id = _meant(state, request)
        found = why(state, self._engine.network.mesh, app_id, at=self._clock.now())
        names = planning_views.names_of(state)
        record = state.associations[app_id]
        return pb.Explanation(
            association=views.association(record, names, account(state, record), found.lacks),
            summary=found.summary,
            since=views.timestamp(found.since),
            strategy=found.strategy,
            paths=[planning_views.priced(one, names) for one in found.paths],
            alternatives=[planning_views.priced(one, names) for one in found.alternatives],
            bottlenecks=[planning_views.load(one, state) for one in found.bottlenecks],
            reasons=found.reasons,
            waiting_for=found.waiting_for,
            would_fit=planning_views.alternatives(found.would_fit),
        )

    @property
    def _state(self) -> NetworkState:
        return self._engine.network.state


def answered(engine: Engine, book: PathBook | None, now: float, wish: PathWish) -> pb.ComputePathsResponse:
    """Candidates for a wish, noted in the book for as long as the policy lets them be deployed; None: not."""
    state = engine.network.state
    paths, reasons = candidates.compute_paths(state, engine.network.mesh, wish, at=now)
    expires_at = None
    if book is not None and not wish.others:
        expires_at = now + state.policy.path_validity_s
        book.note(paths, expires_at)
    names = planning_views.names_of(state)
    return pb.ComputePathsResponse(
        paths=[planning_views.candidate(path, names, expires_at) for path in paths],
        reasons=reasons,
        strategy=routing.strategy_of(candidates.route_wish(state, wish)).name,
    )


def _path_wish(state: NetworkState, request: pb.ComputePathsRequest) -> PathWish:
    ends_at = views.seconds(request.expires_at) if request.HasField("expires_at") else None
    service = wishes.service(state, "service", request.service, expires_at=ends_at)
    bounds, hops = service.constraints, request.max_hops or None
    bounds = replace(
        bounds,
        max_hops=min(filter(None, (bounds.max_hops, hops)), default=None),
        exclude_links=bounds.exclude_links
        | wishes.links(state, "exclude_link_ids", request.exclude_link_ids),
        exclude_nodes=bounds.exclude_nodes | wishes.places(state, "exclude_nodes", request.exclude_nodes),
        include_links=bounds.include_links
        | wishes.links(state, "include_link_ids", request.include_link_ids),
        include_nodes=bounds.include_nodes | wishes.places(state, "include_nodes", request.include_nodes),
    )
    service = replace(service, constraints=bounds)
    for fault in service.faults(ends_at):
        raise InvalidField("service", fault)
    source = wishes.place(state, "source", request.source)
    others = [wishes.place(state, "more_destinations", text) for text in request.more_destinations]
    if len(others) >= candidates.MOST_DESTINATIONS:
        raise InvalidField("more_destinations", f"a tree has at most {candidates.MOST_DESTINATIONS}")
    if others and service.protection is not Protection.RESTORATION:
        raise InvalidField("more_destinations", f"a tree has no protection {service.protection}")
    destination = wishes.place(state, "destination", request.destination)
    if others and source in (destination, *others):
        raise InvalidField("more_destinations", "the source is among the destinations of the tree")
    return PathWish(
        source=source,
        destination=destination,
        rate_bps=request.min_bandwidth_bps if request.HasField("min_bandwidth_bps") else None,
        service=service,
        number=request.number or 1,
        others=tuple(others),
        ends_at=ends_at,
    )


def _question(state: NetworkState, request: pb.WhatIfRequest) -> what_if.Question:
    if len(request.add_demands) > what_if.MOST:
        raise InvalidField("add_demands", f"at most {what_if.MOST}, not {len(request.add_demands)}")
    names = [demand.id for demand in request.add_demands]
    if len(set(names)) < len(names):
        raise InvalidField("add_demands", "an id is given twice")
    if len(request.link_rates) > MOST_LISTED:
        raise InvalidField("link_rates", f"at most {MOST_LISTED}, not {len(request.link_rates)}")
    return what_if.Question(
        fail_links=tuple(sorted(wishes.links(state, "fail_link_ids", request.fail_link_ids))),
        fail_nodes=tuple(sorted(wishes.places(state, "fail_nodes", request.fail_nodes))),
        fail_risks=tuple(sorted(wishes.risks(state, "fail_risks", request.fail_risks))),
        link_rates=tuple(_link_rate(state, one) for one in request.link_rates),
        demands=tuple(_demand(state, place, one) for place, one in enumerate(request.add_demands)),
    )


def _link_rate(state: NetworkState, wish: pb.LinkRate) -> LinkRate:
    """A link that is there, or, between two nodes that none joins, one that is not."""
    new = () if candidates.links_named(state, wish.link) else tuple(candidates.ends_named(state, wish.link))
    if new:
        a, b = new[0]
        return LinkRate(a=a, b=b, rate_bps=wish.rate_bps)
    link = state.links[wishes.link(state, "link_rates.link", wish.link)]
    return LinkRate(a=link.a, b=link.b, rate_bps=wish.rate_bps, link_id=link.link_id)


def _demand(state: NetworkState, place: int, wish: pb.Demand) -> what_if.Demand:
    field = f"add_demands[{place}]"
    low = wish.min_bandwidth_bps if wish.HasField("min_bandwidth_bps") else None
    most = wish.max_bandwidth_bps if wish.HasField("max_bandwidth_bps") else None
    if low is not None and most is not None and most < low:
        raise InvalidField(f"{field}.max_bandwidth_bps", f"{most} is below the minimum of {low} bit/s")
    expires_at = views.seconds(wish.expires_at) if wish.HasField("expires_at") else None
    return what_if.Demand(
        id=wish.id,
        source=reading.sae(f"{field}.source", wish.source),
        destination=reading.sae(f"{field}.destination", wish.destination),
        rate_bps=low,
        priority=wish.priority,
        most_bps=most,
        service=wishes.service(state, f"{field}.service", wish.service, expires_at=expires_at),
        expires_at=expires_at,
    )


def _meant(state: NetworkState, request: pb.ExplainRequest) -> AppId:
    """The association that is asked about: the living one where several ended ones would do as well."""
    if request.source or request.destination:
        if request.association:
            raise InvalidField("association", "name an association, or its source and destination, not both")
        of_source = [one for one in state.associations.values() if one.source == request.source]
        found = [one for one in of_source if one.destinations == (request.destination,)]
        found = found or [one for one in of_source if request.destination in one.destinations]
        text = f"{request.source} to {request.destination}"
    else:
        text = request.association.strip()
        if not text:
            raise InvalidField("association", "must name an association")
        found = [one for one in state.associations.values() if text.lower() == one.app_id]
        found = found or [one for one in state.associations.values() if text == one.configured_as]
        if not found and len(text) >= SHORTEST_PREFIX:
            found = [one for one in state.associations.values() if one.app_id.startswith(text.lower())]
            if len(found) > 1:
                raise InvalidField(
                    "association", f"{len(found)} associations begin with {text}: give more of it"
                )
    found = [one for one in found if one.state not in ENDED] or found
    if not found:
        raise NotKnown("association", text)
    return found[-1].app_id
