"""The settings files of a laboratory's programs, as tables: pure values out of a plan.

Rule of this file: nothing is written and nothing is made here. Every key stands in the settings classes of
the program that reads it; a test reads each table back with the reader of that program.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keyweave_controller.control.optical.plant import Plant
from keyweave_controller.settings import Protocol
from keyweave_core.errors import InvalidInput
from keyweave_core.model.ids import NodeId
from keyweave_core.model.node import TrustLevel
from keyweave_core.runtime.tls import TlsSettings
from keyweave_lab.inventory import HOST, LabLink, LabNode
from keyweave_lab.optical_lab import module_light
from keyweave_lab.pki import node_host_name
from keyweave_lab.pqc_pki import PqcFiles
from keyweave_lab.topology import Topology, TopologyNode

CONTROLLER_USER, OPERATOR_USER, AUDITOR_USER = "controller", "operator", "auditor"

TARIFF = {
    "currency": "EUR",
    "per_mbit": "0.90",
    "per_key": "0.002",
    "per_further_hop": "0.25",
    "decimals": 4,
}

ADDITIONAL_SLAVES = 4
"""Slaves that a request may name beside the one of its path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """How a laboratory differs from a network in the field: it is in a hurry. Seconds, keys.

    `buffer_keys` an association keeps ready, `stored_keys` at most wait for its slave,
    a relay message carries at most `keys_per_batch`;
    `statistics_period_s` of usage; `poll_interval_s` and `audit_interval_s` of the controller;
    `wait_to_restore_s` before a repaired link is trusted; `hold_off_s` before a dark fibre counts as down.
    `gnmi`: agents serve gNMI beside NETCONF. `southbound`: how the controller reaches the agents, or they it.
    `fibres`: the fibre plant that the controller reckons with, and which wavelengths modules can be told.
    `fallback_after_s`, `return_after_s`: to keys by ML-KEM and back. `calm_after_s`: how long errors are low
    before a fibre is used again on which somebody seemed to listen.
    """

    buffer_keys: int = 64
    stored_keys: int = 16_384
    keys_per_batch: int = 128
    statistics_period_s: float = 2.0
    poll_interval_s: float = 1.0
    audit_interval_s: float = 10.0
    wait_to_restore_s: float = 2.0
    hold_off_s: float = 0.1
    fallback_after_s: float = 1.0
    return_after_s: float = 3.0
    calm_after_s: float = 3.0
    access_log: bool = True
    log_level: str = "info"
    gnmi: bool = False
    southbound: Protocol = Protocol.NETCONF_SSH
    fibres: Plant | None = None

    @property
    def serves_gnmi(self) -> bool:
        """Agents have a table [gnmi]."""
        return self.gnmi or self.southbound is Protocol.GNMI


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What all settings files refer to; `nodes` and `links` by name.

    `tls_ports` are where agents serve NETCONF over TLS, by name of the node; `calls_port` is where they call
    the controller. Both are there when the southbound wants them.
    """

    topology: Topology
    tuning: Tuning
    nodes: Mapping[str, LabNode]
    links: Mapping[str, LabLink]
    tls_ports: Mapping[str, int] = field(default_factory=dict)
    calls_port: int | None = None


def protocol_named(name: str) -> Protocol:
    """A protocol of the southbound by its name; InvalidInput tells the names there are."""
    try:
        return Protocol(name)
    except ValueError:
        raise InvalidInput(f"southbound {name[:40]!r}: one of {', '.join(Protocol)}") from None


def plant_table(plan: Plan, control_socket: Path) -> dict[str, Any]:
    """Every fibre with its port."""
    return {
        "control_socket": control_socket,
        "fibres": [
            {"link_id": link.link_id, "name": link.name, "listen": f"{HOST}:{link.port}"}
            for link in plan.links.values()
        ],
    }


def agent_table(
    plan: Plan,
    node: TopologyNode,
    tls: TlsSettings,
    pqc: PqcFiles,
    host_key: Path,
    master_key: Path,
    users: Mapping[str, Path],
) -> dict[str, Any]:
    """The agent of one site; `users` are names and their files of authorized keys.

    `master_key` is the file whose key encrypts the agent's key store.
    """
    here = plan.nodes[node.name]
    tls_table = _tls(tls)
    return {
        "node": {
            "node_id": node.node_id,
            "location_id": node.location or node.name,
            "state_dir": "state",
            "trust_level": node.trust,
            "relay": node.trust is TrustLevel.TRUSTED,
        },
        "netconf": {
            "listen_host": HOST,
            "listen_port": here.netconf_port,
            "host_key": host_key,
            "users": [{"name": name, "authorized_keys": path} for name, path in users.items()],
            **_southbound_ways(plan, node, tls_table),
        },
        "keys": {
            "listen_host": HOST,
            "listen_port": here.keys_port,
            "buffer_keys": plan.tuning.buffer_keys,
            "limits": {
                "stored_keys": plan.tuning.stored_keys,
                "keys_per_batch": plan.tuning.keys_per_batch,
            },
            "statistics_period_s": plan.tuning.statistics_period_s,
            "neighbours": _neighbours(plan, node),
            "storage": {"key_file": master_key},
            "pqc": {
                "certificate": pqc.certificate,
                "private_key": pqc.private_key,
                "ca": pqc.ca,
                "fallback_after_s": plan.tuning.fallback_after_s,
                "return_after_s": plan.tuning.return_after_s,
            },
        },
        "keys_tls": tls_table,
        "service": {
            "listen_host": HOST,
            "listen_port": here.service_port,
            "access_log": plan.tuning.access_log,
            "max_additional_slaves": ADDITIONAL_SLAVES,
            "tls": tls_table,
        },
        "etsi004": {
            "listen_host": HOST,
            "listen_port": here.streams_port,
            "access_log": plan.tuning.access_log,
            "tls": tls_table,
        },
        "consumers": [
            {
                "sae_id": each.sae_id,
                "min_bandwidth_bps": each.min_bandwidth_bps,
                "max_bandwidth_bps": each.max_bandwidth_bps,
                "priority": each.priority,
                "ttl_s": each.ttl_s,
            }
            for each in plan.topology.applications
            if each.node == node.name
        ],
        "modules": _modules(plan, node),
        **({} if here.gnmi_port is None else {"gnmi": _gnmi(here.gnmi_port, tls_table)}),
        "log": {"level": plan.tuning.log_level, "form": "json"},
    }


def _southbound_ways(plan: Plan, node: TopologyNode, tls_table: Mapping[str, Path]) -> dict[str, Any]:
    """What the agent's NETCONF server does besides listening for SSH."""
    ways: dict[str, Any] = {}
    protocol = plan.tuning.southbound
    if protocol in (Protocol.NETCONF_TLS, Protocol.CALL_HOME_TLS):
        port = plan.tls_ports.get(node.name)
        ways["tls"] = {**tls_table, "listen": port is not None, "listen_host": HOST, "listen_port": port or 0}
    if plan.calls_port is not None:
        transport = "ssh" if protocol.over_ssh else "tls"
        ways["call_home"] = [{"host": HOST, "port": plan.calls_port, "transport": transport}]
        ways["call_home_backoff"] = {"first_s": 0.1, "most_s": 2.0}
    return ways


