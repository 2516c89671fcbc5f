"""The Configuration service: policy, tariff, tenants and wanted associations, to read and to change.

Rule of this file: every change goes through the Configurator, as those of the other northbounds do; it is
granted as a whole or refused with reasons.
"""

# ruff: noqa: N802 - methods are called as the proto calls them

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal, InvalidOperation

from keyweave_controller.control import tenants
from keyweave_controller.control.configuration import (
    MAX_NAME,
    ORIGIN_PRICES,
    ConfiguredAssociation,
    OperatorConfiguration,
    Tariff,
    Tenant,
)
from keyweave_controller.control.state import NetworkState
from keyweave_controller.control.strategies import STRATEGIES
from keyweave_controller.engine.ports import Engine
from keyweave_controller.northbound import planning_views, policy_views, reading, views, wishes
from keyweave_controller.northbound.access import Access, Caller
from keyweave_controller.northbound.calls import unary
from keyweave_controller.northbound.configuring import Configurator
from keyweave_controller.northbound.refusals import Declined, InvalidField, Lacking, NotKnown
from keyweave_proto.v1 import keyweave_pb2 as pb
from keyweave_proto.v1 import keyweave_pb2_grpc as pb_grpc


class ConfigurationService(pb_grpc.ConfigurationServicer):
    """keyweave.v1.Configuration over the running engine."""

    def __init__(self, engine: Engine, access: Access, configurator: Configurator) -> None:
        self.access = access
        self._engine = engine
        self._configurator = configurator

    @unary()
    async def GetPolicy(self, _request: pb.GetPolicyRequest, _caller: Caller) -> pb.PolicyReply:
        """The policy in force."""
        return self._policy()

    @unary(changes=True)
    async def SetPolicy(self, request: pb.SetPolicyRequest, caller: Caller) -> pb.PolicyReply:
        """Another policy, or that of the settings again."""
        in_force = self._engine.network.policy
        policy = policy_views.read(request.policy, in_force) if request.HasField("policy") else None
        await self._change(lambda now: replace(now, policy=policy), caller)
        return self._policy()

    @unary()
    async def GetTariff(self, _request: pb.GetTariffRequest, _caller: Caller) -> pb.TariffReply:
        """The tariff in force."""
        return self._tariff()

    @unary(changes=True)
    async def SetTariff(self, request: pb.SetTariffRequest, caller: Caller) -> pb.TariffReply:
        """Another tariff, or that of the settings again."""
        tariff = _tariff(request.tariff) if request.HasField("tariff") else None
        await self._change(lambda now: replace(now, tariff=tariff), caller)
        return self._tariff()

    @unary()
    async def ListTenants(self, _request: pb.ListTenantsRequest, _caller: Caller) -> pb.ListTenantsResponse:
        """Every tenant, with what it has now."""
        uses = tenants.uses(self._state)
        shown = [
            _tenant_view(one, uses.get(one.name, tenants.Use())) for one in self._configurator.current.tenants
        ]
        return pb.ListTenantsResponse(tenants=shown)

    @unary(changes=True)
    async def PutTenant(self, request: pb.PutTenantRequest, caller: Caller) -> pb.Tenant:
        """Make or replace a tenant."""
        wanted = _tenant(request.tenant)

        def put(now: OperatorConfiguration) -> OperatorConfiguration:
            named = {one.name: one for one in now.tenants} | {wanted.name: wanted}
            return replace(now, tenants=tuple(named.values()))

        await self._change(put, caller)
        return _tenant_view(wanted, tenants.uses(self._state).get(wanted.name, tenants.Use()))

    @unary(changes=True)
    async def DeleteTenant(self, request: pb.DeleteTenantRequest, caller: Caller) -> pb.DeleteTenantResponse:
        """Forget a tenant; its applications are unlimited from then on."""
        if request.name not in {one.name for one in self._configurator.current.tenants}:
            raise NotKnown("tenant", request.name)
        await self._change(
            lambda now: replace(now, tenants=tuple(one for one in now.tenants if one.name != request.name)),
            caller,
        )
        return pb.DeleteTenantResponse()

    @unary()
    async def ListAssociations(
        self, _request: pb.ListConfiguredRequest, _caller: Caller
    ) -> pb.ListConfiguredResponse:
        """Every association that shall be."""
        shown = [self._association_view(one) for one in self._configurator.current.associations]
        return pb.ListConfiguredResponse(associations=shown)

    @unary(changes=True)
    async def PutAssociation(
        self, request: pb.PutConfiguredRequest, caller: Caller
    ) -> pb.ConfiguredAssociation:
        """Ask for an association, or change it."""
        wanted = _configured(self._state, request.association)

        def put(now: OperatorConfiguration) -> OperatorConfiguration:
            named = {one.name: one for one in now.associations} | {wanted.name: wanted}
            return replace(now, associations=tuple(named.values()))

        await self._change(put, caller)
        return self._association_view(wanted)

    @unary(changes=True)
    async def DeleteAssociation(
        self, request: pb.DeleteConfiguredRequest, caller: Caller
    ) -> pb.DeleteConfiguredResponse:
        """Want an association no more; it is closed."""
        if request.name not in {one.name for one in self._configurator.current.associations}:
            raise NotKnown("configured association", request.name)

        def drop(now: OperatorConfiguration) -> OperatorConfiguration:
            left = tuple(one for one in now.associations if one.name != request.name)
            return replace(now, associations=left)

        await self._change(drop, caller)
        return pb.DeleteConfiguredResponse()

    async def _change(
        self, make: Callable[[OperatorConfiguration], OperatorConfiguration], caller: Caller
    ) -> None:
        answer = await self._configurator.change(make, requester=caller.name)
        instead = planning_views.alternatives(answer.alternatives)
        if any("bit/s" in reason for reason in answer.reasons):
            raise Lacking(*answer.reasons, alternatives=instead)
        if answer.reasons:
            raise Declined(*answer.reasons, alternatives=instead)

    @property
    def _state(self) -> NetworkState:
        return self._engine.network.state

    def _policy(self) -> pb.PolicyReply:
        return pb.PolicyReply(
            policy=policy_views.shown(self._engine.network.policy),
            configured=self._configurator.current.policy is not None,
            strategies=sorted(STRATEGIES),
        )

    def _tariff(self) -> pb.TariffReply:
        return pb.TariffReply(
            tariff=views.tariff_view(self._engine.management.tariff),
            configured=self._configurator.current.tariff is not None,
        )

    def _association_view(self, one: ConfiguredAssociation) -> pb.ConfiguredAssociation:
        living = (record for record in self._state.associations.values() if record.live)
        app_id = next((record.app_id for record in living if record.configured_as == one.name), "")
        return pb.ConfiguredAssociation(
            name=one.name,
            source=one.source,
            destination=one.destination,
            qos=views.qos(one.qos),
            priority=one.priority,
            expires_at=views.timestamp(one.expires_at),
            tenant=one.tenant,
            app_id=app_id,
            service=views.service(one.service),
        )


