"""A tiny module, a device that remembers, and a transport of two lists."""

import copy
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from lxml import etree

from keyweave_core.errors import Refused, SchemaViolation
from keyweave_core.netconf.data.nodes import DataNode, container, leaf, leaf_list, list_of
from keyweave_core.netconf.data.schema_paths import SchemaMap
from keyweave_core.netconf.ports import DEFAULT, Kind, ModuleInfo
from keyweave_core.netconf.protocol.framing import Framer, frame
from keyweave_core.netconf.protocol.messages import Hello, hello_bytes, parse_xml
from keyweave_core.netconf.transport import Peer

NS = "urn:test:tiny"
TYPES = "urn:test:types"
TEXT = 'module tiny { namespace "urn:test:tiny"; prefix t; }'


def number(element: etree._Element) -> str:
    text = (element.text or "").strip()
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueError(f"{text!r} is no number")
    return str(int(text))


def identity(element: etree._Element) -> str:
    prefix, _, name = (element.text or "").strip().rpartition(":")
    if element.nsmap.get(prefix or None) != TYPES or name not in ("PHYS", "VIRT"):
        raise ValueError("no identity of this base")
    return f"types:{name}"


def tiny_node() -> DataNode:
    return container(
        "node",
        leaf("id"),
        leaf("version"),
        leaf("status", config=False),
        container("caps", leaf("relay", default="true"), leaf("stats")),
        container("debug", leaf("level", check=number), presence=True),
        container(
            "links",
            list_of(
                "link",
                "id",
                leaf("id", check=number),
                leaf("rate", check=number),
                leaf("type", check=identity),
                leaf_list("hop"),
                container("perf", leaf("qber"), config=False),
            ),
        ),
        leaf_list("tag", user_ordered=True),
        list_of("rule", "name", leaf("name"), leaf("action"), user_ordered=True),
        list_of("pair", "a b", leaf("a"), leaf("b"), leaf("c")),
        DataNode("extra", Kind.ANYDATA),
    ).bind(NS, "tiny")


class TinySchema:
    """Module `tiny`: one container whose leaf `id` is mandatory, and links that need a type for a rate."""

    def __init__(self) -> None:
        self.node = tiny_node()
        self.validations = 0
        self.content_id = "tiny-1"
        self.modules = [
            ModuleInfo(
                name="tiny",
                revision="2026-01-01",
                namespace=NS,
                yang_version="1",
                implemented=True,
                text=TEXT,
            ),
            ModuleInfo(
                name="types",
                revision="",
                namespace=TYPES,
                yang_version="1.1",
                implemented=False,
                text="module types {}",
            ),
            ModuleInfo(
                name="twice",
                revision="2025-01-01",
                namespace="urn:test:twice",
                yang_version="1",
                implemented=False,
                text="a",
            ),
            ModuleInfo(
                name="twice",
                revision="2026-01-01",
                namespace="urn:test:twice",
                yang_version="1",
                implemented=False,
                text="b",
            ),
        ]

    def top(self, tag: str) -> DataNode | None:
        return self.node if tag == f"{{{NS}}}node" else None

    def tops(self) -> Sequence[DataNode]:
        return [self.node]

    def with_defaults(self, data: Sequence[etree._Element]) -> list[etree._Element]:
        """The one default there is: caps/relay."""
        copies = [copy.deepcopy(element) for element in data]
        for node in copies:
            caps = node.find(f"{{{NS}}}caps")
            if caps is None:
                caps = etree.SubElement(node, f"{{{NS}}}caps")
            if caps.find(f"{{{NS}}}relay") is None:
                relay = etree.SubElement(caps, f"{{{NS}}}relay")
                relay.text = "true"
                relay.set(DEFAULT, "true")
        return copies

    def validate(self, config: Sequence[etree._Element]) -> None:
        self.validations += 1
        if not config or config[0].find(f"{{{NS}}}id") is None:
            raise SchemaViolation("mandatory leaf is missing", path="/tiny:node/id", tag="data-missing")
        for link in config[0].iterfind(f"{{{NS}}}links/{{{NS}}}link"):
            if link.find(f"{{{NS}}}rate") is not None and link.find(f"{{{NS}}}type") is None:
                key = link.findtext(f"{{{NS}}}id")
                raise SchemaViolation("a rate wants a type", path=f"/tiny:node/links/link[id='{key}']/rate")


@dataclass
class TinyDevice:
    """Applies what does not say `version` 666; answers the operation `ping`."""

    applied: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    states: int = 0
    facts: str = ""

    async def state(self) -> Sequence[etree._Element]:
        self.states += 1
        return [etree.fromstring(self.facts)] if self.facts else []

    async def apply(self, _old: Sequence[etree._Element], new: Sequence[etree._Element], user: str) -> None:
        version = new[0].findtext(f"{{{NS}}}version")
        if version == "666":
            raise Refused("that version burns.")
        if version == "667":
            raise ZeroDivisionError("defect")
        self.applied.append(version or "")
        self.users.append(user)

    async def call(self, operation: etree._Element, user: str) -> Sequence[etree._Element] | None:
        name = etree.QName(operation).localname
        if name == "ping":
            return [etree.fromstring(f'<pong xmlns="{NS}">{user}</pong>')]
        if name == "reset":
            return None
        if name == "break":
            raise ZeroDivisionError("defect")
        raise KeyError(name)


class MemoryTransport:
    """Keeps what a session writes."""

    peer = Peer(username="tester", source_host="192.0.2.1")

    def __init__(self) -> None:
        self.framer = Framer(max_message_bytes=1 << 24)
        self.closed = False
        self.aborted = False
        self.reading_paused = 0

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.framer.feed(data)

    def messages(self) -> list[etree._Element]:
        found = []
        while (message := self.framer.next_message()) is not None:
            found.append(parse_xml(message))
        return found

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        self.reading_paused += 1

    def resume_reading(self) -> None:
        self.reading_paused -= 1


@pytest.fixture
def tiny() -> TinySchema:
    return TinySchema()


@pytest.fixture
def places(tiny: TinySchema) -> SchemaMap:
    return SchemaMap(tiny)


@pytest.fixture
def device() -> TinyDevice:
    return TinyDevice()


@pytest.fixture
def new_transport() -> Callable[[], MemoryTransport]:
    return MemoryTransport


@pytest.fixture
def xml() -> Callable[[str], etree._Element]:
    """Parse text in which the default namespace is tiny's, `nc` is NETCONF's and `ty` that of the types."""

    def parse(inner: str) -> etree._Element:
        wrapped = (
            f'<w xmlns="{NS}" xmlns:ty="{TYPES}" xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0" '
            f'xmlns:yang="urn:ietf:params:xml:ns:yang:1">{inner}</w>'
        )
        return parse_xml(wrapped.encode())

    return parse


@pytest.fixture
def hello() -> bytes:
    """A base:1.1 client's hello, framed."""
    mine = Hello(capabilities=("urn:ietf:params:netconf:base:1.0", "urn:ietf:params:netconf:base:1.1"))
    return frame(hello_bytes(mine), chunked=False)
