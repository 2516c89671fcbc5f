"""Each check of reading, writing, committing, locking and notifying fails where its clause is broken."""

import re
from collections.abc import Awaitable, Callable

import pytest

from keyweave_lab.conform.report import Result, Verdict

from .meddler import DATA, MUTE, OK, Fault, says

Run = Callable[[Fault, str], Awaitable[list[Result]]]
FAILS = says("operation-failed", "application")


def without(pattern: bytes, instead: bytes = b"") -> Callable[[bytes], bytes]:
    return lambda data: re.sub(pattern, instead, data, flags=re.DOTALL)


def nth(pattern: bytes, number: int, instead: bytes) -> Callable[[bytes], bytes]:
    """Change the messages that hold a pattern, from the `number`-th on."""
    count = 0

    def change(message: bytes) -> bytes:
        nonlocal count
        if re.search(pattern, message):
            count += 1
            if count >= number:
                return re.sub(pattern, instead, message)
        return message

    return change


MONITORING = b"urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
# An edit of the candidate changes running.
AT_ONCE = without(rb"<candidate/></target><config>", b"<running/></target><config>")

READING = [
    ("A12", Fault(hello_out=without(rb"module=ietf-netconf&amp;", b"module=ietf-netconx&amp;"))),
    ("A12.features", Fault(hello_out=without(rb"features=[^<]*candidate,?", b"features="))),
    ("A13.library", Fault(hello_out=without(rb"(content-id|module-set-id)=\w+", rb"\1=x"))),
    ("A13.hello", Fault(hello_out=without(rb"(sdn-node&amp;revision=)[\d-]+", rb"\g<1>1999-01-01"))),
    ("A13.yang-1", Fault(hello_out=without(rb"<capability>urn:etsi:qkd[^<]*</capability>"))),
    ("C1.get-config", Fault(message_out=without(rb"<qkdn_id>", b"<qkdn_status>x</qkdn_status><qkdn_id>"))),
    ("C1.get", Fault(when=rb"<get/>", answer=DATA)),
    ("C1.source", Fault(message_in=without(rb"<keyweave-none/>", b"<running/>"))),
    ("C2", Fault(message_in=without(rb'<filter type="subtree"/>'))),
    ("C3.no-type", Fault(when=rb"<filter><netconf-state", answer=DATA)),
    ("C3.bad-type", Fault(message_in=without(rb'<filter type="keyweave"/>'))),
    ("C4.namespace", Fault(message_in=without(rb"urn:keyweave:conform:none", MONITORING))),
    ("C4.element", Fault(message_in=without(rb"<keyweave-none/>"))),
    ("C5", Fault(when=rb'<netconf-state xmlns="">', answer=DATA)),
    ("C6.selection", Fault(message_in=without(rb"<capabilities/><datastores/>"))),
    ("C6.match", Fault(message_in=without(rb"<identifier>[^<]*</identifier>", b"<identifier/>"))),
    ("C6.all", Fault(message_in=without(rb"<version>[^<]*</version>"))),
    ("C6.white-space", Fault(when=rb"<identifier>\n", answer=DATA)),
    ("C6.and-selection", Fault(message_in=without(rb"<namespace/>"))),
    ("C6.two", Fault(message_in=without(rb"</schema><schema>.*?</schema>", b"</schema>"))),
    ("C7", Fault(message_in=without(rb' kw:mark="1"'))),
    ("C10.all", Fault(message_out=without(rb"module ietf-netconf-monitoring", b"nothing"))),
    ("C10.imports", Fault(message_out=without(rb"<schema><identifier>ietf-yang-types.*?</schema>"))),
    ("C10.unknown", Fault(when=rb"<get-schema", answer=FAILS)),
    ("C11.capabilities", Fault(message_out=without(rb"<capability>urn:etsi[^<]*</capability>"))),
    ("C11.datastores", Fault(message_out=without(rb"<datastore><name>candidate</name></datastore>"))),
    ("C11.lock", Fault(message_out=without(rb"<locked-by-session>\d+", b"<locked-by-session>77"))),
    ("C11.sessions", Fault(message_out=without(rb"<username>tester", b"<username>nobody"))),
    ("C11.counters", Fault(message_out=without(rb"<in-rpcs>\d+", b"<in-rpcs>1"))),
    ("C11.statistics", Fault(message_out=without(rb"<in-sessions>\d+", b"<in-sessions>1"))),
    ("C12.same", Fault(message_out=without(rb"<conformance-type>import<", b"<conformance-type>implement<"))),
    ("C12.stable", Fault(message_out=nth(rb"<content-id>\w+", 3, b"<content-id>other"))),
    ("C14", Fault(message_out=without(rb"<qkd_app><app_id>c0f0[^<]*0001</app_id>.*?</qkd_app>"))),
]  # fmt: skip
XPATH = [
    ("C8.path", Fault(message_in=without(rb"/m:capabilities"))),
    ("C8.predicate", Fault(message_in=without(rb"\[m:identifier=[^]]*\]"))),
    ("C8.union", Fault(message_in=without(rb" \| [^\"]*"))),
    ("C8.descendant", Fault(when=rb"select=\"//", answer=DATA)),
    ("C8.nothing", Fault(message_in=without(rb"\[m:identifier=[^]]*\]"))),
    ("C8.syntax", Fault(message_in=without(rb"state\[", b"state"))),
    ("C8.prefix", Fault(message_in=without(rb"/none:", b"/m:"))),
    ("C8.node-set", Fault(when=rb"count\(", answer=DATA)),
    ("C8.select", Fault(when=rb'<filter type="xpath"/>', answer=DATA)),
    ("C9.capability", Fault(hello_out=without(rb"basic-mode=[\w-]+", b"basic-mode=most"))),
    ("C9.bad", Fault(when=rb">keyweave</with-defaults>", answer=DATA)),
    ("C9.report-all", Fault(when=rb">report-all</with-defaults>", answer=DATA)),
    ("C9.tagged", Fault(when=rb">report-all</with-defaults>", answer=DATA)),
    ("C9.basic", Fault(when=rb"with-defaults", answer=DATA)),
    ("C9.get", Fault(when=rb"<get><with-defaults", answer=FAILS)),
]
WRITING = [
    ("D1.merge", Fault(when=rb"<edit-config", answer=OK)),
    ("D1.named-merge", Fault(when=rb"<default-operation>merge", answer=FAILS)),
    ("D1.replace", Fault(when=rb'operation="replace"', answer=OK)),
    ("D1.entry", Fault(when=rb'operation="remove"', answer=OK)),
    ("D1.none", Fault(message_in=without(rb"<default-operation>none</default-operation>"))),
    ("D1.delete", Fault(when=rb'operation="delete"', answer=OK)),
    ("D1.remove", Fault(when=rb'operation="remove"', answer=OK)),
    ("D1.inherited", Fault(message_in=without(rb"<qkd_app[^>]*><app_id>c0f0[^<]*0002<.*?</qkd_app>"))),
    ("D1.bad-default", Fault(message_in=without(rb"<default-operation>delete</default-operation>"))),
    ("D1.bad-operation", Fault(message_in=without(rb' nc:operation="keyweave"'))),
    ("D2.create-there", Fault(message_out=without(rb"data-exists", b"operation-failed"))),
    ("D2.create-there", Fault(message_in=without(rb'"create"', b'"merge"'))),
    ("D2.create-new", Fault(when=rb'"create"', answer=says("data-exists"))),
    ("D2.delete-missing", Fault(message_in=without(rb'"delete"', b'"remove"'))),
    ("D2.remove-missing", Fault(message_in=without(rb'"remove"', b'"delete"'))),
    ("D2.none-missing", Fault(message_in=without(rb"<default-operation>none</default-operation>"))),
    ("D2.create-entry", Fault(message_in=without(rb'"create"', b'"merge"'))),
    ("D3.element", Fault(message_in=without(rb"<keyweave-none/>"))),
    ("D3.namespace", Fault(message_in=without(rb'<top xmlns="urn:keyweave:conform:none"/>'))),
    ("D3.inside", Fault(message_in=without(rb'<leaf xmlns="urn:keyweave:conform:none">1</leaf>'))),
    ("D4", Fault(message_out=without(rb"invalid-value", b"bad-element"))),
    ("D5.prefixed", Fault(when=rb"kwo:CLIENT", answer=says("invalid-value"))),
    ("D5.unprefixed", Fault(message_in=without(rb">CLIENT<", b">kwt:CLIENT<"))),
    ("D6", Fault(message_in=without(rb"<qkdn_status>.*?</qkdn_status>"))),
    ("D7", Fault(message_in=without(rb"<qkd_app><app_type>.*?</qkd_app>"))),
    ("D8", Fault(message_in=without(rb"<qkdn_location_id>keyweave-conform-1<[^>]*>(?=<qkdn_location_id>)"))),
    (
        "D8.key",
        Fault(
            message_in=without(rb"(<qkd_app>.*?</qkd_app>)\1", rb"\1"),
            message_out=without(rb"(<qkd_app><app_id>c0f0.*?</qkd_app>)", rb"\1\1"),
        ),
    ),
    ("D9", Fault(when=rb"<qkdn_id[^<]*remove", answer=OK)),
    ("D11.target", Fault(when=rb"<edit-config><config/>", answer=OK)),
    ("D11.config", Fault(message_out=without(rb"missing-element", b"operation-failed"))),
    ("D12.test-only", Fault(message_in=without(rb"<test-option>test-only</test-option>"))),
    ("D12.test-only-bad", Fault(when=rb"test-only", answer=OK)),
    ("D12.options", Fault(when=rb"<test-option>set<", answer=OK)),
    ("D12.bad", Fault(message_in=without(rb"<test-option>keyweave</test-option>"))),
    ("D13.options", Fault(when=rb"continue-on-error", answer=FAILS)),
    ("D13.rollback", Fault(message_in=without(rb"<qkd_app[^>]*\"delete\".*?</qkd_app>"))),
    ("D13.bad", Fault(message_in=without(rb"<error-option>keyweave</error-option>"))),
    ("D14.running", Fault(when=rb"<running/></target><config>", answer=FAILS)),
    ("D15.commit", Fault(when=rb"<commit", answer=OK)),
    ("D15.commit", Fault(message_in=AT_ONCE)),
    ("D15.empty", Fault(when=rb"<commit", answer=FAILS)),
    ("D15.discard", Fault(when=rb"<discard-changes", answer=OK)),
    ("D15.shared", Fault(message_in=AT_ONCE)),
    ("D15.invalid", Fault(message_in=without(rb"<link_stats_support>perhaps</link_stats_support>"))),
    ("D15.dropped", Fault(forgetful=True)),
    ("D15.unlocked", Fault(when=rb"<unlock", answer=OK)),
    ("D17.denied", Fault(message_out=without(rb"<session-id>\d+</session-id>"))),
    ("D17.denied", Fault(when=rb"<lock", answer=OK)),
    ("D17.again", Fault(when=rb"<lock", answer=OK)),
    ("D17.not-held", Fault(when=rb"<unlock", answer=OK)),
    ("D17.of-another", Fault(when=rb"<unlock", answer=OK)),
    ("D17.edit", Fault(when=rb"<lock", answer=OK)),
    ("D17.own-edit", Fault(when=rb"<edit-config", answer=says("in-use"))),
    ("D17.commit", Fault(when=rb"<lock", answer=OK)),
    ("D17.pending", Fault(when=rb"<lock", answer=OK)),
    ("D17.unknown", Fault(message_in=without(rb"<keyweave-none/>", b"<running/>"))),
    ("D17.both", Fault(when=rb"<lock><target><candidate", answer=says("lock-denied"))),
    ("D18.same", Fault(message_out=without(rb"invalid-value", b"operation-failed"))),
    ("D18.candidate", Fault(when=rb"<copy-config", answer=OK)),
    ("D18.inline", Fault(when=rb"<copy-config", answer=OK)),
    ("D18.bad-inline", Fault(when=rb"<copy-config", answer=OK)),
    ("D18.delete-running", Fault(when=rb"<delete-config", answer=OK)),
    ("D19.running", Fault(when=rb"<validate", answer=FAILS)),
    ("D19.candidate", Fault(when=rb"<validate", answer=FAILS)),
    ("D19.inline", Fault(when=rb"<validate", answer=OK)),
    ("D19.none", Fault(when=rb"<validate", answer=OK)),
    ("D21", Fault(when=rb"<url>", answer=OK)),
    ("D22", Fault(message_in=without(rb"<qkd_app><app_id>c0f0[^<]*0001</app_id>.*?</qkd_app>"))),
    ("D23", Fault(when=rb"<partial-lock", answer=OK)),
    ("restored,D1.merge", Fault(message_in=nth(rb"<edit-config>.*</edit-config>", 3, b"<discard-changes/>"))),
]  # fmt: skip
CONFIRMED = [
    ("D16.confirm", Fault(when=rb"<commit/>", answer=OK)),
    ("D16.drop", Fault(message_in=without(rb"<confirmed/><confirm-timeout>60</confirm-timeout>"))),
    ("D16.close", Fault(message_in=without(rb"<confirmed/><confirm-timeout>60</confirm-timeout>"))),
    ("D16.kill", Fault(message_in=without(rb"<confirmed/><confirm-timeout>60</confirm-timeout>"))),
    ("D16.cancel", Fault(when=rb"<cancel-commit", answer=OK)),
    ("D16.cancel-nothing", Fault(when=rb"<cancel-commit", answer=OK)),
    ("D16.persist", Fault(message_in=without(rb"<persist>[^<]*</persist>"))),
    ("D16.persist-cancel", Fault(message_in=without(rb"<persist>[^<]*</persist>"))),
    ("D16.wrong-id", Fault(message_out=without(rb"invalid-value", b"operation-failed"))),
    ("D16.extend", Fault(when=rb"<commit><confirmed/><confirm-timeout>60", answer=OK)),
    ("D16.locks", Fault(when=rb"<lock><target><candidate", answer=says("lock-denied"))),
    ("D16.bad-timeout", Fault(message_in=without(rb">soon<", b">9<"))),
]
NOTIFYING = [
    ("E1.subscribe", Fault(when=rb"<create-subscription", answer=FAILS)),
    ("E1.stream", Fault(message_in=without(rb"keyweave-none", b"NETCONF"))),
    ("E2.subtree", Fault(when=rb"<filter", answer=FAILS)),
    ("E2.selects", Fault(message_out=without(rb"replayComplete", b"event"))),
    ("E3.second", Fault(message_in=nth(rb"<create-sub.*?/create-subscription>", 2, b"<discard-changes/>"))),
    ("E3.interleave", Fault(when=rb"<x xmlns=.*kw-[234]|kw-[234].*<x xmlns=", answer=FAILS)),
    ("E4.stop-alone", Fault(message_in=without(rb"<stopTime>.*?</stopTime>"))),
    ("E4.stop-first", Fault(message_out=without(rb"bad-element", b"operation-failed"))),
    ("E4.future", Fault(message_in=without(rb"<startTime>.*?</startTime>"))),
    ("E4.no-time", Fault(message_in=without(rb"<startTime>yesterday</startTime>"))),
    ("E5.replay", Fault(message_out=without(rb"(<eventTime>[^<]*)Z<", rb"\1<"))),
    ("E5.replay", Fault(message_in=without(rb"<startTime>.*?</startTime>"))),
    ("E5.stop", Fault(message_in=without(rb"<stopTime>.*?</stopTime>"))),
    ("E5.past", Fault(message_in=without(rb"<stopTime>.*?</stopTime>"))),
    ("E5.streams", Fault(message_out=without(rb"<replayLogCreationTime>[^<]*</replayLogCreationTime>"))),
    ("E6.start", Fault(message_out=without(rb"<username>tester</username>", b"<username>x</username>"))),
    ("E6.end", Fault(message_out=without(rb"reason>closed<", b"reason>dropped<"))),
    ("E6.dropped", Fault(message_out=without(rb"reason>(dropped|other)<", b"reason>closed<"))),
    ("E6.killed", Fault(message_out=without(rb"<killed-by>\d+", b"<killed-by>4000"))),
    ("E6.change", Fault(message_out=without(rb"<target[ >].*?</target>"))),
]  # fmt: skip
# Not announced by the server of these tests: what must be refused then.
REFUSED = [
    ("D18.no-startup", Fault(message_in=without(rb"<startup/>", b"<running/>"))),
]


