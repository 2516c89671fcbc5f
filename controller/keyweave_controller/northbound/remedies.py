"""What would have been granted instead of entries of the configuration that were refused.

Rule of this file: looks and changes nothing, and is bounded. Each entry is looked at alone: what is told for
two of them need not fit together.
"""

from collections.abc import Iterable

from keyweave_controller.control import placement, refusals
from keyweave_controller.control.actions import Alternative
from keyweave_controller.control.configuration import ConfiguredAssociation, OperatorConfiguration
from keyweave_controller.control.mesh import Mesh
from keyweave_controller.control.placement import Wanted
from keyweave_controller.control.state import NetworkState

MOST_ENTRIES = 8
"""Most refused entries of one change for which anything is sought."""

Remedies = dict[str, tuple[Alternative, ...]]
"""By what an answer is about (`association/<name>`)."""


def of_entries(
    state: NetworkState, mesh: Mesh, wanted: OperatorConfiguration, about: Iterable[str], *, at: float
) -> Remedies:
    """Alternatives to the entries that do not fit the network as it is."""
    entries = {f"association/{one.name}": one for one in wanted.associations}
    refused = [name for name in dict.fromkeys(about) if name in entries][:MOST_ENTRIES]
    return {name: _of(state, mesh, entries[name], at) for name in refused}


def _of(state: NetworkState, mesh: Mesh, one: ConfiguredAssociation, at: float) -> tuple[Alternative, ...]:
    near, far = state.consumers.get(one.source), state.consumers.get(one.destination)
    if near is None or far is None or near == far:
        return ()
    living = [each for each in state.associations.values() if each.live]
    beside = next((each for each in living if each.parties == one.pair), None)
    asked = Wanted(
        source=near,
        destination=far,
        qos=one.qos,
        priority=one.priority,
        service=one.service,
        expires_at=one.expires_at,
        app_id=beside.app_id if beside else None,
    )
    wish = placement.wish_of(state, asked, beside=beside.paths if beside else ())
    if placement.find(state, mesh, wish, one.service, at=at):
        return ()  # it was refused for something that no other path or rate would change
    return refusals.alternatives(state, mesh, wish, one.service, one.qos, at=at)
