"""What the controller believes about a physical link when its two ends have spoken.

Rule of this file: an agent may be wrong or lie, and that must cost nobody but the link it speaks of. A link
is believed when two known nodes name each other as its ends, agree on what it is, and give figures that
physics allows. Whoever else claims the same link id is ignored (and named in that node's faults). Pure
functions over `LinkRecord.ends` and `claims`; `discovery` and `measures` store the outcome.

An end that is not heard of yet is no fault while agents of the inventory have not spoken: the link is
PENDING and waits.
"""

from collections.abc import Iterator

from keyweave_controller.control.lookups import all_heard
from keyweave_controller.control.state import LinkEnd, LinkRecord, NetworkState
from keyweave_core.model.ids import NodeId
from keyweave_core.model.link import LinkStatus, LinkType

MAX_RATE_BPS = 1_000_000_000
"""No QKD link makes key faster: a figure above it is a lie or a broken counter."""
MAX_LOSS_DB = 100.0
LOSS_TOLERANCE_DB = 1.0
"""Two measurements of one fibre may differ by connectors and calibration; more is another fibre."""
DISTANCE_TOLERANCE_KM = 1.0

DOWN = frozenset({LinkStatus.PASSIVE, LinkStatus.OFF})


def end_status(end: LinkEnd) -> LinkStatus:
    """What one end says, completed: no key made and none left is OFF; silence with a rate is ACTIVE."""
    if end.status is None:
        return LinkStatus.ACTIVE if end.performance.skr_bps else LinkStatus.PENDING
    if end.status is LinkStatus.PASSIVE and end.pool is not None and end.pool.stored_bits <= 0:
        return LinkStatus.OFF
    return end.status


def joint_status(link: LinkRecord) -> LinkStatus:
    """The worse of both ends; PENDING until both have spoken."""
    said = {end_status(end) for end in link.ends.values()}
    for status in (LinkStatus.OFF, LinkStatus.PASSIVE):
        if status in said:
            return status
    if said == {LinkStatus.ACTIVE} and len(link.ends) == 2:
        return LinkStatus.ACTIVE
    return LinkStatus.PENDING


def joint_skr_bps(link: LinkRecord) -> int:
    """The rate that every end that gave one can vouch for; 0 when none did or a figure is impossible."""
    rates = [end.counted_skr_bps for end in link.ends.values() if end.counted_skr_bps is not None]
    rate = min(rates, default=0)
    return rate if 0 <= rate <= MAX_RATE_BPS else 0


def arrange(link: LinkRecord) -> None:
    """Sort who is an end and who only claims to be: the pair that names each other, incumbents first."""
    spoken = {**link.claims, **link.ends}
    mutual = [
        (node, end.remote_node)
        for node, end in sorted(spoken.items())
        if end.remote_node in spoken
        and node < end.remote_node
        and spoken[end.remote_node].remote_node == node
    ]
    if mutual and (link.a, link.b) not in mutual:
        link.a, link.b = mutual[0]
    elif not mutual and not spoken.keys() & {link.a, link.b} and spoken:
        first, end = min(spoken.items())
        other = end.remote_node or first
        link.a, link.b = min(first, other), max(first, other)
    link.ends = {node: spoken[node] for node in (link.a, link.b) if node in spoken}
    link.claims = {node: end for node, end in sorted(spoken.items()) if node not in link.ends}


def link_faults(state: NetworkState, link: LinkRecord) -> tuple[str, ...]:
    """Why the link is not used although it is offered, as sentences without a full stop; empty when it is."""
    faults: list[str] = []
    for node_id, end in sorted(link.ends.items()):
        faults.extend(_end_faults(state, link, node_id, end))
    if not link.ends:
        faults.append("no end offers it any more")
    if len(link.ends) == 2 and not faults:
        faults.extend(_disagreements(state, link))
    if len(link.ends) == 1:
        faults.extend(_far_end_fault(state, link))
    return tuple(faults)


def _end_faults(state: NetworkState, link: LinkRecord, node_id: NodeId, end: LinkEnd) -> Iterator[str]:
    name = state.node_name(node_id)
    if end.local_node not in (None, node_id):
        yield f"{name} says the link starts at another node, {end.local_node}"
    if end.remote_node is None:
        yield f"{name} does not say where the link leads"
    elif end.remote_node == node_id:
        yield f"{name} says the link leads back to itself"
    elif end.remote_node not in (link.a, link.b):
        yield f"{name} says the link leads to {state.node_name(end.remote_node)}"
    if end.type is not LinkType.PHYS:
        yield f"{name} says the link is {end.type or 'of no type'}, not {LinkType.PHYS}"
    yield from figure_faults(name, end)


def figure_faults(name: str, end: LinkEnd) -> Iterator[str]:
    """Figures of one end that physics does not allow."""
    figures = end.performance
    for what, rate in (("secret key rate", figures.skr_bps), ("effective key rate", figures.eskr_bps)):
        if rate is not None and not 0 <= rate <= MAX_RATE_BPS:
            yield f"{name} gives a {what} of {rate} bit/s, outside 0..{MAX_RATE_BPS}"
    if figures.qber is not None and not 0 <= figures.qber <= 0.5:
        yield f"{name} gives a QBER of {figures.qber:g}, outside 0..0.5"
    if end.loss_db is not None and not 0 <= end.loss_db <= MAX_LOSS_DB:
        yield f"{name} gives a loss of {end.loss_db:g} dB, outside 0..{MAX_LOSS_DB:g}"
    if end.distance_km is not None and end.distance_km < 0:
        yield f"{name} gives a distance of {end.distance_km:g} km"
    if end.pool is not None and not 0 <= end.pool.stored_bits <= end.pool.capacity_bits:
        yield f"{name} stores {end.pool.stored_bits} bit in a pool of {end.pool.capacity_bits} bit"


def _disagreements(state: NetworkState, link: LinkRecord) -> Iterator[str]:
    a, b = link.ends[link.a], link.ends[link.b]
    names = f"{state.node_name(link.a)} and {state.node_name(link.b)}"
    for near, far, name in ((a, b, state.node_name(link.a)), (b, a, state.node_name(link.b))):
        if (
            None not in (near.remote_interface, far.interface_id)
            and near.remote_interface != far.interface_id
        ):
            yield (
                f"{name} expects interface {near.remote_interface} at the far end,"
                f" which uses {far.interface_id}"
            )
    if a.loss_db is not None and b.loss_db is not None and abs(a.loss_db - b.loss_db) > LOSS_TOLERANCE_DB:
        yield f"{names} disagree about the loss: {a.loss_db:g} dB and {b.loss_db:g} dB"
    if (
        a.distance_km is not None
        and b.distance_km is not None
        and abs(a.distance_km - b.distance_km) > DISTANCE_TOLERANCE_KM
    ):
        yield f"{names} disagree about the distance: {a.distance_km:g} km and {b.distance_km:g} km"


def _far_end_fault(state: NetworkState, link: LinkRecord) -> Iterator[str]:
    (near,) = link.ends
    far = link.b if near == link.a else link.a
    if far == near:
        return
    if far in state.nodes:
        yield f"{state.node_name(far)} does not know of the link"
    elif all_heard(state):
        yield f"the far end {far} is no node of this network"
