"""Editing the subject of a server, and leaving it as it was.

Rule of this file: whatever a check did, `editing` puts back what was there before the run; what cannot be put
back is a failure of its own at the end of the run.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from lxml import etree

from keyweave_core.netconf.protocol.elements import Element
from keyweave_lab.conform.bench import Bench
from keyweave_lab.conform.check import Failed, NotApplicable, require
from keyweave_lab.conform.subject import Subject
from keyweave_lab.conform.talk import Talk
from keyweave_lab.conform.xml import BASE, Answer, canonical


@dataclass(frozen=True, slots=True)
class Original:
    """What running held before the first edit."""

    data: Element  # the <data> of a get-config of the subject
    value: str | None
    keys: frozenset[str]


def edit_text(target: str, config: str, default: str = "", test: str = "", option: str = "") -> str:
    """An edit-config; parameters that are '' are left out."""
    parts = [f"<target><{target}/></target>"]
    for name, value in (("default-operation", default), ("test-option", test), ("error-option", option)):
        if value:
            parts.append(f"<{name}>{value}</{name}>")
    return f"<edit-config>{''.join(parts)}<config>{config}</config></edit-config>"


class Editor:
    """Edits through one session."""

    def __init__(self, bench: Bench, talk: Talk, subject: Subject, target: str) -> None:
        self.bench = bench
        self.talk = talk
        self.subject = subject
        self.target = target

    def over(self, talk: Talk) -> "Editor":
        """The same subject through another session."""
        return Editor(self.bench, talk, self.subject, self.target)

    @property
    def staged(self) -> bool:
        """True when edits wait in a candidate for a commit."""
        return self.target == "candidate"

    async def write(
        self,
        config: str,
        *,
        default: str = "",
        test: str = "",
        option: str = "",
        limit_s: float | None = None,
    ) -> Answer:
        """One edit-config of the target, not committed."""
        return await self.talk.ask(edit_text(self.target, config, default, test, option), limit_s)

    async def apply(
        self, config: str, *, default: str = "", option: str = "", limit_s: float | None = None
    ) -> Answer:
        """Edit and commit; the answer is that of the first step that failed, or the last."""
        answer = await self.write(config, default=default, option=option, limit_s=limit_s)
        if answer.ok and self.staged:
            answer = await self.talk.ask("<commit/>", limit_s)
        return answer

    async def done(self, config: str, *, default: str = "") -> None:
        """`apply`, which must succeed."""
        (await self.apply(config, default=default)).wants_ok("edit")

    async def refused(self, config: str, *tags: str, what: str, default: str = "") -> str:
        """`apply` must fail, with one of `tags` where given; the candidate is cleaned."""
        answer = await self.apply(config, default=default)
        try:
            return answer.wants_error(*tags, what=what)
        finally:
            await self.discard()

    async def discard(self) -> None:
        """Clean the candidate, where there is one."""
        if self.staged:
            await self.talk.ask("<discard-changes/>")

    async def read(self, source: str = "running") -> Element:
        """The subject's part of a datastore."""
        filtered = f"<get-config><source><{source}/></source>{self.subject.filter()}</get-config>"
        return (await self.talk.ask(filtered)).data

    async def value(self, source: str = "running") -> str | None:
        """The leaf's value."""
        return self.subject.value_in(await self.read(source))

    async def fresh(self) -> str:
        """One of the two values, that which running does not hold."""
        now = await self.value()
        return next(value for value in self.subject.values if value != now)

    async def holds(self, value: str | None, what: str, source: str = "running") -> None:
        """Failed unless the leaf has this value."""
        found = await self.value(source)
        require(found == value, f"{what}: {source} holds {found!r} instead of {value!r}")

    async def restore(self) -> None:
        """Put back what was there before the run; Failed when the server does not let us."""
        original: Original = self.bench.original
        await self.discard()
        now = await self.read()
        before = canonical(original.data, pruned=True)
        if canonical(now, pruned=True) == before:
            return
        subject = self.subject
        parts = []
        if subject.value_in(now) != original.value:
            parts.append(subject.unset() if original.value is None else subject.put(original.value))
        if subject.entry:
            extra = sorted(subject.keys_in(now) - original.keys)
            if extra:
                parts.append(
                    subject.whole(subject.inside("".join(subject.of_key(key, "remove") for key in extra)))
                )
        # Two top elements of one name would be two nodes: what is in them goes into one.
        answer = await self.apply(_joined(subject, parts), limit_s=60)
        now = await self.read()
        if canonical(now, pruned=True) != before:
            answer = await self.apply(_replacement(original.data), limit_s=60)
            now = await self.read()
        same = canonical(now, pruned=True) == before
        require(same, f"running is not as it was before ({answer.told})")


def _joined(subject: Subject, parts: list[str]) -> str:
    opening = subject.opening.replace("@op@", "")
    inner = "".join(part.removeprefix(opening).removesuffix(subject.closing) for part in parts)
    return subject.whole(inner)


def _replacement(data: Element) -> str:
    texts = []
    for top in data.iterchildren("*"):
        copied = etree.fromstring(etree.tostring(top, with_tail=False))
        copied.set(f"{{{BASE}}}operation", "replace")
        texts.append(etree.tostring(copied, encoding="unicode"))
    return "".join(texts)


@asynccontextmanager
async def editing(bench: Bench) -> AsyncIterator[Editor]:
    """An editor on the shared session; what the check changes is undone afterwards."""
    if bench.subject is None or bench.target is None:
        raise NotApplicable("nothing that may be edited")
    editor = Editor(bench, await bench.steady(), bench.subject, bench.target)
    if bench.original is None:
        data = await editor.read()
        keys = bench.subject.keys_in(data) if bench.subject.entry else set[str]()
        bench.original = Original(data, bench.subject.value_in(data), frozenset(keys))
    if bench.dirty:
        await editor.restore()
    bench.dirty = True
    yield editor
    await put_back(bench)


async def put_back(bench: Bench) -> None:
    """Restore what a check left behind; Failed when that cannot be."""
    if not bench.dirty or bench.subject is None or bench.target is None or bench.original is None:
        return
    try:
        await Editor(bench, await bench.steady(), bench.subject, bench.target).restore()
    except Failed as error:
        raise Failed(f"not restored: {error}") from error
    bench.dirty = False
