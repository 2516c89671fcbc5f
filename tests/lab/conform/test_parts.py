"""The parts of the suite by themselves: framing as it is read, what may be edited, the report."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from keyweave_core.errors import InvalidInput
from keyweave_core.runtime.clock import ManualClock
from keyweave_lab.conform.bench import Bench, Options
from keyweave_lab.conform.check import Failed, check
from keyweave_lab.conform.checks_rpc import bad_paths, errors_in_order
from keyweave_lab.conform.report import Report, Result, Verdict, print_report, shortened
from keyweave_lab.conform.subject import choose, named, read_subject
from keyweave_lab.conform.wire import Deframer, Login
from keyweave_lab.conform.xml import BASE, Answer, Fault, canonical, chunks, leaves, parse

ETSI = "urn:etsi:qkd:yang:etsi-qkd-node"


def messages(data: bytes, *, chunked: bool = True) -> list[bytes]:
    deframer = Deframer()
    deframer.chunked = chunked
    deframer.feed(data)
    return list(iter(deframer.message, None))


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=4), st.integers(1, 60))
def test_what_is_put_in_chunks_comes_out(parts: list[bytes], size: int) -> None:
    assert messages(b"".join(chunks(part, size) for part in parts)) == parts


@pytest.mark.parametrize(
    "data",
    [
        b"\n#0\nx",
        b"\n#01\nx\n##\n",
        b"\n##\n",
        b"junk",
        b"\n#x\nab" + b"x" * 20,
        b"\n#99999999999\n" + b"x" * 9,
    ],
)
def test_bad_framing_of_a_server_is_a_failure(data: bytes) -> None:
    with pytest.raises(Failed):
        messages(data + b" " * 20)


def test_half_a_chunk_is_no_message_yet() -> None:
    deframer = Deframer()
    deframer.chunked = True
    for byte in b"\n#4\nab":
        deframer.feed(bytes([byte]))
        assert deframer.message() is None
    assert deframer.rest == b"ab"
    deframer.feed(b"cd\n##\n")
    assert deframer.message() == b"abcd"


def test_the_delimiter_may_come_in_pieces() -> None:
    deframer = Deframer()
    for piece in (b"<a/>]]", b">]]", b"><b/>]]>]]>"):
        deframer.feed(piece)
    assert [deframer.message(), deframer.message(), deframer.message()] == [b"<a/>", b"<b/>", None]


@pytest.mark.parametrize("data", [b"<a", b"<!DOCTYPE a><a/>", b"", b"<x:a/>"])
def test_what_a_server_may_not_send(data: bytes) -> None:
    with pytest.raises(Failed):
        parse(data)


def answer(inner: str) -> Answer:
    text = f'<rpc-reply xmlns="{BASE}" message-id="1">{inner}</rpc-reply>'.encode()
    return Answer(text, parse(text))


def error(*names: str) -> str:
    texts = {"type": "rpc", "severity": "error", "path": "/a:b"}
    inner = "".join(f"<error-{n}>{texts.get(n, 'x')}</error-{n}>" for n in names)
    return f"<rpc-error>{inner}</rpc-error>"


def test_answers_tell_what_they_are() -> None:
    assert answer("<ok/>").ok
    warned = answer(
        "<ok/>"
        + error("type", "tag").replace("</rpc-error>", "<error-severity>warning</error-severity></rpc-error>")
    )
    assert warned.ok
    refused = answer(error("type", "tag", "severity"))
    assert (refused.ok, refused.tags) == (False, ("x",))
    with pytest.raises(Failed):
        refused.wants_ok()
    with pytest.raises(Failed):
        refused.wants_error("other")
    with pytest.raises(Failed, match="no data"):
        _ = refused.data


def test_children_of_errors_are_judged() -> None:
    def wrong(*names: str) -> str:
        return errors_in_order([Fault(e) for e in answer(error(*names)).root])

    assert wrong("type", "tag", "severity", "path", "message") == ""
    assert "children" in wrong("tag", "type", "severity")
    assert "without" in wrong("type", "tag")


@pytest.mark.parametrize(
    ("path", "good"),
    [
        ("<error-path xmlns:a=\"urn:a\">/a:b[a:c='x:y/z']</error-path>", True),
        ("<error-path>/a:b</error-path>", False),
        ('<error-path xmlns:a="urn:a">a:b</error-path>', False),
        ('<error-path xmlns:a="urn:a">/a:b[d:c="1"]</error-path>', False),
        ("<error-path>/rpc/edit-config</error-path>", True),
    ],
)
def test_paths_of_errors_are_judged(path: str, good: bool) -> None:
    found = bad_paths([Fault(e) for e in answer(f"<rpc-error>{path}</rpc-error>").root])
    assert (found == "") is good, found


def test_equal_data_has_equal_canonical_text() -> None:
    one = parse(b"<a> <b x='1' y='2'/>\n<c>t</c></a>")
    other = parse(b'<a><b y="2" x="1"></b><!-- c --><c>t</c></a>')
    assert canonical(one) == canonical(other)
    assert canonical(parse(b"<a><b><c/></b></a>"), pruned=True) == canonical(parse(b"<a/>"))
    assert [path for path, _ in leaves(parse(b"<a><b/><c><d/></c></a>"))] == ["/a/b", "/a/c/d"]


class TestSubject:
    """What may be edited."""

    def test_it_is_chosen_by_what_is_announced(self) -> None:
        for modules, name in (
            (["etsi-qkd-sdn-node", "ietf-netconf-acm"], "etsi-qkd-sdn-node"),
            (["ietf-netconf-acm"], "ietf-netconf-acm"),
        ):
            chosen = choose(modules)
            assert chosen is not None
            assert chosen.name == name
            assert named(name) is chosen
        assert choose(["ietf-netconf"]) is None

    @pytest.mark.parametrize("name", ["etsi-qkd-sdn-node", "ietf-netconf-acm"])
    def test_its_texts_are_xml_and_can_be_read_back(self, name: str) -> None:
        subject = named(name)
        for text in (
            subject.unset(),
            subject.make(1),
            subject.make(1, "remove", body=False),
            subject.whole("", "merge"),
        ):
            parse(text.encode())
        data = etree.Element("data")
        data.append(parse(subject.put("<&").encode()))
        data.append(parse(subject.make(7).encode()))
        assert subject.value_in(data) == "<&"
        assert subject.keys_in(data) == {subject.keys.format(7)}

    def test_a_file_becomes_a_subject(self, tmp_path: Path) -> None:
        path = tmp_path / "edit.xml"
        path.write_text(
            '<q:top xmlns:q="urn:q" xmlns:c="urn:keyweave:conform"><q:list><q:name>n</q:name>'
            '<q:size c:other="2" c:bad="many">1</q:size></q:list></q:top>'
        )
        subject = read_subject(path)
        assert subject.values == ("1", "2")
        tree = parse(subject.put("2", "replace").encode())
        assert tree.find(".//{urn:q}size").get(f"{{{BASE}}}operation") == "replace"  # type: ignore[union-attr]
        assert tree.get(f"{{{BASE}}}operation") is None
        assert subject.value_in(_data(tree)) == "2"
        assert ">many<" in subject.bad
        assert parse(subject.unset().encode()).find(".//{urn:q}size").get(f"{{{BASE}}}operation") == "remove"  # type: ignore[union-attr]

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("<a", "edit.xml"),
            ("<a><b>1</b></a>", "has 0"),
            ('<a xmlns:c="urn:keyweave:conform"><b c:other="1">1</b></a>', "different"),
            ('<a xmlns:c="urn:keyweave:conform"><b c:other="1"><d/></b></a>', "one leaf"),
        ],
    )
    def test_a_file_that_will_not_do(self, tmp_path: Path, text: str, why: str) -> None:
        path = tmp_path / "edit.xml"
        path.write_text(text)
        with pytest.raises(InvalidInput, match=why):
            read_subject(path)


def _data(top: etree._Element) -> etree._Element:
    data = etree.Element("data")
    data.append(top)
    return data


def test_needs_of_checks_are_told() -> None:
    bench = Bench(Options(login=Login(host="h", port=1, user="u")), ManualClock())
    bench.capabilities = (
        "urn:ietf:params:netconf:base:1.1",
        "urn:ietf:params:netconf:capability:validate:1.1",
        "urn:ietf:params:netconf:capability:with-defaults:1.0?basic-mode=trim",
    )
    for met in ("base:1.1", "validate", "validate:1.1", "with-defaults", "!candidate", "candidate|validate"):
        assert bench.lacks(met) is None, met
    for unmet in (
        "base:1.0",
        "valid",
        "validate:1.0",
        "candidate",
        "!validate",
        "module:x",
        "subject",
        "option:other",
    ):
        assert bench.lacks(unmet), unmet


def test_a_check_is_chosen_by_its_id_or_group() -> None:
    @check("A10.zero", "RFC", "x")
    async def one(_bench: Bench) -> str:
        return ""

    assert all(one.chosen_by(wish) for wish in ("A", "a10", "A10.zero"))
    assert not any(one.chosen_by(wish) for wish in ("A1", "B", "A10.z", ""))


def test_a_report_is_json_and_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    def result(ident: str, verdict: Verdict) -> Result:
        return Result(
            id=ident, clause="RFC 1", expected="good", seen=f"saw [{ident}]", result=verdict, duration_s=0.5
        )

    report = Report(suite="netconf", target="h:1", started="2026-01-01T00:00:00Z")
    report.results = [
        result("A1", Verdict.PASS),
        result("A2", Verdict.FAIL),
        result("A3", Verdict.NOT_APPLICABLE),
    ]
    assert not report.passed
    document = json.loads(report.to_json())
    assert document["counts"] == {"pass": 1, "fail": 1, "note": 0, "not-applicable": 1}
    assert document["results"][1]["seen"] == "saw [A2]"
    print_report(report, everything=False)
    text = capsys.readouterr().out
    assert "saw [A2]" in text
    assert "saw [A1]" not in text
    assert "1 pass, 1 fail" in text


def test_what_was_seen_is_one_printable_line_of_bounded_length() -> None:
    assert shortened("a\n b\x1b[31m") == "a b?[31m"
    assert len(shortened("x" * 5000)) == 600
