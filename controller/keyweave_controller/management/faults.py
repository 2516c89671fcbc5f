"""From the state of the network to alarms.

Rule of this file: what should be alarmed is derived from the state, never from the message that reported
it. So a fibre cut that both ends report makes one alarm, a repetition makes none, and every alarm clears
exactly when its reason is gone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from keyweave_controller.control import admission, damping
from keyweave_controller.control.network import Network
from keyweave_controller.control.state import Association, AssociationState, NetworkState
from keyweave_controller.management.alarms import Alarm, AlarmChanged, AlarmSeverity, AlarmType, OperatorNote
from keyweave_core.model.ids import AppId, LinkId, NodeId
from keyweave_core.model.link import InterfaceStatus, LinkStatus

HISTORY_KEPT = 1_000
"""Cleared alarms kept for looking back."""

NOTES_KEPT = 32
"""Notes of operators kept with an alarm, the newest."""


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


@dataclass(slots=True, kw_only=True)
class Faults:
    """The alarm list: `active` by key, and the last `HISTORY_KEPT` cleared ones, oldest first."""

    active: dict[str, Alarm] = field(default_factory=dict)
    history: list[Alarm] = field(default_factory=list)
    raised: int = 0

    def refresh(self, network: Network, at: float, scope: "Scope") -> list[AlarmChanged]:
        """Compare the alarms of what changed with the state; the alarms raised, changed and cleared."""
        troubles = {trouble.key: trouble for trouble in scope.troubles(network, at)}
        changes: list[AlarmChanged] = []
        for key, trouble in troubles.items():
            alarm = self.active.get(key)
            if alarm is None:
                alarm = self._raise(trouble, at)
            elif not self._update(alarm, trouble, at):
                continue
            changes.append(AlarmChanged(alarm=replace(alarm)))
        for key, alarm in list(self.active.items()):
            if key not in troubles and scope.covers(alarm.resource):
                alarm.cleared_at = alarm.changed_at = at
                del self.active[key]
                self.history.append(alarm)
                changes.append(AlarmChanged(alarm=replace(alarm)))
        del self.history[: max(0, len(self.history) - HISTORY_KEPT)]
        return changes

    def note(self, alarm_id: str, note: OperatorNote) -> list[AlarmChanged]:
        """An operator says something of an alarm; no such alarm (any more): nothing."""
        for alarm in (*self.active.values(), *self.history):
            if alarm.alarm_id == alarm_id:
                alarm.notes = (*alarm.notes, note)[-NOTES_KEPT:]
                return [AlarmChanged(alarm=replace(alarm))]
        return []

    def purge(self, alarm_ids: frozenset[str]) -> None:
        """Forget alarms."""
        self.history = [alarm for alarm in self.history if alarm.alarm_id not in alarm_ids]
        self.active = {key: one for key, one in self.active.items() if one.alarm_id not in alarm_ids}

    def _raise(self, trouble: Trouble, at: float) -> Alarm:
        self.raised += 1
        alarm = Alarm(
            alarm_id=str(self.raised),
            resource=trouble.resource,
            resource_name=trouble.resource_name,
            type=trouble.type,
            severity=trouble.severity,
            text=trouble.text,
            raised_at=at,
            changed_at=at,
            affected=trouble.affected,
            cause=self._cause(trouble),
        )
        self.active[trouble.key] = alarm
        return alarm

    def _update(self, alarm: Alarm, trouble: Trouble, at: float) -> bool:
        affected = tuple(dict.fromkeys((*alarm.affected, *trouble.affected)))
        cause = self._cause(trouble) or alarm.cause
        now = (trouble.text, trouble.severity, affected, cause, trouble.resource_name)
        if now == (alarm.text, alarm.severity, alarm.affected, alarm.cause, alarm.resource_name):
            return False
        alarm.text, alarm.severity, alarm.affected, alarm.cause, alarm.resource_name = now
        alarm.changed_at = at
        return True

    def _cause(self, trouble: Trouble) -> str | None:
        if trouble.cause_resource is None:
            return None
        cause = self.active.get(f"{AlarmType.LINK_DOWN}|{trouble.cause_resource}")
        return cause.alarm_id if cause else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What may have changed, so that a small event costs little. `names` are agents without node record.

    `configuration`: which of the operator's entries are served.
    """

    node_ids: frozenset[NodeId] = frozenset()
    link_ids: frozenset[LinkId] = frozenset()
    app_ids: frozenset[AppId] = frozenset()
    names: frozenset[str] = frozenset()
    configuration: bool = False

    def covers(self, resource: str) -> bool:
        """An alarm about `resource` is judged in this scope."""
        kind, _, of = resource.partition(":")
        match kind:
            case "link":
                return of in self.link_ids
            case "node":
                return of in self.node_ids
            case "interface":
                return of.partition("/")[0] in self.node_ids
            case "association":
                return of in self.app_ids
            case "configured":
                return self.configuration
            case _:
                return of in self.names

    def troubles(self, network: Network, at: float) -> Iterator[Trouble]:
        """Everything that is wrong with what is in scope: causes before what hangs under them."""
        state = network.state
        for name in sorted(self.names):
            yield from _agent_troubles(state, name)
        for node_id in sorted(self.node_ids):
            yield from _node_troubles(network, node_id)
        for link_id in sorted(self.link_ids):
            yield from _link_troubles(network, link_id, at)
        for app_id in sorted(self.app_ids):
            yield from _association_troubles(state, app_id)
        if self.configuration:
            yield from _configured_troubles(state)


def _agent_troubles(state: NetworkState, name: str) -> Iterator[Trouble]:
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


def _node_troubles(network: Network, node_id: NodeId) -> Iterator[Trouble]:
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


def _link_troubles(network: Network, link_id: LinkId, at: float) -> Iterator[Trouble]:
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


def _association_troubles(state: NetworkState, app_id: AppId) -> Iterator[Trouble]:
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


def _configured_troubles(state: NetworkState) -> Iterator[Trouble]:
    for name, reasons in state.unserved.items():
        yield Trouble(
            resource=f"configured:{name}",
            resource_name=name,
            type=AlarmType.APP_QOS_VIOLATED,
            severity=AlarmSeverity.CRITICAL,
            text=f"the configured association {name} is not served: {'; '.join(reasons)}",
        )
