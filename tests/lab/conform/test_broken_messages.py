"""Each check of the transport, the framing and the rpc layer fails on a server that breaks its clause."""

import re
from collections.abc import Awaitable, Callable

import pytest

from keyweave_lab.conform.report import Result, Verdict

from .meddler import BASE, DATA, MUTE, OK, Fault, says

Run = Callable[[Fault, str], Awaitable[list[Result]]]


def without(pattern: bytes, instead: bytes = b"") -> Callable[[bytes], bytes]:
    return lambda data: re.sub(pattern, instead, data)


PROBE = re.compile(rb"<x xmlns=")
MONITORING = b"urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"


def lenient(data: bytes) -> bytes:
    """Framing abuse becomes an rpc that is answered."""
    if data.startswith((b"\n#0", b"\n#42", b"\n#9", b"\n#+", b"\n##", b"this", b"<rpc")) or b"xx\n#" in data:
        inner = b'<rpc xmlns="%b" message-id="1"><get-config><source><running/></source></get-config></rpc>'
        message = inner % BASE.encode()
        return b"\n#%d\n%b\n##\n" % (len(message), message)
    return data


def expanding(message: bytes) -> bytes:
    """What a parser would do that knows document types."""
    return re.sub(rb"<!DOCTYPE[^>\[]*(\[[^\]]*\])?>", b"", message).replace(b"&where;", b"")


def swapped() -> Callable[[bytes], bytes]:
    """Hold back the first reply to a pipelined rpc and send it after the next."""
    held: list[bytes] = []

    def change(message: bytes) -> bytes:
        if b'message-id="p0"' in message:
            held.append(message)
            return b""
        if held and b'message-id="p1"' in message:
            return message.replace(b'"p1"', b'"p0"').replace(b"p0", b"p1", 1)
        return message

    return change


def later(good: int, instead: bytes) -> Callable[[bytes], bytes]:
    """The first hellos are right, those after them are something else."""
    count = 0

    def change(hello: bytes) -> bytes:
        nonlocal count
        count += 1
        return hello if count <= good else instead

    return change


def restarted() -> Callable[[bytes], bytes]:
    """The start time is another each time it is asked for."""
    count = 0

    def change(message: bytes) -> bytes:
        nonlocal count
        count += 1
        return re.sub(rb"start-time>20\d\d", b"start-time>%d" % (1900 + count), message)

    return change


ORDER = rb"\2\1\3"
OLD = b"ies><capability>urn:ietf:params:netconf:base:1.0<"
TWICE = b"<capability>urn:ietf:params:netconf:base:1.1</capability></capabilities>"


