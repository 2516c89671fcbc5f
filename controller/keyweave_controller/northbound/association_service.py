"""The Associations service: keys between two applications, asked for, given back, watched."""

# ruff: noqa: N802 - methods are called as the proto calls them

import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing
from dataclasses import replace

from keyweave_controller.control import admission, placement
from keyweave_controller.control.actions import Answer
from keyweave_controller.control.candidates import PathWish
from keyweave_controller.control.events import AssociationClosed, AssociationRequested
from keyweave_controller.control.placement import Placement, Wanted
from keyweave_controller.control.shortfalls import lacks
from keyweave_controller.control.state import ENDED, NetworkState, RequestRecord, parties
from keyweave_controller.control.tenants import account
from keyweave_controller.engine.ports import Engine
from keyweave_controller.northbound import planning_views, reading, views, wishes
from keyweave_controller.northbound.access import Access, Caller
from keyweave_controller.northbound.calls import stream, unary
from keyweave_controller.northbound.following import changes_of
from keyweave_controller.northbound.path_book import PathBook
from keyweave_controller.northbound.planning_service import answered
from keyweave_controller.northbound.refusals import Declined, InvalidField, Lacking, NotKnown, Stale
from keyweave_core.errors import InternalFault, Refused
from keyweave_core.model import ids
from keyweave_core.model.ids import AppId
from keyweave_core.runtime.clock import Clock
from keyweave_proto.v1 import keyweave_pb2 as pb
from keyweave_proto.v1 import keyweave_pb2_grpc as pb_grpc

MAX_REQUEST_ID = 128
"""Longest request id of a caller, characters."""

FRESH_PATHS = 4
"""How many fresh paths the refusal of a stale one carries, as far as there are."""

_PATH_ID = re.compile(r"[0-9a-f]{16}")


