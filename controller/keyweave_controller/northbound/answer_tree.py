"""Answers to questions as YANG data of `keyweave-qkd-network`, and what error-info tells of a refusal.

Rule of this file: pure, one function a value.
"""

from collections.abc import Iterable, Mapping, Sequence

from lxml import etree

from keyweave_controller.control.actions import Alternative
from keyweave_controller.control.candidates import Candidate
from keyweave_controller.control.holdings import LinkLoad
from keyweave_controller.control.state import NetworkState
from keyweave_controller.control.what_if import Fate, LinkImpact, Outcome, Told
from keyweave_controller.control.why import PricedPath, Why
from keyweave_controller.northbound import markup
from keyweave_controller.northbound.association_tree import put_way
from keyweave_controller.northbound.markup import kwn
from keyweave_core.model.ids import NodeId
from keyweave_core.netconf.protocol.rpc_errors import Structure

Names = Mapping[NodeId, str]


def names_of(state: NetworkState) -> dict[NodeId, str]:
    """What people call the nodes."""
    return {node_id: record.name for node_id, record in state.nodes.items()}


def put_candidates(
    parent: etree._Element, paths: Iterable[Candidate], names: Names, expires_at: float | None
) -> None:
    """The list `path`, best first; `expires_at` None: they cannot be deployed."""
    for rank, path in enumerate(paths, start=1):
        entry = etree.SubElement(parent, kwn("path"))
        markup.number(entry, kwn("id"), rank)
        markup.text(entry, kwn("path-id"), path.id)
        markup.moment(entry, kwn("expires-at"), expires_at)
        _put_candidate(entry, path, names)
        for number, other in enumerate(path.others, start=1):
            beside = etree.SubElement(entry, kwn("other"))
            markup.number(beside, kwn("number"), number)
            _put_candidate(beside, other, names)
        markup.decimal(entry, kwn("total-cost"), path.total_cost, 6)
        markup.texts(entry, kwn("shared-risk"), path.shared_risks)


def _put_candidate(entry: etree._Element, path: Candidate, names: Names) -> None:
    _put_priced(entry, path, names)
    markup.decimal(entry, kwn("distance-km"), path.distance_km)


def _put_priced(entry: etree._Element, path: Candidate | PricedPath, names: Names) -> None:
    put_way(entry, path.nodes, names)
    markup.texts(entry, kwn("link-id"), path.links)
    markup.number(entry, kwn("bottleneck-bps"), path.bottleneck_bps)
    markup.decimal(entry, kwn("cost"), path.cost, 6)
    markup.decimal(entry, kwn("latency-ms"), path.latency_ms or None)  # 0: not known


def put_told(parent: etree._Element, told: Told, names: Names) -> None:
    """The output of what-if: each fate is a list of its own."""
    for outcome in sorted(told.outcomes, key=lambda one: list(Fate).index(one.fate)):
        _put_outcome(parent, outcome, names)
    for link in told.links:
        _put_impact(parent, link)


def _put_outcome(parent: etree._Element, outcome: Outcome, names: Names) -> None:
    entry = etree.SubElement(parent, kwn(outcome.fate.value))
    markup.text(entry, kwn("id"), outcome.id)
    markup.text(entry, kwn("source"), outcome.source)
    markup.text(entry, kwn("destination"), outcome.destination)
    if outcome.demand:
        markup.flag(entry, kwn("demand"), True)
    markup.number(entry, kwn("priority"), outcome.priority)
    markup.number(entry, kwn("before-bps"), outcome.before_bps)
    markup.number(entry, kwn("after-bps"), outcome.after_bps)
    markup.number(entry, kwn("hops-before"), outcome.hops_before)
    markup.text(entry, kwn("preempted-by"), outcome.preempted_by)
    if outcome.fate in (Fate.CARRIED, Fate.MOVED, Fate.DEGRADED):
        put_way(entry, outcome.nodes, names)
        markup.texts(entry, kwn("link-id"), outcome.links)
    if outcome.fate not in (Fate.CARRIED, Fate.MOVED):
        markup.texts(entry, kwn("reason"), outcome.reasons)
    if outcome.fate is Fate.LOST:
        put_alternatives(entry, outcome.alternatives)


