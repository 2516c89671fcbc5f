"""What an association lacks although it runs.

Rule of this file: looks and changes nothing; sentences for people, the same wherever they are shown.
"""

from keyweave_controller.control import admission, placement, topology
from keyweave_controller.control.service import Protection, ServiceClass
from keyweave_controller.control.state import Association, AssociationState, NetworkState, PathRecord

RUNS = frozenset({AssociationState.ACTIVE, AssociationState.MOVING})
"""States in which keys flow."""


def lacks(state: NetworkState, one: Association) -> tuple[str, ...]:
    """What an association lacks although it runs, one sentence each; nothing of one that does not."""
    if one.state not in RUNS:
        return ()
    found = list(one.reasons)
    service, rate_bps = one.service, admission.wanted_bps(one.qos, state.policy)
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
        for link_id in path.links:
            link = state.links.get(link_id)
            if link is not None and link.down_since is None and admission.overbooked(link, state.policy):
                usable, held = admission.usable_bps(link, state.policy), admission.reserved_bps(link)
                name = state.link_name(link_id)
                found.append(f"link {name} may promise {usable} bit/s and has promised {held} bit/s")
    if (
        one.share_bps is not None
        and one.share_bps < rate_bps
        and service.service_class is not ServiceClass.BEST_EFFORT
    ):
        found.append(f"its share is {one.share_bps} bit/s, less than the {rate_bps} bit/s it was promised")
    if one.trouble:
        found.append(f"an agent complains: {one.trouble}")
    return tuple(dict.fromkeys(found))


def role_of(one: Association, path: PathRecord) -> str:
    """What a path is to its association."""
    if path is one.path:
        return "its path" if one.service.protection is not Protection.ONE_PLUS_ONE else "one of its paths"
    return "its standby" if one.service.protection is Protection.ONE_TO_ONE else "one of its paths"
