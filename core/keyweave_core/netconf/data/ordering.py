"""The insert attributes of `ordered-by user` lists and leaf-lists (RFC 7950 clauses 7.7.9 and 7.8.6)."""

import re

from lxml import etree

from keyweave_core.netconf.data.schema_paths import SchemaMap
from keyweave_core.netconf.ports import Kind, SchemaNode

YANG = "urn:ietf:params:xml:ns:yang:1"

_PREDICATE = re.compile(r"\[\s*([\w.-]+:)?([\w.-]+)\s*=\s*(?:'([^']*)'|\"([^\"]*)\")\s*\]")


def place(
    parent: etree._Element,
    entry: etree._Element,
    source: etree._Element,
    node: SchemaNode,
    schema: SchemaMap,
    path: str,
) -> None:
    """Move `entry` among its siblings as the insert attributes of `source` say; without them it stays.

    Raises RpcError bad-attribute for attributes that make no sense, bad-attribute with app-tag
    missing-instance when the entry to stand beside does not exist.
    """
    insert = source.get(f"{{{YANG}}}insert")
    if insert is None:
        return
    tag = str(entry.tag)
    siblings = [other for other in parent.iterchildren(tag) if other is not entry]
    if insert in ("before", "after"):
        anchor_name = "key" if node.kind is Kind.LIST else "value"
        wanted = source.get(f"{{{YANG}}}{anchor_name}")
        if wanted is None:
            raise schema.error(
                "missing-attribute",
                f"insert={insert!r} wants yang:{anchor_name}",
                path,
                bad_attribute=anchor_name,
                bad_element=node.name,
            )
        anchor = _find(siblings, str(wanted), node)
        if anchor is None:
            raise schema.error(
                "bad-attribute",
                "the entry to stand beside does not exist",
                path,
                app_tag="missing-instance",
                bad_attribute=anchor_name,
                bad_element=node.name,
            )
    elif insert in ("first", "last"):
        if not siblings:
            return
        anchor = siblings[0] if insert == "first" else siblings[-1]
    else:
        raise schema.error(
            "bad-attribute", f"no insert {insert[:60]!r}", path, bad_attribute="insert", bad_element=node.name
        )
    if insert in ("before", "first"):
        anchor.addprevious(entry)
    else:
        anchor.addnext(entry)


def _find(siblings: list[etree._Element], wanted: str, node: SchemaNode) -> etree._Element | None:
    if node.kind is Kind.LEAF_LIST:
        return next((other for other in siblings if (other.text or "") == wanted), None)
    given = {name: single or double for _, name, single, double in _PREDICATE.findall(wanted)}
    for other in siblings:
        if all(other.findtext(key) == given.get(etree.QName(key).localname) for key in node.keys):
            return other
    return None
