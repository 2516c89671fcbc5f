"""Topology files: YAML in, a `Topology` out, every complaint with its line.

Rule of this file: a network that cannot work is refused as a whole: an unknown key, a node or fibre given
twice, a fibre to nowhere, a value that no fibre can have, a device that makes no key over its fibre, a
network in pieces. The format:

    name: triangle                      # letters, digits, - _ .
    source: "where the figures come from"
    split_spans_over_km: 80             # optional: longer fibres become equal spans with trusted relays
    nodes:
      - {name: A, location: Lab, trust: trusted, domain: north}
    links:
      - {a: A, b: B, length_km: 10, loss_db: 2.0, profile: bb84-t12-1ghz, secret_rate_bps: 2500,
         risk_groups: [duct7], latency_ms: 0.05}
    applications:
      - {sae_id: sae-a, node: A, min_bandwidth_bps: 4096, max_bandwidth_bps: 65536, priority: 1, ttl_s: 600}

`loss_db` left out is 0.2 dB/km; `secret_rate_bps` is a published rate that the emulation then meets.
`trust` is trusted (default), untrusted (never relays) or 0..100, what the operator thinks of a trusted site;
with `domain`, `risk_groups` and `latency_ms` it goes to the controller's settings, for demands that ask for
it.
"""

import itertools
import math
import re
from collections.abc import Iterator
from pathlib import Path

from keyweave_agents.quantum.module_settings import MAX_DISTANCE_KM, MAX_LOSS_DB
from keyweave_core.errors import SettingsError
from keyweave_core.model.ids import LinkId, SaeId
from keyweave_core.model.node import TrustLevel
from keyweave_core.model.units import UINT32_MAX
from keyweave_core.physics.profiles import PROFILES
from keyweave_core.physics.rates import Disturbance, calibration_for, link_figures
from keyweave_lab.topology import (
    DB_PER_KM,
    DEFAULT_PROFILE,
    Topology,
    TopologyApplication,
    TopologyLink,
    TopologyNode,
    link_id_of,
    node_id_of,
)
from keyweave_lab.yaml_reading import Mapping, parse_mapping, read_mapping

MAX_NODES = 1000
MAX_LINKS = 5000
MAX_RISK_GROUPS = 64
_LONGEST_KM = 20_000.0  # of a link that is split into spans
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}\Z")
_TOP = frozenset(("name", "source", "split_spans_over_km", "nodes", "links", "applications"))
_NODE = frozenset(("name", "location", "trust", "domain"))
_LINK = frozenset(
    ("a", "b", "length_km", "loss_db", "profile", "secret_rate_bps", "risk_groups", "latency_ms")
)
_APPLICATION = frozenset(("sae_id", "node", "min_bandwidth_bps", "max_bandwidth_bps", "priority", "ttl_s"))


def read_topology(path: Path) -> Topology:
    """The network of a file; SettingsError with file, line and reason for anything that is wrong."""
    return _topology(read_mapping(path, _TOP))


def parse_topology(raw: bytes, *, where: str) -> Topology:
    """Like `read_topology`, from bytes; `where` names the source in errors."""
    return _topology(parse_mapping(raw, _TOP, where=where))


def _topology(top: Mapping) -> Topology:
    name = _name(top, "name")
    source = top.text("source", most=500, default="not stated")
    split_km = top.number("split_spans_over_km", least=1, most=200)
    nodes: dict[str, TopologyNode] = {}
    for entry in top.items("nodes", _NODE, most=MAX_NODES):
        node = _node(entry, name)
        if node.name in nodes:
            raise entry.wrong("name", f"node {node.name} is given twice")
        nodes[node.name] = node
    if not nodes:
        raise top.wrong("nodes", "a network needs nodes")
    links: list[TopologyLink] = []
    seen: set[LinkId] = set()
    for entry in top.items("links", _LINK, most=MAX_LINKS):
        a, b = _ends(entry, nodes)
        if link_id_of(name, a, b) in seen:
            raise entry.wrong("a", f"a link between {a} and {b} is given twice")
        seen.add(link_id_of(name, a, b))
        length_km, spans = _length(entry, split_km)
        relays, parts = _split(name, _link(entry, name, a, b, length_km, spans), spans)
        nodes |= {relay.name: relay for relay in relays}
        links += parts
        if len(nodes) > MAX_NODES:
            raise entry.wrong("length_km", f"with its relays the network has more than {MAX_NODES} nodes")
    _connected(top, nodes, links)
    real = {node.name for node in nodes.values() if node.relay_of is None}
    return Topology(
        name=name,
        source=source,
        nodes=tuple(nodes.values()),
        links=tuple(links),
        applications=tuple(_applications(top, real)),
    )


