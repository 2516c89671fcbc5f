"""What of a server's configuration the suite may change, and how to put it back.

Rule of this file: a subject is one leaf that takes two values, and, where there is one, a list whose entries
can be made and removed. Its texts hold the marks @op@ (where an operation attribute may stand), @value@,
@key@ and @body@; everything else is fixed. Chosen from what a server announces, or read from a file.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from xml.sax.saxutils import escape

from lxml import etree

from keyweave_core.errors import InvalidInput
from keyweave_core.netconf.protocol.elements import Element
from keyweave_lab.conform.xml import BASE, NACM, local, text_of

MARKS = "urn:keyweave:conform"
_ETSI = "urn:etsi:qkd:yang:etsi-qkd-node"
_TYPES = "urn:etsi:qkd:yang:etsi-qkd-node-types"

_APP = "<qkd_applications{}><qkd_app>@key@<app_type{}>{}</app_type></qkd_app></qkd_applications>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Texts to edit with; '' where a server of this kind has nothing of it."""

    name: str
    opening: str  # the top element, with @op@
    closing: str
    leaf: str  # inside the top element, with @op@ and @value@
    leaf_path: tuple[str, ...]  # Clark names from the top element down to the leaf
    own_entry: tuple[str, str] = ("", "")  # a list on that path, and the `name` of the entry that is ours
    undo: str  # with @op@: what must go to undo `leaf` where nothing was before; '' for the leaf itself
    values: tuple[str, str]
    around: tuple[str, str] = ("", "")  # what stands around list entries, inside the top element
    entry: str = ""  # a list entry, with @op@, @key@ and @body@
    key: str = ""  # its key element, with @value@
    keys: str = "{}"  # the text of the key, made of a number
    body: str = ""  # the rest of an entry
    entry_tag: str = ""
    bad: str = ""  # a value that its type refuses
    state: str = ""  # a node that is no configuration
    state_tag: str = ""
    unprefixed: str = ""  # an identity without the prefix of its module
    prefixed: tuple[str, ...] = ()  # the same with its prefix, declared here and there; @key@ is a whole key
    mandatory: str = ""  # what must be there, with @op@

    def whole(self, inner: str, op: str = "") -> str:
        """The top element around `inner`, with an operation attribute where `op` names one."""
        return self.opening.replace("@op@", _operation(op)) + inner + self.closing

    def put(self, value: str, op: str = "") -> str:
        """The leaf with a value."""
        text = self.leaf.replace("@op@", _operation(op)).replace("@value@", escape(value))
        return self.whole(text)

    def unset(self) -> str:
        """Removes what `put` made where there was no value before."""
        text = (self.undo or self.leaf).replace("@op@", _operation("remove"))
        return self.whole(text.replace("@value@", escape(self.values[0])))

    def make(self, number: int, op: str = "", *, key: bool = True, body: bool = True) -> str:
        """A list entry of a number, inside the top element."""
        return self.whole(self.inside(self.one(number, op, key=key, body=body)))

    def one(self, number: int, op: str = "", *, key: bool = True, body: bool = True) -> str:
        """A list entry of a number, alone."""
        return self.of_key(self.keys.format(number) if key else None, op, body=body)

    def of_key(self, key: str | None, op: str = "", *, body: bool = False) -> str:
        """A list entry with this key (None: without), alone."""
        named = "" if key is None else self.key.replace("@value@", escape(key))
        text = self.entry.replace("@op@", _operation(op)).replace("@key@", named)
        return text.replace("@body@", self.body if body else "")

    def inside(self, entries: str) -> str:
        """Entries with what stands around them, without the top element."""
        return self.around[0] + entries + self.around[1]

    def filter(self) -> str:
        """A subtree filter for everything that may change."""
        return f'<filter type="subtree">{self.whole("")}</filter>'

    def value_in(self, data: Element) -> str | None:
        """The value of the leaf in a <data>, None where it is missing."""
        found: list[Element] = [data]
        for tag in self.leaf_path:
            found = [child for parent in found for child in parent.iterchildren(tag)]
            if tag == self.own_entry[0]:
                found = [child for child in found if child.findtext("{*}name") == self.own_entry[1]]
        wanted = [element for element in found if text_of(element)]
        return text_of(wanted[0]) if wanted else None

    def keys_in(self, data: Element) -> set[str]:
        """The keys of the entries of the list that a <data> holds."""
        name = self.key_name
        return {
            text_of(child)
            for entry in data.iter(self.entry_tag)
            for child in entry.iterchildren("*")
            if local(child) == name
        }

    @property
    def key_name(self) -> str:
        """The local name of the key."""
        return self.key[1:].partition(">")[0]


def _operation(op: str) -> str:
    return f' xmlns:nc="{BASE}" nc:operation="{op}"' if op else ""


