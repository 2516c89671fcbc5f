"""From what agents say of themselves to node and link records.

Rule of this file: a tree read replaces what was known of its node. What contradicts another node costs only
the claim in question: the first to hold a node id, an application or a link keeps it, and the fault is
noted at the one who came later.
"""

from collections.abc import Iterable, Sequence

from keyweave_controller.control import (
    associations,
    averaging,
    channels,
    entries,
    fallback,
    intents,
    recovery,
)
from keyweave_controller.control.events import ControllerStarted, NodeLost, NodeRead, NodeRejected
from keyweave_controller.control.judging import judge_links, judge_lone
from keyweave_controller.control.lookups import all_heard, served
from keyweave_controller.control.reconcile import reconcile, take_up_steps
from keyweave_controller.control.state import LinkEnd, LinkRecord, NodeRecord
from keyweave_controller.control.topology import relay_obstacles
from keyweave_controller.control.turn import Turn
from keyweave_core.model.ids import LinkId, NodeId, SaeId
from keyweave_core.model.link import Link, LinkType
from keyweave_core.model.node import Node, NodeStatus

_STEP_GRACE_S = 5.0


def controller_started(turn: Turn, event: ControllerStarted) -> None:
    """A new term: nobody is connected yet, timers and unfinished steps are taken up again."""
    state = turn.state
    state.settings_policy = event.policy
    state.link_facts = {one.link: one for one in event.link_facts}
    turn.lookups.reshape()
    state.inventory = {node.name: node for node in event.inventory}
    state.settling = set(state.inventory)
    state.unreached = {}
    state.rejected = {name: why for name, why in state.rejected.items() if name in state.inventory}
    for node in state.nodes.values():
        node.connected = False
        if node.name not in state.inventory:
            node.status, node.lost_reason = NodeStatus.FAILURE, "no longer in the inventory"
        turn.touch_node(node.node_id)
    for timer_id, due_at in sorted(state.timers.items()):
        turn.set_timer(timer_id, due_at)
    for step in state.steps.values():
        step.waiting = True
        turn.set_timer(f"step:{step.step_id}", turn.at + _STEP_GRACE_S)
    intents.restarted(turn)
    intents.enforce(turn)
    recovery.restarted(turn)
    uncertain = [sae for node in state.nodes.values() for sae in _served(turn, node)]
    _assign_consumers(turn, uncertain)
    judge_links(turn, state.links)
    turn.lookups.all_heard = all_heard(state)
    channels.started(turn, event)
    name_faults(turn)
    if not state.settling:
        associations.settle(turn)
        entries.keep(turn)


def node_read(turn: Turn, event: NodeRead) -> None:
    """An agent's tree was read."""
    state, node = turn.state, event.node
    state.unreached.pop(event.name, None)
    faults = _identity_faults(turn, event.name, node)
    if faults:
        state.rejected[event.name] = faults
        judge_lone(turn)
        heard(turn, event.name)
        return
    doubtful, uncertain = _forget_former(turn, event.name, node.node_id)
    record = state.nodes.get(node.node_id)
    if record is None:
        record = state.nodes[node.node_id] = NodeRecord(
            node_id=node.node_id, name=event.name, connected=True, status=NodeStatus.OPERATING
        )
    back = not record.connected
    if record.name != event.name:
        turn.lookups.reshape()  # facts of links are found by the names of their ends
    record.name, record.connected, record.changed_at = event.name, True, turn.at
    record.status = node.status if node.status in (NodeStatus.DOWN, NodeStatus.OUT) else NodeStatus.OPERATING
    record.location_id, record.version = node.location_id, node.version or ""
    relays = tuple(relay_obstacles(record))
    record.capabilities, record.trust_level = node.capabilities, node.trust_level
    if tuple(relay_obstacles(record)) != relays:
        recovery.node_changed(turn, node.node_id)
    record.consumers, record.rejected, record.lost_reason = node.consumers, (), ""
    record.interfaces = {one.interface_id: one for one in node.interfaces}
    state.rejected.pop(event.name, None)
    turn.touch_node(node.node_id)
    _assign_consumers(turn, (*uncertain, *_served(turn, record)))
    doubtful |= turn.lookups.links.of(node.node_id)  # its name may be news, and what it says no more
    news = _take_links(turn, node)
    judge_lone(turn, doubtful | turn.lookups.links.of(node.node_id))
    name_faults(turn)
    for link_id in news:
        _hear_far_end(turn, state.links[link_id], node.node_id)
    fallback.read(turn, node)
    take_up_steps(turn, node.node_id)
    reconcile(turn, node)
    if back:
        _touch_paths(turn, node.node_id)
        turn.capacity_grew = True
    heard(turn, event.name)