def _name(entry: Mapping, key: str) -> str:
    name = entry.text(key)
    if not _NAME.match(name):
        raise entry.wrong(
            key, f"{key} {name[:60]!r} must be letters, digits, '-', '_' and '.', at most 63, no blank"
        )
    return name


def _node(entry: Mapping, topology: str) -> TopologyNode:
    name = _name(entry, "name")
    trust, score = _trust(entry)
    return TopologyNode(
        name=name,
        node_id=node_id_of(topology, name),
        location=entry.text("location", default=name),
        trust=trust,
        trust_score=score,
        domain=entry.text("domain") if entry.has("domain") else "",
    )


def _trust(entry: Mapping) -> tuple[TrustLevel, int]:
    """Whether a site relays at all, and what the operator thinks of it."""
    if entry.is_whole("trust"):
        return TrustLevel.TRUSTED, entry.whole("trust", least=0, most=100) or 0
    trust = entry.text("trust", default=TrustLevel.TRUSTED)
    if trust not in tuple(TrustLevel):
        raise entry.wrong("trust", f"trust is {', '.join(TrustLevel)} or 0..100, not {trust!r}")
    return TrustLevel(trust), 100


def _ends(entry: Mapping, nodes: dict[str, TopologyNode]) -> tuple[str, str]:
    a, b = entry.text("a"), entry.text("b")
    for key, end in (("a", a), ("b", b)):
        if end not in nodes or nodes[end].relay_of is not None:
            raise entry.wrong(key, f"there is no node {end[:60]!r}")
    if a == b:
        raise entry.wrong("b", f"a link from {a} to itself")
    return a, b


def _length(entry: Mapping, split_km: float | None) -> tuple[float, int]:
    """Length in km and the number of spans it becomes."""
    most = MAX_DISTANCE_KM if split_km is None else _LONGEST_KM
    length_km = entry.number("length_km", least=0, most=most, above=True)
    if length_km is None:
        raise entry.wrong("length_km", "length_km is missing")
    return length_km, 1 if split_km is None else math.ceil(length_km / split_km)


def _link(entry: Mapping, topology: str, a: str, b: str, length_km: float, spans: int) -> TopologyLink:
    most = MAX_LOSS_DB if spans == 1 else MAX_LOSS_DB * spans
    loss_db = entry.number("loss_db", least=0, most=most)
    if loss_db is None:
        loss_db = length_km * DB_PER_KM
    profile_name = entry.text("profile", default=DEFAULT_PROFILE)
    profile = PROFILES.get(profile_name)
    if profile is None:
        raise entry.wrong(
            "profile", f"no profile {profile_name[:60]!r}; there are {', '.join(sorted(PROFILES))}"
        )
    rate_bps = entry.whole("secret_rate_bps", least=1, most=UINT32_MAX)
    if rate_bps is not None and spans > 1:
        raise entry.wrong("secret_rate_bps", "a rate belongs to one span, and this link is split into spans")
    if link_figures(profile, loss_db / spans, Disturbance()).skr_bps == 0:
        raise entry.wrong("profile", f"{profile_name} makes no key over {loss_db / spans:.1f} dB")
    if rate_bps is not None:
        try:
            calibration_for(profile, loss_db, rate_bps)
        except ValueError as error:
            raise entry.wrong("secret_rate_bps", str(error)) from error
    return TopologyLink(
        link_id=link_id_of(topology, a, b),
        a=a,
        b=b,
        length_km=length_km,
        loss_db=loss_db,
        profile=profile_name,
        secret_rate_bps=rate_bps,
        risk_groups=entry.texts("risk_groups", most=MAX_RISK_GROUPS),
        latency_ms=entry.number("latency_ms", least=0, most=10_000),
    )