_QKD_NODE = Subject(
    name="etsi-qkd-sdn-node",
    opening=f'<qkd_node xmlns="{_ETSI}" xmlns:kwt="{_TYPES}"@op@>',
    closing="</qkd_node>",
    leaf="<qkdn_location_id@op@>@value@</qkdn_location_id>",
    leaf_path=(f"{{{_ETSI}}}qkd_node", f"{{{_ETSI}}}qkdn_location_id"),
    undo="",
    values=("keyweave-conform-1", "keyweave-conform-2"),
    around=("<qkd_applications>", "</qkd_applications>"),
    entry="<qkd_app@op@>@key@@body@</qkd_app>",
    key="<app_id>@value@</app_id>",
    keys="c0f0c0f0-0000-4000-8000-{:012d}",
    body="<app_type>kwt:CLIENT</app_type>",
    entry_tag=f"{{{_ETSI}}}qkd_app",
    bad="<qkdn_capabilities><link_stats_support>perhaps</link_stats_support></qkdn_capabilities>",
    state="<qkdn_status>kwt:OPERATING</qkdn_status>",
    state_tag=f"{{{_ETSI}}}qkdn_status",
    unprefixed=_APP.format("", "", "CLIENT"),
    prefixed=(
        _APP.format("", f' xmlns:kwl="{_TYPES}"', "kwl:CLIENT"),
        _APP.format(f' xmlns:kwo="{_TYPES}"', "", "kwo:CLIENT"),
    ),
    mandatory="<qkdn_id@op@/>",
)
_ACCESS_RULES = Subject(
    name="ietf-netconf-acm",
    opening=f'<nacm xmlns="{NACM}"@op@>',
    closing="</nacm>",
    # A rule list without a group applies to nobody.
    leaf="<rule-list><name>keyweave-conform</name><rule><name>probe</name><action>permit</action>"
    "<comment@op@>@value@</comment></rule></rule-list>",
    leaf_path=tuple(f"{{{NACM}}}{name}" for name in ("nacm", "rule-list", "rule", "comment")),
    own_entry=(f"{{{NACM}}}rule-list", "keyweave-conform"),
    undo="<rule-list@op@><name>keyweave-conform</name></rule-list>",
    values=("keyweave-conform-1", "keyweave-conform-2"),
    around=("<groups>", "</groups>"),
    entry="<group@op@>@key@@body@</group>",
    key="<name>@value@</name>",
    keys="keyweave-conform-{}",
    entry_tag=f"{{{NACM}}}group",
    bad="<enable-nacm>perhaps</enable-nacm>",
    state="<denied-operations>7</denied-operations>",
    state_tag=f"{{{NACM}}}denied-operations",
)


def choose(modules: Collection[str]) -> Subject | None:
    """The subject for a server with these modules; None when we know none."""
    return next((s for s in (_QKD_NODE, _ACCESS_RULES) if s.name in modules), None)


def named(name: str) -> Subject:
    """The built-in subject of a module; InvalidInput names those there are."""
    for subject in (_QKD_NODE, _ACCESS_RULES):
        if subject.name == name:
            return subject
    raise InvalidInput(f"--module {name}: known are {_QKD_NODE.name} and {_ACCESS_RULES.name}")


def read_subject(path: Path) -> Subject:
    """A subject from a file: one top element in which one leaf carries `other` of the namespace
    urn:keyweave:conform.

    The text of the leaf is its first value, the attribute the second; `bad` may hold a third that its type
    refuses. InvalidInput names the file and what is wrong with it.
    """
    try:
        root = etree.fromstring(path.read_bytes(), etree.XMLParser(resolve_entities=False, no_network=True))
    except (OSError, etree.XMLSyntaxError) as error:
        raise InvalidInput(f"{path}: {error}") from error
    marked = [element for element in root.iter("*") if element.get(f"{{{MARKS}}}other") is not None]
    if len(marked) != 1 or len(marked[0]) or marked[0] is root:
        raise InvalidInput(f"{path}: wants one leaf with an attribute 'other' of {MARKS}, has {len(marked)}")
    (leaf,) = marked
    first, second = text_of(leaf), str(leaf.get(f"{{{MARKS}}}other"))
    bad_value = leaf.get(f"{{{MARKS}}}bad")
    if not first or first == second:
        raise InvalidInput(f"{path}: wants two different values, has {first!r} and {second!r}")
    path_of = (*(str(e.tag) for e in reversed(list(leaf.iterancestors()))), str(leaf.tag))
    for attribute in (f"{{{MARKS}}}other", f"{{{MARKS}}}bad"):
        leaf.attrib.pop(attribute, "")
    leaf.text, root.text = "@value@", root.text or ""
    leaf.set("conform-op", "@")
    root.set("conform-op", "@")
    etree.cleanup_namespaces(root, keep_ns_prefixes=[p for p in root.nsmap if p])
    text = etree.tostring(root, encoding="unicode", with_tail=False).replace(' conform-op="@"', "@op@")
    opening, closing = text[: text.index(">") + 1], text[text.rindex("</") :]
    inner = text[len(opening) : -len(closing)]
    subject = Subject(
        name=str(path),
        opening=opening,
        closing=closing,
        leaf=inner,
        leaf_path=path_of,
        undo="",
        values=(first, second),
    )
    if bad_value is not None:
        subject = replace(subject, bad=inner.replace("@op@", "").replace("@value@", escape(str(bad_value))))
    return subject
