"""What must hold in a whole network once every fault is healed.

Rule of this file: looking, never touching. Each check returns sentences, empty when all is well, so that a
waiting test can say at its deadline what is still wrong.
"""

import json
from collections import Counter
from pathlib import Path

from keyweave_controller.control import admission
from keyweave_controller.control.configuration import Policy
from keyweave_controller.control.planning import RESERVATION_PREFIX, reservation_id
from keyweave_controller.control.service import Service
from keyweave_core.errors import KeyweaveError
from keyweave_core.model.application import AppType
from keyweave_core.model.ids import LinkId
from keyweave_core.model.link import LinkType
from keyweave_core.model.node import Node
from keyweave_core.netconf.client.client import NetconfClient, connect
from keyweave_core.runtime.clock import Clock
from keyweave_lab.dial import Controller, ControllerAddress
from keyweave_lab.inventory import LabInventory, LabNode
from keyweave_proto.v1 import keyweave_pb2 as pb
from keyweave_yang import edits
from keyweave_yang.decode import decode_node

SLOW_BPS = 5_000
_CALM = ("debug", "info", "warning")


def held_bps(bandwidth_bps: int) -> int:
    """What a path holds of each link: its rate and the tags of its messages, under the policy of the lab."""
    return admission.hop_bps(bandwidth_bps, Service(), Policy())


class View:
    """What the controller says at one moment."""

    def __init__(self, lab: LabInventory, timeout_s: float = 5.0) -> None:
        where = ControllerAddress(address=lab.controller_address, tls=lab.operator)
        with Controller(where) as controller, controller.answers():
            self.nodes = list(controller.topology.ListNodes(pb.ListNodesRequest(), timeout=timeout_s).nodes)
            self.links = list(controller.topology.ListLinks(pb.ListLinksRequest(), timeout=timeout_s).links)
            self.live = list(
                controller.associations.List(pb.ListAssociationsRequest(), timeout=timeout_s).associations
            )
            self.alarms = list(controller.alarms.List(pb.ListAlarmsRequest(), timeout=timeout_s).alarms)
            self.bill = controller.accounting.GetBill(pb.GetBillRequest(), timeout=timeout_s)


def settled(view: View, lab: LabInventory) -> list[str]:
    """Everything connected, generating, active, without alarm, and reserved exactly as granted."""
    wrong = [
        f"node {node.name} is not connected: {node.lost_reason}" for node in view.nodes if not node.connected
    ]
    wrong += [f"node {node.name}: {list(node.faults)}" for node in view.nodes if node.faults]
    if len(view.nodes) != len(lab.nodes) or len(view.links) != len(lab.links):
        wrong.append(f"{len(view.nodes)} nodes and {len(view.links)} links are known")
    granted: dict[str, dict[str, int]] = {}
    for one in view.live:
        if one.state != pb.ASSOCIATION_STATE_ACTIVE or one.reasons:
            state = pb.AssociationState.Name(one.state)
            wrong.append(f"{one.source} to {one.destination} ({one.app_id}) is {state}: {list(one.reasons)}")
        for link_id in one.path.link_ids:
            granted.setdefault(link_id, {})[one.path.virtual_link_id] = held_bps(one.path.bandwidth_bps)
    for link in view.links:
        name = f"link {link.a_name}~{link.b_name}"
        if link.status != pb.LINK_STATUS_ACTIVE or link.faults:
            wrong.append(
                f"{name} is {pb.LinkStatus.Name(link.status)}: {link.down_reason} {list(link.faults)}"
            )
        held = {one.virtual_link_id: one.bandwidth_bps for one in link.reservations}
        if held != granted.get(link.link_id, {}):
            wrong.append(f"{name} has reserved {held}, granted is {granted.get(link.link_id, {})}")
        if link.reserved_bps != sum(held.values()):
            wrong.append(f"{name} sums its reservations up to {link.reserved_bps}, not {sum(held.values())}")
    # Filling buffers empties the pool of such a link for minutes: rightly told, and nothing to wait for.
    slow = {f"link:{link.link_id}" for link in view.links if link.skr_bps < SLOW_BPS}
    wrong += [
        f"alarm {alarm.type} of {alarm.resource_name}: {alarm.text}"
        for alarm in view.alarms
        if alarm.type != "capacity-overbooked" or alarm.resource not in slow
    ]
    wrong += doubles(view)
    return wrong


