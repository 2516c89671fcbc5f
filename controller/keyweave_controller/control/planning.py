"""From a path to what each node must hold.

Rule of this file: pure translation. Forms of ETSI GS QKD 015 V2.1.1: a virtual link stands on every node
of its path with adjacent hops only (ingress has no previous, egress no next hop; where a tree forks there are
several next hops), the reservation beside it is an INTERNAL application, and the CLIENT application stands at
all ends; the presence of its `remote_qkdn_id` is what releases keys, so it is written last.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from uuid import UUID, uuid5

from keyweave_controller.control import plant_links, shape
from keyweave_controller.control.actions import NodeEdit
from keyweave_controller.control.service import Protection, Service, ServiceClass
from keyweave_controller.control.state import Association, AssociationState, NetworkState, PathRecord
from keyweave_core.model.application import Application, AppQos, AppType, KeyMode, RelayMethod
from keyweave_core.model.ids import AppId, LinkId, NodeId, SaeId
from keyweave_core.model.link import Endpoint, Link, LinkStatus, LinkType, VirtualSpec

_NAMESPACE = UUID("7d1f3d8e-54c6-5a0b-9c56-3b1f6a1f0c5e")  # of all ids derived here
RESERVATION_PREFIX = "urn:keyweave:reservation:"
"""Marks the INTERNAL applications that are ours; others on a node are its own affair."""


def application_id(source: SaeId, destination: SaeId, serial: int) -> AppId:
    """The id of the `serial`th association ever opened."""
    return AppId(str(uuid5(_NAMESPACE, f"app\n{serial}\n{source}\n{destination}")))


def virtual_link_id(app_id: AppId, generation: int) -> LinkId:
    """The id of an association's `generation`th virtual link."""
    return LinkId(str(uuid5(_NAMESPACE, f"link\n{app_id}\n{generation}")))


@lru_cache(maxsize=4_096)
def reservation_id(link_id: LinkId) -> AppId:
    """The id of the INTERNAL application that stands for a virtual link's reservation."""
    return AppId(str(uuid5(_NAMESPACE, f"reservation\n{link_id}")))


@lru_cache(maxsize=4_096)
def _endpoint(node_id: NodeId) -> Endpoint:
    return Endpoint(node_id=node_id)


@lru_cache(maxsize=4_096)
def _rate(rate_bps: int) -> AppQos:
    return AppQos(min_bandwidth_bps=rate_bps)


def virtual_link(association: Association, path: PathRecord, node_id: NodeId) -> Link:
    """The entry of the virtual link at one node of its path.

    A tree has no one far end, so none is named; a node where keys are for an application is the near end of
    its own entry, also where they go on.
    """
    if path.steps:
        return _tree_link(association, path, node_id)
    place = path.nodes.index(node_id)
    last = len(path.nodes) - 1
    near, far = path.nodes[0], path.nodes[-1]
    if place == last:
        near, far = far, near
    return Link(
        link_id=path.link_id,
        type=LinkType.VIRT,
        requested_status=LinkStatus.ACTIVE,
        enable=True,
        local=_endpoint(near),
        remote=_endpoint(far),
        applications=(association.app_id,),
        virtual=VirtualSpec(
            prev_hop=path.nodes[place - 1] if place > 0 else None,
            next_hops=(path.nodes[place + 1],) if place < last else (),
            bandwidth_bps=path.bandwidth_bps,
            onward=path.nodes[place + 2 :],
        ),
        relay_method=path.method,
    )


def _tree_link(association: Association, path: PathRecord, node_id: NodeId) -> Link:
    ends_here = node_id in association.destination_nodes
    return Link(
        link_id=path.link_id,
        type=LinkType.VIRT,
        requested_status=LinkStatus.ACTIVE,
        enable=True,
        local=Endpoint(node_id=node_id if ends_here else association.source_node),
        applications=(association.app_id,),
        virtual=VirtualSpec(
            prev_hop=shape.before(path, node_id),
            next_hops=shape.behind(path, node_id),
            bandwidth_bps=path.bandwidth_bps,
        ),
        relay_method=path.method,
    )


def reservation(association: Association, path: PathRecord, node_id: NodeId) -> Application:
    """The INTERNAL application that draws the virtual link's rate from the physical links beside a node."""
    return Application(
        app_id=reservation_id(path.link_id),
        type=AppType.INTERNAL,
        server_app_id=SaeId(RESERVATION_PREFIX + path.link_id),
        priority=association.priority,
        qos=_rate(path.hop_bps if path.method is RelayMethod.AES_256_GCM else path.bandwidth_bps),
        backing_link_ids=shape.beside(path, node_id),
        local_node_id=node_id,
        remote_node_id=path.nodes[-1] if node_id == path.nodes[0] else path.nodes[0],
    )


def path_edits(association: Association, paths: Iterable[PathRecord]) -> dict[NodeId, NodeEdit]:
    """What `prepare` writes to each node of these paths."""
    edits: dict[NodeId, NodeEdit] = {}
    for path in paths:
        for node_id in path.nodes:
            before = edits.get(node_id, _NOTHING)
            edits[node_id] = NodeEdit(
                put_links=(*before.put_links, virtual_link(association, path, node_id)),
                put_applications=(*before.put_applications, reservation(association, path, node_id)),
            )
    return edits


_NOTHING = NodeEdit()


