"""What each tenant has of the network, and whether it may have more.

Rule of this file: an association runs on the account of one tenant: the one its configuration names, else the
one its source belongs to (who asks for keys pays for them). One that ends counts no more. An application of
no tenant is unlimited. The limits hold for every way of asking.
"""

from dataclasses import dataclass

from keyweave_controller.control.configuration import Tenant
from keyweave_controller.control.state import Association, AssociationState, NetworkState
from keyweave_core.model.ids import SaeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What the associations of one tenant take together."""

    associations: int = 0
    reserved_bps: int = 0


def account(state: NetworkState, association: Association) -> str:
    """The name of the tenant on whose account an association runs; empty for none."""
    return association.tenant or state.tenant_of.get(association.source, "")


def uses(state: NetworkState) -> dict[str, Use]:
    """What every tenant in force takes now, by name."""
    counts = dict.fromkeys(state.tenants, Use())
    for association in state.associations.values():
        name = account(state, association) if _counts(association) else ""
        if name in counts:
            counts[name] = _more(counts[name], association)
    return counts


def obstacles(
    state: NetworkState, source: SaeId, rate_bps: int, *, tenant: str = "", beside: Association | None = None
) -> tuple[str, ...]:
    """Why an association of `source` that reserves `rate_bps` would exceed what its tenant may have.

    `tenant`: on whose account, when not that of the source. `beside`: the association that the new one
    replaces; what it has counts as free.
    """
    owner = state.tenants.get(tenant or state.tenant_of.get(source, ""))
    if owner is None or (owner.max_associations is None and owner.max_bandwidth_bps is None):
        return ()
    used = Use()
    for association in state.associations.values():
        if association is not beside and _counts(association) and account(state, association) == owner.name:
            used = _more(used, association)
    return tuple(_exceeded(owner, used, rate_bps))


def reserving_bps(association: Association) -> int:
    """What an association has reserved on its path, bit/s; during a change the larger of old and new.

    One that is booked for later counts already, with the rate that it asked for.
    """
    if association.booked:
        return association.qos.min_bandwidth_bps or 0
    return max((path.bandwidth_bps for path in (association.path, association.next_path) if path), default=0)


def _exceeded(owner: Tenant, used: Use, rate_bps: int) -> list[str]:
    found = []
    if owner.max_associations is not None and used.associations >= owner.max_associations:
        found.append(
            f"tenant {owner.name} has {used.associations} key associations"
            f" of at most {owner.max_associations}"
        )
    if owner.max_bandwidth_bps is not None and used.reserved_bps + rate_bps > owner.max_bandwidth_bps:
        found.append(
            f"tenant {owner.name} has {used.reserved_bps} bit/s of at most {owner.max_bandwidth_bps} bit/s"
            f" reserved, {rate_bps} bit/s more would exceed that"
        )
    return found


def _counts(association: Association) -> bool:
    return association.live and association.state is not AssociationState.CLOSING


def _more(use: Use, association: Association) -> Use:
    return Use(associations=use.associations + 1, reserved_bps=use.reserved_bps + reserving_bps(association))
