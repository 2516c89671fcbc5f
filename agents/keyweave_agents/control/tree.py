"""The node's 015 tree: what is intended and what is observed, kept apart.

Rule of this file: pure. The intended half (NETCONF running) starts as `initial_configuration`, made of the
settings alone, and changes only by commits. The observed half is rendered anew for every read from what the
key manager and the modules say; `qkdl_status` is the one leaf of both halves (GS QKD 015 makes it config
true): there the observed value never comes from what was written.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from keyweave_agents.control.apply import is_wanted
from keyweave_agents.control.settings import NodeSettings
from keyweave_agents.keys.plan import KeyState
from keyweave_agents.quantum.module_settings import ModuleSettings
from keyweave_agents.quantum.observed import ModuleState
from keyweave_core.model.application import Application, AppStatistics, AppStatus, AppType, KeyMode
from keyweave_core.model.ids import AppId, LinkId, SaeId
from keyweave_core.model.link import (
    Endpoint,
    Interface,
    InterfaceStatus,
    Link,
    LinkPerformance,
    LinkStatus,
    LinkType,
    PhysicalSpec,
    Role,
    VirtualSpec,
)
from keyweave_core.model.node import Capabilities, Node, NodeStatus
from keyweave_core.model.units import clamp_uint32
from keyweave_core.physics.profiles import PROFILES

_ROLES = {"transmitter": Role.TRANSMITTER, "receiver": Role.RECEIVER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Everything observed at one moment.

    `ever_active` are the virtual links that were active once; `created` is the `yang:date-and-time` at which
    each application was first configured; `direct` maps ids of derived routes to the physical link that
    backs them (`apply.Decision`).
    """

    keys: KeyState
    modules: Mapping[LinkId, ModuleState]
    ever_active: frozenset[LinkId] = frozenset()
    created: Mapping[AppId, str] = field(default_factory=dict)
    direct: Mapping[LinkId, LinkId] = field(default_factory=dict)


def initial_configuration(
    node: NodeSettings, modules: Iterable[ModuleSettings], consumers: Iterable[SaeId], *, version: str
) -> Node:
    """The facts of the node as its first configuration: itself, its modules and fibres, whom it serves.

    `version` stands where the settings name none.
    """
    fitted = tuple(modules)
    return Node(
        node_id=node.node_id,
        version=node.version or version,
        location_id=node.location_id,
        capabilities=Capabilities(key_relay_mode_enable=node.relay),
        trust_level=node.trust_level,
        consumers=tuple(consumers),
        interfaces=tuple(
            Interface(
                interface_id=module.interface_id,
                model=PROFILES[module.profile].model,
                technology=PROFILES[module.profile].technology,
                role_support=_ROLES[module.role],
                wavelength_range=module.channels,
                max_absorption_db=round(PROFILES[module.profile].max_loss_db, 3),
            )
            for module in fitted
        ),
        links=tuple(
            Link(
                link_id=module.link_id,
                type=LinkType.PHYS,
                local=Endpoint(node_id=node.node_id, interface_id=module.interface_id),
                remote=Endpoint(node_id=module.remote_node_id, interface_id=module.remote_interface_id),
                physical=PhysicalSpec(
                    channel_att_db=round(module.loss_db, 3),
                    wavelength=module.wavelength,
                    role=_ROLES[module.role],
                    distance_km=round(module.distance_km, 3),
                ),
            )
            for module in fitted
        ),
    )


def observed(running: Node, seen: Observation) -> Node:
    """The tree with every observed value in place: status, performance, pools, statistics.

    What is not known is left out (None), never guessed.
    """
    return replace(
        running,
        status=NodeStatus.OPERATING,
        interfaces=tuple(
            replace(interface, status=_interface_status(interface, running, seen))
            for interface in running.interfaces
        ),
        links=tuple(_link(link, running, seen) for link in running.links),
        applications=tuple(_application(entry, seen) for entry in running.applications),
    )


def active_virtual_links(running: Node, keys: KeyState) -> frozenset[LinkId]:
    """The virtual links that carry keys now: the route stands and every neighbour on it is connected."""
    return frozenset(
        link.link_id for link in running.links if link.type is LinkType.VIRT and _carries(link, keys)
    )


