"""The Optical service: the fibre plant, how a channel could be made, which light may be switched on."""

# ruff: noqa: N802 - methods are called as the proto calls them

from collections.abc import Callable

from keyweave_controller.control import facts, plant_links
from keyweave_controller.control.channels import NO_PLANT
from keyweave_controller.control.events import ClassicalWished, ClassicalWithdrawn, PlantConfigured
from keyweave_controller.control.optical.compute import compute_channels
from keyweave_controller.control.optical.plant import Plant
from keyweave_controller.control.optical.review import permit, review
from keyweave_controller.control.optical.wishes import ChannelWish
from keyweave_controller.control.state import NetworkState
from keyweave_controller.engine.ports import Engine, Request
from keyweave_controller.northbound import optical_views, planning_views
from keyweave_controller.northbound.access import Access, Caller
from keyweave_controller.northbound.calls import unary
from keyweave_controller.northbound.refusals import Declined, InvalidField, NotKnown
from keyweave_controller.plant_file import parse_plant, plant_text
from keyweave_core.errors import SettingsError
from keyweave_core.runtime.clock import Clock
from keyweave_proto.v1 import optical_pb2 as pb
from keyweave_proto.v1 import optical_pb2_grpc as pb_grpc

MOST_CANDIDATES = 64
MAX_REQUEST_ID = 128
"""Longest request id of a caller, characters."""


