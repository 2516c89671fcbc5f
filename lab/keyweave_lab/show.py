"""How the `keyweave` command shows what the controller said: tables for people, JSON for programs.

Rule of this file: a table fits in 100 columns and scales units for the eye; JSON keeps every field under the
name it has in keyweave.proto, with whole numbers as numbers, moments as RFC 3339 text and enumerations as
their names, so that a script written today reads tomorrow's output.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console, RenderableType
from rich.table import Table

from keyweave_core.model.units import show_bits, show_rate
from keyweave_lab.show_words import service_text, when, word
from keyweave_proto.v1 import keyweave_pb2 as pb

WIDTH = 100
"""Columns of a table when the output is no terminal; a narrower terminal is respected."""

_INT64 = {
    FieldDescriptor.TYPE_INT64,
    FieldDescriptor.TYPE_UINT64,
    FieldDescriptor.TYPE_SINT64,
    FieldDescriptor.TYPE_FIXED64,
    FieldDescriptor.TYPE_SFIXED64,
}


def plain(message: Message) -> dict[str, Any]:
    """A message as plain values under the names of the proto; absent messages and optionals are left out."""
    value: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    _numbers(message, value)
    return value


def _numbers(message: Message, value: dict[str, Any]) -> None:
    """The JSON form of protobuf writes 64 bit numbers as text; scripts want numbers."""
    for field in message.DESCRIPTOR.fields:
        if field.name not in value:
            continue
        if field.type in _INT64:
            held = value[field.name]
            value[field.name] = [int(item) for item in held] if isinstance(held, list) else int(held)
        elif field.type == FieldDescriptor.TYPE_MESSAGE and field.message_type is not Timestamp.DESCRIPTOR:
            inner = getattr(message, field.name)
            if isinstance(value[field.name], list):
                for part, shown in zip(inner, value[field.name], strict=True):
                    _numbers(part, shown)
            else:
                _numbers(inner, value[field.name])


def as_json(message: Message) -> str:
    """The JSON text of one answer."""
    return json.dumps(plain(message), indent=2, ensure_ascii=False)


def json_line(message: Message) -> str:
    """One message of a stream as one line."""
    return json.dumps(plain(message), ensure_ascii=False)


def print_table(table: RenderableType) -> None:
    """Write a table on standard output, within 100 columns; names are shown as they are, `urn:bank:x` too."""
    console = Console(highlight=False, emoji=False, markup=False)
    if not console.is_terminal or console.width > WIDTH:
        console = Console(width=WIDTH, highlight=False, emoji=False, markup=False)
    console.print(table)


def nodes(answer: pb.ListNodesResponse) -> Table:
    """Nodes, one a row."""
    return table_of(
        ("node", "status", "session", "modules", "relays", "applications"),
        [
            (
                item.name,
                word(pb.NodeStatus.Name(item.status)),
                "up" if item.connected else f"down: {item.lost_reason or 'not reached yet'}",
                str(len(item.interfaces)),
                "yes" if item.relays_keys and item.trust_level != pb.TRUST_LEVEL_UNTRUSTED else "no",
                ", ".join(item.consumers),
            )
            if not item.faults
            else (item.name, word(pb.NodeStatus.Name(item.status)), "; ".join(item.faults), "", "", "")
            for item in answer.nodes
        ],
        right=("modules",),
    )


def links(answer: pb.ListLinksResponse) -> Table:
    """Physical links, one a row."""
    return table_of(
        ("link", "status", "km", "loss dB", "QBER", "key rate", "reserved", "stored key"),
        [
            (
                f"{item.a_name} - {item.b_name}",
                ("quarantine" if item.quarantine else word(pb.LinkStatus.Name(item.status)))
                + (f" ({'; '.join(item.faults)})" if item.faults else ""),
                _number(item, "distance_km", "{:.1f}"),
                _number(item, "loss_db", "{:.1f}"),
                _number(item, "qber", "{:.2%}"),
                show_rate(item.skr_bps),
                show_rate(item.reserved_bps),
                _pool(item),
            )
            for item in answer.links
        ],
        right=("km", "loss dB", "QBER", "key rate", "reserved", "stored key"),
    )


def associations(answer: pb.ListAssociationsResponse) -> Table:
    """Associations, one a row."""
    return table_of(
        ("association", "from", "to", "state", "path", "reserved"),
        [
            (
                item.app_id,
                item.source,
                "\n".join((item.destination, *item.further_destinations)),
                _state_of(item),
                "\n".join(way_text(path) for path in (item.path, *item.others)),
                show_rate(item.path.bandwidth_bps) if item.HasField("path") else "",
            )
            for item in answer.associations
        ],
        right=("reserved",),
    )


def association(item: pb.Association) -> Table:
    """One association, one field a row."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    rows: list[tuple[str, str]] = [
        ("association", item.app_id),
        ("from", f"{item.source} at {item.source_node}"),
        ("to", f"{item.destination} at {item.destination_node}"),
        *(
            ("and to", f"{sae} at {node}")
            for sae, node in zip(item.further_destinations, item.further_nodes, strict=True)
        ),
        ("state", state_word(item.state)),
        ("reasons", "; ".join(item.reasons)),
        ("lacks", "; ".join(item.degraded)),
        ("fallback", f"{item.fallback} (since {when(item.fallback_since)})" if item.fallback else ""),
        ("service", service_text(item.service) + (f", priority {item.priority}" if item.priority else "")),
        ("path", way_text(item.path)),
        *(("beside", way_text(path)) for path in item.others),
        ("share", show_rate(item.share_bps) if item.HasField("share_bps") else ""),
        ("kept", show_rate(item.degraded_bps) if item.HasField("degraded_bps") else ""),
        ("preempted by", item.preempted_by),
        ("reserved", show_rate(item.path.bandwidth_bps) if item.HasField("path") else ""),
        ("asked by", item.requested_by),
        ("since", when(item.created_at)),
        ("until", when(item.expires_at) if item.HasField("expires_at") else ""),
    ]
    for name, text in rows:
        if text:
            table.add_row(name, text)
    return table