@pytest.mark.parametrize(
    ("ident", "fault"),
    [
        ("A1.others", Fault(when=b"any-subsystem")),
        ("A1.login", Fault(when=b"any-user")),
        ("A2.bases", Fault(hello_out=lambda h: h.replace(b"</capabilities>", TWICE))),
        ("A2.session-id", Fault(hello_out=without(rb"<session-id>\d+<", b"<session-id>5<"))),
        ("A2.session-id", Fault(hello_out=without(rb"<session-id>\d+<", b"<session-id>0<"))),
        ("A2.shape", Fault(hello_out=lambda h: h.replace(b"</hello>", b"<more/></hello>"))),
        ("A3.prefix", Fault(message_in=lambda m: b"<hello/>" if m.startswith(b"<nc:hello") else m)),
        ("A3.declaration", Fault(message_in=lambda m: b"<hello/>" if m.startswith(b"<?xml") else m)),
        ("A3.line-feed", Fault(message_in=lambda m: b"<hello/>" if m.startswith(b"\n") else m)),
        ("A3.unknown", Fault(message_in=lambda m: b"<hello/>" if b"conform:none" in m else m)),
        ("A4.chunked", Fault(message_in=without(rb"ies><capability>[^<]+base:1.1<", OLD))),
        ("A4.delimiter", Fault(raw_out=lambda d: b"\n#3\nabc\n##\n" if d.endswith(b"]]>]]>") else d)),
        ("A5", Fault(message_in=without(rb"base:9.9", b"base:1.0"))),
        ("A5", Fault(stays=True)),
        ("A6", Fault(message_in=without(rb"<session-id>7</session-id>"))),
        ("A7.garbage", Fault(stays=True)),
        ("A8", Fault(stays=True)),
        ("A14", Fault(raw_in=lambda d: d[: d.find(b"]]>]]>") + 6] if b"hello" in d else d)),
        ("A9.bytes", Fault(raw_in=without(rb"\n#1\n", b"\n#01\n"))),
        ("A9.split", Fault(raw_in=lambda d: b"junk" if d in (b"\n", b"#") else d)),
        ("A9.several", Fault(raw_in=lambda d: d[: len(d) // 3] if d.count(b"\n##\n") == 3 else d)),
        ("A9.characters", Fault(message_out=without("鍵".encode(), b"?"))),
        ("A10.zero", Fault(raw_in=lenient)),
        ("A10.zero", Fault(stays=True)),
        ("A10.leading-zero", Fault(raw_in=lenient)),
        ("A10.too-large", Fault(raw_in=lenient)),
        ("A10.too-long", Fault(raw_in=lenient)),
        ("A10.sign", Fault(raw_in=lenient)),
        ("A10.junk", Fault(raw_in=lambda d: b"" if d.startswith(b"this") else d)),
        ("A10.after", Fault(raw_in=lenient)),
        ("A10.delimiter", Fault(raw_in=lenient)),
        ("A10.empty", Fault(raw_in=lambda d: b"" if d == b"\n##\n" else d)),
        ("A11.message", Fault(when=b"xxxxx", answer=DATA)),
        ("A11.unfinished", Fault(raw_in=lambda d: b"" if d.startswith((b"\n#4294967295", b"  ")) else d)),
        ("A15.lock", Fault(forgetful=True)),
        ("A15.end-of-input", Fault(forgetful=True, stays=True)),
        ("A15.framing", Fault(raw_in=lambda d: b"" if d == b"\n#0\n" else d, forgetful=True)),
        ("B4.truncated", Fault(when=rb"<get>$", answer=OK)),
        ("B4.no-xml", Fault(when=rb"^neither", answer=MUTE)),
        ("B4.two-roots", Fault(message_in=without(rb"</rpc><rpc.*", b"</rpc>"))),
        ("B4.encoding", Fault(message_in=without(rb"\xff\xfe", b"?"))),
        ("B4.prefix", Fault(message_in=without(rb"<none:get/>", b"<get/>"))),
        ("B5.doctype", Fault(message_in=expanding)),
        ("B5.entity", Fault(message_in=expanding)),
        ("B5.file", Fault(message_in=expanding)),
        ("B6.prefixes", Fault(when=rb"<nc:rpc", answer=says("unknown-element"))),
        ("B6.redeclared", Fault(when=rb"<a:rpc", answer=says("unknown-element"))),
        ("B6.comments", Fault(when=rb"<!--", answer=MUTE)),
        ("B6.white-space", Fault(when=rb"^\n", answer=says("malformed-message"))),
        ("B6.cdata", Fault(message_in=without(rb"<!\[CDATA\[(.*?)\]\]>"))),
        ("B6.characters", Fault(message_in=without(rb"&#\w+;"))),
        ("B6.comment-in-text", Fault(message_in=without(rb"<!--.*", b"</identifier></get-schema></rpc>"))),
        ("B1.message-id", Fault(message_out=without(rb'"urn:uuid:.*?"', b'"urn:uuid"'))),
        ("B1.attributes", Fault(message_out=without(rb' user-id="fred"'))),
        ("B1.attributes", Fault(message_out=without(rb"xmlns:kw=", b'xmlns:kw="urn:x" xmlns:kw='))),
        ("B1.attributes-of-errors", Fault(message_out=without(rb' user-id="fred"'))),
        ("B2", Fault(message_out=without(rb"missing-attribute", b"bad-attribute"))),
        ("B2", Fault(message_out=without(rb"<bad-attribute>.*?</bad-attribute>"))),
        ("B3", Fault(message_out=swapped())),
        ("B7.operation", Fault(when=rb"<keyweave-none/>", answer=OK)),
        ("B7.operation", Fault(message_out=without(rb"operation-not-supported", b"in-use"))),
        ("B7.namespace", Fault(message_in=without(rb' xmlns="urn:keyweave:conform:none"'))),
        ("B7.root", Fault(message_in=without(rb"(</?)call", rb"\1rpc"))),
        ("B8.none", Fault(when=rb">(</rpc>)$(?<=\"></rpc>)", answer=OK)),
        ("B8.two", Fault(message_in=without(rb"</lock>.*</rpc>", b"</lock></rpc>"))),
        ("B8.parameter", Fault(message_in=without(rb"<keyweave/>"))),
        ("B8.missing", Fault(when=rb"<get-config/>", answer=DATA)),
        ("B9.children", Fault(message_out=without(rb"(<error-type.*?)(<error-tag.*?)(<error-s)", ORDER))),
        ("B9.children", Fault(message_out=without(rb"<error-severity>.*?</error-severity>"))),
        ("B9.paths,D4", Fault(message_out=without(rb"<error-path[^>]*>", b"<error-path>"))),
        ("B11", Fault(stays=True)),
        ("B11", Fault(when=rb"<close-session", answer=OK)),
        ("B12.self", Fault(when=rb"<kill-session", answer=OK)),
        ("B12.unknown", Fault(when=rb"<kill-session", answer=says("operation-failed"))),
        ("B12.zero", Fault(when=rb"<kill-session", answer=OK)),
        ("B12.other", Fault(when=rb"<kill-session", answer=OK)),
        ("F5", Fault(hello_out=later(6, b""))),
        ("F4.alive", Fault(hello_out=later(2, b""))),
        ("F4.same", Fault(message_out=restarted())),
    ],
)  # fmt: skip
async def test_the_check_fails(run_broken: Run, ident: str, fault: Fault) -> None:
    results = await run_broken(fault, ident)
    failed = [result.id for result in results if result.result is Verdict.FAIL]
    assert ident.partition(",")[0] in failed, results


@pytest.mark.parametrize("ident", ["A", "B"])
async def test_nothing_fails_unbroken(run_broken: Run, ident: str) -> None:
    results = await run_broken(Fault(), ident)
    assert [(r.id, r.seen) for r in results if r.result is Verdict.FAIL] == []
    assert sum(r.result is Verdict.PASS for r in results) > 20
