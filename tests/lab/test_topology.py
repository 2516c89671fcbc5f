"""Topology files: what is shipped, and what is refused with its line."""

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from keyweave_agents.quantum.module_settings import ModuleSettings
from keyweave_core.errors import SettingsError
from keyweave_core.model.ids import InterfaceId, parse_uuid
from keyweave_core.model.node import TrustLevel
from keyweave_core.physics.profiles import PROFILES
from keyweave_lab.graphs import read_any, write_any
from keyweave_lab.topology import Topology, TopologyLink, link_id_of, node_id_of
from keyweave_lab.topology_file import parse_topology, read_topology, shipped_topologies, topology_path

SHIPPED = (
    "cambridge",
    "germany50",
    "madqci",
    "nobel_germany",
    "nsfnet",
    "nsfnet14",
    "secoqc",
    "tokyo",
    "triangle",
)

GOOD = """\
name: small
source: "a test"
nodes:
  - {name: A, location: here, trust: trusted}
  - name: B
  - {name: C, trust: untrusted}
links:
  - {a: A, b: B, length_km: 10}
  - {a: B, b: C, length_km: 25.5, loss_db: 6, profile: cv-het-100mbaud, secret_rate_bps: 12345}
applications:
  - {sae_id: sae-a, node: A, min_bandwidth_bps: 1000, max_bandwidth_bps: 2000, priority: 2, ttl_s: 60}
  - {sae_id: sae-c, node: C}
"""


def parse(text: str) -> Topology:
    return parse_topology(text.encode(), where="small.yaml")


def module_of(topology: Topology, link: TopologyLink) -> ModuleSettings:
    return ModuleSettings(
        interface_id=InterfaceId(1),
        link_id=link.link_id,
        remote_node_id=topology.node(link.b).node_id,
        remote_interface_id=InterfaceId(1),
        role="transmitter",
        profile=link.profile,
        distance_km=link.length_km,
        loss_db=link.loss_db,
        secret_rate_bps=link.secret_rate_bps,
        connect="127.0.0.1:1",
    )


def test_a_small_network() -> None:
    network = parse(GOOD)
    assert [node.name for node in network.nodes] == ["A", "B", "C"]
    assert network.node("A").location == "here"
    assert network.node("B").location == "B"
    assert network.node("C").trust is TrustLevel.UNTRUSTED
    first, second = network.links
    assert first.loss_db == pytest.approx(2.0)  # 0.2 dB/km
    assert first.profile == "bb84-t12-1ghz"
    assert second.secret_rate_bps == 12345
    assert network.link_between("C", "B") is second
    assert network.links_of("B") == (first, second)
    application = network.applications[0]
    assert (application.min_bandwidth_bps, application.max_bandwidth_bps) == (1000, 2000)
    assert (application.priority, application.ttl_s) == (2, 60)
    assert network.applications[1].min_bandwidth_bps is None
    with pytest.raises(KeyError, match="no node 'X' in small"):
        network.node("X")
    with pytest.raises(KeyError, match="no link between 'A' and 'C'"):
        network.link_between("A", "C")


def test_ids_follow_from_names_alone() -> None:
    one, other = parse(GOOD), parse(GOOD.replace("length_km: 10", "length_km: 20"))
    assert [node.node_id for node in one.nodes] == [node.node_id for node in other.nodes]
    assert one.links[0].link_id == other.links[0].link_id == link_id_of("small", "B", "A")
    assert node_id_of("small", "A") != node_id_of("big", "A")
    for value in [node.node_id for node in one.nodes] + [link.link_id for link in one.links]:
        assert parse_uuid(value) == value


def test_what_is_shipped() -> None:
    assert tuple(sorted(file.stem for file in shipped_topologies().glob("*.yaml"))) == SHIPPED
    for name in SHIPPED:
        assert topology_path(name) == shipped_topologies() / f"{name}.yaml"
    assert topology_path("some/where.yaml") == Path("some/where.yaml")
    with pytest.raises(SettingsError, match="no such topology; there are cambridge, germany50, madqci"):
        topology_path("atlantis")


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_network_works(name: str) -> None:
    network = read_topology(topology_path(name))
    assert network.name == name
    assert network.source != "not stated"
    assert len(network.applications) >= 2
    for link in network.links:
        module = module_of(network, link)
        assert module.expected_rate_bps() > 0
        assert link.loss_db <= PROFILES[link.profile].max_loss_db
        if link.secret_rate_bps is not None:
            assert module.expected_rate_bps() == link.secret_rate_bps