def _split(topology: str, link: TopologyLink, spans: int) -> tuple[list[TopologyNode], list[TopologyLink]]:
    """Equal spans with trusted relays between them, called 'a_b.1', 'a_b.2' and so on; one stays itself."""
    if spans == 1:
        return [], [link]
    # Like names that people give: '~' joins two names into that of a link.
    names = [f"{link.a}_{link.b}"[:58] + f".{number}" for number in range(1, spans)]
    relays = [
        TopologyNode(name=name, node_id=node_id_of(topology, name), location=name, relay_of=link.name)
        for name in names
    ]
    stops = [link.a, *names, link.b]
    parts = [
        TopologyLink(
            link_id=link_id_of(topology, a, b),
            a=a,
            b=b,
            length_km=round(link.length_km / spans, 6),  # a millimetre, as files of graphs keep it
            loss_db=link.loss_db / spans,
            profile=link.profile,
            risk_groups=link.risk_groups,
            latency_ms=None if link.latency_ms is None else link.latency_ms / spans,
        )
        for a, b in itertools.pairwise(stops)
    ]
    return relays, parts


def _connected(top: Mapping, nodes: dict[str, TopologyNode], links: list[TopologyLink]) -> None:
    """Refuse a network in pieces: no key could ever go between them."""
    neighbours: dict[str, list[str]] = {name: [] for name in nodes}
    for link in links:
        neighbours[link.a].append(link.b)
        neighbours[link.b].append(link.a)
    reached: set[str] = set()
    waiting = [next(iter(nodes))]
    while waiting:
        node = waiting.pop()
        if node not in reached:
            reached.add(node)
            waiting += neighbours[node]
    alone = [name for name in nodes if name not in reached]
    if alone:
        shown = ", ".join(alone[:5]) + (" and more" if len(alone) > 5 else "")
        raise top.wrong("links", f"the network is in pieces: no way from {next(iter(nodes))} to {shown}")


def _applications(top: Mapping, nodes: set[str]) -> Iterator[TopologyApplication]:
    seen: set[str] = set()
    for entry in top.items("applications", _APPLICATION, most=MAX_NODES):
        sae_id = _name(entry, "sae_id")
        if sae_id in seen:
            raise entry.wrong("sae_id", f"application {sae_id} is given twice")
        seen.add(sae_id)
        node = entry.text("node")
        if node not in nodes:
            raise entry.wrong("node", f"there is no node {node[:60]!r}")
        least_bps = entry.whole("min_bandwidth_bps", least=0, most=UINT32_MAX)
        most_bps = entry.whole("max_bandwidth_bps", least=0, most=UINT32_MAX)
        if least_bps is not None and most_bps is not None and least_bps > most_bps:
            raise entry.wrong("max_bandwidth_bps", "max_bandwidth_bps is below min_bandwidth_bps")
        yield TopologyApplication(
            sae_id=SaeId(sae_id),
            node=node,
            min_bandwidth_bps=least_bps,
            max_bandwidth_bps=most_bps,
            priority=entry.whole("priority", least=0, most=UINT32_MAX) or 0,
            ttl_s=entry.whole("ttl_s", least=1, most=UINT32_MAX),
        )


def shipped_topologies() -> Path:
    """The folder of the topology files of the project (in its tree a link to `lab/topologies`)."""
    return Path(__file__).parent / "topologies"


def topology_path(name_or_path: str) -> Path:
    """The file of a topology given by path or by a shipped name; SettingsError listing those."""
    folder = shipped_topologies()
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml") or path.exists():
        return path
    if _NAME.match(name_or_path) and (folder / f"{name_or_path}.yaml").is_file():
        return folder / f"{name_or_path}.yaml"
    known = ", ".join(sorted(file.stem for file in folder.glob("*.yaml")))
    raise SettingsError(f"{name_or_path}: no such topology; there are {known}")