def _gnmi(port: int, tls_table: Mapping[str, Path]) -> dict[str, Any]:
    """Whose certificate says `controller` or `operator` comes in as that user of NETCONF."""
    return {"listen_host": HOST, "listen_port": port, **tls_table}


def _neighbours(plan: Plan, node: TopologyNode) -> list[dict[str, Any]]:
    found = []
    for link in plan.topology.links_of(node.name):
        there = plan.nodes[link.b if link.a == node.name else link.a]
        found.append(
            {"node_id": there.node_id, "link_id": link.link_id, "host": HOST, "port": there.keys_port}
        )
    return found


def _modules(plan: Plan, node: TopologyNode) -> list[dict[str, Any]]:
    """One module a fibre; interfaces are numbered from 1 in the order of the node's links."""
    modules = []
    for number, link in enumerate(plan.topology.links_of(node.name), start=1):
        there = link.b if link.a == node.name else link.a
        modules.append(
            {
                "interface_id": number,
                "link_id": link.link_id,
                "remote_node_id": plan.nodes[there].node_id,
                "remote_interface_id": plan.topology.links_of(there).index(link) + 1,
                "role": "transmitter" if link.a == node.name else "receiver",
                "profile": link.profile,
                "distance_km": float(link.length_km),
                "loss_db": float(link.loss_db),
                "secret_rate_bps": link.secret_rate_bps,
                "connect": f"{HOST}:{plan.links[link.name].port}",
                "hold_off_s": plan.tuning.hold_off_s,
                "intrusion": {"release_after_s": plan.tuning.calm_after_s},
                **module_light(plan.tuning.fibres, node.name, number),
            }
        )
    return modules


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """Where the controller is reached. `users` of NETCONF are names and their files of authorized keys; each
    is of the group of its own name.
    """

    grpc_port: int
    netconf_port: int
    host_key: Path
    users: Mapping[str, Path]


