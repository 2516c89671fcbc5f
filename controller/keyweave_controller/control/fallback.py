"""Associations whose keys may be made by ML-KEM while the quantum layer cannot serve (KeyMode.PQC_FALLBACK).

Rule of this file: falling back is the agents' own doing, at once and without asking anybody; they need the
entries of the path, whose key managers are joined by classical connections. So such an association is not
suspended when the pools of its path are empty, and one may be opened where the only ways make no key now:
it holds then what its links have to promise, is *degraded*, and gets its reservation as they make key again
(`readmission`). Where ways make key and only lack room, it is refused as any other.
"""

from dataclasses import replace

from keyweave_controller.control import placement, routing, topology
from keyweave_controller.control.mesh import CLOSED
from keyweave_controller.control.placement import Wanted
from keyweave_controller.control.routing import Route
from keyweave_controller.control.service import Protection
from keyweave_controller.control.state import Association
from keyweave_controller.control.strategies import STRATEGIES
from keyweave_controller.control.turn import Turn
from keyweave_core.model.application import KeyOrigin
from keyweave_core.model.ids import AppId, NodeId
from keyweave_core.model.node import Node

SAID = "its source says so"
"""The reason of a fallback of which only the tree of a node tells."""


def route_without_key(turn: Turn, wanted: Wanted) -> Route | None:
    """The shortest way over links that stand but make no key, where none makes key; None: there is none.

    For one path that begins now and is not told to visit anything.
    """
    state, mesh, service = turn.state, turn.mesh, wanted.service
    bounds = service.constraints
    if (
        not service.falls_back
        or service.protection is not Protection.RESTORATION
        or service.starts_at is not None
        or wanted.others
        or wanted.path_links
        or bounds.include_links
        or bounds.include_nodes
    ):
        return None
    wish = replace(placement.wish_of(state, wanted), rate_bps=0)
    ask = routing.ask_of(state, mesh, wish)
    if ask is None or routing.find_route(state, mesh, wish, at=turn.at) is not None:
        return None
    rooms, barred = routing.restrictions(state, mesh, wish, at=turn.at)
    for link_id, place in mesh.link_place.items():
        if rooms.get(place) != CLOSED and topology.between_passes(state.links[link_id]):
            rooms[place] = 0
    with mesh.apart(rooms, barred):
        way = STRATEGIES["min-hop"].choose(mesh, ask)
    return None if way is None else routing.route_of(mesh, ask.source, way)


def told(turn: Turn, node_id: NodeId, app_id: AppId, origin: KeyOrigin, message: str) -> None:
    """A node says what the keys of an association are made of from now on; the source's word counts."""
    association = turn.state.associations.get(app_id)
    if association is not None and association.live and association.source_node == node_id:
        note(turn, association, (message or SAID) if origin is KeyOrigin.PQC else "")


def read(turn: Turn, node: Node) -> None:
    """The tree of a node tells the same: what was missed while nobody listened is made up for."""
    for entry in node.applications:
        if entry.origin is not None:
            told(turn, node.node_id, entry.app_id, entry.origin, "")


def note(turn: Turn, association: Association, reason: str) -> None:
    """Its keys are made by ML-KEM for this reason; empty: they are not."""
    if association.fallback == reason or (association.fallback and reason == SAID):
        return
    if not association.fallback:
        association.fallback_since = turn.at
    elif not reason:
        association.fallback_since = None
    association.fallback = reason
    turn.touch_app(association.app_id)
