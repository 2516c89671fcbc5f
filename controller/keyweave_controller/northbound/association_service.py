"""The Associations service: keys between two applications, asked for, given back, watched."""

# ruff: noqa: N802 - methods are called as the proto calls them

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing

from keyweave_controller.control.events import AssociationClosed, AssociationRequested
from keyweave_controller.control.state import ENDED, NetworkState
from keyweave_controller.control.tenants import account
from keyweave_controller.engine.ports import Engine
from keyweave_controller.northbound import reading, views
from keyweave_controller.northbound.access import Access, Caller
from keyweave_controller.northbound.calls import stream, unary
from keyweave_controller.northbound.following import changes_of
from keyweave_controller.northbound.refusals import InvalidField, Lacking, NotKnown
from keyweave_core.errors import InternalFault, Refused
from keyweave_core.model import ids
from keyweave_core.model.ids import AppId
from keyweave_core.runtime.clock import Clock
from keyweave_proto.v1 import keyweave_pb2 as pb
from keyweave_proto.v1 import keyweave_pb2_grpc as pb_grpc

MAX_REQUEST_ID = 128
"""Longest request id of a caller, characters."""


class AssociationService(pb_grpc.AssociationsServicer):
    """keyweave.v1.Associations over the running engine. `new_id` makes an id for a request without one."""

    def __init__(self, engine: Engine, access: Access, clock: Clock, new_id: Callable[[], str]) -> None:
        self.access = access
        self._engine = engine
        self._clock = clock
        self._new_id = new_id

    @unary(changes=True)
    async def Open(self, request: pb.OpenAssociationRequest, caller: Caller) -> pb.OpenAssociationResponse:
        """Ask for an association and wait for the outcome."""
        now = self._clock.now()
        event = AssociationRequested(
            at=now,
            request_id=self._request_id("open", request.request_id, caller),
            source=reading.sae("source", request.source),
            destination=reading.sae("destination", request.destination),
            qos=reading.qos("qos", request.qos),
            priority=request.priority,
            expires_at=_expiry(request, now),
            requester=caller.name,
        )
        if event.source == event.destination:
            raise InvalidField("destination", "must be another application than the source")
        answer = await self._engine.ask(event)
        if answer.reasons or answer.app_id is None:
            raise self._refusal(event, answer.reasons)
        return pb.OpenAssociationResponse(association=self._view(answer.app_id))

    @unary(changes=True)
    async def Close(self, request: pb.CloseAssociationRequest, caller: Caller) -> pb.CloseAssociationResponse:
        """Give an association back and wait until it is on its way out."""
        app_id = self._known(request.app_id)
        event = AssociationClosed(
            at=self._clock.now(),
            request_id=self._request_id("close", request.request_id, caller),
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

    def _request_id(self, verb: str, given: str, caller: Caller) -> str:
        """The id as the journal knows it: callers never meet each other's ids, nor verbs each other's."""
        if len(given) > MAX_REQUEST_ID:
            raise InvalidField("request_id", f"at most {MAX_REQUEST_ID} characters, not {len(given)}")
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

    def _refusal(self, event: AssociationRequested, reasons: tuple[str, ...]) -> Exception:
        for sae in (event.source, event.destination):
            if sae not in self._state.consumers:
                return NotKnown("application", sae)
        # The deciding code names bandwidth in bit/s exactly when a link lacks it.
        if any("bit/s" in reason for reason in reasons):
            return Lacking(*reasons)
        return Refused(*(reasons or ("refused without a reason",)))


def _associations(state: NetworkState, app_ids: Iterable[AppId]) -> list[pb.Association]:
    names = {node_id: record.name for node_id, record in state.nodes.items()}
    records = [state.associations[app_id] for app_id in app_ids if app_id in state.associations]
    return [
        views.association(record, names, account(state, record))
        for record in sorted(records, key=lambda record: (record.created_at, record.app_id))
    ]


def _expiry(request: pb.OpenAssociationRequest, now: float) -> float | None:
    if not request.HasField("expires_at"):
        return None
    at = views.seconds(request.expires_at)
    if at <= now:
        raise InvalidField("expires_at", "must lie in the future")
    return at
