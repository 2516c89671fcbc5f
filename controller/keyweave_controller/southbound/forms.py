"""The forms in which agents hold the same link, and the way to and from the controller's own.

Rule of this file: pure. The controller thinks in adjacent hops, and in links that have their hops; an agent
that reads the standard otherwise, or whose model cannot hold hops at all, is translated for here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Literal

from keyweave_controller.control.actions import NodeEdit
from keyweave_core.errors import Refused
from keyweave_core.model.application import KeyMode, RelayMethod
from keyweave_core.model.ids import LinkId
from keyweave_core.model.link import Link, LinkType, VirtualSpec
from keyweave_core.model.node import Node

HopForm = Literal["adjacent", "remaining"]
"""What an agent wants in virt_next_hop: the neighbour alone, or every node that remains to the end of the
path (the form TeraFlowSDN writes). The standard leaves it open."""


class Forms:
    """How one agent holds virtual links. `ours`: it has the leaves of our own module."""

    def __init__(self, *, hops: HopForm, ours: bool) -> None:
        self._hops = hops
        self._ours = ours
        self._hopless: dict[LinkId, VirtualSpec] = {}

    @property
    def ways(self) -> tuple[str, ...]:
        """What differs from the usual, for people."""
        told = []
        if self._hops == "remaining":
            told.append("virt_next_hop holds all remaining nodes")
        if self._hopless:
            told.append(
                "its model takes no virt_ leaves (published `when`): links of one hop are written without"
            )
        return tuple(told)

    def written(self, edit: NodeEdit) -> NodeEdit:
        """The edit as this agent wants it. Refused when it has no form for that."""
        if not self._ours:
            for fault in _beyond_015(edit):
                raise Refused(f"{fault}, which takes module keyweave-qkd-node, and it does not have that")
        return replace(edit, put_links=tuple(self._link(link) for link in edit.put_links))

    def read(self, node: Node) -> Node:
        """The node as the controller thinks of it."""
        if self._hops == "adjacent" and not self._hopless:
            return node
        held = {link.link_id for link in node.links}
        self._hopless = {link_id: spec for link_id, spec in self._hopless.items() if link_id in held}
        return replace(node, links=tuple(self._understood(link) for link in node.links))

    def without_hops(self, edit: NodeEdit) -> NodeEdit | None:
        """The edit without hops, where the ends of each link say as much; None when they do not."""
        if not any(link.virtual for link in edit.put_links):
            return None
        if not all(_one_hop(link) for link in edit.put_links if link.virtual is not None):
            return None
        return replace(edit, put_links=tuple(replace(link, virtual=None) for link in edit.put_links))

    def remember(self, edit: NodeEdit) -> None:
        """The links of this edit were written without hops; read back, they have them all the same."""
        for link in edit.put_links:
            if link.virtual is not None:
                self._hopless[link.link_id] = link.virtual

    def _link(self, link: Link) -> Link:
        if not self._ours:
            link = replace(link, relay_method=None)
        if self._hops == "remaining" and link.virtual is not None:
            spec = link.virtual
            if link.remote is None and len(spec.next_hops) > 1:
                raise Refused("its virt_next_hop holds all nodes that remain, so a link cannot fork there")
            link = replace(link, virtual=replace(spec, next_hops=(*spec.next_hops, *spec.onward), onward=()))
        return link

    def _understood(self, link: Link) -> Link:
        if link.type is not LinkType.VIRT:
            return link
        if link.link_id in self._hopless and link.virtual in (None, VirtualSpec()):
            return replace(link, virtual=self._hopless[link.link_id])
        if self._hops == "remaining" and link.virtual is not None:
            near, *onward = link.virtual.next_hops or (None,)
            if near is not None and link.remote is not None:
                return replace(link, virtual=replace(link.virtual, next_hops=(near,), onward=tuple(onward)))
        return link


def _beyond_015(edit: NodeEdit) -> Iterator[str]:
    """What an agent without our module would take for something else, and serve wrongly."""
    for link in edit.put_links:
        if link.relay_method not in (None, RelayMethod.OTP):
            yield f"link {link.link_id} relays by {link.relay_method}"
    for entry in edit.put_applications:
        if entry.key_mode is not KeyMode.QKD_ONLY:
            yield f"application {entry.app_id} wants keys {entry.key_mode}"
        if entry.share_threshold is not None:
            yield f"application {entry.app_id} wants {entry.share_threshold} shares to make a key"


def speaks_of_hops(refusal: Refused) -> bool:
    """Whether an agent's refusal names a virt_ leaf."""
    return any("virt_" in text for text in _texts(refusal))


def _texts(refusal: Refused) -> Iterable[str]:
    yield str(refusal)
    cause = refusal.__cause__
    for _, text in getattr(cause, "info", ()):
        yield str(text)


def _one_hop(link: Link) -> bool:
    spec = link.virtual
    if spec is None or link.remote is None:
        return False
    hops = {*spec.next_hops, *((spec.prev_hop,) if spec.prev_hop else ())}
    return hops == {link.remote.node_id} and not spec.onward
