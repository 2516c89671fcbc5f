"""Section D of the list: test-option and error-option, validate (RFC 6241 clauses 7.2, 8.5 and 8.6)."""

from keyweave_lab.conform.bench import Bench
from keyweave_lab.conform.check import check, require
from keyweave_lab.conform.editor import edit_text, editing

_LEAF = ("subject",)


@check("D12.test-only", "RFC 6241 8.6.4.1", "test-option test-only changes nothing",
       needs=("validate:1.1", *_LEAF), edits=True)  # fmt: skip
async def test_only(bench: Bench) -> str:
    async with editing(bench) as editor:
        first, second = editor.subject.values
        await editor.done(editor.subject.put(first))
        (await editor.write(editor.subject.put(second), test="test-only")).wants_ok("test-only")
        await editor.holds(first, "after test-only", editor.target)
        return "<ok/>, unchanged"


@check("D12.test-only-bad", "RFC 6241 8.6.4.1", "test-only of a bad edit tells the error",
       needs=("validate:1.1", "subject:bad"), edits=True)  # fmt: skip
async def test_only_bad(bench: Bench) -> str:
    async with editing(bench) as editor:
        answer = await editor.write(editor.subject.whole(editor.subject.bad), test="test-only")
        return answer.wants_error(what="a bad value")


@check("D12.options", "RFC 6241 8.6.4.1", "test-option test-then-set and set change the datastore",
       needs=("validate", *_LEAF), edits=True)  # fmt: skip
async def test_options(bench: Bench) -> str:
    async with editing(bench) as editor:
        for option, value in zip(("test-then-set", "set"), editor.subject.values, strict=True):
            (await editor.write(editor.subject.put(value), test=option)).wants_ok(option)
            await editor.holds(value, f"after {option}", editor.target)
        return "both"


@check(
    "D12.bad",
    "RFC 6241 7.2",
    "a test-option that does not exist: an error",
    needs=("validate", *_LEAF),
    edits=True,
)
async def bad_test_option(bench: Bench) -> str:
    async with editing(bench) as editor:
        value = editor.subject.values[0]
        told = (await editor.write(editor.subject.put(value), test="keyweave")).wants_error()
        await editor.discard()
        return told


@check(
    "D13.options",
    "RFC 6241 7.2",
    "error-option stop-on-error and continue-on-error are taken",
    needs=_LEAF,
    edits=True,
)
async def error_options(bench: Bench) -> str:
    async with editing(bench) as editor:
        for option, value in zip(("stop-on-error", "continue-on-error"), editor.subject.values, strict=True):
            (await editor.apply(editor.subject.put(value), option=option)).wants_ok(option)
            await editor.holds(value, f"after {option}")
        return "both"


@check("D13.rollback", "RFC 6241 8.5", "rollback-on-error: one bad part, and nothing of the edit is there",
       needs=("rollback-on-error", "subject:entry"), edits=True)  # fmt: skip
async def rollback(bench: Bench) -> str:
    async with editing(bench) as editor:
        subject = editor.subject
        value = subject.values[0]
        await editor.done(subject.put(value))
        changed = subject.put(subject.values[1])
        bad = subject.inside(subject.one(1) + subject.one(2, "delete", body=False))
        both = changed.removesuffix(subject.closing) + bad + subject.closing
        answer = await editor.write(both, option="rollback-on-error")
        told = answer.wants_error("data-missing", what="an edit with a bad part")
        await editor.holds(value, "after the roll back", editor.target)
        left = subject.keys_in(await editor.read(editor.target))
        require(subject.keys.format(1) not in left, "an entry of the bad edit is there")
        return told


@check("D13.not-announced", "RFC 6241 8.5", "without the capability rollback-on-error is an error",
       needs=("!rollback-on-error", *_LEAF), edits=True)  # fmt: skip
async def no_rollback(bench: Bench) -> str:
    async with editing(bench) as editor:
        answer = await editor.write(editor.subject.put(editor.subject.values[0]), option="rollback-on-error")
        await editor.discard()
        return answer.wants_error()


@check("D13.bad", "RFC 6241 7.2", "an error-option that does not exist: an error", needs=_LEAF, edits=True)
async def bad_error_option(bench: Bench) -> str:
    async with editing(bench) as editor:
        answer = await editor.write(editor.subject.put(editor.subject.values[0]), option="keyweave")
        await editor.discard()
        return answer.wants_error()


@check("D14.running", "RFC 6241 8.2", "with writable-running, running is edited directly",
       needs=("writable-running", *_LEAF), edits=True)  # fmt: skip
async def writable_running(bench: Bench) -> str:
    async with editing(bench) as editor:
        value = editor.subject.values[0]
        (await bench.ask(edit_text("running", editor.subject.put(value)))).wants_ok("edit-config of running")
        await editor.holds(value, "after the edit")
        return "<ok/>, changed"


@check("D14.not-announced", "RFC 6241 8.2", "without writable-running, edit-config of running is an error",
       needs=("!writable-running", *_LEAF), edits=True)  # fmt: skip
async def running_not_writable(bench: Bench) -> str:
    async with editing(bench) as editor:
        before = await editor.value()
        told = (
            await bench.ask(edit_text("running", editor.subject.put(editor.subject.values[0])))
        ).wants_error()
        await editor.holds(before, "after the refused edit")
        return told


@check("D19.running", "RFC 6241 8.6.4.1", "validate of running succeeds", needs=("validate",))
async def validate_running(bench: Bench) -> str:
    (await bench.ask("<validate><source><running/></source></validate>")).wants_ok("validate")
    return "<ok/>"


@check(
    "D19.candidate",
    "RFC 6241 8.6.4.1",
    "validate of an unchanged candidate succeeds",
    needs=("validate", "candidate"),
)
async def validate_candidate(bench: Bench) -> str:
    await bench.ask("<discard-changes/>")
    (await bench.ask("<validate><source><candidate/></source></validate>")).wants_ok("validate")
    return "<ok/>"


@check("D19.inline", "RFC 6241 8.6.4.1", "validate of a configuration with a bad value: an error",
       needs=("validate", "subject:bad"))  # fmt: skip
async def validate_inline(bench: Bench) -> str:
    assert bench.subject is not None  # noqa: S101 - the need says so
    config = f"<config>{bench.subject.whole(bench.subject.bad)}</config>"
    return (await bench.ask(f"<validate><source>{config}</source></validate>")).wants_error()


@check("D19.none", "RFC 6241 8.6.4.1", "validate without source: an error", needs=("validate",))
async def validate_nothing(bench: Bench) -> str:
    return (await bench.ask("<validate/>")).wants_error("missing-element", "data-missing")