def _put_impact(parent: etree._Element, link: LinkImpact) -> None:
    entry = etree.SubElement(parent, kwn("link"))
    markup.text(entry, kwn("link-id"), link.link_id)
    markup.texts(entry, kwn("node-name"), (link.a, link.b))
    markup.number(entry, kwn("reserved-before-bps"), link.before_bps)
    markup.number(entry, kwn("reserved-bps"), link.after_bps)
    markup.number(entry, kwn("usable-bps"), link.usable_bps)


def put_alternatives(parent: etree._Element, alternatives: Iterable[Alternative]) -> None:
    """The list `alternative`, the nearest first."""
    for one in alternatives:
        entry = etree.SubElement(parent, kwn("alternative"))
        markup.number(entry, kwn("rate-bps"), one.rate_bps)
        markup.moment(entry, kwn("starts-at"), one.starts_at)
        markup.member(entry, kwn("class"), one.service_class)
        markup.text(entry, kwn("note"), one.note)


def put_why(parent: etree._Element, why: Why, state: NetworkState) -> None:
    """Why an association is as it is; its id and status are for the caller to put before."""
    names = names_of(state)
    markup.text(parent, kwn("summary"), why.summary)
    markup.moment(parent, kwn("since"), why.since)
    markup.text(parent, kwn("strategy"), why.strategy)
    for tag, paths in (("path", why.paths), ("other-path", why.alternatives)):
        for number, path in enumerate(paths, start=1):
            entry = etree.SubElement(parent, kwn(tag))
            markup.number(entry, kwn("number"), number)
            _put_priced(entry, path, names)
            markup.text(entry, kwn("verdict"), path.verdict)
    for load in why.bottlenecks:
        _put_load(parent, load, state)
    markup.texts(parent, kwn("reason"), why.reasons)
    markup.texts(parent, kwn("degraded"), why.lacks)
    markup.texts(parent, kwn("waiting-for"), why.waiting_for)
    put_alternatives(parent, why.would_fit)


def _put_load(parent: etree._Element, load: LinkLoad, state: NetworkState) -> None:
    entry, record = etree.SubElement(parent, kwn("bottleneck")), state.links.get(load.link_id)
    markup.text(entry, kwn("link-id"), load.link_id)
    if record is not None:
        markup.texts(entry, kwn("node-name"), (state.node_name(record.a), state.node_name(record.b)))
    markup.number(entry, kwn("skr-bps"), load.skr_bps)
    markup.number(entry, kwn("usable-bps"), load.usable_bps)
    markup.number(entry, kwn("reserved-bps"), load.reserved_bps)
    for each in load.holders:
        holder = etree.SubElement(entry, kwn("holder"))
        markup.text(holder, kwn("app-id"), each.app_id)
        markup.text(holder, kwn("source"), each.source)
        markup.text(holder, kwn("destination"), each.destination)
        markup.number(holder, kwn("priority"), each.priority)
        markup.number(holder, kwn("reserved-bps"), each.reserved_bps)
        markup.flag(holder, kwn("preemptible"), each.preemptible)


def alternatives_told(alternatives: Sequence[Alternative]) -> tuple[Structure, ...]:
    """What error-info says would be granted instead."""
    holder = markup.qkd_tree("error-info")
    put_alternatives(holder, alternatives)
    return _structures(holder)


def candidates_told(
    paths: Iterable[Candidate], names: Names, expires_at: float | None
) -> tuple[Structure, ...]:
    """What error-info says of paths that can be had now; of a group, the id is that of all of it."""
    holder = markup.qkd_tree("error-info")
    put_candidates(holder, paths, names, expires_at)
    return _structures(holder)


def _structures(holder: etree._Element) -> tuple[Structure, ...]:
    return tuple(
        (
            str(entry.tag),
            tuple((str(leaf.tag), leaf.text or "") for leaf in entry.iterchildren() if not len(leaf)),
        )
        for entry in holder.iterchildren()
    )
