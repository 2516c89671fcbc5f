"""Topologies as graphs of networkx, and the file formats that come with it.

Rule of this file: whatever comes in becomes the text of a topology file first and is read by the reader of
those, so a graph of somebody else meets the same checks and the same words as a file written by hand.

    .yaml .yml   a topology file         .graphml   e.g. the Internet Topology Zoo
    .gml         Graph Modelling Language   .json   node-link data of networkx
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import networkx as nx
import yaml

from keyweave_core.errors import InvalidInput, SettingsError
from keyweave_core.model.node import TrustLevel
from keyweave_lab.topology import Topology, TopologyApplication
from keyweave_lab.topology_file import parse_topology, read_topology

MAX_BYTES = 16 * 1024 * 1024

_EDGE = ("loss_db", "profile", "secret_rate_bps", "latency_ms")
_STRANGE = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Where a foreign graph keeps the length of an edge: an attribute, times `scale` for kilometres."""

    attribute: str = "length_km"
    scale: float = 1.0


def to_graph(topology: Topology) -> "nx.Graph[str]":
    """The network as a graph: nodes by name, what a topology file says of nodes and links as attributes."""
    graph: nx.Graph[str] = nx.Graph(name=topology.name, source=topology.source)
    for node in topology.nodes:
        told = {"trust_score": node.trust_score, "domain": node.domain}
        kept = {name: value for name, value in told.items() if value not in ("", 100)}
        graph.add_node(node.name, location=node.location, trust=str(node.trust), **kept)
    for link in topology.links:
        said = {
            "profile": link.profile,
            "loss_db": link.loss_db,
            "secret_rate_bps": link.secret_rate_bps,
            "latency_ms": link.latency_ms,
            "risk_groups": ",".join(link.risk_groups) or None,
        }
        graph.add_edge(
            link.a,
            link.b,
            length_km=link.length_km,
            **{name: value for name, value in said.items() if value is not None},
        )
    for application in topology.applications:
        held = graph.nodes[application.node]
        held["applications"] = ",".join(filter(None, (held.get("applications"), application.sae_id)))
    return graph


def from_graph(graph: "nx.Graph[Any]", *, name: str, where: str, lengths: Lengths | None = None) -> Topology:
    """The network of a graph. SettingsError in the words of a topology file, or naming edge and attribute.

    A node is called by its `label` where it has one; characters that a name cannot have become `_`.
    """
    text = topology_text(_table(graph, _called(name), where, lengths or Lengths()))
    return parse_topology(text.encode(), where=where)


def topology_text(table: Mapping[str, Any]) -> str:
    """A topology file of a plain table."""
    return yaml.safe_dump(
        dict(table), sort_keys=False, default_flow_style=None, allow_unicode=True, width=110
    )


def read_any(path: Path, *, lengths: Lengths | None = None) -> Topology:
    """The network of a topology file or a graph file, by its ending. SettingsError says what is wrong."""
    if path.suffix in (".yaml", ".yml"):
        return read_topology(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SettingsError(f"{path}: larger than {MAX_BYTES} bytes")
        graph = _load(path)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot read: {error}") from error
    except (nx.NetworkXException, ValueError, LookupError, TypeError, AttributeError, SyntaxError) as error:
        raise SettingsError(f"{path}: not a graph of this format: {error}") from error
    return from_graph(graph, name=str(graph.graph.get("name") or path.stem), where=str(path), lengths=lengths)


def write_any(topology: Topology, path: Path) -> None:
    """Write a network to a file of the format that its ending says; InvalidInput for an unknown one."""
    graph = to_graph(topology)
    match path.suffix:
        case ".yaml" | ".yml":
            table = _table(graph, topology.name, str(path), Lengths())
            table["applications"] = [_said(application) for application in topology.applications]
            path.write_text(topology_text(table), encoding="utf-8")
        case ".graphml":
            nx.write_graphml(graph, path)
        case ".gml":
            nx.write_gml(graph, path)
        case ".json":
            path.write_text(json.dumps(nx.node_link_data(graph), indent=1) + "\n", encoding="utf-8")
        case other:
            raise InvalidInput(f"{path}: cannot write {other or 'a file without ending'}; {_ENDINGS}")


_ENDINGS = "endings are .yaml, .graphml, .gml and .json"


def _load(path: Path) -> "nx.Graph[Any]":
    match path.suffix:
        case ".graphml":
            graph: nx.Graph[Any] = nx.read_graphml(path)
        case ".gml":
            graph = nx.read_gml(path, label="id")
        case ".json":
            graph = nx.node_link_graph(json.loads(path.read_text(encoding="utf-8")))
        case other:
            raise SettingsError(f"{path}: cannot read {other or 'a file without ending'}; {_ENDINGS}")
    # Some tools write every edge in both directions; a fibre is one thing.
    return graph.to_undirected() if graph.is_directed() else graph


def _said(application: TopologyApplication) -> dict[str, Any]:
    """An application as a topology file has it, without what is not set."""
    return {name: value for name, value in asdict(application).items() if value not in (None, 0)}


def _table(graph: "nx.Graph[Any]", name: str, where: str, lengths: Lengths) -> dict[str, Any]:
    """The plain table of a topology file."""
    names = {node: _called(str(held.get("label", node))) for node, held in graph.nodes(data=True)}
    nodes, applications = [], []
    for node, held in graph.nodes(data=True):
        trust = held.get("trust")
        entry: dict[str, Any] = {"name": names[node], "location": str(held.get("location") or names[node])}
        if trust not in (None, TrustLevel.TRUSTED):
            entry["trust"] = str(trust)
        elif held.get("trust_score") is not None:
            entry["trust"] = held["trust_score"]
        if held.get("domain"):
            entry["domain"] = str(held["domain"])
        nodes.append(entry)
        applications += [
            {"sae_id": sae_id, "node": names[node]}
            for sae_id in str(held.get("applications") or "").split(",")
            if sae_id
        ]
    links = []
    for a, b, held in graph.edges(data=True):
        length: Any = held.get(lengths.attribute)
        try:
            length_km = float(length) * lengths.scale
        except (TypeError, ValueError) as error:
            raise SettingsError(
                f"{where}: link {names[a]}-{names[b]}: {lengths.attribute} is {length!r}, not a length"
            ) from error
        said = {key: held[key] for key in _EDGE if held.get(key) is not None}
        if held.get("risk_groups"):
            said["risk_groups"] = str(held["risk_groups"]).split(",")
        links.append({"a": names[a], "b": names[b], "length_km": round(length_km, 6), **said})
    source = str(graph.graph.get("source") or where)[:500]
    return {"name": name, "source": source, "nodes": nodes, "links": links, "applications": applications}


def _called(text: str) -> str:
    return _STRANGE.sub("_", text).strip("_.-")[:63] or "unnamed"