@pytest.mark.parametrize(
    ("name", "nodes", "links"),
    [("triangle", 3, 3), ("secoqc", 6, 8), ("tokyo", 6, 6), ("madqci", 9, 9), ("nsfnet", 14, 22)],
)
def test_shapes_of_the_published_networks(name: str, nodes: int, links: int) -> None:
    network = read_topology(topology_path(name))
    assert (len(network.nodes), len(network.links)) == (nodes, links)


def test_madqci_as_published() -> None:
    madrid = read_topology(topology_path("madqci"))
    assert madrid.link_between("Concepcion", "Distrito").loss_db == 14.3
    assert madrid.link_between("Quijano", "Quevedo").length_km == 33.1
    assert {link.name for link in madrid.links_of("Distrito")} == {"Norte~Distrito", "Concepcion~Distrito"}
    rates = {link.name: module_of(madrid, link).expected_rate_bps() for link in madrid.links}
    assert min(rates.values()) == rates["Concepcion~Distrito"] > 300_000
    assert {app.node for app in madrid.applications} >= {"Quinto", "Distrito", "Norte"}


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("name: small\n", "name: small\ncolour: red\n", 2, "unknown key 'colour'; known here: applications"),
        ("name: A,", "nmae: A,", 4, "unknown key 'nmae'"),
        ("length_km: 10}", "length_km: 10, length_m: 3}", 8, "unknown key 'length_m'"),
        ("name: small\n", "", 1, "name is missing"),
        ("name: small", "name: 7", 1, "name must be text, not 7: put it in quotes"),
        ("name: small", 'name: "two words"', 1, "must be letters"),
        ("name: small", 'name: "../etc"', 1, "must be letters"),
        ("name: small", "name: small\nname: big", 2, "name is given twice"),
        ("- name: B", "- name: A", 5, "node A is given twice"),
        ("- name: B", "- name: yes", 5, "put it in quotes"),
        ("- name: B", "- B", 5, "expected a mapping with domain, location, name, trust"),
        ("trust: untrusted", "trust: maybe", 6, "trust is trusted, untrusted or 0..100, not 'maybe'"),
        (
            "{a: B, b: C, length_km: 25.5",
            "{a: B, b: A, length_km: 25.5",
            9,
            "link between B and A is given twice",
        ),
        (
            "{a: B, b: C, length_km: 25.5",
            "{a: A, b: B, length_km: 25.5",
            9,
            "link between A and B is given twice",
        ),
        ("{a: A, b: B,", "{a: A, b: A,", 8, "a link from A to itself"),
        ("{a: A, b: B,", "{a: A, b: Z,", 8, "there is no node 'Z'"),
        ("{a: A, b: B,", "{b: B,", 8, "a is missing"),
        ("length_km: 10}", "length_km: -1}", 8, "length_km must be above 0 and at most 1000, not -1"),
        ("length_km: 10}", "length_km: 0}", 8, "length_km must be above 0"),
        ("length_km: 10}", "length_km: 1001}", 8, "length_km must be above 0"),
        ("length_km: 10}", "length_km: .nan}", 8, "length_km must be above 0"),
        ("length_km: 10}", "length_km: .inf}", 8, "length_km must be above 0"),
        ("length_km: 10}", "length_km: 1:30}", 8, "length_km must be above 0"),
        ("length_km: 10}", "length_km: ten}", 8, "length_km must be a number, not 'ten'"),
        ("length_km: 10}", "length_km: [10]}", 8, "length_km must be a number"),
        ("length_km: 10}", "loss_db: 2}", 8, "length_km is missing"),
        ("loss_db: 6", "loss_db: -0.1", 9, "loss_db must be 0..100, not -0.1"),
        ("loss_db: 6", "loss_db: 60", 9, "cv-het-100mbaud makes no key over 60.0 dB"),
        ("profile: cv-het-100mbaud", "profile: magic", 9, "no profile 'magic'; there are bb84-gys"),
        ("secret_rate_bps: 12345", "secret_rate_bps: 0", 9, "secret_rate_bps must be 1..4294967295, not 0"),
        ("secret_rate_bps: 12345", "secret_rate_bps: 1.5", 9, "must be a whole number, not '1.5'"),
        ("secret_rate_bps: 12345", "secret_rate_bps: 4000000000", 9, "above the bound"),
        ("sae_id: sae-c", "sae_id: sae-a", 12, "application sae-a is given twice"),
        ("node: C}", "node: Z}", 12, "there is no node 'Z'"),
        ("max_bandwidth_bps: 2000", "max_bandwidth_bps: 999", 11, "below min_bandwidth_bps"),
        ("priority: 2", "priority: -2", 11, "priority must be 0..4294967295"),
        ("ttl_s: 60", "ttl_s: 0", 11, "ttl_s must be 1..4294967295"),
        ("{sae_id: sae-c, node: C}", "{node: C}", 12, "sae_id is missing"),
        ("  - {a: B, b: C", "  # {a: B, b: C", 8, "in pieces: no way from A to C"),
        ("- name: B", "- &b name: B", 5, "anchors and aliases are not allowed"),
        ("- name: B", "- *b", 5, "anchors and aliases are not allowed"),
        ("- name: B", "- name: [[[[[[[[[]]]]]]]]]", 5, "nested too deeply"),
        ("- name: B", "- name: !!python/object:os.system B", 5, "name must be text"),
        ("- name: B", "- {name: B", 6, "expected ',' or '}'"),
        ("name: small", "- small", 2, "expected"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(old: str, new: str, line: int, reason: str) -> None:
    text = GOOD.replace(old, new, 1)
    assert text != GOOD
    with pytest.raises(SettingsError) as caught:
        parse(text)
    place, _, said = str(caught.value).partition(": ")
    assert reason in said
    assert place == f"small.yaml:{line}"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "small.yaml:1: the file is empty"),
        (b"# nothing\n", "small.yaml:1: the file is empty"),
        (b"- 1\n", "small.yaml:1: expected a mapping"),
        (b"name: x\n---\nname: y\n", "small.yaml:2: but found another document"),
        (b"name: x\nsource: \xff\n", "small.yaml:2: not UTF-8"),
        (b"name: \x00\n", "small.yaml:1: "),
        (b"name: x\n", "small.yaml:1: a network needs nodes"),
        (b"name: x\nnodes: none\n", "small.yaml:2: nodes must be a list"),
        (b"name: x\nnodes: []\n", "small.yaml:2: a network needs nodes"),
        (b"? [a, b]\n: c\n", "small.yaml:1: a key must be a word"),
        (b"a: &a [x]\nb: [" + b"*a," * 50 + b"]\n", "small.yaml:1: anchors"),
        (b"#" * (1024 * 1024 + 1), "small.yaml:1: larger than 1048576 bytes"),
        (b"[" * 100_000, "small.yaml:1: nested too deeply"),
    ],
)
def test_files_that_are_no_topology(raw: bytes, reason: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_topology(raw, where="small.yaml")
    assert str(caught.value).startswith(reason)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"absent\.yaml: cannot read"):
        read_topology(tmp_path / "absent.yaml")