def _tariff(wish: pb.Tariff) -> Tariff:
    usual = Tariff()
    try:
        return Tariff(
            currency=wish.currency or usual.currency,
            per_mbit=Decimal(wish.per_mbit or 0),
            per_key=Decimal(wish.per_key or 0),
            per_further_hop=Decimal(wish.per_further_hop or 0),
            decimals=wish.decimals,
            **{name: Decimal(getattr(wish, name)) for name in ORIGIN_PRICES if wish.HasField(name)},
        )
    except (ValueError, InvalidOperation) as error:
        raise InvalidField("tariff", str(error) or "amounts are decimal texts") from error


def _tenant(wish: pb.Tenant) -> Tenant:
    return Tenant(
        name=_name("tenant.name", wish.name),
        description=wish.description,
        applications=tuple(reading.sae("tenant.applications", text) for text in wish.applications),
        max_associations=wish.max_associations if wish.HasField("max_associations") else None,
        max_bandwidth_bps=wish.max_bandwidth_bps if wish.HasField("max_bandwidth_bps") else None,
        key_mode=wishes.key_mode("tenant.key_mode", wish.key_mode),
        relay_method=wishes.relay_method("tenant.relay_method", wish.relay_method),
    )


def _tenant_view(one: Tenant, use: tenants.Use) -> pb.Tenant:
    return pb.Tenant(
        name=one.name,
        description=one.description,
        applications=one.applications,
        max_associations=one.max_associations,
        max_bandwidth_bps=one.max_bandwidth_bps,
        associations=use.associations,
        reserved_bps=use.reserved_bps,
        key_mode=views.member("KEY_MODE", one.key_mode),
        relay_method=views.member("RELAY_METHOD", one.relay_method),
    )


def _configured(state: NetworkState, wish: pb.ConfiguredAssociation) -> ConfiguredAssociation:
    expires_at = views.seconds(wish.expires_at) if wish.HasField("expires_at") else None
    return ConfiguredAssociation(
        name=_name("association.name", wish.name),
        source=reading.sae("association.source", wish.source),
        destination=reading.sae("association.destination", wish.destination),
        qos=reading.qos("association.qos", wish.qos),
        priority=wish.priority,
        expires_at=expires_at,
        tenant=wish.tenant,
        service=wishes.service(state, "association.service", wish.service, expires_at=expires_at),
    )


def _name(field: str, text: str) -> str:
    if not 1 <= len(text) <= MAX_NAME or not text.isprintable():
        raise InvalidField(field, f"must have 1..{MAX_NAME} printable characters")
    return text
