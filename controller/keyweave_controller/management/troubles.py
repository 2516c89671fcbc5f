"""What is wrong with the network, as the state says it: what alarms would say.

Rule of this file: looks and changes nothing. One function for each kind of thing that can be in trouble;
causes come before what hangs under them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from keyweave_controller.control import admission, damping
from keyweave_controller.control.network import Network
from keyweave_controller.control.state import Association, AssociationState, NetworkState
from keyweave_controller.management.alarms import AlarmSeverity, AlarmType
from keyweave_core.model.ids import AppId, LinkId, NodeId
from keyweave_core.model.link import InterfaceStatus, LinkStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What an alarm would say."""

    resource: str
    resource_name: str
    type: AlarmType
    severity: AlarmSeverity
    text: str
    affected: tuple[AppId, ...] = ()
    cause_resource: str | None = None

    @property
    def key(self) -> str:
        """Two troubles of one key are one alarm."""
        return f"{self.type}|{self.resource}"


def of_agent(state: NetworkState, name: str) -> Iterator[Trouble]:
    """An agent that has no node record."""
    resource = f"agent:{name}"
    if name in state.rejected:
        yield Trouble(
            resource=resource,
            resource_name=name,
            type=AlarmType.CONFIG_MISMATCH,
            severity=AlarmSeverity.MAJOR,
            text="; ".join(state.rejected[name]),
        )
    if name in state.unreached:
        yield Trouble(
            resource=resource,
            resource_name=name,
            type=AlarmType.NODE_UNREACHABLE,
            severity=AlarmSeverity.MAJOR,
            text=state.unreached[name],
        )


def of_node(network: Network, node_id: NodeId) -> Iterator[Trouble]:
    """A node and its modules."""
    node = network.state.nodes.get(node_id)
    if node is None:
        return
    resource = f"node:{node_id}"
    # Not yet read since the controller started is no trouble; a lost session is.
    if not node.connected and node.lost_reason:
        yield Trouble(
            resource=resource,
            resource_name=node.name,
            type=AlarmType.NODE_UNREACHABLE,
            severity=AlarmSeverity.MAJOR,
            text=node.lost_reason,
            affected=tuple(one.app_id for one in network.through_node(node_id)),
        )
    if node.faults:
        yield Trouble(
            resource=resource,
            resource_name=node.name,
            type=AlarmType.CONFIG_MISMATCH,
            severity=AlarmSeverity.MINOR,
            text="; ".join(node.faults),
        )
    if node.store_trouble:
        yield Trouble(
            resource=resource,
            resource_name=node.name,
            type=AlarmType.KEY_STORE_FAILED,
            severity=AlarmSeverity.CRITICAL,
            text=node.store_trouble,
            affected=tuple(one.app_id for one in network.through_node(node_id)),
        )
    for interface in node.interfaces.values():
        if interface.status is InterfaceStatus.FAILED:
            yield Trouble(
                resource=f"interface:{node_id}/{interface.interface_id}",
                resource_name=f"{node.name} interface {interface.interface_id}",
                type=AlarmType.INTERFACE_FAILED,
                severity=AlarmSeverity.MAJOR,
                text="the QKD module failed",
            )