def test_too_many_nodes() -> None:
    many = "name: x\nnodes:\n" + "".join(f"  - name: n{i}\n" for i in range(1001))
    with pytest.raises(SettingsError, match="nodes has 1001 entries, the most is 1000"):
        parse(many)


LONG = """\
name: long
split_spans_over_km: 80
nodes: [{name: "1"}, {name: "2"}, {name: "3"}]
links:
  - {a: "1", b: "2", length_km: 250}
  - {a: "2", b: "3", length_km: 80}
"""


def test_long_links_become_equal_spans_with_trusted_relays() -> None:
    network = parse(LONG)
    assert [node.name for node in network.nodes] == ["1", "2", "3", "1_2.1", "1_2.2", "1_2.3"]
    assert [(link.a, link.b) for link in network.links] == [
        ("1", "1_2.1"),
        ("1_2.1", "1_2.2"),
        ("1_2.2", "1_2.3"),
        ("1_2.3", "2"),
        ("2", "3"),
    ]
    assert [link.length_km for link in network.links] == [62.5] * 4 + [80]
    assert network.links[0].loss_db == pytest.approx(12.5)
    relay = network.node("1_2.2")
    assert (relay.relay_of, relay.trust) == ("1~2", TrustLevel.TRUSTED)
    assert len({link.link_id for link in network.links}) == 5


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("length_km: 80}", 'length_km: 80}\n  - {a: "2", b: "1", length_km: 9}', "7: a link between 2 and 1"),
        ("length_km: 250", "length_km: 250, secret_rate_bps: 10", "5: a rate belongs to one span"),
        ("length_km: 250", "length_km: 20001", "5: length_km must be above 0 and at most 20000"),
        ("over_km: 80", "over_km: 1\n", "more than 1000 nodes"),
        ("over_km: 80", "over_km: 0.5", "2: split_spans_over_km must be 1..200"),
        ("length_km: 80}", 'length_km: 80}\napplications: [{sae_id: s, node: "1_2.1"}]', "there is no node"),
    ],
)
def test_what_cannot_be_split(old: str, new: str, reason: str) -> None:
    text = LONG.replace(old, new, 1)
    if "1000 nodes" in reason:
        text = text.replace("length_km: 250", "length_km: 2500")
    with pytest.raises(SettingsError, match=reason):
        parse(text)


