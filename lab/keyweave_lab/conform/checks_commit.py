"""Section D of the list: the confirmed commit (RFC 6241 clause 8.4). Time-outs are seconds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from keyweave_lab.conform.bench import Bench
from keyweave_lab.conform.check import check
from keyweave_lab.conform.editor import Editor, editing
from keyweave_lab.conform.talk import Talk

_OLD = ("confirmed-commit", "candidate", "subject")
_NEEDS = ("confirmed-commit:1.1", "candidate", "subject")
_CLAUSE = "RFC 6241 8.4"
_LONG_S = 60


def _confirmed(timeout_s: int = _LONG_S, persist: str = "", persist_id: str = "") -> str:
    more = f"<persist>{persist}</persist>" if persist else ""
    more += f"<persist-id>{persist_id}</persist-id>" if persist_id else ""
    return f"<commit><confirmed/><confirm-timeout>{timeout_s}</confirm-timeout>{more}</commit>"


def _by_id(operation: str, persist_id: str) -> str:
    return f"<{operation}><persist-id>{persist_id}</persist-id></{operation}>"


@asynccontextmanager
async def _ground(bench: Bench) -> AsyncIterator[Editor]:
    """The first value committed; whatever is left pending is cancelled at the end."""
    async with editing(bench) as editor:
        await editor.done(editor.subject.put(editor.subject.values[0]))
        try:
            yield editor
        finally:
            for cancel in ("<cancel-commit/>", _by_id("cancel-commit", _ID)):
                await bench.ask(cancel)


_ID = "keyweave-conform"


async def _pending(editor: Editor, talk: Talk, commit: str) -> None:
    """A confirmed commit of the second value over a session."""
    (await editor.over(talk).write(editor.subject.put(editor.subject.values[1]))).wants_ok("edit-config")
    (await talk.ask(commit)).wants_ok("confirmed commit")
    await editor.holds(editor.subject.values[1], "after the confirmed commit")


async def _rolled_back(bench: Bench, editor: Editor, what: str, extra_s: float = 0.0) -> None:
    first = editor.subject.values[0]

    async def back() -> bool:
        return await editor.value() == first

    await bench.eventually(back, f"{what}: not rolled back", extra_s)


@check(
    "D16.confirm",
    _CLAUSE,
    "a commit confirms: the change stays when the time is over",
    needs=_OLD,
    edits=True,
)
async def confirm(bench: Bench) -> str:
    async with _ground(bench) as editor, bench.session() as talk:
        await _pending(editor, talk, _confirmed(1))
        (await talk.ask("<commit/>")).wants_ok("commit")
        await bench.pause(1.6)
        await editor.holds(editor.subject.values[1], "after the time")
        return "stays"


@check("D16.timeout", _CLAUSE, "nobody confirms: rolled back when the time is over", needs=_OLD, edits=True)
async def timeout(bench: Bench) -> str:
    async with _ground(bench) as editor, bench.session() as talk:
        await _pending(editor, talk, _confirmed(1))
        await _rolled_back(bench, editor, "after 1 s", 4.0)
        return "rolled back"


@check("D16.drop", _CLAUSE, "the session ends without persist: rolled back at once", needs=_OLD, edits=True)
async def drop(bench: Bench) -> str:
    async with _ground(bench) as editor:
        async with bench.session() as talk:
            await _pending(editor, talk, _confirmed())
        await _rolled_back(bench, editor, "after the drop")
        return "rolled back"


@check("D16.close", _CLAUSE, "close-session without persist: rolled back at once", needs=_OLD, edits=True)
async def close(bench: Bench) -> str:
    async with _ground(bench) as editor, bench.session() as talk:
        await _pending(editor, talk, _confirmed())
        (await talk.ask("<close-session/>")).wants_ok("close-session")
        await _rolled_back(bench, editor, "after close-session")
        return "rolled back"


@check("D16.kill", _CLAUSE, "kill-session without persist: rolled back at once", needs=_OLD, edits=True)
async def kill(bench: Bench) -> str:
    async with _ground(bench) as editor, bench.session() as talk:
        await _pending(editor, talk, _confirmed())
        asked = f"<kill-session><session-id>{talk.session_id}</session-id></kill-session>"
        (await bench.ask(asked)).wants_ok("kill-session")
        await _rolled_back(bench, editor, "after kill-session")
        return "rolled back"


@check("D16.cancel", _CLAUSE, "cancel-commit rolls back at once", needs=_NEEDS, edits=True)
async def cancel(bench: Bench) -> str:
    async with _ground(bench) as editor, bench.session() as talk:
        await _pending(editor, talk, _confirmed())
        (await talk.ask("<cancel-commit/>")).wants_ok("cancel-commit")
        await editor.holds(editor.subject.values[0], "after cancel-commit")
        return "rolled back"


@check(
    "D16.cancel-nothing",
    _CLAUSE,
    "cancel-commit without a pending commit: an error",
    needs=_NEEDS,
    edits=True,
)
async def cancel_nothing(bench: Bench) -> str:
    return (await bench.ask("<cancel-commit/>")).wants_error()


@check(
    "D16.persist",
    _CLAUSE,
    "with persist the change outlives its session; persist-id confirms it from another",
    needs=_NEEDS,
    edits=True,
)
async def persist(bench: Bench) -> str:
    async with _ground(bench) as editor:
        async with bench.session() as talk:
            await _pending(editor, talk, _confirmed(2, persist=_ID))
        await bench.pause(0.3)
        await editor.holds(editor.subject.values[1], "after the session ended")
        (await bench.ask(_by_id("commit", _ID))).wants_ok("commit by persist-id")
        await bench.pause(2.2)
        await editor.holds(editor.subject.values[1], "after the time")
        return "confirmed from another session"


@check("D16.persist-timeout", _CLAUSE, "with persist and no confirmation: rolled back when the time is over",
       needs=_NEEDS, edits=True)  # fmt: skip
async def persist_timeout(bench: Bench) -> str:
    async with _ground(bench) as editor:
        async with bench.session() as talk:
            await _pending(editor, talk, _confirmed(1, persist=_ID))
        await _rolled_back(bench, editor, "after 1 s", 4.0)
        return "rolled back"


@check("D16.persist-cancel", _CLAUSE, "persist-id cancels from another session, after the committer left",
       needs=_NEEDS, edits=True)  # fmt: skip
async def persist_cancel(bench: Bench) -> str:
    async with _ground(bench) as editor:
        async with bench.session() as talk:
            await _pending(editor, talk, _confirmed(persist=_ID))
        (await bench.ask(_by_id("cancel-commit", _ID))).wants_ok("cancel-commit by persist-id")
        await editor.holds(editor.subject.values[0], "after cancel-commit")
        return "rolled back"


@check(
    "D16.wrong-id",
    _CLAUSE,
    "a persist-id that is not the pending one: invalid-value, and the commit stays pending",
    needs=_NEEDS,
    edits=True,
)
async def wrong_id(bench: Bench) -> str:
    async with _ground(bench) as editor, bench.session() as talk:
        await _pending(editor, talk, _confirmed(persist=_ID))
        told = (await talk.ask(_by_id("commit", "keyweave-other"))).wants_error(
            "invalid-value", what="commit"
        )
        (await talk.ask(_by_id("cancel-commit", "keyweave-other"))).wants_error(
            "invalid-value", what="cancel-commit"
        )
        (await talk.ask(_by_id("cancel-commit", _ID))).wants_ok("cancel-commit")
        await editor.holds(editor.subject.values[0], "after cancel-commit")
        return told


@check("D16.extend", _CLAUSE, "a second confirmed commit starts the time again", needs=_NEEDS, edits=True)
async def extend(bench: Bench) -> str:
    async with _ground(bench) as editor, bench.session() as talk:
        await _pending(editor, talk, _confirmed(1))
        (await talk.ask(_confirmed())).wants_ok("second confirmed commit")
        await bench.pause(1.6)
        await editor.holds(editor.subject.values[1], "after the first time")
        (await talk.ask("<cancel-commit/>")).wants_ok("cancel-commit")
        await editor.holds(editor.subject.values[0], "after cancel-commit")
        return "extended; cancelled to what was before the first"


@check("D16.locks", _CLAUSE, "after a roll back no lock is left behind", needs=_OLD, edits=True)
async def locks(bench: Bench) -> str:
    async with _ground(bench) as editor:
        async with bench.session() as talk:
            await _pending(editor, talk, _confirmed())
        await _rolled_back(bench, editor, "after the drop")
        async with bench.session() as other:
            for store in ("running", "candidate"):
                for verb in ("lock", "unlock"):
                    (await other.ask(f"<{verb}><target><{store}/></target></{verb}>")).wants_ok(
                        f"{verb} {store}"
                    )
        return "running and candidate can be locked"


@check("D16.bad-timeout", _CLAUSE, "a confirm-timeout that is no number: an error", needs=_OLD, edits=True)
async def bad_timeout(bench: Bench) -> str:
    asked = "<commit><confirmed/><confirm-timeout>soon</confirm-timeout></commit>"
    return (await bench.ask(asked)).wants_error()


@check("D16.not-announced", _CLAUSE, "without the capability a confirmed commit is an error",
       needs=("candidate", "!confirmed-commit"), edits=True)  # fmt: skip
async def not_announced(bench: Bench) -> str:
    return (await bench.ask(_confirmed())).wants_error()