def path_removals(paths: Iterable[PathRecord]) -> dict[NodeId, NodeEdit]:
    """What takes these paths away from each node of them."""
    edits: dict[NodeId, NodeEdit] = {}
    for path in paths:
        reserved = reservation_id(path.link_id)
        for node_id in path.nodes:
            before = edits.get(node_id, _NOTHING)
            edits[node_id] = NodeEdit(
                remove_links=(*before.remove_links, path.link_id),
                remove_applications=(*before.remove_applications, reserved),
            )
    return edits


def backing(association: Association) -> tuple[PathRecord, ...]:
    """The paths that keys take now: all of them when each key is split over them, else the working one."""
    return _used(association.service, association.path, association.others)


def next_backing(association: Association) -> tuple[PathRecord, ...]:
    """The paths that keys take once the change under way is made."""
    if association.next_path is None:
        return backing(association)
    service = association.next_service or association.service
    return _used(service, association.next_path, association.next_others)


def _used(
    service: Service, path: PathRecord | None, others: tuple[PathRecord, ...]
) -> tuple[PathRecord, ...]:
    if path is None:
        return ()
    return (path, *others) if service.protection is Protection.ONE_PLUS_ONE else (path,)


def client_entry(
    association: Association,
    node_id: NodeId,
    *,
    paths: tuple[PathRecord, ...],
    qos: AppQos,
    priority: int,
) -> Application:
    """The CLIENT application as one end holds it; without a path when both ends are one node, or none is
    left. The source of several destinations names them all and the node of the first. Keys that stay inside
    one node cross nothing that could be listened to, so what they may be made of is not asked.
    """
    source, destination = association.source_node, association.destination_node
    service = (
        association.next_service or association.service if association.switching else association.service
    )
    return Application(
        app_id=association.app_id,
        type=AppType.CLIENT,
        server_app_id=association.source,
        client_app_ids=association.destinations,
        priority=priority,
        expiration_time=_date_and_time(association.expires_at),
        qos=shown_qos(association, qos),
        backing_link_ids=tuple(path.link_id for path in paths),
        local_node_id=node_id,
        remote_node_id=destination if node_id == source else source,
        key_mode=KeyMode.QKD_ONLY if source == destination else service.mode,
        share_threshold=service.share_threshold if len(paths) > 1 else None,
    )


def shown_qos(association: Association, qos: AppQos) -> AppQos:
    """The qualities as agents hold them: no more than the fair share that was reckoned for it, if it was.

    A minimum that is promised is never above the maximum; one that is not (best effort) gives way to it.
    """
    cap = association.written_max_bps
    if cap is None:
        return qos
    least, most = qos.min_bandwidth_bps, min(cap, qos.max_bandwidth_bps or cap)
    if least is not None and association.service.service_class is ServiceClass.BEST_EFFORT:
        least = min(least, most)
    return replace(qos, min_bandwidth_bps=least, max_bandwidth_bps=max(most, least or 0))


def granted_entry(association: Association, node_id: NodeId) -> Application:
    """The CLIENT application as it is granted now."""
    return client_entry(
        association, node_id, paths=backing(association), qos=association.qos, priority=association.priority
    )


def ends(association: Association) -> tuple[NodeId, ...]:
    """The nodes that hold the CLIENT application: one when all applications live there."""
    return tuple(dict.fromkeys((association.source_node, *association.destination_nodes)))


_UNRELEASED = frozenset({AssociationState.WAITING, AssociationState.PREPARING})


def wanted(state: NetworkState, node_id: NodeId) -> tuple[dict[LinkId, Link], dict[AppId, Application]]:
    """Every virtual link and application that a node should hold now, work under way included."""
    links: dict[LinkId, Link] = {}
    applications: dict[AppId, Application] = {}
    for association in state.associations.values():
        if not association.live or association.state is AssociationState.CLOSING:
            continue
        for path in (*association.paths, *association.next_paths):
            if node_id in path.nodes:
                links[path.link_id] = virtual_link(association, path, node_id)
                entry = reservation(association, path, node_id)
                applications[entry.app_id] = entry
        if node_id in ends(association) and association.state not in _UNRELEASED:
            applications[association.app_id] = switched_entry(association, node_id)
    return links, applications


def refreshed(state: NetworkState, node_id: NodeId, edit: NodeEdit) -> NodeEdit:
    """What `edit` puts, as the node should hold it now; what it should hold no more is left out."""
    links, applications = wanted(state, node_id)
    return NodeEdit(
        put_links=tuple(links[one.link_id] for one in edit.put_links if one.link_id in links),
        put_applications=tuple(
            applications[one.app_id] for one in edit.put_applications if one.app_id in applications
        ),
        tune_links=tuple(one for one in edit.tune_links if plant_links.still_wanted(state, one)),
    )


def switched_entry(association: Association, node_id: NodeId) -> Application:
    """The CLIENT application as the change under way writes it (the granted one when there is none)."""
    if not association.switching:
        return granted_entry(association, node_id)
    return client_entry(
        association,
        node_id,
        paths=next_backing(association),
        qos=association.next_qos or association.qos,
        priority=association.priority if association.next_priority is None else association.next_priority,
    )


def _date_and_time(at_s: float | None) -> str | None:
    """`yang:date-and-time` of seconds since 1970 (the runtime's formatter is out of reach of pure code)."""
    if at_s is None:
        return None
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
