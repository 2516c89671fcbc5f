"""Which channel of the fibre plant is which link of the network, and what the network asks of it.

Rule of this file: pure, over the state. A plant calls its links by their ids or by the names of their sites,
"A-B"; two links between the same sites are told apart by their ids only.
"""

from collections.abc import Mapping
from math import ceil

from keyweave_controller.control import admission
from keyweave_controller.control.optical.equipment import QuantumChannel
from keyweave_controller.control.optical.grid import band_of
from keyweave_controller.control.optical.layout import Layout
from keyweave_controller.control.optical.plant import Plant
from keyweave_controller.control.optical.review import SkrDemand
from keyweave_controller.control.state import LinkRecord, NetworkState
from keyweave_core.model.ids import LinkId, NodeId
from keyweave_core.model.link import LinkTuning, PhysicalSpec


def links_by_name(state: NetworkState) -> Mapping[str, LinkId]:
    """Every name of every physical link: its id, and its sites in either order where that is unique."""
    found: dict[str, LinkId] = {}
    shared: set[str] = set()
    for link in state.links.values():
        a, b = state.node_name(link.a), state.node_name(link.b)
        for name in (f"{a}-{b}", f"{b}-{a}"):
            if name in found:
                shared.add(name)
            found[name] = link.link_id
    for name in shared:
        del found[name]
    found.update({link_id: link_id for link_id in state.links})
    return found


def channel_for(state: NetworkState, link: LinkRecord) -> QuantumChannel | None:
    """The quantum channel that the plant has for a link, or for another link between the same sites.

    Quick, for it is asked for every link that is read; `links_by_name` tells which of several is meant.
    """
    if state.plant is None:
        return None
    a, b = state.node_name(link.a), state.node_name(link.b)
    names = (link.link_id, f"{a}-{b}", f"{b}-{a}")
    name = next((name for name in names if name in state.plant_facts), None)
    return next((channel for channel in state.plant.channels if channel.link == name), None)


def demands(state: NetworkState) -> tuple[SkrDemand, ...]:
    """What each channel of the plant has to make for what its link promises now, by the plant's names.

    The reserved rate over the usable share; the priority is that of the most important association.
    """
    if state.plant is None:
        return ()
    names = links_by_name(state)
    priorities: dict[LinkId, int] = {}
    for association in state.associations.values():
        if association.live:
            for link_id in (link_id for path in association.paths for link_id in path.links):
                priorities[link_id] = max(priorities.get(link_id, 0), association.priority)
    found: list[SkrDemand] = []
    for channel in state.plant.channels:
        link = state.links.get(names.get(channel.link, LinkId("")))
        if link is not None:
            needed = ceil(admission.reserved_bps(link) / state.policy.usable_share)
            priority = priorities.get(link.link_id, 0)
            found.append(SkrDemand(link=channel.link, skr_bps=needed, priority=priority))
    return tuple(found)


def loss_db(plant: Plant, channel: QuantumChannel) -> float:
    """What the light of a channel loses from module to module, three decimals as the wire has."""
    layout = Layout(plant)
    route = layout.along(channel.fibres, channel.transmitter.site, band_of(channel.channel))
    return round(route.loss_db, 3)


def wanted_tuning(state: NetworkState, link_id: LinkId, held: PhysicalSpec) -> LinkTuning | None:
    """What an end that holds `held` has to be told; None when nothing, or when it tells no channel.

    The loss stays what the end has, where it has one: its other end would not know of another. A link that is
    being retuned is told by that alone.
    """
    link = state.links.get(link_id)
    if state.plant is None or link is None or held.wavelength is None:
        return None
    if state.retuning is not None and link_id in state.retuning.links:
        return None
    channel = channel_for(state, link)
    if channel is None or channel.channel == held.wavelength:
        return None
    if links_by_name(state).get(channel.link) != link_id:
        return None
    told_db = held.channel_att_db
    return LinkTuning(
        link_id=link_id,
        wavelength=channel.channel,
        channel_att_db=loss_db(state.plant, channel) if told_db is None else told_db,
    )


def still_wanted(state: NetworkState, tuning: LinkTuning) -> bool:
    """The plant has the link on this channel, and nothing else is being told to it."""
    link = state.links.get(tuning.link_id)
    if link is None or (state.retuning is not None and tuning.link_id in state.retuning.links):
        return False
    channel = channel_for(state, link)
    return channel is not None and channel.channel == tuning.wavelength


def node_of_site(state: NetworkState, site: str) -> NodeId | None:
    """The node that a site of the plant is; None when the controller never read it."""
    return next((one.node_id for one in state.nodes.values() if one.name == site), None)
