"""Topologies go out as graphs and come back, and graphs of others are checked like files written by hand."""

import json
from dataclasses import replace
from pathlib import Path

import networkx as nx
import pytest

from keyweave_core.errors import InvalidInput, SettingsError
from keyweave_lab.graphs import Lengths, from_graph, read_any, to_graph, write_any
from keyweave_lab.topology import Topology
from keyweave_lab.topology_file import read_topology, shipped_topologies

SHIPPED = sorted(shipped_topologies().glob("*.yaml"))


def as_a_graph_can_say(topology: Topology) -> Topology:
    """What graph files keep: an application's site, not its rates."""
    kept = ("sae_id", "node")
    return replace(
        topology,
        applications=tuple(
            type(each)(**{name: getattr(each, name) for name in kept})
            for node in topology.nodes
            for each in topology.applications
            if each.node == node.name
        ),
    )


@pytest.mark.parametrize("ending", ["yaml", "graphml", "gml", "json"])
@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_a_topology_comes_back_from_every_format(file: Path, ending: str, tmp_path: Path) -> None:
    topology = read_topology(file)
    path = tmp_path / f"{topology.name}.{ending}"
    write_any(topology, path)
    back = read_any(path)
    wanted = topology if ending == "yaml" else as_a_graph_can_say(topology)
    # A relay that split a long link comes back as a node like any other.
    assert set(back.nodes) == {replace(node, relay_of=None) for node in wanted.nodes}
    assert {frozenset((link.a, link.b)): replace(link, a="", b="") for link in back.links} == {
        frozenset((link.a, link.b)): replace(link, a="", b="") for link in wanted.links
    }
    assert set(back.applications) == set(wanted.applications)


def test_a_graph_of_others_is_read_with_its_own_length_attribute(tmp_path: Path) -> None:
    graph: nx.Graph[int] = nx.Graph()
    graph.add_node(0, label="Frankfurt/Main")
    graph.add_node(1, label="Köln")
    graph.add_edge(0, 1, dist=300.0)
    path = tmp_path / "zoo.graphml"
    nx.write_graphml(graph, path)
    topology = read_any(path, lengths=Lengths(attribute="dist", scale=0.1))
    assert [node.name for node in topology.nodes] == ["Frankfurt_Main", "K_ln"]
    assert [(link.length_km, link.loss_db) for link in topology.links] == [(30.0, 6.0)]


def test_what_a_graph_lacks_is_named(tmp_path: Path) -> None:
    graph: nx.Graph[str] = nx.Graph()
    graph.add_edge("A", "B")
    with pytest.raises(SettingsError, match=r"here: link A-B: length_km is None, not a length"):
        from_graph(graph, name="x", where="here")
    graph.add_edge("A", "B", length_km=5000.0)
    with pytest.raises(SettingsError, match="here:"):
        from_graph(graph, name="x", where="here")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("x.graphml", "<graphml", "not a graph"),
        ("x.gml", "graph [", "not a graph"),
        ("x.json", "{", "not a graph"),
        ("x.json", json.dumps([1, 2]), "not a graph"),
        ("x.txt", "", "cannot read .txt"),
        ("missing.gml", None, "cannot read"),
    ],
)
def test_files_that_are_no_graphs_are_refused(
    tmp_path: Path, name: str, content: str | None, reason: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingsError, match=reason):
        read_any(path)


def test_an_unknown_ending_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot write"):
        write_any(read_topology(SHIPPED[0]), tmp_path / "x.dot")
    assert list(tmp_path.iterdir()) == []


def test_the_graph_has_what_researchers_ask_for() -> None:
    graph = to_graph(read_topology(shipped_topologies() / "madqci.yaml"))
    assert (graph.number_of_nodes(), graph.number_of_edges()) == (9, 9)
    assert graph.edges["Norte", "Distrito"]["loss_db"] == 8.3
    assert nx.shortest_path_length(graph, "Quinto", "Distrito", weight="length_km") == pytest.approx(53.9)
