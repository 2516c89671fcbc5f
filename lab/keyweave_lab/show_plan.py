"""How the `keyweave` command shows plans: computed paths, explanations, what would happen.

Rule of this file: as in `show`: at most 100 columns, scaled units, and nothing that JSON would not have.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from keyweave_core.model.units import show_rate
from keyweave_lab.show import path_text, table_of
from keyweave_lab.show_words import service_text, when, word
from keyweave_proto.v1 import keyweave_pb2 as pb


def paths(answer: pb.ComputePathsResponse) -> RenderableType:
    """Candidates, the best first; the paths of a group one under the other."""
    rows: list[Sequence[str]] = []
    for one in answer.paths:
        rows.append((one.path_id, *_way(one), f"{one.total_cost:.3g}"))
        rows += [("", *_way(other), "") for other in one.others]
    table = table_of(
        ("id", "path", "hops", "room", "km", "ms", "cost"), rows, right=("hops", "room", "km", "ms", "cost")
    )
    notes = list(answer.reasons)
    risks = sorted({risk for one in answer.paths for risk in one.shared_risks})
    if risks:
        notes.append(f"disjoint paths share risk {', '.join(risks)}")
    if any(one.HasField("expires_at") for one in answer.paths):
        until = when(answer.paths[0].expires_at)
        notes.append(f"strategy {answer.strategy}; until {until}: keyweave path deploy ID SRC DST ...")
    return Group(*([table] if rows else []), *_lines(notes))


def why(answer: pb.Explanation) -> RenderableType:
    """Why an association is as it is."""
    one = answer.association
    head = [
        ("association", f"{one.app_id}, {one.source} to {one.destination}, priority {one.priority}"),
        ("it is", answer.summary.removeprefix("it is ")),
        ("since", when(answer.since)),
        ("service", service_text(one.service) + f", strategy {answer.strategy}"),
    ]
    if one.HasField("share_bps"):
        head.append(("fair share", show_rate(one.share_bps)))
    rows = [_priced(path) for path in (*answer.paths, *answer.alternatives)]
    parts: list[RenderableType] = [
        _facts([*head, *(("" if place else "but", reason) for place, reason in enumerate(answer.reasons))]),
    ]
    if rows:
        parts += [
            Text(),
            table_of(("path", "cost", "room", "ms", "verdict"), rows, right=("cost", "room", "ms")),
        ]
    for load in answer.bottlenecks:
        parts += [Text(), _load(load)]
    parts += _lines(f"waits for {text}" for text in answer.waiting_for)
    parts += _lines(f"it {each.note}" for each in answer.would_fit)
    return Group(*parts)


def what_if(answer: pb.WhatIfResponse) -> RenderableType:
    """What would change: outcomes that are not `carried` as they are, every demand, links by what is left."""
    shown = [one for one in answer.outcomes if one.demand or one.fate != pb.FATE_CARRIED]
    return _what_if(answer, shown)


def what_if_all(answer: pb.WhatIfResponse) -> RenderableType:
    """The same with every association."""
    return _what_if(answer, list(answer.outcomes))


def _what_if(answer: pb.WhatIfResponse, shown: Sequence[pb.Outcome]) -> RenderableType:
    counts: dict[str, int] = {}
    for one in answer.outcomes:
        counts[_fate(one)] = counts.get(_fate(one), 0) + 1
    parts: list[RenderableType] = []
    if shown:
        parts.append(
            table_of(
                ("what", "from", "to", "priority", "fate", "now", "then", "path or reason"),
                [
                    (
                        one.id if one.demand else one.id[:8],
                        one.source,
                        one.destination,
                        str(one.priority),
                        _fate(one),
                        "" if one.demand else show_rate(one.before_bps),
                        show_rate(one.after_bps),
                        _story(one),
                    )
                    for one in shown
                ],
                right=("priority", "now", "then"),
            )
        )
    if answer.links:
        rows = [
            (
                f"{link.a_name} - {link.b_name}",
                show_rate(link.reserved_before_bps),
                show_rate(link.reserved_bps),
                show_rate(link.usable_bps) if link.usable_bps else "fails",
            )
            for link in answer.links
        ]
        parts += [
            Text(),
            table_of(("link", "promised now", "then", "of"), rows, right=("promised now", "then", "of")),
        ]
    total = ", ".join(f"{number} {fate}" for fate, number in counts.items()) or "no association runs"
    return Group(*parts, *_lines([total]))


def _way(one: "pb.PathCandidate | pb.CandidateWay") -> tuple[str, ...]:
    return (
        path_text(one.node_names),
        str(one.hops),
        show_rate(one.bottleneck_bps),
        f"{one.distance_km:.1f}" if one.HasField("distance_km") else "-",
        f"{one.latency_ms:.2f}",
    )


def _priced(path: pb.PricedPath) -> Sequence[str]:
    return (
        path_text(path.node_names),
        f"{path.cost:.3g}" if path.HasField("cost") else "-",
        show_rate(path.bottleneck_bps),
        f"{path.latency_ms:.2f}",
        path.verdict,
    )


def _load(load: pb.LinkLoad) -> RenderableType:
    title = (
        f"tightest link {load.a_name} - {load.b_name}: {show_rate(load.reserved_bps)} of"
        f" {show_rate(load.usable_bps)} promised (makes {show_rate(load.skr_bps)})"
    )
    rows = [
        (
            holder.app_id[:8],
            holder.source,
            holder.destination,
            str(holder.priority),
            show_rate(holder.reserved_bps),
            "" if holder.preemptible else "no",
        )
        for holder in load.holders
    ]
    heads = ("held by", "from", "to", "priority", "holds", "preemptible")
    return Group(Text(title), *([table_of(heads, rows, right=("priority", "holds"))] if rows else []))


def _fate(one: pb.Outcome) -> str:
    return word(pb.Fate.Name(one.fate))


def _story(one: pb.Outcome) -> str:
    texts = [path_text(one.node_names)] if one.node_names else []
    texts += one.reasons
    if one.preempted_by:
        texts.append(f"by {one.preempted_by[:8]}")
    texts += [each.note for each in one.alternatives[:2]]
    return "; ".join(texts)


def _facts(rows: Iterable[tuple[str, str]]) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row(name, text)
    return table


def _lines(texts: Iterable[str]) -> list[RenderableType]:
    return [Text(text) for text in texts]


TABLES: dict[str, Callable[[Any], RenderableType]] = {
    "paths": paths,
    "why": why,
    "whatif": what_if,
    "whatif-all": what_if_all,
}
