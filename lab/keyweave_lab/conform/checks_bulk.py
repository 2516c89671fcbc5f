"""Sections C and D of the list: much data."""

from keyweave_core.netconf.protocol.elements import Element
from keyweave_lab.conform.bench import Bench
from keyweave_lab.conform.check import Failed, NotApplicable, check, require
from keyweave_lab.conform.editor import Editor, editing
from keyweave_lab.conform.xml import PROBE, rpc

_NEEDS = ("subject:entry",)
_FIRST = 100_000
_LIMIT_S = 45.0


async def _fill(bench: Bench, editor: Editor) -> float:
    """Make all entries in one edit; returns the seconds it took."""
    subject = editor.subject
    numbers = range(_FIRST, _FIRST + bench.options.bulk)
    config = subject.whole(subject.inside("".join(subject.one(number) for number in numbers)))
    began = bench.clock.monotonic()
    (await editor.apply(config, limit_s=_LIMIT_S)).wants_ok(f"an edit of {len(config)} bytes")
    return bench.clock.monotonic() - began


def _all_in(bench: Bench, editor: Editor, data: Element) -> None:
    subject = editor.subject
    wanted = {subject.keys.format(number) for number in range(_FIRST, _FIRST + bench.options.bulk)}
    missing = wanted - subject.keys_in(data)
    require(not missing, f"{len(missing)} of {len(wanted)} entries are missing")


@check(
    "D22",
    "-",
    "one edit with thousands of list entries is taken, and all are there",
    needs=_NEEDS,
    edits=True,
)
async def large_edit(bench: Bench) -> str:
    async with editing(bench) as editor:
        took_s = await _fill(bench, editor)
        data = await editor.read()
        _all_in(bench, editor, data)
        return f"{bench.options.bulk} entries in {took_s:.2f} s"


@check("C14", "RFC 6242 4.2", "a reply above 1 MB comes whole, and another session is answered meanwhile",
       needs=_NEEDS, edits=True)  # fmt: skip
async def large_reply(bench: Bench) -> str:
    async with editing(bench) as editor, bench.session() as other:
        await _fill(bench, editor)
        asked = "<get-config><source><running/></source></get-config>"
        began = bench.clock.monotonic()
        answer = await editor.talk.ask(asked, _LIMIT_S)
        took_s = bench.clock.monotonic() - began
        _all_in(bench, editor, answer.data)
        await other.alive("beside a large reply")
        per_reply = len(answer.raw)
        # Several at once, so that more than a megabyte is under way whatever the size of the data.
        count = max(2, 1_000_000 // max(1, per_reply) + 1)
        if count > 200:
            raise NotApplicable(f"a reply of {per_reply} bytes is too small (see --bulk)")
        return f"{per_reply} bytes in {took_s:.2f} s; {await _slow_reader(bench, asked, min(count, 8))}"


async def _slow_reader(bench: Bench, asked: str, count: int) -> str:
    """A session that asks much and reads late does not hold up another."""
    async with bench.session() as slow, bench.session() as other:
        slow.wire.pause()
        slow.wire.send(b"".join(slow.framed(rpc(asked, str(n))) for n in range(count)))
        for _ in range(3):
            answer = await other.ask(PROBE, _LIMIT_S)
            require(not answer.faults, answer.told)
        slow.wire.resume()
        for number in range(count):
            answer = await slow.answer(_LIMIT_S)
            if answer.root.get("message-id") != str(number):
                raise Failed(f"reply {answer.root.get('message-id')} instead of {number}")
        return f"{count} more to a slow reader"
