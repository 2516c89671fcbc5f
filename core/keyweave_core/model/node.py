"""A node: the whole `qkd_node` tree of ETSI GS QKD 015 V2.1.1 as one value."""

from dataclasses import dataclass, field
from enum import StrEnum

from keyweave_core.model.application import Application
from keyweave_core.model.ids import NodeId, SaeId
from keyweave_core.model.link import Interface, Link


class NodeStatus(StrEnum):
    """QKDN-STATUS-TYPES; FAILURE is the controller's own view of a node it cannot reach."""

    NEW = "NEW"
    OPERATING = "OPERATING"
    DOWN = "DOWN"
    FAILURE = "FAILURE"
    OUT = "OUT"


class TrustLevel(StrEnum):
    """How far the operator trusts a site to hold keys in clear while it relays (keyweave-qkd-node)."""

    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"  # may end a link, may not relay


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """`qkdn_capabilities`, with the defaults of the module."""

    link_stats_support: bool = True
    application_stats_support: bool = True
    key_relay_mode_enable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Everything one agent tells of itself. `consumers` are the applications it serves (augment)."""

    node_id: NodeId
    status: NodeStatus | None = None
    version: str | None = None
    location_id: str = ""
    capabilities: Capabilities = field(default_factory=Capabilities)
    trust_level: TrustLevel = TrustLevel.TRUSTED  # augment
    consumers: tuple[SaeId, ...] = ()  # augment
    interfaces: tuple[Interface, ...] = ()
    links: tuple[Link, ...] = ()
    applications: tuple[Application, ...] = ()
