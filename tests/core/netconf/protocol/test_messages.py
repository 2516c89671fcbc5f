"""Reading is safe, writing is exact."""

import pytest
from lxml import etree

from keyweave_core.errors import MalformedMessage, Refused, SchemaViolation
from keyweave_core.netconf.protocol.messages import (
    Hello,
    errors_body,
    hello_bytes,
    notification_bytes,
    parse_xml,
    read_hello,
    read_notification,
    read_reply,
    reply_bytes,
)
from keyweave_core.netconf.protocol.rpc_errors import BASE, RpcError, base_info, from_fault, qualify_path

NC = f"{{{BASE}}}"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"   ",
        b"<a>",
        b"<a></b>",
        b"text",
        b"<a/><b/>",
        b"<!-- only a comment -->",
        b"<a>&unknown;</a>",
        b"<a x='1' x='2'/>",
        b"<p:a/>",
        b"<a>\xff\xfe</a>",
        b"<a>\x00</a>",
        b"<!DOCTYPE a><a/>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        b'<!DOCTYPE a SYSTEM "http://192.0.2.1/x.dtd"><a/>',
        b"<a>" * 300 + b"</a>" * 300,
        '<?xml version="1.0" encoding="utf-16"?><a/>'.encode("utf-16"),
    ],
)
def test_what_is_no_plain_document_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedMessage):
        parse_xml(text)


def test_entities_of_a_doctype_are_not_expanded_before_it_is_refused() -> None:
    levels = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    bomb = f'<!DOCTYPE a [<!ENTITY l0 "ha">{levels}]><a>&l9;</a>'
    with pytest.raises(MalformedMessage):
        parse_xml(bomb.encode())


def test_comments_instructions_cdata_and_references_are_read_as_their_text() -> None:
    root = parse_xml(
        b'\n<?xml version="1.0"?>\n<a x="&lt;&#65;"><?pi?>o<!-- x -->n<![CDATA[<e>]]>&amp;&#x42;</a>\n'
    )
    assert root.text == "on<e>&B"
    assert root.get("x") == "<A"
    assert len(root) == 0


def test_hellos_round_trip_and_a_session_id_is_a_32_bit_number() -> None:
    hello = Hello(capabilities=("urn:a?b=c&d=e", "urn:f"), session_id=4294967295)
    assert read_hello(parse_xml(hello_bytes(hello))) == hello
    for bad in ("0", "4294967296", "-1", "x", "", "\u0661", "9" * 5000):
        text = f'<hello xmlns="{BASE}"><session-id>{bad}</session-id></hello>'
        with pytest.raises(MalformedMessage):
            read_hello(parse_xml(text.encode()))
    with pytest.raises(MalformedMessage, match="expected <hello>"):
        read_hello(parse_xml(b"<hello/>"))


def test_a_reply_echoes_every_attribute_once_with_its_namespace() -> None:
    rpc = parse_xml(
        f'<nc:rpc xmlns:nc="{BASE}" xmlns:x="urn:x" xmlns:unused="urn:u" '
        f'message-id="1&lt;&amp;&quot;&#10;\u00e9" '
        f'x:user="a &amp; b" plain="p"/>'.encode()
    )
    reply = reply_bytes(rpc, b"<ok/>")
    back = parse_xml(reply)
    assert dict(back.attrib) == dict(rpc.attrib)
    assert back[0].tag == f"{NC}ok"
    assert reply.count(b'xmlns="') == 1
    assert reply.count(b"xmlns:x=") == 1
    assert b"unused" not in reply


@pytest.mark.parametrize(
    "message_id", ["1", "urn:uuid:x", "<&>\"'", "a\tb\nc\rd", " spaced ", "\u2028\U0001f511"]
)
def test_a_message_id_comes_back_exactly(message_id: str) -> None:
    rpc = etree.Element(f"{NC}rpc")
    rpc.set("message-id", message_id)
    assert parse_xml(reply_bytes(rpc, b"<ok/>")).get("message-id") == message_id


def test_an_error_has_all_fields_in_the_order_of_the_standard() -> None:
    error = RpcError(
        "lock-denied",
        "taken\x00<by>",
        type="protocol",
        app_tag="mine",
        path="/tiny:node[tiny:id='1']",
        namespaces={"tiny": "urn:test:tiny"},
        info=base_info(session_id="7"),
    )
    (element,) = parse_xml(reply_bytes(None, errors_body(error)))
    assert [etree.QName(child).localname for child in element] == [
        "error-type",
        "error-tag",
        "error-severity",
        "error-app-tag",
        "error-path",
        "error-message",
        "error-info",
    ]
    assert element.find(f"{NC}error-path").nsmap["tiny"] == "urn:test:tiny"
    assert element.find(f"{NC}error-message").get("{http://www.w3.org/XML/1998/namespace}lang") == "en"
    (back,) = read_reply(element.getparent()).errors
    assert (back.type, back.tag, back.severity, back.app_tag, back.path) == (
        "protocol",
        "lock-denied",
        "error",
        "mine",
        "/tiny:node[tiny:id='1']",
    )
    assert back.message == "taken?<by>"
    assert back.namespaces["tiny"] == "urn:test:tiny"
    assert back.info == ((f"{NC}session-id", "7"),)


def test_an_error_with_nothing_in_it_is_still_read() -> None:
    reply = parse_xml(f'<rpc-reply xmlns="{BASE}"><rpc-error/></rpc-reply>'.encode())
    (error,) = read_reply(reply).errors
    assert (error.tag, error.severity, error.path) == ("operation-failed", "error", "")
    with pytest.raises(MalformedMessage):
        read_reply(parse_xml(b"<rpc-reply/>"))


def test_paths_get_prefixes_everywhere_and_values_stay_as_they_are() -> None:
    modules = {"m": "urn:m", "n": "urn:n"}
    assert qualify_path("/m:a/b[k='x/y[z]']/n:c[m:p=\"it's\"]", modules) == (
        "/m:a/m:b[m:k='x/y[z]']/n:c[m:p=\"it's\"]",
        {"m": "urn:m", "n": "urn:n"},
    )
    assert qualify_path("/m:a/l[.='v'][3]", modules)[0] == "/m:a/m:l[.='v'][3]"
    assert qualify_path("/other:a/b", modules) == ("/other:a/b", {})
    assert qualify_path("", modules) == ("", {})


def test_faults_of_the_project_become_errors_of_the_protocol() -> None:
    modules = {"m": "urn:m"}
    violation = SchemaViolation("gone", path="/m:a/b[k='1']/c", tag="missing-element", app_tag="x")
    error = from_fault(violation, modules)
    assert (error.tag, error.path, error.app_tag) == ("missing-element", "/m:a/m:b[m:k='1']/m:c", "x")
    assert error.info == base_info(bad_element="c")
    refused = from_fault(Refused("Too hot.", "Too late."), modules)
    assert (refused.tag, refused.message) == ("operation-failed", "Too hot.; Too late.")
    assert from_fault(MalformedMessage("bad"), modules).tag == "invalid-value"


def test_notifications_round_trip_and_must_hold_one_event() -> None:
    back = read_notification(parse_xml(notification_bytes("2026-01-01T00:00:00Z", b'<e xmlns="urn:e"/>')))
    assert (back.event_time, back.content.tag) == ("2026-01-01T00:00:00Z", "{urn:e}e")
    for content in (b"", b"<a/><b/>"):
        with pytest.raises(MalformedMessage):
            read_notification(parse_xml(notification_bytes("t", content)))