def physical_status(link: Link, state: ModuleState | None, stored_bits: int) -> LinkStatus:
    """LINK-STATUS-TYPES of a physical link.

    ACTIVE: generating. PASSIVE: not generating, key in the pool. PENDING: switched on and never had any.
    OFF: nothing made, nothing left, or nothing that may be used because somebody may be listening.
    """
    if state is not None and state.quarantine is not None:
        return LinkStatus.OFF
    if state is not None and state.generating:
        return LinkStatus.ACTIVE
    if stored_bits > 0:
        return LinkStatus.PASSIVE
    if is_wanted(link) and (state is None or state.generated_bits == 0):
        return LinkStatus.PENDING
    return LinkStatus.OFF


def performance(link: Link, running: Node, seen: Observation) -> LinkPerformance:
    """`qkdl_performance` of a link, bit/s.

    `expected_consumption`: the sum of what the applications on it may count on (their minimum bandwidth).
    `eskr`, of physical links: what is made less what relaying takes from the pool at this time.
    """
    expected = clamp_uint32(
        sum(
            entry.qos.min_bandwidth_bps or 0
            for entry in running.applications
            if link.link_id in entry.backing_link_ids
        )
    )
    state = seen.modules.get(link.link_id)
    if link.type is not LinkType.PHYS or state is None:
        return LinkPerformance(expected_consumption_bps=expected)
    spent = seen.keys.consumption_bps.get(link.link_id, 0)
    return LinkPerformance(
        expected_consumption_bps=expected,
        skr_bps=clamp_uint32(state.skr_bps),
        eskr_bps=clamp_uint32(state.skr_bps - spent),
        qber=state.qber,
        snr_db=None if state.snr_db is None else round(state.snr_db, 3),
    )


def _link(link: Link, running: Node, seen: Observation) -> Link:
    if link.type is LinkType.PHYS:
        pool = seen.keys.pools.get(link.link_id)
        stored = 0 if pool is None else pool.stored_bits
        status = physical_status(link, seen.modules.get(link.link_id), stored)
        module = seen.modules.get(link.link_id)
        return replace(
            link,
            status=status,
            pool=pool,
            performance=performance(link, running, seen),
            quarantine=None if module is None else module.quarantine,
        )
    return replace(
        link, status=_virtual_status(link, running, seen), performance=performance(link, running, seen)
    )


def _virtual_status(link: Link, running: Node, seen: Observation) -> LinkStatus:
    if _carries(link, seen.keys):
        return LinkStatus.ACTIVE
    for entry in running.applications:
        view = seen.keys.associations.get(entry.app_id)
        if link.link_id in entry.backing_link_ids and view is not None and view.stored_keys > 0:
            return LinkStatus.PASSIVE
    if is_wanted(link) and link.link_id not in seen.ever_active:
        return LinkStatus.PENDING
    return LinkStatus.OFF


def _carries(link: Link, keys: KeyState) -> bool:
    spec = link.virtual or VirtualSpec()
    up = keys.peers_up
    return (
        link.link_id in keys.active_routes
        and (spec.prev_hop is None or spec.prev_hop in up)
        # Of the hops that remain (the form other controllers write) one is the neighbour.
        and (not spec.next_hops or not up.isdisjoint(spec.next_hops))
    )


def _interface_status(interface: Interface, running: Node, seen: Observation) -> InterfaceStatus | None:
    for link in running.links:
        if (
            link.type is LinkType.PHYS
            and link.local is not None
            and link.local.interface_id == interface.interface_id
        ):
            state = seen.modules.get(link.link_id)
            return None if state is None else state.interface_status
    return None


def _application(entry: Application, seen: Observation) -> Application:
    view = seen.keys.associations.get(entry.app_id)
    status = AppStatus.ON if entry.type is AppType.INTERNAL else None
    created = seen.created.get(entry.app_id)
    if view is None:
        return replace(entry, status=status, creation_time=created)
    return replace(
        entry,
        status=view.status,
        creation_time=created,
        origin=None if entry.key_mode is KeyMode.QKD_ONLY else view.origin,
        statistics=tuple(_as_backed(period, seen.direct) for period in view.statistics),
    )


def _as_backed(period: AppStatistics, direct: Mapping[LinkId, LinkId]) -> AppStatistics:
    """Usage over a derived route is shown under the physical link that backs the application."""
    if not any(path.link_id in direct for path in period.paths):
        return period
    return replace(
        period,
        paths=tuple(replace(path, link_id=direct.get(path.link_id, path.link_id)) for path in period.paths),
    )
