"""What is fuzzed, and what must hold whatever comes in.

Rule of this file: a target takes bytes and returns; an exception that is none of the project's, or a law
that does not hold (AssertionError), is a finding. Whether a document is well-formed is judged by expat, not
by the parser under test.
"""

import copy
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.parsers import expat

from lxml import etree

from keyweave_core.errors import KeyweaveError, MalformedMessage
from keyweave_core.netconf.data.edit import Operation, edit
from keyweave_core.netconf.data.filters import patterns_of, select
from keyweave_core.netconf.data.schema_paths import SchemaMap
from keyweave_core.netconf.ports import Schema
from keyweave_core.netconf.protocol.framing import Framer, frame
from keyweave_core.netconf.protocol.messages import (
    BASE_1_0,
    BASE_1_1,
    Hello,
    hello_bytes,
    parse_xml,
    read_hello,
    read_notification,
    reply_bytes,
    to_bytes,
)
from keyweave_core.netconf.protocol.session import Incoming, Opened, Role, Session, State

from .mutation import pieces, steady

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
ETSI = "urn:etsi:qkd:yang:etsi-qkd-node"
LIMIT = 8192
CONFIG = f"""
<qkd_node xmlns="{ETSI}" xmlns:t="urn:etsi:qkd:yang:etsi-qkd-node-types">
  <qkdn_id>aaaaaaaa-0000-4000-8000-000000000001</qkdn_id>
  <qkdn_version>1</qkdn_version>
  <qkd_links>
    <qkd_link><qkdl_id>11111111-0000-4000-8000-000000000001</qkdl_id><qkdl_type>t:PHYS</qkdl_type></qkd_link>
    <qkd_link><qkdl_id>11111111-0000-4000-8000-000000000002</qkdl_id><qkdl_type>t:VIRT</qkdl_type></qkd_link>
  </qkd_links>
  <qkd_applications>
    <qkd_app><app_id>22222222-0000-4000-8000-000000000001</app_id><app_type>t:CLIENT</app_type></qkd_app>
  </qkd_applications>
</qkd_node>"""


# What XML 1.0 allows in names since its fifth edition; expat knows the fourth.
_STARTS = re.compile(
    "[\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f"
    "\u2c00-\u2fef\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff]"
)
_FOLLOWS = re.compile("[\u00b7\u0300-\u036f\u203f\u2040]")


def well_formed(document: bytes) -> bool:
    """Expat's opinion: one document in UTF-8, namespaces declared, no DOCTYPE."""
    # XML 1.0 lets a parser read later versions 1.x as 1.0; expat does not.
    document = re.sub(rb"^(<\?xml\s+version=['\"]1\.)\d+", rb"\g<1>0", document.strip())
    if _expat_reads(document):
        return True
    try:
        text = document.decode().removeprefix("\ufeff")
    except UnicodeDecodeError:
        return False
    return _expat_reads(_FOLLOWS.sub("\u00b7", _STARTS.sub("\u00e9", text)).encode())


def _expat_reads(document: bytes) -> bool:
    parser = expat.ParserCreate("utf-8", namespace_separator=" ")
    seen: list[bool] = []
    parser.StartDoctypeDeclHandler = lambda *_: seen.append(True)
    try:
        parser.Parse(document, True)
    except (expat.ExpatError, ValueError):
        return False
    return not seen


def frames(data: bytes) -> None:
    """Splitting: the same messages and the same fault for any cut, memory within the bound."""
    source = steady(data)
    for chunked in (False, True):
        whole = _messages([data], chunked=chunked)
        for _ in range(2):
            assert _messages(pieces(data, source), chunked=chunked) == whole
        for message in whole[0]:
            if message and (chunked or b"]]>]]>" not in message):
                assert _messages([frame(message, chunked=chunked)], chunked=chunked) == ([message], False)


def _messages(parts: Sequence[bytes], *, chunked: bool) -> tuple[list[bytes], bool]:
    """All messages, and whether a fault ended them."""
    framer = Framer(max_message_bytes=LIMIT)
    if chunked:
        framer.use_chunks()
    found: list[bytes] = []
    for part in parts:
        framer.feed(part)
        try:
            while (message := framer.next_message()) is not None:
                assert len(message) <= LIMIT
                found.append(message)
        except MalformedMessage:
            return found, True
        assert framer.buffered <= LIMIT + 64
    return found, False


def document(data: bytes) -> None:
    """Parsing: what we accept, expat accepts; and what we write of it reads the same."""
    try:
        root = parse_xml(data)
    except MalformedMessage:
        return
    assert well_formed(data)
    again = parse_xml(to_bytes(root))
    assert etree.tostring(again, method="c14n2") == etree.tostring(root, method="c14n2")