def test_nsfnet_at_its_real_size() -> None:
    """The scale model, grown back by its stated factor: hundreds of relays, each span one that works."""
    text = (
        topology_path("nsfnet").read_text().replace("name: nsfnet", "name: real\nsplit_spans_over_km: 80", 1)
    )
    document = yaml.safe_load(text)
    for link in document["links"]:
        link["length_km"] *= 30
    network = parse(yaml.safe_dump(document))
    relays = [node for node in network.nodes if node.relay_of is not None]
    assert len(network.links) == 22 + len(relays)
    assert 250 < len(relays) < 350
    assert max(link.length_km for link in network.links) <= 80


@settings(max_examples=200)
@given(st.text(max_size=300) | st.binary(max_size=300))
def test_any_text_is_a_network_or_a_complaint(text: str | bytes) -> None:
    raw = text if isinstance(text, bytes) else text.encode(errors="surrogatepass")
    with pytest.raises(SettingsError, match=r"^small\.yaml:[0-9]+: "):
        parse_topology(raw, where="small.yaml")


@given(st.data())
def test_any_spoiled_file_is_a_network_or_a_complaint(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(GOOD) - 1))
    end = data.draw(st.integers(start, min(len(GOOD), start + 20)))
    patch = data.draw(st.text(st.sampled_from("{}[]:,-&*!|>'\"#%@ \n\tab0."), max_size=8))
    try:
        parse(GOOD[:start] + patch + GOOD[end:])
    except SettingsError as error:
        said = str(error)
    else:
        said = "small.yaml:"
    assert said.startswith("small.yaml:")


class TestWhatTheOperatorKnows:
    """Trust, domain, risk groups and latency: read, kept over graph files, told to the controller."""

    TEXT = GOOD.replace("- name: B", "- {name: B, trust: 40, domain: north}").replace(
        "length_km: 10}", "length_km: 10, risk_groups: [duct7, bridge], latency_ms: 0.4}"
    )

    def test_it_is_read(self) -> None:
        network = parse(self.TEXT)
        site, fibre = network.node("B"), network.links[0]
        assert (site.trust, site.trust_score, site.domain) == ("trusted", 40, "north")
        assert (fibre.risk_groups, fibre.latency_ms) == (("duct7", "bridge"), 0.4)

    @pytest.mark.parametrize("ending", ["yaml", "graphml", "gml", "json"])
    def test_graph_files_keep_it(self, tmp_path: Path, ending: str) -> None:
        network = parse(self.TEXT)
        write_any(network, tmp_path / f"small.{ending}")
        again = read_any(tmp_path / f"small.{ending}")
        assert again.node("B").trust_score == 40
        assert again.node("B").domain == "north"
        assert [(link.risk_groups, link.latency_ms) for link in again.links] == [
            (link.risk_groups, link.latency_ms) for link in network.links
        ]

    @pytest.mark.parametrize(
        ("old", "new", "reason"),
        [
            ("trust: 40", "trust: 101", "trust must be 0..100"),
            ("trust: 40", "trust: much", "trust is trusted, untrusted or 0..100"),
            ("[duct7, bridge]", "duct7", "risk_groups must be a list"),
            ("[duct7, bridge]", "[7]", "put numbers in quotes"),
            ("[duct7, bridge]", "[a, a]", "none twice"),
            ("latency_ms: 0.4", "latency_ms: -1", "latency_ms must be 0..10000"),
        ],
    )
    def test_what_is_wrong_is_told(self, old: str, new: str, reason: str) -> None:
        with pytest.raises(SettingsError, match=re.escape(reason)):
            parse(self.TEXT.replace(old, new))
