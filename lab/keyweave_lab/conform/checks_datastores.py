"""Section D of the list: copy-config and delete-config (RFC 6241 clauses 7.3, 7.4 and 8.7)."""

from lxml import etree

from keyweave_lab.conform.bench import Bench
from keyweave_lab.conform.check import check, require
from keyweave_lab.conform.editor import editing
from keyweave_lab.conform.xml import canonical


def _copy(source: str, target: str) -> str:
    return f"<copy-config><target><{target}/></target><source>{source}</source></copy-config>"


async def _content(bench: Bench, store: str) -> list[bytes]:
    data = (await bench.ask(f"<get-config><source><{store}/></source></get-config>")).data
    return sorted(canonical(child) for child in data.iterchildren("*"))


@check(
    "D18.same",
    "RFC 6241 7.3",
    "copy-config of a datastore to itself: invalid-value",
    needs=("candidate",),
    edits=True,
)
async def same(bench: Bench) -> str:
    return (await bench.ask(_copy("<candidate/>", "candidate"))).wants_error("invalid-value")


@check("D18.candidate", "RFC 6241 7.3", "copy-config of running makes the candidate equal to it",
       needs=("candidate", "subject"), edits=True)  # fmt: skip
async def to_candidate(bench: Bench) -> str:
    async with editing(bench) as editor:
        (await editor.write(editor.subject.put(editor.subject.values[0]))).wants_ok("edit")
        (await bench.ask(_copy("<running/>", "candidate"))).wants_ok("copy-config")
        require(await _content(bench, "candidate") == await _content(bench, "running"), "they differ")
        return "equal"


@check("D18.inline", "RFC 6241 7.3", "copy-config of an inline configuration replaces the candidate",
       needs=("candidate", "subject"), edits=True)  # fmt: skip
async def inline(bench: Bench) -> str:
    async with editing(bench) as editor:
        await editor.done(editor.subject.put(editor.subject.values[0]))
        running = (await bench.ask("<get-config><source><running/></source></get-config>")).data
        (await editor.write(editor.subject.put(editor.subject.values[1]))).wants_ok("edit")
        texts = [
            etree.tostring(top, encoding="unicode", with_tail=False) for top in running.iterchildren("*")
        ]
        (await bench.ask(_copy(f"<config>{''.join(texts)}</config>", "candidate"))).wants_ok("copy-config")
        await editor.holds(editor.subject.values[0], "after copy-config", "candidate")
        return f"<ok/>, {len(texts)} top elements"


@check(
    "D18.bad-inline",
    "RFC 6241 7.3",
    "copy-config of a configuration that the schema does not know: an error",
    needs=("candidate",),
    edits=True,
)
async def bad_inline(bench: Bench) -> str:
    config = '<config><top xmlns="urn:keyweave:conform:none"/></config>'
    answer = await bench.ask(_copy(config, "candidate"))
    await bench.ask("<discard-changes/>")
    return answer.wants_error()


@check("D18.delete-running", "RFC 6241 7.4", "delete-config of running: an error", edits=True)
async def delete_running(bench: Bench) -> str:
    before = await _content(bench, "running")
    told = (await bench.ask("<delete-config><target><running/></target></delete-config>")).wants_error()
    require(await _content(bench, "running") == before, "refused, but running changed")
    return told


@check("D18.startup", "RFC 6241 8.7", "startup can be read", needs=("startup",))
async def startup(bench: Bench) -> str:
    return f"{len(await _content(bench, 'startup'))} top elements"


@check(
    "D18.no-startup", "RFC 6241 8.7", "without the capability, startup does not exist", needs=("!startup",)
)
async def no_startup(bench: Bench) -> str:
    return (await bench.ask("<get-config><source><startup/></source></get-config>")).wants_error()


@check(
    "D18.no-candidate", "RFC 6241 8.3", "without the capability, there is no candidate", needs=("!candidate",)
)
async def no_candidate(bench: Bench) -> str:
    return (await bench.ask("<get-config><source><candidate/></source></get-config>")).wants_error()


@check(
    "D23",
    "RFC 5717 2",
    "partial-lock is refused where it is not announced",
    needs=("!partial-lock",),
    edits=True,
)
async def partial_lock(bench: Bench) -> str:
    namespace = "urn:ietf:params:xml:ns:netconf:partial-lock:1.0"
    asked = f'<partial-lock xmlns="{namespace}"><select>/</select></partial-lock>'
    return (await bench.ask(asked)).wants_error()
