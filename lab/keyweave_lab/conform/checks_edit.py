"""Section D of the list: the operations of edit-config (RFC 6241 clause 7.2)."""

from keyweave_lab.conform.bench import Bench
from keyweave_lab.conform.check import check, require
from keyweave_lab.conform.editor import editing
from keyweave_lab.conform.xml import text_of

_CLAUSE = "RFC 6241 7.2"
_LEAF = ("subject",)
_LIST = ("subject:entry",)


@check("D1.merge", _CLAUSE, "merge, the default, sets a leaf and changes it", needs=_LEAF, edits=True)
async def merge(bench: Bench) -> str:
    async with editing(bench) as editor:
        for value in editor.subject.values:
            await editor.done(editor.subject.put(value))
            await editor.holds(value, "after merge")
        return f"{editor.subject.values[0]} then {editor.subject.values[1]}"


@check(
    "D1.named-merge",
    _CLAUSE,
    "operation merge and default-operation merge do the same",
    needs=_LEAF,
    edits=True,
)
async def named_merge(bench: Bench) -> str:
    async with editing(bench) as editor:
        first, second = editor.subject.values
        await editor.done(editor.subject.put(first, "merge"))
        await editor.holds(first, "after operation merge")
        await editor.done(editor.subject.put(second), default="merge")
        await editor.holds(second, "after default-operation merge")
        return "both"


@check("D1.replace", _CLAUSE, "operation replace sets a leaf, there or not", needs=_LEAF, edits=True)
async def replace(bench: Bench) -> str:
    async with editing(bench) as editor:
        for value in editor.subject.values:
            await editor.done(editor.subject.put(value, "replace"))
            await editor.holds(value, "after replace")
        return "replaced twice"


@check("D1.entry", _CLAUSE, "a list entry is made, replaced and removed", needs=_LIST, edits=True)
async def list_entry(bench: Bench) -> str:
    async with editing(bench) as editor:
        subject = editor.subject
        for op, there in (("merge", True), ("replace", True), ("remove", False)):
            await editor.done(subject.make(1, op, body=there))
            found = subject.keys.format(1) in subject.keys_in(await editor.read())
            require(found is there, f"after {op} the entry is {'there' if found else 'not there'}")
        return "made, replaced, removed"


@check(
    "D1.none", _CLAUSE, "default-operation none changes only what an operation names", needs=_LEAF, edits=True
)
async def none(bench: Bench) -> str:
    async with editing(bench) as editor:
        first, second = editor.subject.values
        await editor.done(editor.subject.put(first))
        await editor.apply(editor.subject.put(second), default="none")
        await editor.holds(first, "after default-operation none")
        await editor.done(editor.subject.put(second, "merge"), default="none")
        await editor.holds(second, "after operation merge under none")
        return "changed only by name"


@check("D1.delete", _CLAUSE, "operation delete deletes a leaf that is there", needs=_LEAF, edits=True)
async def delete(bench: Bench) -> str:
    async with editing(bench) as editor:
        value = editor.subject.values[0]
        await editor.done(editor.subject.put(value))
        await editor.done(editor.subject.put(value, "delete"))
        await editor.holds(None, "after delete")
        return "deleted"


@check("D1.remove", _CLAUSE, "operation remove removes a leaf that is there", needs=_LEAF, edits=True)
async def remove(bench: Bench) -> str:
    async with editing(bench) as editor:
        value = editor.subject.values[0]
        await editor.done(editor.subject.put(value))
        await editor.done(editor.subject.put(value, "remove"))
        await editor.holds(None, "after remove")
        return "removed"


@check("D1.inherited", _CLAUSE, "an operation holds for what is inside", needs=_LIST, edits=True)
async def inherited(bench: Bench) -> str:
    async with editing(bench) as editor:
        subject = editor.subject
        await editor.done(subject.whole(subject.inside(subject.one(1, "create") + subject.one(2, "create"))))
        found = subject.keys_in(await editor.read())
        require({subject.keys.format(1), subject.keys.format(2)} <= found, f"entries {sorted(found)}")
        return "two entries made in one edit"


