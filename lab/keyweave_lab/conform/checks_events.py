"""Section E of the list: events about NETCONF itself (RFC 6470)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from keyweave_core.netconf.protocol.elements import Element
from keyweave_lab.conform.bench import Bench
from keyweave_lab.conform.check import check, require
from keyweave_lab.conform.checks_notify import subscribe
from keyweave_lab.conform.editor import editing
from keyweave_lab.conform.talk import Talk
from keyweave_lab.conform.xml import local, text_of

_NEEDS = ("notification", "module:ietf-netconf-notifications")
_WAIT_S = 4.0


@asynccontextmanager
async def _listening(bench: Bench) -> AsyncIterator[Talk]:
    async with bench.session() as talk:
        (await subscribe(talk)).wants_ok("create-subscription")
        yield talk


def _said(event: Element) -> dict[str, str]:
    return {local(child): text_of(child) for child in event.iter("*") if not len(child)}


async def _of_session(talk: Talk, name: str, session_id: str) -> dict[str, str]:
    """The event of this name about this session; those about others are passed over."""
    while True:
        said = _said(await talk.event(name, _WAIT_S))
        if said.get("session-id") == session_id:
            return said


@check("E6.start", "RFC 6470 2.2", "netconf-session-start tells user, session and host", needs=_NEEDS)
async def session_start(bench: Bench) -> str:
    async with _listening(bench) as talk, bench.session() as other:
        await other.alive("a second session")
        said = await _of_session(talk, "netconf-session-start", other.session_id)
        require(said.get("username") == bench.options.login.user, f"{said}")
        return f"{said}"


@check(
    "E6.end",
    "RFC 6470 2.2",
    "netconf-session-end of a closed session: termination-reason closed",
    needs=_NEEDS,
)
async def session_end(bench: Bench) -> str:
    async with _listening(bench) as talk, bench.session() as other:
        (await other.ask("<close-session/>")).wants_ok("close-session")
        said = await _of_session(talk, "netconf-session-end", other.session_id)
        require(said.get("termination-reason") == "closed", f"{said}")
        return f"{said}"


@check(
    "E6.dropped",
    "RFC 6470 2.2",
    "netconf-session-end of a dropped session: termination-reason dropped or other",
    needs=_NEEDS,
)
async def session_dropped(bench: Bench) -> str:
    async with _listening(bench) as talk:
        async with bench.session() as other:
            await other.alive("a second session")
        said = await _of_session(talk, "netconf-session-end", other.session_id)
        require(said.get("termination-reason") in ("dropped", "other"), f"{said}")
        return f"{said}"


@check(
    "E6.killed",
    "RFC 6470 2.2",
    "netconf-session-end of a killed session names its killer",
    needs=_NEEDS,
    edits=True,
)
async def session_killed(bench: Bench) -> str:
    async with _listening(bench) as talk, bench.session() as other:
        killer = await bench.steady()
        asked = f"<kill-session><session-id>{other.session_id}</session-id></kill-session>"
        (await killer.ask(asked)).wants_ok("kill-session")
        said = await _of_session(talk, "netconf-session-end", other.session_id)
        named = (said.get("termination-reason"), said.get("killed-by"))
        require(named == ("killed", killer.session_id), f"{said}")
        return f"{said}"


@check("E6.change", "RFC 6470 2.2", "netconf-config-change tells who changed what in running",
       needs=(*_NEEDS, "subject"), edits=True)  # fmt: skip
async def config_change(bench: Bench) -> str:
    async with editing(bench) as editor, _listening(bench) as talk:
        value = await editor.fresh()
        await editor.done(editor.subject.put(value))
        event = await talk.event("netconf-config-change", _WAIT_S)
        while text_of(event.find("{*}datastore")) not in ("running", ""):
            event = await talk.event("netconf-config-change", _WAIT_S)
        said = _said(event)
        require(said.get("session-id") == editor.talk.session_id, f"{said}")
        require(said.get("username") == bench.options.login.user, f"{said}")
        targets = [text_of(target) for target in event.iter("{*}target")]
        require(targets and all(target.startswith("/") for target in targets), f"targets {targets}")
        return f"{said.get('operation')} {targets}"


@check("E6.confirmed", "RFC 6470 2.2", "netconf-confirmed-commit tells start, and cancel or timeout",
       needs=(*_NEEDS, "confirmed-commit:1.1", "candidate", "subject"), edits=True)  # fmt: skip
async def confirmed_commit(bench: Bench) -> str:
    async with editing(bench) as editor, _listening(bench) as talk:
        value = await editor.fresh()
        (await editor.write(editor.subject.put(value))).wants_ok("edit-config")
        asked = "<commit><confirmed/><confirm-timeout>60</confirm-timeout></commit>"
        (await editor.talk.ask(asked)).wants_ok("confirmed commit")
        began = _said(await talk.event("netconf-confirmed-commit", _WAIT_S))
        (await editor.talk.ask("<cancel-commit/>")).wants_ok("cancel-commit")
        ended = _said(await talk.event("netconf-confirmed-commit", _WAIT_S))
        told = (began.get("confirm-event"), ended.get("confirm-event"))
        require(told == ("start", "cancel"), f"{told}")
        return f"{told}, timeout {began.get('timeout')}"