def controller_table(
    plan: Plan, doors: Doors, tls: TlsSettings, ssh_key: Path, tariff: Path, fibres: Path | None = None
) -> dict[str, Any]:
    """The controller, with every agent in its inventory; `fibres`: the file with its fibre plant."""
    return {
        "controller": {"state_dir": "state"},
        "grpc": {
            "listen_host": HOST,
            "listen_port": doors.grpc_port,
            **_tls(tls),
            # One authority signs everybody here: an application must not run the network.
            "callers": [{"name": OPERATOR_USER, "role": "operator"}],
        },
        "netconf": {
            "listen_host": HOST,
            "listen_port": doors.netconf_port,
            "host_key": doors.host_key,
            "users": [
                {"name": name, "authorized_keys": path, "groups": [name]}
                for name, path in doors.users.items()
            ],
        },
        "southbound": {
            "user": CONTROLLER_USER,
            "private_key": ssh_key,
            "poll_interval_s": plan.tuning.poll_interval_s,
            "audit_interval_s": plan.tuning.audit_interval_s,
            **_southbound_doors(plan, tls),
        },
        "policy": {"wait_to_restore_s": plan.tuning.wait_to_restore_s},
        "accounting": {"tariff": tariff},
        **({} if fibres is None else {"optical": {"plant": fibres}}),
        "log": {"level": plan.tuning.log_level, "form": "json"},
        "agents": [_inventory_entry(plan, node) for node in plan.nodes.values()],
        "links": [
            {"link": f"{link.a}-{link.b}", "risk_groups": link.risk_groups, "latency_ms": link.latency_ms}
            for link in plan.topology.links
            if link.risk_groups or link.latency_ms is not None
        ],
    }


def _southbound_doors(plan: Plan, tls: TlsSettings) -> dict[str, Any]:
    protocol = plan.tuning.southbound
    doors: dict[str, Any] = {} if protocol.over_ssh else {"tls": _tls(tls)}
    if plan.calls_port is not None:
        name = "calls_ssh" if protocol.over_ssh else "calls_tls"
        doors[name] = {"listen_host": HOST, "listen_port": plan.calls_port}
    return doors


def _inventory_entry(plan: Plan, node: LabNode) -> dict[str, Any]:
    protocol = plan.tuning.southbound
    site = plan.topology.node(node.name)
    entry: dict[str, Any] = {"name": node.name, "protocol": protocol.value}
    if site.trust_score != 100:  # as the controller takes it when nobody says
        entry["trust"] = site.trust_score
    if site.domain:
        entry["domain"] = site.domain
    ports = {
        Protocol.NETCONF_SSH: node.netconf_port,
        Protocol.NETCONF_TLS: plan.tls_ports.get(node.name),
        Protocol.GNMI: node.gnmi_port,
    }
    if protocol.dialled:
        entry |= {"host": HOST, "port": ports[protocol]}
    if protocol.over_ssh:
        return entry | {"host_key": node.host_key}
    by_host = protocol is Protocol.GNMI
    name = node_host_name(NodeId(node.node_id)) if by_host else f"urn:uuid:{node.node_id}"
    return entry | {"certificate_name": name}


def _tls(tls: TlsSettings) -> dict[str, Any]:
    return {"certificate": tls.certificate, "private_key": tls.private_key, "ca": tls.ca}
