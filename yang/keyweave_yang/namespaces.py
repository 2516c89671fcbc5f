"""Namespaces of the 015 data, and names in the form lxml uses ('{namespace}name').

Rule of this file: constants and what names need. XML data carries the namespace, never the module name; the
two differ for `etsi-qkd-sdn-node`.
"""

from collections.abc import Mapping
from typing import cast

from lxml import etree

NETCONF = "urn:ietf:params:xml:ns:netconf:base:1.0"
ETSI_NODE = "urn:etsi:qkd:yang:etsi-qkd-node"
ETSI_TYPES = "urn:etsi:qkd:yang:etsi-qkd-node-types"
KEYWEAVE = "urn:keyweave:yang:keyweave-qkd-node"

DATA_NSMAP: dict[str | None, str] = {None: ETSI_NODE}
"""What the top of every tree we write declares."""


def etsi(name: str) -> str:
    """Clark name of a node of `etsi-qkd-sdn-node`."""
    return f"{{{ETSI_NODE}}}{name}"


def kwq(name: str) -> str:
    """Clark name of a node of `keyweave-qkd-node`."""
    return f"{{{KEYWEAVE}}}{name}"


def new_tree(tag: str, nsmap: Mapping[str | None, str] = DATA_NSMAP) -> etree._Element:
    """An empty tree whose top declares `nsmap` (the stubs of lxml leave out the default namespace)."""
    return etree.Element(tag, nsmap=cast("Mapping[str, str]", nsmap))


def local_name(element: etree._Element) -> str:
    """The tag without its namespace."""
    return str(element.tag).rpartition("}")[2]


def is_element(node: etree._Element) -> bool:
    """False for a comment, a processing instruction or an entity, which lxml also lists as children."""
    return isinstance(cast("object", node.tag), str)


QKD_NODE = etsi("qkd_node")