@check(
    "D1.bad-default",
    _CLAUSE,
    "a default-operation that is none of the three: an error",
    needs=_LEAF,
    edits=True,
)
async def bad_default(bench: Bench) -> str:
    async with editing(bench) as editor:
        value = editor.subject.values[0]
        return await editor.refused(
            editor.subject.put(value), what="delete as default-operation", default="delete"
        )


@check("D1.bad-operation", _CLAUSE, "an operation that does not exist: an error", needs=_LEAF, edits=True)
async def bad_operation(bench: Bench) -> str:
    async with editing(bench) as editor:
        value = editor.subject.values[0]
        return await editor.refused(editor.subject.put(value, "keyweave"), what="operation keyweave")


@check("D2.create-there", _CLAUSE, "create of what is there: data-exists", needs=_LEAF, edits=True)
async def create_there(bench: Bench) -> str:
    async with editing(bench) as editor:
        first, second = editor.subject.values
        await editor.done(editor.subject.put(first))
        told = await editor.refused(editor.subject.put(second, "create"), "data-exists", what="create")
        await editor.holds(first, "after the refused create")
        return told


@check("D2.create-new", _CLAUSE, "create of what is not there", needs=_LEAF, edits=True)
async def create_new(bench: Bench) -> str:
    async with editing(bench) as editor:
        value = editor.subject.values[0]
        await editor.done(editor.subject.put(value, "remove"))
        await editor.done(editor.subject.put(value, "create"))
        await editor.holds(value, "after create")
        return "created"


@check("D2.delete-missing", _CLAUSE, "delete of what is not there: data-missing", needs=_LEAF, edits=True)
async def delete_missing(bench: Bench) -> str:
    async with editing(bench) as editor:
        value = editor.subject.values[0]
        await editor.done(editor.subject.put(value, "remove"))
        return await editor.refused(editor.subject.put(value, "delete"), "data-missing", what="delete")


@check("D2.remove-missing", _CLAUSE, "remove of what is not there is no error", needs=_LEAF, edits=True)
async def remove_missing(bench: Bench) -> str:
    async with editing(bench) as editor:
        value = editor.subject.values[0]
        for _ in range(2):
            await editor.done(editor.subject.put(value, "remove"))
        return "<ok/> twice"


@check("D2.none-missing", _CLAUSE, "default-operation none below what is not there: data-missing",
       needs=_LIST, edits=True)  # fmt: skip
async def none_missing(bench: Bench) -> str:
    async with editing(bench) as editor:
        inner = editor.subject.make(1)
        return await editor.refused(inner, "data-missing", what="none over a missing entry", default="none")


@check(
    "D2.create-entry",
    _CLAUSE,
    "create of a list entry that is there: data-exists; delete of a missing one: data-missing",
    needs=_LIST,
    edits=True,
)
async def entries(bench: Bench) -> str:
    async with editing(bench) as editor:
        subject = editor.subject
        await editor.done(subject.make(1, "create"))
        told = await editor.refused(subject.make(1, "create"), "data-exists", what="create")
        missing = subject.make(2, "delete", body=False)
        return f"{told}; {await editor.refused(missing, 'data-missing', what='delete')}"


@check("D11.target", _CLAUSE, "edit-config without target: an error", needs=_LEAF)
async def no_target(bench: Bench) -> str:
    answer = await bench.ask("<edit-config><config/></edit-config>")
    return answer.wants_error("missing-element", "data-missing")


@check("D11.config", _CLAUSE, "edit-config without config: an error", needs=_LEAF)
async def no_config(bench: Bench) -> str:
    answer = await bench.ask(f"<edit-config><target><{bench.target}/></target></edit-config>")
    return answer.wants_error("missing-element", "data-missing")


@check("D11.empty", _CLAUSE, "an empty config changes nothing", needs=_LEAF, edits=True)
async def empty_config(bench: Bench) -> str:
    async with editing(bench) as editor:
        before = text_of(await editor.read())
        await editor.done("")
        require(text_of(await editor.read()) == before, "running changed")
        return "<ok/>"


@check(
    "D21",
    "RFC 6241 8.8",
    "without the capability, url as source of an edit: an error",
    needs=("!url", "subject"),
    edits=True,
)
async def url(bench: Bench) -> str:
    asked = f"<edit-config><target><{bench.target}/></target><url>file:///etc/hostname</url></edit-config>"
    return (await bench.ask(asked)).wants_error()
