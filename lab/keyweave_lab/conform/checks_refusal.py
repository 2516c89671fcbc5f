"""Section D of the list: data that the schema refuses (RFC 7950 clause 8.3)."""

import re

from keyweave_lab.conform.bench import Bench
from keyweave_lab.conform.check import NotApplicable, check, require
from keyweave_lab.conform.editor import Editor, editing
from keyweave_lab.conform.xml import MONITORING, canonical, text_of


async def _refused(bench: Bench, config: str, *tags: str, what: str) -> str:
    """The edit fails at the latest at its commit, and running stays as it is."""
    async with editing(bench) as editor:
        return await _unchanged(editor, config, *tags, what=what)


async def _unchanged(editor: Editor, config: str, *tags: str, what: str) -> str:
    before = canonical(await editor.read())
    told = await editor.refused(config, *tags, what=what)
    require(canonical(await editor.read()) == before, f"{what}: refused, but running changed")
    return told


@check(
    "D3.element",
    "RFC 7950 8.3.1",
    "an element the schema does not know: refused",
    needs=("subject",),
    edits=True,
)
async def unknown_element(bench: Bench) -> str:
    assert bench.subject is not None  # noqa: S101 - the need says so
    return await _refused(bench, bench.subject.whole("<keyweave-none/>"), what="unknown element")


@check(
    "D3.namespace",
    "RFC 7950 8.3.1",
    "an element of an unknown namespace: refused",
    needs=("subject",),
    edits=True,
)
async def unknown_namespace(bench: Bench) -> str:
    return await _refused(bench, '<top xmlns="urn:keyweave:conform:none"/>', what="unknown namespace")


@check("D3.inside", "RFC 7950 8.3.1", "an element of an unknown namespace inside known data: refused",
       needs=("subject",), edits=True)  # fmt: skip
async def unknown_namespace_inside(bench: Bench) -> str:
    assert bench.subject is not None  # noqa: S101 - the need says so
    inner = '<leaf xmlns="urn:keyweave:conform:none">1</leaf>'
    return await _refused(bench, bench.subject.whole(inner), what="unknown namespace inside")


@check("D4", "RFC 7950 8.3.1", "a value its type refuses: invalid-value", needs=("subject:bad",), edits=True)
async def bad_value(bench: Bench) -> str:
    assert bench.subject is not None  # noqa: S101 - the need says so
    return await _refused(bench, bench.subject.whole(bench.subject.bad), "invalid-value", what="bad value")


@check("D5.prefixed", "RFC 7950 9.10.3", "an identity by any prefix declared on the leaf or further out",
       needs=("subject:prefixed",), edits=True)  # fmt: skip
async def prefixed_identity(bench: Bench) -> str:
    async with editing(bench) as editor:
        subject = editor.subject
        for number, form in enumerate(subject.prefixed, 1):
            key = subject.keys.format(number)
            named = subject.key.replace("@value@", key)
            await editor.done(subject.whole(form.replace("@key@", named)))
            require(key in subject.keys_in(await editor.read()), f"form {number} is not there")
        return f"{len(subject.prefixed)} forms"


@check("D5.unprefixed", "RFC 7950 9.10.3", "an identity of another module without prefix: invalid-value",
       needs=("subject:unprefixed",), edits=True)  # fmt: skip
async def unprefixed_identity(bench: Bench) -> str:
    assert bench.subject is not None  # noqa: S101 - the need says so
    subject = bench.subject
    named = subject.key.replace("@value@", subject.keys.format(1))
    config = subject.whole(subject.unprefixed.replace("@key@", named))
    return await _refused(bench, config, what="unprefixed identity")


@check("D6", "RFC 7950 8.3", "a node that is no configuration: refused", needs=("subject:state",), edits=True)
async def state_in_edit(bench: Bench) -> str:
    assert bench.subject is not None  # noqa: S101 - the need says so
    return await _refused(bench, bench.subject.whole(bench.subject.state), what="state in an edit")


@check(
    "D7",
    "RFC 7950 8.3.1",
    "a list entry without its key: missing-element",
    needs=("subject:entry",),
    edits=True,
)
async def no_key(bench: Bench) -> str:
    assert bench.subject is not None  # noqa: S101 - the need says so
    return await _refused(
        bench, bench.subject.make(1, key=False), "missing-element", what="entry without key"
    )


@check("D8", "RFC 7950 7.6", "a leaf that is there twice: refused", needs=("subject",), edits=True)
async def leaf_twice(bench: Bench) -> str:
    assert bench.subject is not None  # noqa: S101 - the need says so
    subject = bench.subject
    # The leaf element alone stands twice, whatever is around it.
    name = subject.leaf_path[-1].rpartition("}")[2]
    pattern = re.compile(rf"<{name}@op@>@value@</{name}>")
    if not pattern.search(subject.leaf):
        raise NotApplicable("the leaf of the subject is written with a prefix")
    first, second = (f"<{name}>{value}</{name}>" for value in subject.values)
    return await _refused(bench, subject.whole(pattern.sub(first + second, subject.leaf)), what="leaf twice")


@check("D8.key", "RFC 7950 7.8.2", "a list entry that is there twice in one edit: refused or one entry",
       needs=("subject:entry",), edits=True)  # fmt: skip
async def entry_twice(bench: Bench) -> str:
    async with editing(bench) as editor:
        subject = editor.subject
        answer = await editor.apply(subject.whole(subject.inside(subject.one(1) * 2)))
        await editor.discard()
        data = await editor.read()
        count = sum(1 for entry in data.iter(subject.entry_tag) if subject.keys.format(1) in text_of(entry))
        require(count <= 1, f"{count} entries with the same key")
        return f"{answer.told}; {count} entries"


@check("D9", "RFC 7950 8.3.3", "removing what is mandatory: refused, at the latest by commit",
       needs=("subject:mandatory",), edits=True)  # fmt: skip
async def mandatory(bench: Bench) -> str:
    assert bench.subject is not None  # noqa: S101 - the need says so
    subject = bench.subject
    found = re.match(r"<([\w.-]+)@op@", subject.mandatory)
    name = found[1] if found else ""
    asked = f'<get-schema xmlns="{MONITORING}"><identifier>{subject.name}</identifier></get-schema>'
    answer = await bench.ask(asked)
    text = "" if answer.faults else text_of(answer.data)
    if not re.search(rf"leaf\s+{name}\s*\{{[^}}]*mandatory\s+[\"']?true", text):
        raise NotApplicable(f"{name} is not mandatory in the schema that the server shows")
    removed = subject.mandatory.replace(
        "@op@", ' xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0" nc:operation="remove"'
    )
    return await _refused(bench, subject.whole(removed), what=f"removal of {name}")