class OpticalService(pb_grpc.OpticalServicer):
    """keyweave.v1.Optical over the running engine. `new_id` makes an id for a request without one.

    Whoever may look may ask; only operators change the plant.
    """

    def __init__(self, engine: Engine, access: Access, clock: Clock, new_id: Callable[[], str]) -> None:
        self.access = access
        self._engine = engine
        self._clock = clock
        self._new_id = new_id

    @unary()
    async def GetPlant(self, _request: pb.GetPlantRequest, _caller: Caller) -> pb.PlantReply:
        """The plant as it is now."""
        return self._reply()

    @unary(changes=True)
    async def SetPlant(self, request: pb.SetPlantRequest, caller: Caller) -> pb.PlantReply:
        """Another plant, or that of the settings."""
        plant: Plant | None = None
        if request.toml.strip():
            try:
                plant = parse_plant(request.toml, where="plant")
            except SettingsError as error:
                raise InvalidField("toml", str(error)) from error
        request_id = self._request_id("plant", request.request_id, caller)
        await self._ask(
            PlantConfigured(at=self._clock.now(), request_id=request_id, plant=plant, requester=caller.name)
        )
        return self._reply()

    @unary()
    async def ComputeChannels(
        self, request: pb.ComputeChannelsRequest, _caller: Caller
    ) -> pb.ComputeChannelsResponse:
        """Candidates for a quantum channel, best first."""
        plant = self._plant
        for field, number in (("number", request.number), ("routes", request.routes)):
            if number > MOST_CANDIDATES:
                raise InvalidField(field, f"at most {MOST_CANDIDATES}, not {number}")
        for field, site in (("a", request.a), ("b", request.b)):
            if site not in plant.sites:
                raise NotKnown("site of the plant", site, field)
        if request.a == request.b:
            raise InvalidField("b", "a link joins two sites")
        wish = ChannelWish(
            a=request.a,
            b=request.b,
            demand_bps=request.demand_bps,
            link=request.link,
            without_fibres=frozenset(request.without_fibres),
            without_ducts=frozenset(request.without_ducts),
            number=request.number or 8,
            routes=request.routes or 4,
        )
        candidates, reasons = compute_channels(plant, wish)
        return pb.ComputeChannelsResponse(
            candidates=[optical_views.candidate(one) for one in candidates], reasons=reasons
        )

    @unary()
    async def ReviewChannels(
        self, _request: pb.ReviewChannelsRequest, _caller: Caller
    ) -> pb.ReviewChannelsResponse:
        """A judgement for every quantum channel."""
        return pb.ReviewChannelsResponse(channels=self._judged(self._plant))

    @unary()
    async def PermitClassical(
        self, request: pb.PermitClassicalRequest, _caller: Caller
    ) -> pb.PermitClassicalResponse:
        """May it be switched on?"""
        plant = self._plant
        light = optical_views.read_classical("channel", request.channel)
        try:
            verdict = permit(plant, light, plant_links.demands(self._state))
        except ValueError as error:
            raise InvalidField("channel", str(error)) from error
        names = plant_links.links_by_name(self._state)
        return pb.PermitClassicalResponse(
            granted=verdict.granted,
            channels=optical_views.judgements(plant, verdict.judgements, names),
            reasons=verdict.reasons,
            most_dbm=verdict.most_dbm,
        )

    @unary(changes=True)
    async def AddClassical(self, request: pb.AddClassicalRequest, caller: Caller) -> pb.PlantReply:
        """Switch it on, when it may be."""
        light = optical_views.read_classical("channel", request.channel)
        await self._ask(
            ClassicalWished(
                at=self._clock.now(),
                request_id=self._request_id("light", request.request_id, caller),
                channel=light,
                requester=caller.name,
            )
        )
        return self._reply()

    @unary(changes=True)
    async def RemoveClassical(self, request: pb.RemoveClassicalRequest, caller: Caller) -> pb.PlantReply:
        """Switch it off."""
        request_id = self._request_id("dark", request.request_id, caller)
        known = {light.name for light in self._plant.classical}
        if request.name not in known and request_id not in self._state.requests:
            raise NotKnown("classical channel", request.name, "name")
        await self._ask(
            ClassicalWithdrawn(
                at=self._clock.now(), request_id=request_id, name=request.name, requester=caller.name
            )
        )
        return self._reply()

    @unary()
    async def Availability(self, request: pb.AvailabilityRequest, _caller: Caller) -> pb.AvailabilityResponse:
        """When links make key."""
        state, now = self._state, self._clock.now()
        names = plant_links.links_by_name(state)
        found: dict[str, pb.LinkAvailability] = {}
        for link in state.links.values():
            windows = facts.windows_of(state, link)
            if windows is not None or request.links:
                shown = state.link_name(link.link_id)
                found[link.link_id] = optical_views.availability(shown, link.link_id, windows, now)
        for name, told in state.plant_facts.items():  # links that no agent has yet
            if name not in names and told.windows is not None:
                found[name] = optical_views.availability(name, "", told.windows, now)
        if request.links:
            wanted = [names.get(name, name) for name in request.links]
            for place, name in enumerate(wanted):
                if name not in found:
                    raise NotKnown("link", request.links[place], "links")
            return pb.AvailabilityResponse(links=[found[name] for name in dict.fromkeys(wanted)])
        ordered = sorted((one.link, link_id) for link_id, one in found.items())
        return pb.AvailabilityResponse(links=[found[link_id] for _, link_id in ordered])

    @property
    def _state(self) -> NetworkState:
        return self._engine.network.state

    @property
    def _plant(self) -> Plant:
        plant = self._state.plant
        if plant is None:
            raise Declined(NO_PLANT)
        return plant

    def _judged(self, plant: Plant) -> list[pb.ChannelJudgement]:
        judged = review(plant, plant.channels, plant_links.demands(self._state))
        return optical_views.judgements(plant, judged, plant_links.links_by_name(self._state))

    def _reply(self) -> pb.PlantReply:
        state = self._state
        plant = state.plant
        if plant is None:
            return pb.PlantReply(configured=state.plant_configured)
        return pb.PlantReply(
            toml=plant_text(plant),
            configured=state.plant_configured,
            fibres=len(plant.fibres),
            modules=len(plant.modules),
            classical=[optical_views.classical(light) for light in plant.classical],
            channels=self._judged(plant),
            moving=state.retuning is not None,
        )

    async def _ask(self, event: Request) -> None:
        answer = await self._engine.ask(event)
        if answer.reasons:
            raise Declined(*answer.reasons, alternatives=planning_views.alternatives(answer.alternatives))

    def _request_id(self, verb: str, given: str, caller: Caller) -> str:
        """One id a verb and caller, so that nobody meets the answer to another's request."""
        if len(given) > MAX_REQUEST_ID:
            raise InvalidField("request_id", f"at most {MAX_REQUEST_ID} characters, not {len(given)}")
        return f"{verb}/{caller.name}/{given or self._new_id()}"
