"""From domain values to 015 data in XML.

Rule of this file: every function returns a fresh tree whose top declares the prefixes in use. Lists keep
the order of the value. Nothing is read or changed.
"""

from lxml import etree

from keyweave_core.model.node import Node, TrustLevel
from keyweave_yang.namespaces import QKD_NODE, etsi, kwq, new_tree
from keyweave_yang.notify import encode_notification
from keyweave_yang.refusals import encode_refusal
from keyweave_yang.write_entries import Part, write_application, write_interface, write_link
from keyweave_yang.writing import boolean, grow, identity, text

__all__ = [
    "encode_configuration",
    "encode_node",
    "encode_notification",
    "encode_refusal",
    "encode_state",
]


def encode_node(node: Node) -> etree._Element:
    """Everything the node holds and observes, as <get> answers: qkdl_status is the observed one."""
    return _encode(node, Part.ALL)


def encode_configuration(node: Node) -> etree._Element:
    """What is configured (config true only): qkdl_status is the requested one, absent when there is none."""
    return _encode(node, Part.CONFIG)


def encode_state(node: Node) -> etree._Element:
    """What is observed (config false only), with the list keys that hold it and the observed qkdl_status.

    The form of `Device.state()`: entries without anything observed are left out.
    """
    return _encode(node, Part.STATE)


def _encode(node: Node, part: Part) -> etree._Element:
    root = new_tree(QKD_NODE)
    config, state = Part.CONFIG in part, Part.STATE in part
    if config:
        text(root, etsi("qkdn_id"), node.node_id)
    if state:
        identity(root, etsi("qkdn_status"), node.status)
    if config:
        text(root, etsi("qkdn_version"), node.version)
        text(root, etsi("qkdn_location_id"), node.location_id or None)
        able = grow(root, etsi("qkdn_capabilities"))
        boolean(able, etsi("link_stats_support"), node.capabilities.link_stats_support)
        boolean(able, etsi("application_stats_support"), node.capabilities.application_stats_support)
        boolean(able, etsi("key_relay_mode_enable"), node.capabilities.key_relay_mode_enable)
    if node.applications:
        holder = grow(root, etsi("qkd_applications"))
        for app in node.applications:
            write_application(holder, app, part)
        _drop_empty(root, holder)
    if node.interfaces:
        holder = grow(root, etsi("qkd_interfaces"))
        for interface in node.interfaces:
            write_interface(holder, interface, part)
        _drop_empty(root, holder)
    if node.links:
        holder = grow(root, etsi("qkd_links"))
        for link in node.links:
            write_link(holder, link, part)
        _drop_empty(root, holder)
    if config:
        if node.trust_level is not TrustLevel.TRUSTED:
            text(root, kwq("trust-level"), node.trust_level.value)
        for consumer in node.consumers:
            text(root, kwq("consumer"), consumer)
    return root


def _drop_empty(root: etree._Element, holder: etree._Element) -> None:
    if len(holder) == 0:
        root.remove(holder)