def of_link(network: Network, link_id: LinkId, at: float) -> Iterator[Trouble]:
    """A physical link."""
    state = network.state
    link = state.links.get(link_id)
    if link is None:
        return
    resource, name = f"link:{link_id}", state.link_name(link_id)
    drawn = any(end.overloaded for end in link.ends.values())
    # A link that makes no key is short of key, too: that is said once, by its own alarm.
    # Nor is a link that is up and has not told a rate yet.
    told = link.status is LinkStatus.ACTIVE and link.skr_bps > 0
    booked = link.overbooked_since is not None or (told and admission.overbooked(link, state.policy))
    flapping = damping.suppressed(link, at)
    short = state.plant_faults.get(link_id, "")
    watched = link.quarantine
    if not (link.down_since is not None or link.faults or drawn or booked or flapping or short or watched):
        return
    affected = tuple(one.app_id for one in network.over_link(link_id))
    if watched:
        yield Trouble(
            resource=resource,
            resource_name=name,
            type=AlarmType.EAVESDROPPING_SUSPECTED,
            severity=AlarmSeverity.CRITICAL,
            text=f"possible eavesdropping on link {name}: {watched}",
            affected=affected,
        )
    if flapping:
        yield Trouble(
            resource=resource,
            resource_name=name,
            type=AlarmType.LINK_FLAPPING,
            severity=AlarmSeverity.WARNING,
            text=f"link {name} fails so often that it is used only when nothing else fits",
            affected=affected,
        )
    if short:
        yield Trouble(
            resource=resource,
            resource_name=name,
            type=AlarmType.CHANNEL_BELOW_DEMAND,
            severity=AlarmSeverity.MAJOR,
            text=f"the quantum channel of link {name}: {short}",
            affected=affected,
        )
    if link.down_since is not None and not link.resting:
        yield Trouble(
            resource=resource,
            resource_name=name,
            type=AlarmType.LINK_DOWN,
            severity=AlarmSeverity.MAJOR,
            text=f"link {name} makes no key" + (f": {link.down_reason}" if link.down_reason else ""),
            affected=affected,
        )
    if link.faults:
        yield Trouble(
            resource=resource,
            resource_name=name,
            type=AlarmType.CONFIG_MISMATCH,
            severity=AlarmSeverity.MAJOR,
            text="; ".join(link.faults),
            affected=affected,
        )
    if drawn or booked:
        promised, usable = admission.reserved_bps(link), admission.usable_bps(link, state.policy)
        yield Trouble(
            resource=resource,
            resource_name=name,
            type=AlarmType.CAPACITY_OVERBOOKED,
            severity=AlarmSeverity.MINOR,
            text=f"link {name} promises {promised} bit/s of {usable} bit/s"
            if booked
            else f"link {name} is drawn upon faster than it makes key",
            affected=affected,
        )


def of_association(state: NetworkState, app_id: AppId) -> Iterator[Trouble]:
    """An association."""
    association = state.associations.get(app_id)
    if association is None or not association.live:
        return
    if association.trouble:
        yield Trouble(
            resource=f"association:{app_id}",
            resource_name=f"{association.source} -> {', '.join(association.destinations)}",
            type=AlarmType.AUTHENTICATION_FAILED if association.unproven else AlarmType.RELAY_FAILED,
            severity=AlarmSeverity.MAJOR if association.unproven else AlarmSeverity.MINOR,
            text=association.trouble,
            affected=(app_id,),
        )
    if association.fallback:
        yield Trouble(
            resource=f"association:{app_id}",
            resource_name=f"{association.source} -> {', '.join(association.destinations)}",
            type=AlarmType.FALLBACK_ACTIVE,
            severity=AlarmSeverity.MAJOR,
            text=association.fallback,
            affected=(app_id,),
            cause_resource=_broken_link(state, association),
        )
    if association.degraded_bps is not None and association.state is AssociationState.ACTIVE:
        promised = association.path.bandwidth_bps if association.path else 0
        yield Trouble(
            resource=f"association:{app_id}",
            resource_name=f"{association.source} -> {', '.join(association.destinations)}",
            type=AlarmType.ASSOCIATION_DEGRADED,
            severity=AlarmSeverity.MAJOR,
            text=f"{association.degraded_bps} of {promised} bit/s are left for it",
            affected=(app_id,),
        )
    if association.state is not AssociationState.SUSPENDED:
        return
    yield Trouble(
        resource=f"association:{app_id}",
        resource_name=f"{association.source} -> {', '.join(association.destinations)}",
        type=AlarmType.ASSOCIATION_PREEMPTED if association.preempted_by else AlarmType.APP_QOS_VIOLATED,
        severity=AlarmSeverity.MAJOR if association.preempted_by else AlarmSeverity.CRITICAL,
        text="; ".join(association.reasons) or "no path",
        affected=(app_id,),
        cause_resource=_broken_link(state, association),
    )


def _broken_link(state: NetworkState, association: Association) -> str | None:
    """The first link of its path that makes no key, as a resource."""
    links = association.path.links if association.path else ()
    broken = [one for one in links if one in state.links and state.links[one].down_since is not None]
    return f"link:{broken[0]}" if broken else None


def of_configuration(state: NetworkState) -> Iterator[Trouble]:
    """Entries of the configuration that are not served."""
    for name, reasons in state.unserved.items():
        yield Trouble(
            resource=f"configured:{name}",
            resource_name=name,
            type=AlarmType.APP_QOS_VIOLATED,
            severity=AlarmSeverity.CRITICAL,
            text=f"the configured association {name} is not served: {'; '.join(reasons)}",
        )