def _identity_faults(turn: Turn, name: str, node: Node) -> tuple[str, ...]:
    """Why this tree cannot be of this agent; empty when it can."""
    record = turn.state.nodes.get(node.node_id)
    if record is not None and record.name != name and record.name in turn.state.inventory:
        return (f"node id {node.node_id} belongs to agent {record.name}",)
    before = _former(turn, name, node.node_id)
    if before is not None and any(before.node_id in path_nodes for path_nodes in _paths_in_use(turn)):
        return (f"the agent was node {before.node_id}, over which keys flow, and now says {node.node_id}",)
    return ()


def _former(turn: Turn, name: str, node_id: NodeId) -> NodeRecord | None:
    """The other node that the agent of this name was before."""
    before = next((one for one in turn.state.nodes.values() if one.name == name), None)
    return None if before is None or before.node_id == node_id else before


def _paths_in_use(turn: Turn) -> list[tuple[NodeId, ...]]:
    return [
        (*(one.path.nodes if one.path else ()), one.source_node, *one.destination_nodes)
        for one in turn.state.associations.values()
        if one.live
    ]


def _forget_former(turn: Turn, name: str, node_id: NodeId) -> tuple[frozenset[LinkId], Sequence[SaeId]]:
    """The agent of this name was replaced by another machine and nothing hangs on the old one.

    Returns the links to be judged again and the applications to be assigned again.
    """
    record, links = _former(turn, name, node_id), turn.lookups.links
    if record is None:
        return frozenset(), ()
    del turn.state.nodes[record.node_id]
    turn.state.leftovers.pop(record.node_id, None)
    turn.touch_node(record.node_id)
    doubtful = links.of(record.node_id)
    for link_id in links.ordered(doubtful):
        _drop_claim(turn, turn.state.links[link_id], record.node_id)
    return doubtful, turn.lookups.consumers.note(record.node_id, ())


def node_lost(turn: Turn, event: NodeLost) -> None:
    """No control session: nothing new over this node; what flows goes on."""
    for record in turn.state.nodes.values():
        if record.name == event.name:
            record.connected, record.status = False, NodeStatus.FAILURE
            record.lost_reason, record.changed_at = event.reason, turn.at
            turn.touch_node(record.node_id)
            _touch_paths(turn, record.node_id)
            break
    else:
        turn.state.unreached[event.name] = event.reason
    judge_lone(turn)
    heard(turn, event.name)


def node_rejected(turn: Turn, event: NodeRejected) -> None:
    """The tree of an agent was no tree: it is not used until a better one is read."""
    turn.state.unreached.pop(event.name, None)
    turn.state.rejected[event.name] = event.faults
    for record in turn.state.nodes.values():
        if record.name == event.name:
            record.rejected, record.changed_at = event.faults, turn.at
            turn.touch_node(record.node_id)
    judge_lone(turn)
    heard(turn, event.name)


def heard(turn: Turn, name: str) -> None:
    """An agent of the inventory has spoken or is known not to; the last one settles what waited."""
    state = turn.state
    if name in state.settling:
        state.settling.discard(name)
        if not state.settling:
            judge_lone(turn)
            associations.settle(turn)
            entries.keep(turn)


def _touch_paths(turn: Turn, node_id: NodeId) -> None:
    for one in turn.state.associations.values():
        if one.live and one.path and node_id in one.path.nodes:
            turn.touch_app(one.app_id)


def _served(turn: Turn, record: NodeRecord) -> Sequence[SaeId]:
    """Note what a node serves; the applications for which that is news."""
    return turn.lookups.consumers.note(record.node_id, served(turn.state, record.name, record.consumers))


