"""NETCONF messages (RFC 6241 clauses 4 and 8.1, RFC 5277 clause 2.2): reading them safely, writing them.

Rule of this file: what a peer sends is parsed by one parser that knows no DTD, entity, network or huge
tree; comments and processing instructions vanish there, CDATA becomes text. Everything is UTF-8.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lxml import etree

from keyweave_core.errors import MalformedMessage
from keyweave_core.netconf.protocol.elements import attributes_of, element
from keyweave_core.netconf.protocol.rpc_errors import BASE, RpcError, error_element, read_error

NOTIFICATION = "urn:ietf:params:xml:ns:netconf:notification:1.0"
NETMOD_NOTIFICATION = "urn:ietf:params:xml:ns:netmod:notification"
MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
NMDA = "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda"
YANG_LIBRARY = "urn:ietf:params:xml:ns:yang:ietf-yang-library"
SUBSCRIBED = "urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications"
PUSH = "urn:ietf:params:xml:ns:yang:ietf-yang-push"
BASE_1_0 = "urn:ietf:params:netconf:base:1.0"
BASE_1_1 = "urn:ietf:params:netconf:base:1.1"

MAX_SESSION_ID = 4_294_967_295
OK = b"<ok/>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """A <hello>; `session_id` only in the server's."""

    capabilities: tuple[str, ...]
    session_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An <rpc-reply> as a client sees it; `errors` holds warnings too, told by their severity."""

    message_id: str | None
    errors: tuple[RpcError, ...]
    root: etree._Element


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """An RFC 5277 envelope; `event_time` as sent, `content` the one element beside it."""

    event_time: str
    content: etree._Element


def parse_xml(data: bytes) -> etree._Element:
    """Parse one document.

    Raises MalformedMessage for what is not well-formed, has a DOCTYPE, or nests
    deeper than 256 elements (libxml2's bound, which also bounds every walker of ours).
    """
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        strip_cdata=True,
    )
    try:
        # Real clients send line feeds before the XML declaration, where XML allows none.
        root = etree.fromstring(data.strip(), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise MalformedMessage(f"not well-formed XML: {error}") from error
    if root is None:  # a document of nothing but comments
        raise MalformedMessage("not well-formed XML: no element")
    if root.getroottree().docinfo.internalDTD is not None:
        raise MalformedMessage("a DOCTYPE is not accepted")
    return root


def to_bytes(element: etree._Element) -> bytes:
    """An element as UTF-8 without declaration and without its tail."""
    return etree.tostring(element, encoding="utf-8", xml_declaration=False, with_tail=False)


def hello_bytes(hello: Hello) -> bytes:
    """Write a <hello>."""
    root = element(f"{{{BASE}}}hello", {None: BASE})
    capabilities = etree.SubElement(root, f"{{{BASE}}}capabilities")
    for uri in hello.capabilities:
        etree.SubElement(capabilities, f"{{{BASE}}}capability").text = uri
    if hello.session_id is not None:
        etree.SubElement(root, f"{{{BASE}}}session-id").text = str(hello.session_id)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + to_bytes(root)


def read_hello(root: etree._Element) -> Hello:
    """Read a <hello>; MalformedMessage for another element or a session-id that is no session-id."""
    if root.tag != f"{{{BASE}}}hello":
        raise MalformedMessage(f"expected <hello>, got {_name(root)}")
    texts = root.iterfind(f"{{{BASE}}}capabilities/{{{BASE}}}capability")
    session_id = None
    text = root.findtext(f"{{{BASE}}}session-id")
    if text is not None:
        digits = text.strip()
        if not (digits.isascii() and digits.isdigit() and 1 <= int(digits[:11]) <= MAX_SESSION_ID):
            raise MalformedMessage(f"bad session-id {digits[:20]!r} in <hello>")
        session_id = int(digits)
    return Hello(capabilities=tuple((t.text or "").strip() for t in texts), session_id=session_id)


def rpc_bytes(operation: etree._Element, message_id: str) -> bytes:
    """Write an <rpc> around an operation."""
    start = f'<rpc xmlns="{BASE}" message-id={_quoted(message_id)}>'
    return start.encode() + to_bytes(operation) + b"</rpc>"


def reply_bytes(rpc: etree._Element | None, body: bytes) -> bytes:
    """Write the <rpc-reply> to `rpc` around a serialised body, with every attribute of the rpc echoed once.

    `rpc` is None when the message could not be read, so that nothing can be echoed. The body sees the base
    namespace as the default one.
    """
    attributes = attributes_of(rpc) if rpc is not None else {}
    if not attributes:
        start = f'<rpc-reply xmlns="{BASE}">'.encode()
    elif len(attributes) == 1 and "message-id" in attributes:
        start = f'<rpc-reply xmlns="{BASE}" message-id={_quoted(attributes["message-id"])}>'.encode()
    else:
        assert rpc is not None  # noqa: S101 - for the type checker: attributes come from it
        used = {etree.QName(name).namespace for name in attributes}
        prefixes: dict[str | None, str] = {None: BASE}
        prefixes |= {p: uri for p, uri in rpc.nsmap.items() if p and uri in used and uri != BASE}
        shell = element(f"{{{BASE}}}rpc-reply", prefixes, attributes)
        start = to_bytes(shell)[:-2] + b">"
    return b"".join((start, body, b"</rpc-reply>"))


def errors_body(*errors: RpcError) -> bytes:
    """The body of a reply that carries errors."""
    return b"".join(to_bytes(error_element(error)) for error in errors)


def read_reply(root: etree._Element) -> Reply:
    """Read an <rpc-reply>; MalformedMessage for another element."""
    if root.tag != f"{{{BASE}}}rpc-reply":
        raise MalformedMessage(f"expected <rpc-reply>, got {_name(root)}")
    errors = tuple(read_error(element) for element in root.iterchildren(f"{{{BASE}}}rpc-error"))
    message_id = root.get("message-id")
    return Reply(message_id=None if message_id is None else str(message_id), errors=errors, root=root)


def notification_bytes(event_time: str, content: bytes) -> bytes:
    """Write an RFC 5277 envelope around serialised content; the time as `yang:date-and-time`."""
    head = f'<notification xmlns="{NOTIFICATION}"><eventTime>{event_time}</eventTime>'.encode()
    return b"".join((head, content, b"</notification>"))


def read_notification(root: etree._Element) -> Notification:
    """Read an RFC 5277 envelope; MalformedMessage unless it holds eventTime and one more element."""
    time_tag = f"{{{NOTIFICATION}}}eventTime"
    event_time = root.findtext(time_tag)
    content: Sequence[etree._Element] = [child for child in root.iterchildren("*") if child.tag != time_tag]
    if event_time is None or len(content) != 1:
        raise MalformedMessage("a <notification> wants one eventTime and one content element")
    return Notification(event_time=event_time.strip(), content=content[0])


def subscription_of(content: etree._Element) -> int | None:
    """The id of the subscription that a notification is about (RFC 8639, RFC 8641); None for an event."""
    namespace = etree.QName(content).namespace
    if namespace not in (SUBSCRIBED, PUSH):
        return None
    text = (content.findtext(f"{{{namespace}}}id") or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else None


def _name(root: etree._Element) -> str:
    return f"<{str(root.tag)[:120]}>"


def _quoted(text: str) -> str:
    """An attribute value between quotes, so that a parser gives back exactly `text`."""
    for char, entity in _ESCAPES:
        if char in text:
            text = text.replace(char, entity)
    return f'"{text}"'


_ESCAPES = (
    ("&", "&amp;"),
    ("<", "&lt;"),
    (">", "&gt;"),
    ('"', "&quot;"),
    ("\t", "&#9;"),
    ("\n", "&#10;"),
    ("\r", "&#13;"),
)
