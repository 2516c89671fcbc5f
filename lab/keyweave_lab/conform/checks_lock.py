"""Section D of the list: locks (RFC 6241 clauses 7.5 and 7.6)."""

from keyweave_lab.conform.bench import Bench
from keyweave_lab.conform.check import check, require
from keyweave_lab.conform.editor import edit_text, editing
from keyweave_lab.conform.talk import Talk
from keyweave_lab.conform.xml import Answer

_CLAUSE = "RFC 6241 7.5"


async def _lock(talk: Talk, store: str = "running") -> Answer:
    return await talk.ask(f"<lock><target><{store}/></target></lock>")


async def _unlock(talk: Talk, store: str = "running") -> Answer:
    return await talk.ask(f"<unlock><target><{store}/></target></unlock>")


@check("D17.denied", _CLAUSE, "a lock that another holds: lock-denied with its session-id", edits=True)
async def denied(bench: Bench) -> str:
    async with bench.session() as holder, bench.session() as other:
        (await _lock(holder)).wants_ok("lock")
        answer = await _lock(other)
        told = answer.wants_error("lock-denied")
        named = answer.faults[0].info("session-id")
        require(named == holder.session_id, f"session-id {named!r} instead of {holder.session_id!r}")
        (await _unlock(holder)).wants_ok("unlock")
        (await _lock(other)).wants_ok("lock after unlock")
        return told


@check("D17.again", _CLAUSE, "a lock that the session itself holds: lock-denied", edits=True)
async def again(bench: Bench) -> str:
    async with bench.session() as talk:
        (await _lock(talk)).wants_ok("lock")
        return (await _lock(talk)).wants_error("lock-denied")


@check("D17.not-held", "RFC 6241 7.6", "unlock of what is not locked: an error", edits=True)
async def not_held(bench: Bench) -> str:
    return (await _unlock(await bench.steady())).wants_error()


@check("D17.of-another", "RFC 6241 7.6", "unlock of another's lock: an error, and the lock stays", edits=True)
async def of_another(bench: Bench) -> str:
    async with bench.session() as holder, bench.session() as other:
        (await _lock(holder)).wants_ok("lock")
        told = (await _unlock(other)).wants_error()
        (await _lock(other)).wants_error("lock-denied", what="lock after another's unlock")
        return told


@check(
    "D17.edit",
    _CLAUSE,
    "an edit of what another has locked: in-use or lock-denied",
    needs=("subject",),
    edits=True,
)
async def edit_locked(bench: Bench) -> str:
    async with editing(bench) as editor, bench.session() as holder:
        before = await editor.value()
        (await _lock(holder, editor.target)).wants_ok("lock")
        told = (await editor.write(editor.subject.put(editor.subject.values[0]))).wants_error(
            "in-use", "lock-denied"
        )
        await editor.holds(before, "after the refused edit")
        (await _unlock(holder, editor.target)).wants_ok("unlock")
        return told


@check("D17.own-edit", _CLAUSE, "the holder of a lock edits", needs=("subject",), edits=True)
async def own_edit(bench: Bench) -> str:
    async with editing(bench) as editor:
        talk = editor.talk
        stores = ["running", "candidate"] if editor.staged else ["running"]
        for store in stores:
            (await _lock(talk, store)).wants_ok(f"lock {store}")
        await editor.done(editor.subject.put(editor.subject.values[0]))
        for store in stores:
            (await _unlock(talk, store)).wants_ok(f"unlock {store}")
        return "<ok/>"


@check(
    "D17.commit",
    _CLAUSE,
    "a commit to a running that another has locked: refused",
    needs=("candidate", "subject"),
    edits=True,
)
async def commit_locked(bench: Bench) -> str:
    async with editing(bench) as editor, bench.session() as holder:
        before = await editor.value()
        (await _lock(holder)).wants_ok("lock")
        (await editor.write(editor.subject.put(editor.subject.values[0]))).wants_ok("edit-config")
        told = (await bench.ask("<commit/>")).wants_error("in-use", "lock-denied")
        await editor.holds(before, "after the refused commit")
        return told


@check(
    "D17.pending",
    _CLAUSE,
    "lock of a candidate that another has changed: refused",
    needs=("candidate", "subject"),
    edits=True,
)
async def pending(bench: Bench) -> str:
    async with editing(bench) as editor, bench.session() as other:
        # A value that differs from running: otherwise nothing would be pending.
        value = await editor.fresh()
        (await bench.ask(edit_text("candidate", editor.subject.put(value)))).wants_ok("edit-config")
        told = (await _lock(other, "candidate")).wants_error(
            "lock-denied", "resource-denied", "operation-failed"
        )
        await editor.discard()
        (await _lock(other, "candidate")).wants_ok("lock after discard-changes")
        return told


@check("D17.unknown", _CLAUSE, "lock of a datastore that does not exist: an error", edits=True)
async def unknown(bench: Bench) -> str:
    return (await _lock(await bench.steady(), "keyweave-none")).wants_error()


@check(
    "D17.both", _CLAUSE, "running and candidate are locked independently", needs=("candidate",), edits=True
)
async def both(bench: Bench) -> str:
    async with bench.session() as one, bench.session() as other:
        (await _lock(one, "running")).wants_ok("lock running")
        (await _lock(other, "candidate")).wants_ok("lock candidate")
        return "by two sessions"