def hello(data: bytes) -> None:
    """Hellos: capabilities are text, ids in their range, and what is written reads the same."""
    try:
        found = read_hello(parse_xml(data))
    except MalformedMessage:
        return
    assert all(uri == uri.strip() for uri in found.capabilities)
    assert found.session_id is None or 1 <= found.session_id <= 4_294_967_295
    assert read_hello(parse_xml(hello_bytes(found))) == found


def reply(data: bytes) -> None:
    """Replies: well-formed, and every attribute of the rpc is echoed as it was."""
    try:
        root = parse_xml(data)
    except MalformedMessage:
        return
    written = reply_bytes(root, b"<ok/>")
    assert well_formed(written)
    assert dict(parse_xml(written).attrib) == dict(root.attrib)


def notification(data: bytes) -> None:
    """Notifications: one time and one content, or a fault of ours."""
    try:
        found = read_notification(parse_xml(data))
    except MalformedMessage:
        return
    assert isinstance(found.event_time, str)
    assert isinstance(found.content.tag, str)


def session(data: bytes) -> None:
    """The session machine: it goes on or it is closed, in both roles, and holds no more than its bound."""
    mine = Hello(capabilities=(BASE_1_0, BASE_1_1))
    for role in Role:
        end = Session(role, mine, max_message_bytes=LIMIT)
        opened = 0
        for part in pieces(data, steady(data)):
            end.feed(part)
            try:
                while (event := end.next_event()) is not None:
                    opened += isinstance(event, Opened)
                    assert not isinstance(event, Incoming) or opened == 1
            except MalformedMessage:
                assert end.state is State.CLOSED
                assert end.buffered == 0
                break
            assert end.buffered <= LIMIT + 64


@dataclass
class Trees:
    """Filters and edits against a configuration of the real schema."""

    schema: Schema

    def __post_init__(self) -> None:
        self.places = SchemaMap(self.schema)
        # As a datastore holds it: identities by module name, no white space.
        config = etree.Element(f"{{{BASE}}}config")
        config.append(parse_xml(CONFIG.encode()))
        self.current = edit((), config, schema=self.places)
        self.before = self._text(self.current)

    def filtered(self, data: bytes) -> None:
        """Subtree filters: what is selected is part of the data, and the data stays as it is."""
        for wanted in self._inner(data, "filter"):
            chosen = select(patterns_of(wanted.iterchildren("*")), self.current, self.places.top)
            there = _leaves(self.current)
            assert _leaves(chosen) <= there
        assert self._text(self.current) == self.before

    def edited(self, data: bytes) -> None:
        """Edits: refused in a way of ours, or a tree of the schema; the data stays as it is."""
        for config in self._inner(data, "config"):
            for default in (Operation.MERGE, Operation.REPLACE, Operation.NONE):
                try:
                    result = edit(self.current, config, schema=self.places, default=default)
                except KeyweaveError:
                    continue
                assert all(self.places.top(str(element.tag)) is not None for element in result)
                for element in result:
                    assert well_formed(to_bytes(element))
                    assert not [e for e in element.iter() if e.get(f"{{{BASE}}}operation")]
                # The result as a configuration of its own gives itself.
                whole = etree.Element(f"{{{BASE}}}config")
                whole.extend(parse_xml(to_bytes(element)) for element in result)
                assert self._text(edit((), whole, schema=self.places)) == self._text(result)
        assert self._text(self.current) == self.before

    @staticmethod
    def _inner(data: bytes, name: str) -> list[etree._Element]:
        """The elements of a name in a document, the document itself when there is none."""
        try:
            root = parse_xml(data)
        except MalformedMessage:
            return []
        return list(root.iter(f"{{{BASE}}}{name}")) or [root]

    @staticmethod
    def _text(elements: Sequence[etree._Element]) -> bytes:
        return b"".join(etree.tostring(element, method="c14n2") for element in elements)


def _leaves(elements: Sequence[etree._Element]) -> set[tuple[str, str]]:
    """Path below the top element, and value, of every leaf."""
    found = set()
    for top in elements:
        tree = etree.ElementTree(copy.deepcopy(top))
        for inner in tree.iter("*"):
            value = (inner.text or "").strip()
            if not len(inner) and value:
                found.add(("/".join(str(e.tag) for e in (inner, *inner.iterancestors())), value))
    return found


Target = Callable[[bytes], None]
PLAIN: dict[str, tuple[str, Target]] = {
    "frames": ("session", frames),
    "document": ("", document),
    "hello": ("hello", hello),
    "reply": ("rpc", reply),
    "notification": ("notification", notification),
    "session": ("session", session),
}
"""By name: the corpus files to start from, and the target."""