def doubles(view: View) -> list[str]:
    """Associations that the same pair has more than once though nobody opened it twice by hand."""
    pairs = Counter((one.source, one.destination) for one in view.live if one.requested_by != "operator")
    return [f"{pair} has {count} associations" for pair, count in pairs.items() if count > 1]


async def session_with(lab: LabInventory, node: LabNode, clock: Clock) -> NetconfClient:
    """A NETCONF session of the operator with an agent."""
    return await connect(
        "127.0.0.1",
        node.netconf_port,
        username=lab.netconf_user,
        key=lab.netconf_key.read_text(),
        host_key=node.host_key.read_text(),
        clock=clock,
    )


async def tree_of(lab: LabInventory, node: LabNode, clock: Clock) -> Node:
    """The whole tree of an agent."""
    async with await session_with(lab, node, clock) as session:
        return decode_node(await session.get(edits.node_filter()))[0]


async def agreed(view: View, lab: LabInventory, clock: Clock) -> list[str]:
    """Each agent holds exactly the virtual links and applications that the controller's associations need."""
    wrong = []
    for node in lab.nodes:
        try:
            tree = await tree_of(lab, node, clock)
        except KeyweaveError as error:
            wrong.append(f"agent {node.name} cannot be read: {error}")
            continue
        wrong += _differences(view, node, tree)
    return wrong


def _differences(view: View, node: LabNode, tree: Node) -> list[str]:
    links: dict[str, tuple[str | None, tuple[str, ...], int]] = {}
    applications: dict[str, tuple[str, ...]] = {}
    for one in view.live:
        path, here = list(one.path.node_ids), node.node_id
        if here in path:
            place = path.index(here)
            links[one.path.virtual_link_id] = (
                path[place - 1] if place else None,
                tuple(path[place + 1 : place + 2]),
                one.path.bandwidth_bps,
            )
            reserved = reservation_id(LinkId(one.path.virtual_link_id))
            applications[reserved] = tuple(sorted(one.path.link_ids[max(0, place - 1) : place + 1]))
        if here in (one.source_node_id, one.destination_node_id):
            applications[one.app_id] = (one.path.virtual_link_id,) if path else ()
    held_links = {
        str(link.link_id): (
            link.virtual.prev_hop if link.virtual else None,
            link.virtual.next_hops if link.virtual else (),
            (link.virtual.bandwidth_bps or 0) if link.virtual else 0,
        )
        for link in tree.links
        if link.type is LinkType.VIRT
    }
    held_applications = {
        str(one.app_id): tuple(sorted(map(str, one.backing_link_ids)))
        for one in tree.applications
        if one.type is not AppType.INTERNAL or (one.server_app_id or "").startswith(RESERVATION_PREFIX)
    }
    wrong = []
    if held_links != links:
        wrong.append(f"agent {node.name} has virtual links {held_links}, should have {links}")
    if held_applications != applications:
        wrong.append(f"agent {node.name} has applications {held_applications}, should have {applications}")
    return wrong


def outcries(directory: Path) -> list[str]:
    """Lines of any log that should not be there: errors, tracebacks, anything that is no JSON line."""
    found = []
    for log in sorted((directory / "log").glob("*.log")):
        for line in log.read_text(errors="replace").splitlines():
            try:
                level = json.loads(line).get("level", "")
            except (ValueError, AttributeError):
                level = "plain"
            if level not in _CALM:
                found.append(f"{log.name}: {line[:2000]}")
    return found
