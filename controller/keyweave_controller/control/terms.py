"""What a wish leaves open, said: what keys may be made of and how they travel.

Rule of this file: pure. A wish that says nothing gets what its tenant says, else what the policy says for
its class; where these say nothing but the usual, nothing is filled in. What is granted is settled, so a
policy that changes later changes nothing that runs, but what the configuration asks for.
"""

from dataclasses import replace

from keyweave_controller.control.configuration import Policy, Tenant
from keyweave_controller.control.service import Service, ServiceClass
from keyweave_controller.control.state import NetworkState
from keyweave_core.model.application import KeyMode, RelayMethod
from keyweave_core.model.ids import SaeId


def settled(
    state: NetworkState, service: Service, source: SaeId, *, tenant: str = "", several: bool = False
) -> Service:
    """The service with nothing left open, as asked for by `source` on the account of `tenant` (empty: of the
    tenant of the source). `several` destinations get quantum keys, sent on, where nobody asks otherwise.
    """
    if several or (service.key_mode is not None and service.relay_method is not None):
        return service
    owner = state.tenants.get(tenant or state.tenant_of.get(source, ""))
    mode = service.key_mode or _usual_mode(state.policy, owner, service.service_class)
    method = service.relay_method or _usual_method(state.policy, owner, service.service_class)
    if service.key_mode is None and mode is KeyMode.QKD_ONLY:
        mode = None
    if service.relay_method is None and method is RelayMethod.OTP:
        method = None
    if (mode, method) == (service.key_mode, service.relay_method):
        return service
    return replace(service, key_mode=mode, relay_method=method)


def in_words(service: Service) -> Service:
    """What was settled, with the usual said, too: for people."""
    return replace(service, key_mode=service.mode, relay_method=service.method)


def _usual_mode(policy: Policy, tenant: Tenant | None, service_class: ServiceClass) -> KeyMode | None:
    if tenant is not None and tenant.key_mode is not None:
        return tenant.key_mode
    return {
        ServiceClass.GUARANTEED: policy.guaranteed_key_mode,
        ServiceClass.BEST_EFFORT: policy.best_effort_key_mode,
        ServiceClass.SCHEDULED: policy.scheduled_key_mode,
    }[service_class]


def _usual_method(policy: Policy, tenant: Tenant | None, service_class: ServiceClass) -> RelayMethod | None:
    if tenant is not None and tenant.relay_method is not None:
        return tenant.relay_method
    return {
        ServiceClass.GUARANTEED: policy.guaranteed_relay_method,
        ServiceClass.BEST_EFFORT: policy.best_effort_relay_method,
        ServiceClass.SCHEDULED: policy.scheduled_relay_method,
    }[service_class]
