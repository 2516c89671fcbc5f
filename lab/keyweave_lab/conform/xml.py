"""Reading what a server sends, and the texts of what it is asked.

Rule of this file: a document that is not well-formed, or has a DOCTYPE, is the server's failure.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from xml.sax.saxutils import quoteattr

from lxml import etree

from keyweave_core.netconf.protocol.elements import Element
from keyweave_lab.conform.check import Failed

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
NOTIFICATION = "urn:ietf:params:xml:ns:netconf:notification:1.0"
NETMOD = "urn:ietf:params:xml:ns:netmod:notification"
LIBRARY = "urn:ietf:params:xml:ns:yang:ietf-yang-library"
DEFAULTS = "urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults"
NMDA = "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda"
DATASTORES = "urn:ietf:params:xml:ns:yang:ietf-datastores"
NACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"
BASE_1_0 = "urn:ietf:params:netconf:base:1.0"
BASE_1_1 = "urn:ietf:params:netconf:base:1.1"

# Asks for nothing: every server can answer it, and the answer is short.
PROBE = (
    "<get-config><source><running/></source>"
    '<filter type="subtree"><x xmlns="urn:none"/></filter></get-config>'
)


def parse(data: bytes) -> Element:
    """One document; Failed when it is none."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, huge_tree=True, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(data.strip(), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Failed(f"not well-formed: {error}; {data[:120]!r}") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise Failed(f"a DOCTYPE: {data[:120]!r}")
    return root


def local(element: Element) -> str:
    """The name without its namespace."""
    return str(etree.QName(element).localname)


def text_of(element: Element | None) -> str:
    """All text inside, without the white space around it; '' for None."""
    return "" if element is None else "".join(str(part) for part in element.itertext()).strip()


def hello(*bases: str, extra: str = "") -> bytes:
    """A client's hello, framed, with further children as `extra`."""
    uris = "".join(f"<capability>{uri}</capability>" for uri in bases)
    return f'<hello xmlns="{BASE}"><capabilities>{uris}</capabilities>{extra}</hello>]]>]]>'.encode()


HELLO = hello(BASE_1_0, BASE_1_1)


def rpc(operation: str, message_id: str = "1", attributes: str = "") -> bytes:
    """An rpc around the text of an operation."""
    return f'<rpc xmlns="{BASE}" message-id={quoteattr(message_id)}{attributes}>{operation}</rpc>'.encode()


def chunks(data: bytes, size: int | None = None) -> bytes:
    """A message in chunks of `size` bytes, in one when None."""
    step = size or max(1, len(data))
    parts = (data[at : at + step] for at in range(0, len(data), step))
    return b"".join(b"\n#%d\n%b" % (len(part), part) for part in parts) + b"\n##\n"


@dataclass(frozen=True)
class Fault:
    """One rpc-error as it was sent."""

    element: Element

    def field(self, name: str) -> str:
        """The text of a child of the base namespace."""
        return text_of(self.element.find(f"{{{BASE}}}{name}"))

    @property
    def tag(self) -> str:
        """error-tag."""
        return self.field("error-tag")

    def info(self, name: str) -> str:
        """The text of a child of error-info."""
        return text_of(self.element.find(f"{{{BASE}}}error-info/{{{BASE}}}{name}"))


@dataclass(frozen=True)
class Answer:
    """One rpc-reply."""

    raw: bytes
    root: Element

    @cached_property
    def faults(self) -> tuple[Fault, ...]:
        """Its rpc-errors, warnings left out."""
        found = (Fault(element) for element in self.root.iterchildren(f"{{{BASE}}}rpc-error"))
        return tuple(fault for fault in found if fault.field("error-severity") != "warning")

    @property
    def tags(self) -> tuple[str, ...]:
        """The error-tags."""
        return tuple(fault.tag for fault in self.faults)

    @property
    def ok(self) -> bool:
        """True for <ok/> without errors."""
        return not self.faults and self.root.find(f"{{{BASE}}}ok") is not None

    @property
    def data(self) -> Element:
        """The <data> of any namespace; Failed without one."""
        for child in self.root.iterchildren("*"):
            if local(child) == "data":
                return child
        raise Failed(f"no data: {self.told}")

    @property
    def told(self) -> str:
        """What the reply says, in a few words."""
        if self.faults:
            return ", ".join(
                f"{f.field('error-type')}/{f.tag}: {f.field('error-message')[:80]}" for f in self.faults
            )
        names = [local(child) for child in self.root.iterchildren("*")]
        return (
            "<ok/>"
            if names == ["ok"]
            else f"<{local(self.root)}> of {len(self.raw)} bytes with {names or 'nothing'}"
        )

    def wants_ok(self, what: str = "") -> None:
        """Failed unless this is <ok/>."""
        if not self.ok:
            raise Failed(f"{what}: {self.told}" if what else self.told)

    def wants_error(self, *tags: str, what: str = "") -> str:
        """Failed unless this is an error (with one of `tags` where given); returns what it says."""
        if not self.faults or (tags and not set(tags) & set(self.tags)):
            raise Failed(f"{what}: {self.told}" if what else self.told)
        return self.told


def leaves(element: Element, path: str = "") -> Iterator[tuple[str, Element]]:
    """Every element without children, with its path of Clark names."""
    here = f"{path}/{element.tag}"
    children = list(element.iterchildren("*"))
    if not children:
        yield here, element
    for child in children:
        yield from leaves(child, here)


def canonical(element: Element, *, pruned: bool = False) -> bytes:
    """A form in which equal data is equal text: no comments, no space between elements.

    `pruned` leaves out elements without content: whether an empty container is shown is the server's affair.
    """
    parser = etree.XMLParser(remove_blank_text=True, remove_comments=True, huge_tree=True)
    copied = etree.fromstring(etree.tostring(element, with_tail=False), parser)
    if pruned:
        for inner in reversed(list(copied.iter("*"))):
            parent = inner.getparent()
            if parent is not None and not len(inner) and not (inner.text or "").strip():
                parent.remove(inner)
    return etree.tostring(copied, method="c14n2")
