"""What an association lacks although it runs.

Rule of this file: looks and changes nothing; sentences for people, the same wherever they are shown.
"""

from keyweave_controller.control import admission, placement, topology
from keyweave_controller.control.service import Protection
from keyweave_controller.control.state import Association, AssociationState, NetworkState, PathRecord

RUNS = frozenset({AssociationState.ACTIVE, AssociationState.MOVING})
"""States in which keys flow."""


def lacks(state: NetworkState, one: Association) -> tuple[str, ...]:
    """What an association lacks although it runs, one sentence each; nothing of one that does not."""
    if one.state not in RUNS:
        return ()
    found = [*one.reasons, *unprotected(state, one)]
    promised = admission.promised_bps(one.qos, one.service, state.policy)
    if one.degraded_bps is not None:
        found.append(
            f"its tightest link holds {one.degraded_bps} bit/s for it, {promised} bit/s were promised"
        )
    for path in one.paths:
        for link_id in path.links:
            link = state.links.get(link_id)
            if link is not None and link.down_since is None and admission.overbooked(link, state.policy):
                usable, held = admission.usable_bps(link, state.policy), admission.reserved_bps(link)
                name = state.link_name(link_id)
                found.append(f"link {name} may promise {usable} bit/s and has promised {held} bit/s")
    if one.trouble:
        found.append(f"an agent complains: {one.trouble}")
    return tuple(dict.fromkeys(found))


def unprotected(state: NetworkState, one: Association) -> tuple[str, ...]:
    """What is missing of the paths that it should have, or broken."""
    found = []
    service = one.service
    missing = placement.paths_of(service) - len(one.paths)
    if one.source_node != one.destination_node and missing > 0:
        what = (
            "no path stands by"
            if service.protection is Protection.ONE_TO_ONE
            else f"{missing} paths are missing"
        )
        found.append(f"protection {service.protection} is not whole: {what}")
    for path in one.paths:
        role = role_of(one, path)
        broken = [state.link_name(link_id) for link_id in topology.broken_links(state, path)]
        found.extend(f"{role} is broken: link {name} makes no key" for name in broken)
    return tuple(found)


def role_of(one: Association, path: PathRecord) -> str:
    """What a path is to its association."""
    if path is one.path:
        return "its path" if one.service.protection is not Protection.ONE_PLUS_ONE else "one of its paths"
    return "its standby" if one.service.protection is Protection.ONE_TO_ONE else "one of its paths"
