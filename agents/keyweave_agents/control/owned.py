"""What belongs to the node itself and is not for a writer to change.

Rule of this file: pure. GS QKD 015 makes nearly everything config true, device facts included, so the line
must be drawn here:

    node      id, capabilities, trust level, consumers, interfaces;
              of its physical links: id, type, both ends, role, distance
    writer    location (who runs the network knows where a node stands) and version (a wish: what is observed
              is the node's own); of physical links: qkdl_enable, qkdl_status (a wish), applications,
              wavelength (within the module's range), attenuation

A writer may repeat what the node owns (many write back the tree they read), never change or delete it.
"""

from dataclasses import replace
from typing import Any

from keyweave_core.errors import SchemaViolation
from keyweave_core.model.link import Link, LinkType, PhysicalSpec
from keyweave_core.model.node import Node
from keyweave_core.model.wavelengths import in_range

ROOT = "/etsi-qkd-sdn-node:qkd_node"


def link_path(link: Link) -> str:
    """The instance path of a link."""
    return f"{ROOT}/qkd_links/qkd_link[qkdl_id='{link.link_id}']"


def check_owned(wanted: Node, own: Node) -> None:
    """Raise SchemaViolation with the path of the first fact of `own` that `wanted` changes or leaves out."""
    _check_node(wanted, own)
    _check_physical(wanted, own)


def _check_node(wanted: Node, own: Node) -> None:
    facts: tuple[tuple[str, Any, Any], ...] = (
        ("qkdn_id", wanted.node_id, own.node_id),
        ("qkdn_capabilities", wanted.capabilities, own.capabilities),
        ("keyweave-qkd-node:trust-level", wanted.trust_level, own.trust_level),
        ("keyweave-qkd-node:consumer", frozenset(wanted.consumers), frozenset(own.consumers)),
    )
    for name, said, fact in facts:
        _same(said, fact, f"{ROOT}/{name}")
    said_interfaces = {each.interface_id: each for each in wanted.interfaces}
    for interface in own.interfaces:
        path = f"{ROOT}/qkd_interfaces/qkd_interface[qkdi_id='{interface.interface_id}']"
        said_interface = said_interfaces.pop(interface.interface_id, None)
        if said_interface is None:
            raise SchemaViolation("a module of this node cannot be deleted", path=path, tag="data-missing")
        _same(replace(said_interface, status=None), replace(interface, status=None), path)
    for interface_id in said_interfaces:
        path = f"{ROOT}/qkd_interfaces/qkd_interface[qkdi_id='{interface_id}']"
        raise SchemaViolation("this node has no such module", path=path)


def _check_physical(wanted: Node, own: Node) -> None:
    said_links = {link.link_id: link for link in wanted.links}
    for mine in own.links:
        path = link_path(mine)
        said = said_links.pop(mine.link_id, None)
        if said is None:
            raise SchemaViolation("a link of this node cannot be deleted", path=path, tag="data-missing")
        said_spec, my_spec = said.physical or PhysicalSpec(), mine.physical or PhysicalSpec()
        _same(said.type, mine.type, f"{path}/qkdl_type")
        _same(said.local, mine.local, f"{path}/qkdl_local")
        _same(said.remote, mine.remote, f"{path}/qkdl_remote")
        _same(said_spec.role, my_spec.role, f"{path}/phys_qkd_role")
        _same(said_spec.distance_km, my_spec.distance_km, f"{path}/keyweave-qkd-node:distance-km")
        check_channel(said, mine, own)
    for link in said_links.values():
        if link.type is LinkType.PHYS:
            raise SchemaViolation("this node has no module on such a physical link", path=link_path(link))


def check_channel(said: Link, mine: Link, own: Node) -> None:
    """Raise SchemaViolation when `said` has a wavelength that the module of `mine` cannot be told."""
    wavelength = said.physical.wavelength if said.physical else None
    interface_id = mine.local.interface_id if mine.local else None
    module = next((one for one in own.interfaces if one.interface_id == interface_id), None)
    if wavelength is None or module is None or module.wavelength_range is None:
        return
    if not in_range(wavelength, module.wavelength_range):
        raise SchemaViolation(
            f"channel {wavelength} is not in the wavelength range {module.wavelength_range} of this module",
            path=f"{link_path(mine)}/phys_wavelength",
        )


def _same(said: Any, fact: Any, path: str) -> None:
    if said != fact:
        raise SchemaViolation("the node itself decides this; it cannot be changed or deleted", path=path)
