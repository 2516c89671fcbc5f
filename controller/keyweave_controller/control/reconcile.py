"""What a node holds against what it should hold, after its tree was read.

Rule of this file: only what is ours is touched: virtual links, CLIENT applications, and the INTERNAL
applications that carry our mark. Physical links, interfaces and a node's own uses of key are never removed;
a physical link is told the channel that the fibre plant has for it.
"""

from dataclasses import replace
from datetime import datetime

from keyweave_controller.control import cleanup, plant_links
from keyweave_controller.control.actions import NodeEdit
from keyweave_controller.control.planning import RESERVATION_PREFIX, wanted
from keyweave_controller.control.state import Phase
from keyweave_controller.control.turn import Turn
from keyweave_core.model.application import Application, AppType, RelayMethod
from keyweave_core.model.ids import NodeId
from keyweave_core.model.link import Link, LinkType, VirtualSpec
from keyweave_core.model.node import Node


def take_up_steps(turn: Turn, node_id: NodeId) -> None:
    """The node can be configured again: hand out what waited for it."""
    for step in list(turn.state.steps.values()):
        if step.node_id != node_id or not step.waiting:
            continue
        turn.cancel_timer(f"step:{step.step_id}")
        if step.phase in (Phase.RECONCILE, Phase.REPEAT):
            del turn.state.steps[step.step_id]  # `reconcile` makes a newer one
        else:
            turn.repeat(step)


def reconcile(turn: Turn, node: Node) -> None:
    """Put what is missing or different, remove what nobody wants."""
    links, applications = wanted(turn.state, node.node_id)
    held_links = {link.link_id: link for link in node.links}
    held_applications = {one.app_id: one for one in node.applications}
    extra_links = {
        link_id
        for link_id, link in held_links.items()
        if link.type is LinkType.VIRT and link_id not in links and link_id not in turn.state.links
    }
    extra_applications = {
        app_id for app_id, one in held_applications.items() if _ours(one) and app_id not in applications
    }
    leftover = turn.state.leftovers.get(node.node_id)
    if leftover is not None:
        extra_links |= leftover.links - links.keys()
        extra_applications |= leftover.applications - applications.keys()
    put_links = [links[one] for one in sorted(links) if not _same_link(links[one], held_links.get(one))]
    put_applications = [
        applications[one]
        for one in sorted(applications)
        if not _same_application(applications[one], held_applications.get(one))
    ]
    gone = NodeEdit(
        remove_links=tuple(sorted(extra_links)), remove_applications=tuple(sorted(extra_applications))
    )
    if gone != NodeEdit():
        cleanup.remove(turn, node.node_id, gone)
    if put_links or put_applications:
        edit = NodeEdit(put_links=tuple(put_links), put_applications=tuple(put_applications))
        turn.configure(node.node_id, Phase.RECONCILE, edit)
    _tune(turn, node)


def _tune(turn: Turn, node: Node) -> None:
    """Physical links that are not on the channel that the plant has for them. One edit each: a module that
    refuses is its own affair."""
    state = turn.state
    if state.plant is None:
        return
    for link in sorted(node.links, key=lambda one: one.link_id):
        if link.type is not LinkType.PHYS or link.physical is None or link.link_id not in state.links:
            continue
        if node.node_id not in state.links[link.link_id].ends:
            continue
        tuning = plant_links.wanted_tuning(state, link.link_id, link.physical)
        if tuning is not None and state.not_moved_before.get(link.link_id, 0.0) <= turn.at:
            turn.configure(node.node_id, Phase.RECONCILE, NodeEdit(tune_links=(tuning,)))


def _ours(one: Application) -> bool:
    if one.type is AppType.INTERNAL:
        return (one.server_app_id or "").startswith(RESERVATION_PREFIX)
    return True


def _same_link(want: Link, held: Link | None) -> bool:
    """Equal in everything that is written; who does not say how it relays does so by one-time pad."""
    if held is None or held.type is not want.type or held.enable != want.enable:
        return False
    if (held.local, held.remote, _in_any_order(held)) != (want.local, want.remote, _in_any_order(want)):
        return False
    told = RelayMethod.OTP if held.relay_method is None else held.relay_method
    return set(held.applications) == set(want.applications) and told is want.relay_method


def _in_any_order(link: Link) -> VirtualSpec | None:
    """The hops of a link; those of a fork are told in whatever order a node lists them."""
    spec = link.virtual
    if spec is None or link.remote is not None:
        return spec
    return replace(spec, next_hops=tuple(sorted(spec.next_hops)))


def _same_application(want: Application, held: Application | None) -> bool:
    if held is None:
        return False
    plain = (
        held.type,
        held.server_app_id,
        held.priority,
        held.qos,
        held.local_node_id,
        held.remote_node_id,
        held.key_mode,
        held.share_threshold,
    ) == (
        want.type,
        want.server_app_id,
        want.priority,
        want.qos,
        want.local_node_id,
        want.remote_node_id,
        want.key_mode,
        want.share_threshold,
    )
    return (
        plain
        and set(held.client_app_ids) == set(want.client_app_ids)
        and set(held.backing_link_ids) == set(want.backing_link_ids)
        and _moment(held.expiration_time) == _moment(want.expiration_time)
    )


def _moment(text: str | None) -> datetime | str | None:
    """The moment a `yang:date-and-time` means, so that two spellings of it are equal."""
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return text