def alarms(answer: pb.ListAlarmsResponse) -> Table:
    """Alarms, one a row."""
    return table_of(
        ("raised", "severity", "what", "where", "why", "affected", "cleared"),
        [
            (
                when(item.raised_at),
                word(pb.AlarmSeverity.Name(item.severity)),
                item.type,
                item.resource_name or item.resource,
                item.text,
                str(len(item.affected_app_ids)),
                when(item.cleared_at) if item.HasField("cleared_at") else "",
            )
            for item in answer.alarms
        ],
        right=("affected",),
    )


def usage(answer: pb.ListUsageResponse) -> Table:
    """Usage records, one a row."""
    return table_of(
        ("from", "to", "path", "hops", "made by", "keys", "delivered", "until"),
        [
            (
                item.source,
                "\n".join((item.destination, *item.further_destinations)),
                path_text(item.node_names) or item.virtual_link_id,
                str(item.hops),
                word(pb.KeyOrigin.Name(item.origin)),
                str(item.delivered_keys),
                show_bits(item.delivered_bits),
                when(item.last_at),
            )
            for item in answer.records
        ],
        right=("hops", "keys", "delivered"),
    )


def bill(answer: pb.Bill) -> Table:
    """The bill, with its total as the last row."""
    amount = f"amount {answer.currency}"
    table = table_of(
        ("from", "to", "path", "hops", "made by", "keys", "delivered", amount),
        [
            (
                item.source,
                "\n".join((item.destination, *item.further_destinations)),
                path_text(item.node_names),
                str(item.hops),
                word(pb.KeyOrigin.Name(item.origin)),
                str(item.delivered_keys),
                show_bits(item.delivered_bits),
                item.amount,
            )
            for item in answer.lines
        ],
        right=("hops", "keys", "delivered", amount),
    )
    table.add_section()
    table.add_row("total", "", "", "", "", "", "", answer.total)
    return table


def path_text(names: Iterable[str]) -> str:
    """A path for people: 'Norte > Distrito > Concepcion'."""
    return " > ".join(names)


def way_text(path: pb.Path, between: str = "\n") -> str:
    """The path of an association; of a tree every branch, from the source to its end."""
    into = {step.to_node_id: step.from_node_id for step in path.steps}
    if not into:
        return path_text(path.node_names)
    names, branches = dict(zip(path.node_ids, path.node_names, strict=True)), []
    for end in (node for node in path.node_ids if node not in into.values()):
        nodes = [end]
        while nodes[-1] in into:
            nodes.append(into[nodes[-1]])
        branches.append(path_text(names[node] for node in reversed(nodes)))
    return between.join(branches)


def _state_of(item: pb.Association) -> str:
    """The state, and in short what is wrong with it; `keyweave why` tells more."""
    if item.fallback:
        return f"{state_word(item.state)}, keys of ML-KEM"
    if item.degraded:
        return f"{state_word(item.state)}, degraded"
    return state_word(item.state) + (f": {'; '.join(item.reasons)}" if item.reasons else "")


def state_word(state: "pb.AssociationState") -> str:
    """'active' for ASSOCIATION_STATE_ACTIVE."""
    return word(pb.AssociationState.Name(state))


def link_word(status: "pb.LinkStatus") -> str:
    """'active' for LINK_STATUS_ACTIVE."""
    return word(pb.LinkStatus.Name(status))


def _number(message: Message, field: str, form: str) -> str:
    return form.format(getattr(message, field)) if message.HasField(field) else "-"


def _pool(item: pb.Link) -> str:
    if not item.HasField("stored_bits"):
        return "-"
    share = f" ({item.stored_bits / item.capacity_bits:.0%})" if item.capacity_bits else ""
    return show_bits(item.stored_bits) + share


def table_of(heads: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> Table:
    """A plain table: `heads` name the columns, those in `right` hold figures."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        # An id is there to be copied: the other columns give way to it.
        whole = head in ("association", "id")
        table.add_column(head, justify="right" if head in right else "left", overflow="fold", no_wrap=whole)
    for row in rows:
        table.add_row(*row)
    return table


TABLES: dict[str, Callable[[Any], Table]] = {
    "nodes": nodes,
    "links": links,
    "associations": associations,
    "alarms": alarms,
    "usage": usage,
    "bill": bill,
    "association": association,
}