class AssociationService(pb_grpc.AssociationsServicer):
    """keyweave.v1.Associations over the running engine. `new_id` makes an id for a request without one.

    `book` has the computed paths that may be deployed.
    """

    def __init__(
        self, engine: Engine, access: Access, clock: Clock, new_id: Callable[[], str], book: PathBook
    ) -> None:
        self.access = access
        self._book = book
        self._engine = engine
        self._clock = clock
        self._new_id = new_id

    @unary(changes=True)
    async def Open(self, request: pb.OpenAssociationRequest, caller: Caller) -> pb.OpenAssociationResponse:
        """Ask for an association and wait for the outcome."""
        event = self._requested("open", "", request, caller)
        answer = await self._engine.ask(event)
        return self._opened(event, answer)

    @unary(changes=True)
    async def DeployPath(self, request: pb.DeployPathRequest, caller: Caller) -> pb.OpenAssociationResponse:
        """Ask for an association over a computed path, and wait for the outcome."""
        if not _PATH_ID.fullmatch(request.path_id):
            raise InvalidField("path_id", "must be the path_id of a computed path: 16 digits 0-9, a-f")
        if request.association.further_destinations:
            raise InvalidField(
                "association.further_destinations",
                "a computed path is for one destination; open a tree without",
            )
        event = self._requested("deploy", "association.", request.association, caller)
        answered = self._state.requests.get(event.request_id)
        if answered is not None:  # repeated: the same answer, whatever has become of the path
            return self._opened(event, answered)
        ways = self._book.ways(request.path_id, event.at) or ()
        event = replace(event, path_links=ways[0] if ways else (), other_links=ways[1:])
        if not self._under_way(event):
            self._check_path(request.path_id, event)
        answer = await self._engine.ask(event)
        if answer.reasons and not self._joined(event):
            self._check_path(request.path_id, event)
        return self._opened(event, answer)

    @unary(changes=True)
    async def Close(self, request: pb.CloseAssociationRequest, caller: Caller) -> pb.CloseAssociationResponse:
        """Give an association back and wait until it is on its way out."""
        app_id = self._known(request.app_id)
        event = AssociationClosed(
            at=self._clock.now(),
            request_id=self._request_id("close", "request_id", request.request_id, caller),
            app_id=app_id,
            requester=caller.name,
        )
        if self._state.associations[app_id].state not in ENDED:
            answer = await self._engine.ask(event)
            if answer.reasons:
                raise Refused(*answer.reasons)
        return pb.CloseAssociationResponse(association=self._view(app_id))

    @unary()
    async def Get(self, request: pb.GetAssociationRequest, _caller: Caller) -> pb.Association:
        """One association."""
        return self._view(self._known(request.app_id))

    @unary()
    async def List(self, request: pb.ListAssociationsRequest, _caller: Caller) -> pb.ListAssociationsResponse:
        """All associations, oldest first."""
        wanted = [
            app_id
            for app_id, record in self._state.associations.items()
            if request.include_ended or record.state not in ENDED
        ]
        return pb.ListAssociationsResponse(associations=_associations(self._state, wanted))

    @stream
    async def Watch(self, _request: pb.WatchAssociationsRequest) -> AsyncIterator[pb.AssociationUpdate]:
        """Everything, then what changes."""
        state = self._state
        async with aclosing(changes_of(self._engine)) as changes:
            await anext(changes)  # from here on nothing is missed
            yield pb.AssociationUpdate(snapshot=True, associations=_associations(state, state.associations))
            async for change in changes:
                if change.app_ids:
                    yield pb.AssociationUpdate(
                        associations=_associations(state, change.app_ids),
                        removed_app_ids=sorted(change.app_ids - state.associations.keys()),
                    )

    @property
    def _state(self) -> NetworkState:
        return self._engine.network.state

    def _request_id(self, verb: str, field: str, given: str, caller: Caller) -> str:
        """The id as the journal knows it: callers never meet each other's ids, nor verbs each other's."""
        if len(given) > MAX_REQUEST_ID:
            raise InvalidField(field, f"at most {MAX_REQUEST_ID} characters, not {len(given)}")
        return f"{verb}/{caller.name}/{given or self._new_id()}"

    def _known(self, text: str) -> AppId:
        try:
            app_id = ids.app_id(text)
        except ValueError as error:
            raise InvalidField("app_id", str(error)) from error
        if app_id not in self._state.associations:
            raise NotKnown("association", app_id)
        return app_id

    def _view(self, app_id: AppId) -> pb.Association:
        found = _associations(self._state, (app_id,))
        if not found:
            raise InternalFault(f"association {app_id} was granted and is gone")
        return found[0]

    def _requested(
        self, verb: str, inside: str, request: pb.OpenAssociationRequest, caller: Caller
    ) -> AssociationRequested:
        """The wish as an event; `inside`: the path of its message, for complaints."""
        now = self._clock.now()
        expires_at = _expiry(f"{inside}expires_at", request, now)
        event = AssociationRequested(
            at=now,
            request_id=self._request_id(verb, f"{inside}request_id", request.request_id, caller),
            source=reading.sae(f"{inside}source", request.source),
            destination=reading.sae(f"{inside}destination", request.destination),
            qos=reading.qos(f"{inside}qos", request.qos),
            priority=request.priority,
            expires_at=expires_at,
            requester=caller.name,
            service=wishes.service(self._state, f"{inside}service", request.service, expires_at=expires_at),
            further=tuple(
                reading.sae(f"{inside}further_destinations", text) for text in request.further_destinations
            ),
        )
        if event.source == event.destination:
            raise InvalidField(f"{inside}destination", "must be another application than the source")
        named = (event.source, event.destination, *event.further)
        if len(set(named)) < len(named):
            raise InvalidField(
                f"{inside}further_destinations", "must be other applications than the source and each other"
            )
        return event

    def _opened(
        self, event: AssociationRequested, answer: Answer | RequestRecord
    ) -> pb.OpenAssociationResponse:
        if answer.reasons or answer.app_id is None:
            raise self._refusal(event, answer)
        return pb.OpenAssociationResponse(association=self._view(answer.app_id))

    def _joined(self, event: AssociationRequested) -> bool:
        """The pair has an association already: what becomes of the wish is not a question of paths."""
        named = parties(event.source, event.destination, event.further)
        return any(one.live and one.parties == named for one in self._state.associations.values())

    def _under_way(self, event: AssociationRequested) -> bool:
        """The pair has an association, or this very request waits for its outcome."""
        return self._joined(event) and bool(
            event.path_links
            or any(event.request_id in one.waiting_requests for one in self._state.associations.values())
        )

    def _check_path(self, path_id: str, event: AssociationRequested) -> None:
        """Stale, with fresh paths, when the path of a deployment cannot be had now."""
        state, network = self._state, self._engine.network
        ends = [state.consumers.get(sae) for sae in (event.source, event.destination)]
        for sae, node_id in zip((event.source, event.destination), ends, strict=True):
            if node_id is None:
                raise NotKnown("application", sae)
        near, far = ends
        if near is None or far is None:
            return
        reasons: tuple[str, ...] = (
            f"path {path_id} is not known, or older than {state.policy.path_validity_s:g} s",
        )
        if event.path_links:
            wanted = Wanted(
                source=near,
                destination=far,
                qos=event.qos,
                priority=event.priority,
                service=event.service,
                path_links=event.path_links,
                other_links=event.other_links,
                expires_at=event.expires_at,
            )
            wish = placement.wish_of(state, wanted)
            found = placement.pinned(state, network.mesh, wanted, wish, at=event.at)
            if isinstance(found, Placement):
                return
            reasons = found
        asked = PathWish(
            source=near,
            destination=far,
            rate_bps=admission.wanted_bps(event.qos, state.policy),
            service=event.service,
            number=FRESH_PATHS,
            ends_at=event.expires_at,
        )
        raise Stale(*reasons, fresh=answered(self._engine, self._book, self._clock.now(), asked))

    def _refusal(self, event: AssociationRequested, answer: Answer | RequestRecord) -> Exception:
        for sae in (event.source, event.destination, *event.further):
            if sae not in self._state.consumers:
                return NotKnown("application", sae)
        reasons = answer.reasons or ("refused without a reason",)
        instead = planning_views.alternatives(answer.alternatives)
        # The deciding code names bandwidth in bit/s exactly when a link lacks it.
        if any("bit/s" in reason for reason in reasons):
            return Lacking(*reasons, alternatives=instead)
        return Declined(*reasons, alternatives=instead)


def _associations(state: NetworkState, app_ids: Iterable[AppId]) -> list[pb.Association]:
    names = {node_id: record.name for node_id, record in state.nodes.items()}
    records = [state.associations[app_id] for app_id in app_ids if app_id in state.associations]
    return [
        views.association(record, names, account(state, record), lacks(state, record))
        for record in sorted(records, key=lambda record: (record.created_at, record.app_id))
    ]


def _expiry(field: str, request: pb.OpenAssociationRequest, now: float) -> float | None:
    if not request.HasField("expires_at"):
        return None
    at = views.seconds(request.expires_at)
    if at <= now:
        raise InvalidField(field, "must lie in the future")
    return at
