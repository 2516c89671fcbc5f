"""Section F of the list: access control (RFC 8341), seen by a second user without an administrator's rights.

Rule of this file: the rules made here name that user alone and are taken away again.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from xml.sax.saxutils import escape

from keyweave_lab.conform.bench import Bench
from keyweave_lab.conform.check import check, require
from keyweave_lab.conform.checks_notify import subscribe
from keyweave_lab.conform.editor import Editor, edit_text, editing
from keyweave_lab.conform.talk import Talk
from keyweave_lab.conform.xml import BASE, MONITORING, NACM, PROBE, local

_NEEDS = ("module:ietf-netconf-acm", "option:other")
_RULES = (*_NEEDS, "subject")
_NAME = "keyweave-conform-access"


@check(
    "F1.kill",
    "RFC 8341 3.2.5, A",
    "kill-session is denied by default: access-denied",
    needs=_NEEDS,
    edits=True,
)
async def kill(bench: Bench) -> str:
    async with bench.session() as victim, bench.session(login=bench.options.other) as other:
        asked = f"<kill-session><session-id>{victim.session_id}</session-id></kill-session>"
        told = (await other.ask(asked)).wants_error("access-denied")
        await victim.alive("after the denied kill-session")
        return told


@check(
    "F1.delete-config",
    "RFC 8341 3.2.5, A",
    "delete-config is denied by default: access-denied",
    needs=_NEEDS,
    edits=True,
)
async def delete_config(bench: Bench) -> str:
    async with bench.session(login=bench.options.other) as other:
        asked = "<delete-config><target><running/></target></delete-config>"
        # A server that has nothing to delete may say so first.
        return (await other.ask(asked)).wants_error(
            "access-denied", "operation-not-supported", "invalid-value"
        )


@check(
    "F1.rules-hidden",
    "RFC 8341 3.2.5, A",
    "the rules themselves are left out of what others read",
    needs=_NEEDS,
)
async def rules_hidden(bench: Bench) -> str:
    async with bench.session(login=bench.options.other) as other:
        asked = f'<get><filter type="subtree"><nacm xmlns="{NACM}"/></filter></get>'
        data = (await other.ask(asked)).data
        require(not len(data), f"read {[local(child) for child in data.iter('*')][:6]}")
        return "nothing"


@check(
    "F1.rules-kept",
    "RFC 8341 3.2.5, A",
    "the rules cannot be written by others: access-denied",
    needs=_NEEDS,
    edits=True,
)
async def rules_kept(bench: Bench) -> str:
    async with bench.session(login=bench.options.other) as other:
        config = f'<nacm xmlns="{NACM}"><groups><group><name>{_NAME}</name></group></groups></nacm>'
        answer = await other.ask(edit_text(bench.target or "running", config))
        if answer.ok and bench.target == "candidate":
            answer = await other.ask("<commit/>")
            await other.ask("<discard-changes/>")
        return answer.wants_error("access-denied")


@check("F1.close", "RFC 8341 3.2.4", "close-session is always permitted", needs=_NEEDS)
async def close(bench: Bench) -> str:
    async with bench.session(login=bench.options.other) as other:
        (await other.ask("<close-session/>")).wants_ok("close-session")
        return "<ok/>"


@asynccontextmanager
async def _rule(bench: Bench, rule: str) -> AsyncIterator[tuple[Editor, Talk]]:
    """A rule about the other user in force; gone afterwards."""
    other_login = bench.options.other
    assert other_login is not None  # noqa: S101 - the need says so
    user = escape(other_login.user)
    group = f"<groups><group><name>{_NAME}</name><user-name>{user}</user-name></group></groups>"
    rules = (
        f"<rule-list{_FIRST}><name>{_NAME}</name><group>{_NAME}</group>"
        f"<rule><name>probe</name>{rule}</rule></rule-list>"
    )
    removed = (
        f'<nacm xmlns="{NACM}" xmlns:nc="{BASE}"><groups><group nc:operation="remove"><name>{_NAME}</name>'
        f'</group></groups><rule-list nc:operation="remove"><name>{_NAME}</name></rule-list></nacm>'
    )
    async with editing(bench) as editor:
        await editor.done(f'<nacm xmlns="{NACM}">{group}{rules}</nacm>')
        try:
            async with bench.session(login=other_login) as other:
                yield editor, other
        finally:
            await editor.done(removed)


_FIRST = ' xmlns:yang="urn:ietf:params:xml:ns:yang:1" yang:insert="first"'


@check(
    "F1.read",
    "RFC 8341 3.4.5",
    "what a rule forbids to read is left out, and there is no error",
    needs=_RULES,
    edits=True,
)
async def read_denied(bench: Bench) -> str:
    name = bench.subject.name if bench.subject else ""
    rule = (
        f"<module-name>{name}</module-name><access-operations>read</access-operations><action>deny</action>"
    )
    async with _rule(bench, rule) as (editor, other):
        data = await editor.over(other).read()
        require(not len(data), f"read {[local(child) for child in data]}")
        return "left out"


@check(
    "F1.write",
    "RFC 8341 3.4.5",
    "what a rule forbids to write: access-denied with the path",
    needs=_RULES,
    edits=True,
)
async def write_denied(bench: Bench) -> str:
    name = bench.subject.name if bench.subject else ""
    rule = (
        f"<module-name>{name}</module-name><access-operations>create update delete</access-operations>"
        "<action>deny</action>"
    )
    async with _rule(bench, rule) as (editor, other):
        before = await editor.value()
        value = next(v for v in editor.subject.values if v != before)
        answer = await editor.over(other).apply(editor.subject.put(value))
        told = answer.wants_error("access-denied")
        await editor.discard()
        await editor.holds(before, "after the denied edit")
        return told


@check(
    "F1.exec", "RFC 8341 3.4.4", "an operation that a rule forbids: access-denied", needs=_RULES, edits=True
)
async def exec_denied(bench: Bench) -> str:
    rule = "<rpc-name>get-schema</rpc-name><access-operations>exec</access-operations><action>deny</action>"
    async with _rule(bench, rule) as (_, other):
        asked = f'<get-schema xmlns="{MONITORING}"><identifier>ietf-netconf</identifier></get-schema>'
        told = (await other.ask(asked)).wants_error("access-denied")
        answer = await other.ask(PROBE)
        require(not answer.faults, f"another operation: {answer.told}")
        return told


@check("F2", "RFC 8341 3.4.6", "a notification that a rule forbids does not come; others hear it",
       needs=(*_RULES, "notification", "module:ietf-netconf-notifications"), edits=True)  # fmt: skip
async def notification_denied(bench: Bench) -> str:
    rule = (
        "<notification-name>netconf-session-start</notification-name><access-operations>read</access-operations>"
        "<action>deny</action>"
    )
    async with _rule(bench, rule) as (_, other), bench.session() as ours:
        for talk in (ours, other):
            (await subscribe(talk)).wants_ok("create-subscription")
        async with bench.session() as third:
            await third.alive("a third session")
        await ours.event("netconf-session-start", 4.0)
        # What the other hears next must not be that.
        came = local((await other.notification(4.0))[-1])
        require(came != "netconf-session-start", f"{came} came")
        return f"the other user heard {came} instead"