async def _must_fail(run_broken: Run, ident: str, fault: Fault) -> None:
    results = await run_broken(fault, ident.removeprefix("restored,"))
    verdicts = {result.id: result for result in results}
    wanted = verdicts[ident.removeprefix("restored,")]
    if wanted.result is Verdict.NOT_APPLICABLE:
        pytest.skip(wanted.seen)
    assert wanted.result is Verdict.FAIL, wanted


@pytest.mark.parametrize(("ident", "fault"), READING + XPATH)
async def test_a_check_of_reading_fails(run_broken: Run, ident: str, fault: Fault) -> None:
    await _must_fail(run_broken, ident, fault)


@pytest.mark.parametrize(("ident", "fault"), WRITING + CONFIRMED + REFUSED)
async def test_a_check_of_writing_fails(run_broken: Run, ident: str, fault: Fault) -> None:
    await _must_fail(run_broken, ident, fault)


@pytest.mark.parametrize(("ident", "fault"), NOTIFYING)
async def test_a_check_of_notifications_fails(run_broken: Run, ident: str, fault: Fault) -> None:
    await _must_fail(run_broken, ident, fault)


async def test_a_server_that_says_nothing_fails_in_time(run_broken: Run) -> None:
    results = await run_broken(Fault(when=rb"<get/>", answer=MUTE), "C1.get")
    assert "no message within" in results[0].seen