def _assign_consumers(turn: Turn, uncertain: Iterable[SaeId]) -> None:
    """The directory of applications: who served one keeps it while it says so; else the smallest node id."""
    directory = turn.state.consumers
    for sae in uncertain:
        nodes = turn.lookups.consumers.of(sae)
        if not nodes:
            directory.pop(sae, None)
        elif directory.get(sae) not in nodes:
            directory[sae] = nodes[0]


def name_faults(turn: Turn) -> None:
    """Tell each node what of its claims is not believed: applications and links that belong to others."""
    state, lookups = turn.state, turn.lookups
    faults: dict[NodeId, list[str]] = {}
    for sae in sorted(lookups.consumers.contested):
        holder = state.consumers[sae]
        for node_id in lookups.consumers.of(sae):
            if node_id != holder:
                text = f"application {sae} is served by {state.node_name(holder)} already"
                faults.setdefault(node_id, []).append(text)
    for link_id in sorted(lookups.links.claimed):
        for node_id in state.links[link_id].claims:
            faults.setdefault(node_id, []).append(f"link {link_id} joins {state.link_name(link_id)}")
    for node_id in sorted(lookups.faulty | faults.keys()):
        record, found = state.nodes.get(node_id), tuple(faults.get(node_id, ()))
        if record is not None and found != record.faults:
            record.faults = found
            turn.touch_node(node_id)
    lookups.faulty = set(faults)


def _take_links(turn: Turn, node: Node) -> list[LinkId]:
    """Store what the node says of its physical links; the ids of links not heard of from it before."""
    news: list[LinkId] = []
    spoken: set[LinkId] = set()
    for link in node.links:
        known = turn.state.links.get(link.link_id)
        if link.type is LinkType.VIRT and known is None:
            continue  # ours to compare, not to discover
        spoken.add(link.link_id)
        if known is None:
            far = link.remote.node_id if link.remote else node.node_id
            known = turn.state.links[link.link_id] = LinkRecord(
                link_id=link.link_id, a=min(node.node_id, far), b=max(node.node_id, far)
            )
        if node.node_id not in known.ends and node.node_id not in known.claims:
            news.append(link.link_id)
        former = known.ends.pop(node.node_id, None)
        known.claims[node.node_id] = averaging.taken_over(_end(link, turn.at), former)
        if former is not None and former.enable != link.enable:
            recovery.link_changed(turn, link.link_id)
        turn.lookups.links.note(known)
        turn.touch_link(link.link_id)  # what this end said before (an overload, say) counts no more
    for link_id in turn.lookups.links.ordered(turn.lookups.links.of(node.node_id) - spoken):
        _drop_claim(turn, turn.state.links[link_id], node.node_id)
    return [link_id for link_id in news if link_id in turn.state.links]


def _end(link: Link, at: float) -> LinkEnd:
    physical = link.physical
    return LinkEnd(
        interface_id=link.local.interface_id if link.local else None,
        status=link.status,
        performance=link.performance,
        pool=link.pool,
        at=at,
        counted_skr_bps=link.performance.skr_bps,
        counted_pool=link.pool,
        counted_pool_at=at,
        local_node=link.local.node_id if link.local else None,
        remote_node=link.remote.node_id if link.remote else None,
        remote_interface=link.remote.interface_id if link.remote else None,
        type=link.type or (LinkType.PHYS if physical else None),
        enable=link.enable,
        loss_db=physical.channel_att_db if physical else None,
        distance_km=physical.distance_km if physical else None,
        quarantine=link.quarantine.reason or "no reason given" if link.quarantine else "",
    )


def _drop_claim(turn: Turn, link: LinkRecord, node_id: NodeId) -> None:
    if link.ends.pop(node_id, None) is None and link.claims.pop(node_id, None) is None:
        return
    turn.touch_link(link.link_id)
    if not link.ends and not link.claims and not link.reserved_bps:
        del turn.state.links[link.link_id]
        turn.lookups.links.forget(link.link_id)
    else:
        turn.lookups.links.note(link)


def _hear_far_end(turn: Turn, link: LinkRecord, near: NodeId) -> None:
    """A link that its far end has not mentioned may be new there too: read that tree again, once."""
    far = link.b if near == link.a else link.a
    node = turn.state.nodes.get(far)
    if far not in link.ends and node is not None and node.connected:
        turn.read_node(far)
