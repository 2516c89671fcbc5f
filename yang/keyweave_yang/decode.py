"""From 015 data in XML to domain values: lenient for what comes from a node, strict for our own running.

Rule of this file: a node that says one impossible thing loses that thing and is told on, never more
(`decode_node`). What an agent's server has already validated must decode without a fault
(`decode_configuration`).

Accepted besides our own form: any prefixes, data of the published module (whose `when` conditions exclude
everything), identities without a prefix, and `virt_next_hop` as the list of all remaining nodes, which is
kept as it stands in `next_hops`.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar, cast

from lxml.etree import _Element, tostring

from keyweave_core.errors import SchemaViolation
from keyweave_core.model.ids import NodeId, SaeId
from keyweave_core.model.node import Capabilities, Node, NodeStatus, TrustLevel
from keyweave_yang.namespaces import QKD_NODE, etsi, kwq, local_name
from keyweave_yang.notify import decode_notification
from keyweave_yang.read_entries import read_application, read_interface, read_link
from keyweave_yang.reading import Faults, Fields
from keyweave_yang.refusals import decode_refusal

__all__ = ["Entries", "decode_configuration", "decode_node", "decode_notification", "decode_refusal"]

_V = TypeVar("_V")


def decode_node(
    data: _Element | Sequence[_Element], *, configuration: bool = False
) -> tuple[Node, tuple[str, ...]]:
    """Read the tree a node sent: `qkd_node` itself, anything that holds it, or a list of such elements.

    `configuration`: the data is of <get-config>, so qkdl_status is a wish (`requested_status`); else of
    <get>, and it is what the node observes (`status`). Returns the node and one text (path: reason) for
    each value that was dropped. Raises SchemaViolation when there is no qkd_node or no usable qkdn_id.
    """
    faults = Faults()
    node = _read_node(_find(data), faults, configuration=configuration)
    return node, faults.texts()


class Entries:
    """List entries of the configuration that was read last, so that the next costs what is new in it.

    Given to `decode_configuration`, always the same one for the configurations of one node.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, object] = {}
        self._seen: dict[bytes, object] = {}

    def take(self, element: _Element, read: Callable[[], _V | None]) -> _V | None:
        """The entry that stands in `element`, read by `read` unless the last configuration had it."""
        text = bytes(tostring(element, with_tail=False))
        found = self._known.get(text)
        if found is None:
            found = read()
        if found is not None:
            self._seen[text] = found
        return cast("_V | None", found)

    def end(self, *, well: bool) -> None:
        """A configuration was read; `well`: it is the last one from here on."""
        if well:
            self._known = self._seen
        self._seen = {}


def decode_configuration(running: _Element | Sequence[_Element], entries: Entries | None = None) -> Node:
    """Read a validated configuration. Raises SchemaViolation naming the first value that cannot be used."""
    faults = Faults(strict=True)
    well = False
    try:
        node = _read_node(_find(running), faults, configuration=True, entries=entries)
        well = not faults.texts()
    finally:
        if entries is not None:
            entries.end(well=well)
    if not well:
        raise SchemaViolation(faults.texts()[0])
    return node


def _find(data: _Element | Sequence[_Element]) -> _Element:
    elements: Iterable[_Element] = (data,) if isinstance(data, _Element) else data
    for element in elements:
        for found in element.iter(QKD_NODE):
            return found
    raise SchemaViolation("the data holds no qkd_node of urn:etsi:qkd:yang:etsi-qkd-node", tag="data-missing")


def _read_node(
    element: _Element, faults: Faults, *, configuration: bool, entries: Entries | None = None
) -> Node:
    fields = Fields(element, "qkd_node", faults)
    node_id = fields.uuid(etsi("qkdn_id"), NodeId)
    if node_id is None:
        detail = "; ".join(faults.texts()) or "it is missing"
        raise SchemaViolation(f"the node has no usable qkdn_id: {detail}", tag="data-missing")
    able = fields.inner(etsi("qkdn_capabilities"))
    return Node(
        node_id=node_id,
        status=fields.identity(etsi("qkdn_status"), NodeStatus),
        version=fields.text(etsi("qkdn_version")),
        location_id=fields.text(etsi("qkdn_location_id")) or "",
        capabilities=_capabilities(able) if able else Capabilities(),
        trust_level=_trust(fields),
        consumers=fields.texts(kwq("consumer"), SaeId),
        interfaces=_list(
            fields,
            "qkd_interfaces",
            "qkd_interface",
            read_interface,
            lambda entry: entry.interface_id,
            entries,
        ),
        links=_list(
            fields,
            "qkd_links",
            "qkd_link",
            lambda entry: read_link(entry, configuration=configuration),
            lambda entry: entry.link_id,
            entries,
        ),
        applications=_list(
            fields, "qkd_applications", "qkd_app", read_application, lambda entry: entry.app_id, entries
        ),
    )


def _capabilities(fields: Fields) -> Capabilities:
    return Capabilities(
        link_stats_support=fields.boolean(etsi("link_stats_support"), default=True),
        application_stats_support=fields.boolean(etsi("application_stats_support"), default=True),
        key_relay_mode_enable=fields.boolean(etsi("key_relay_mode_enable"), default=True),
    )


def _trust(fields: Fields) -> TrustLevel:
    text = fields.text(kwq("trust-level"))
    if text is None:
        return TrustLevel.TRUSTED
    try:
        return TrustLevel(text.strip())
    except ValueError:
        # What cannot be read is no reason to send keys in clear through a site.
        fields.fault("trust-level", f"{text[:60]!r} is neither trusted nor untrusted; taken as untrusted")
        return TrustLevel.UNTRUSTED


def _list(
    fields: Fields,
    container: str,
    name: str,
    read: Callable[[Fields], _V | None],
    key_of: Callable[[_V], object],
    entries: Entries | None,
) -> tuple[_V, ...]:
    holder = fields.inner(etsi(container))
    if holder is None:
        return ()
    found: dict[object, _V] = {}
    for element in holder.all(etsi(name)):
        entry = _entry(element, holder, read, entries)
        if entry is None:
            continue
        if key_of(entry) in found:
            holder.of(element, _key_text(element)).fault("", "is there more than once; the first was taken")
            continue
        found[key_of(entry)] = entry
    return tuple(found.values())


def _entry(
    element: _Element, holder: Fields, read: Callable[[Fields], _V | None], entries: Entries | None
) -> _V | None:
    def afresh() -> _V | None:
        return read(holder.of(element, _key_text(element)))

    return afresh() if entries is None else entries.take(element, afresh)


def _key_text(element: _Element) -> str:
    for child in element:
        if isinstance(child.text, str) and local_name(child) in ("qkdl_id", "app_id", "qkdi_id"):
            return f"[{child.text.strip()[:40]}]"
    return ""
