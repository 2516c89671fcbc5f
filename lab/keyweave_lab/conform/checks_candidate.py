"""Section D of the list: candidate and commit (RFC 6241 clause 8.3)."""

from keyweave_lab.conform.bench import Bench
from keyweave_lab.conform.check import check, require
from keyweave_lab.conform.editor import editing
from keyweave_lab.conform.xml import canonical

_NEEDS = ("candidate", "subject")


@check(
    "D15.commit",
    "RFC 6241 8.3.4.1",
    "an edit of the candidate reaches running with the commit, not before",
    needs=_NEEDS,
    edits=True,
)
async def commit(bench: Bench) -> str:
    async with editing(bench) as editor:
        first, second = editor.subject.values
        await editor.done(editor.subject.put(first))
        (await editor.write(editor.subject.put(second))).wants_ok("edit-config")
        await editor.holds(first, "before the commit")
        await editor.holds(second, "before the commit", "candidate")
        (await bench.ask("<commit/>")).wants_ok("commit")
        await editor.holds(second, "after the commit")
        return "only with the commit"


@check("D15.empty", "RFC 6241 8.3.4.1", "a commit without changes succeeds", needs=("candidate",), edits=True)
async def empty_commit(bench: Bench) -> str:
    await bench.ask("<discard-changes/>")
    (await bench.ask("<commit/>")).wants_ok("commit")
    return "<ok/>"


@check(
    "D15.discard",
    "RFC 6241 8.3.4.2",
    "discard-changes makes the candidate equal to running",
    needs=_NEEDS,
    edits=True,
)
async def discard(bench: Bench) -> str:
    async with editing(bench) as editor:
        before = canonical(await editor.read())
        (await editor.write(editor.subject.put(editor.subject.values[0]))).wants_ok("edit-config")
        (await bench.ask("<discard-changes/>")).wants_ok("discard-changes")
        require(canonical(await editor.read("candidate")) == before, "the candidate differs from running")
        return "<ok/>, equal"


@check(
    "D15.shared",
    "RFC 6241 8.3.1",
    "another session sees the changes in the candidate, and none in running",
    needs=_NEEDS,
    edits=True,
)
async def shared(bench: Bench) -> str:
    async with editing(bench) as editor, bench.session() as other:
        before = await editor.value()
        value = editor.subject.values[0] if before != editor.subject.values[0] else editor.subject.values[1]
        (await editor.write(editor.subject.put(value))).wants_ok("edit-config")
        there = editor.over(other)
        await there.holds(before, "from another session")
        seen = await there.value("candidate")
        # RFC 6241 clause 8.3.1 lets a server keep a candidate for each session.
        return "shared" if seen == value else "a candidate for each session"


@check(
    "D15.invalid",
    "RFC 6241 8.3.4.1",
    "a commit that fails changes nothing",
    needs=("candidate", "subject:bad"),
    edits=True,
)
async def invalid(bench: Bench) -> str:
    async with editing(bench) as editor:
        subject = editor.subject
        before = canonical(await editor.read())
        bad = subject.put(subject.values[0]).removesuffix(subject.closing) + subject.bad + subject.closing
        answer = await editor.apply(bad)
        told = answer.wants_error(what="a bad value")
        require(canonical(await editor.read()) == before, "running changed")
        return told


@check(
    "D15.dropped",
    "RFC 6241 8.3.5.2",
    "changes in a locked candidate go when its session ends",
    needs=_NEEDS,
    edits=True,
)
async def dropped(bench: Bench) -> str:
    async with editing(bench) as editor:
        before = await editor.value()
        async with bench.session() as other:
            (await other.ask("<lock><target><candidate/></target></lock>")).wants_ok("lock")
            there = editor.over(other)
            (await there.write(editor.subject.put(editor.subject.values[0]))).wants_ok("edit-config")

        async def clean() -> bool:
            return await editor.value("candidate") == before

        await bench.eventually(clean, "the changes are still in the candidate")
        return "discarded"


@check(
    "D15.unlocked",
    "RFC 6241 8.3.5.2",
    "changes in a locked candidate go with the unlock",
    needs=_NEEDS,
    edits=True,
)
async def unlocked(bench: Bench) -> str:
    async with editing(bench) as editor:
        before = await editor.value()
        async with bench.session() as other:
            (await other.ask("<lock><target><candidate/></target></lock>")).wants_ok("lock")
            (await editor.over(other).write(editor.subject.put(editor.subject.values[0]))).wants_ok(
                "edit-config"
            )
            (await other.ask("<unlock><target><candidate/></target></unlock>")).wants_ok("unlock")
            await editor.holds(before, "after the unlock", "candidate")
        return "discarded"
