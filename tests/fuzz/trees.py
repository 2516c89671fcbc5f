"""Changes to a document that leave it well-formed, so that they come through to what reads its meaning."""

import copy
import random

from lxml import etree

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
_YANG = "urn:ietf:params:xml:ns:yang:1"
_ETSI = "urn:etsi:qkd:yang:etsi-qkd-node"
_VALUES = (
    "", " ", "1", "-1", "0", "4294967296", "true", "t:PHYS", "t:CLIENT", "CLIENT", "none:X", "é\u0301",
    "merge", "none", "22222222-0000-4000-8000-000000000001", "2026-01-01T00:00:00Z", "9" * 40, "//*",
    "/q:qkd_node[1]", "count(/)",
)  # fmt: skip
_ATTRIBUTES = (
    (f"{{{BASE}}}operation", ("merge", "replace", "create", "delete", "remove", "none", "")),
    ("operation", ("delete",)),
    (f"{{{_YANG}}}insert", ("first", "last", "before", "after", "middle")),
    (f"{{{_YANG}}}key", ("[app_id='1']", "[", "")),
    ("type", ("subtree", "xpath", "regex")),
    ("select", ("/", "//*", "/x:y", "count(//*)", "/*[position()=1]", "string-length('" + "a" * 50 + "')")),
    ("message-id", ("", "2", "\n\t<&")),
    (f"{{{'urn:x'}}}y", ("1",)),
)
_NAMES = (
    f"{{{_ETSI}}}qkd_node", f"{{{_ETSI}}}qkd_app", f"{{{_ETSI}}}qkd_link", f"{{{_ETSI}}}qkdn_status",
    f"{{{_ETSI}}}qkdl_type", f"{{{BASE}}}get", f"{{{BASE}}}get-config", f"{{{BASE}}}commit",
    f"{{{BASE}}}filter",
    f"{{{BASE}}}running", f"{{{BASE}}}candidate", f"{{{BASE}}}startup", f"{{{BASE}}}config", f"{{{BASE}}}url",
    f"{{{BASE}}}source", f"{{{BASE}}}target", f"{{{BASE}}}rpc", "qkd_links", "{urn:x}y", f"{{{_ETSI}}}moon",
)  # fmt: skip


def mutate_tree(data: bytes, source: random.Random) -> bytes:
    """A few random changes of elements, names, values and attributes; bytes that are no XML come back as
    they are."""
    try:
        root = etree.fromstring(data.strip(), etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError:
        return data
    for _ in range(1 + min(5, int(source.expovariate(0.7)))):
        _change(root, source)
    return etree.tostring(root, encoding="utf-8")


def _change(root: etree._Element, source: random.Random) -> None:
    elements = list(root.iter("*"))
    chosen = source.choice(elements)
    parent = chosen.getparent()
    match source.randrange(8):
        case 0 if parent is not None:
            parent.remove(chosen)
        case 1 if parent is not None:
            for _ in range(source.randrange(1, 3)):
                parent.append(copy.deepcopy(chosen))
        case 2:
            chosen.tag = source.choice(_NAMES)
        case 3:
            chosen.text = source.choice(_VALUES)
        case 4:
            name, values = source.choice(_ATTRIBUTES)
            chosen.set(name, source.choice(values))
        case 5:
            other = source.choice(elements)
            if other not in chosen.iterancestors() and other is not chosen:
                chosen.append(copy.deepcopy(other))
        case 6:
            etree.SubElement(chosen, source.choice(_NAMES)).text = source.choice(_VALUES)
        case _:
            for child in chosen:
                chosen.insert(0, child)
                break
