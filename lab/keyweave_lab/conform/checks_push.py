"""Section E of the list: dynamic subscriptions (RFC 8639, 8640) and YANG-push (RFC 8641)."""

import re

from keyweave_core.netconf.protocol.elements import Element
from keyweave_lab.conform.bench import Bench
from keyweave_lab.conform.check import check, require
from keyweave_lab.conform.editor import editing
from keyweave_lab.conform.talk import Talk
from keyweave_lab.conform.xml import DATASTORES, Answer, local, text_of

_SN = "urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications"
_YP = "urn:ietf:params:xml:ns:yang:ietf-yang-push"
_SUBSCRIBED = ("module:ietf-subscribed-notifications",)
_PUSH = ("module:ietf-yang-push",)
_WAIT_S = 6.0


async def _establish(talk: Talk, inner: str) -> Answer:
    return await talk.ask(f'<establish-subscription xmlns="{_SN}">{inner}</establish-subscription>')


async def _established(talk: Talk, inner: str) -> str:
    """The id of a new subscription."""
    answer = await _establish(talk, inner)
    require(not answer.faults, answer.told)
    number = text_of(next(answer.root.iter(f"{{{_SN}}}id"), None))
    require(re.fullmatch(r"\d{1,10}", number), f"id {number!r}: {answer.told}")
    return number


async def _delete(talk: Talk, number: str) -> Answer:
    return await talk.ask(f'<delete-subscription xmlns="{_SN}"><id>{number}</id></delete-subscription>')


def _push(bench: Bench, trigger: str) -> str:
    """Parameters of a push subscription for the subject in running."""
    assert bench.subject is not None  # noqa: S101 - every check that comes here needs a subject
    content = bench.subject.whole("")
    return (
        f'<datastore xmlns="{_YP}" xmlns:ds="{DATASTORES}">ds:running</datastore>'
        f'<datastore-subtree-filter xmlns="{_YP}">{content}</datastore-subtree-filter>{trigger}'
    )


def _texts(event: Element) -> set[str]:
    return {text_of(e) for e in event.iter("*") if not len(e)}


@check(
    "E9.establish",
    "RFC 8639 2.4.2",
    "establish-subscription to the stream NETCONF returns an id",
    needs=_SUBSCRIBED,
)
async def establish(bench: Bench) -> str:
    async with bench.session() as talk:
        number = await _established(talk, "<stream>NETCONF</stream>")
        (await _delete(talk, number)).wants_ok("delete-subscription")
        return f"id {number}, deleted"


@check(
    "E9.several", "RFC 8640 4", "one session holds several subscriptions, each with its id", needs=_SUBSCRIBED
)
async def several(bench: Bench) -> str:
    async with bench.session() as talk:
        ids = [await _established(talk, "<stream>NETCONF</stream>") for _ in range(2)]
        require(ids[0] != ids[1], f"both have id {ids[0]}")
        return f"ids {ids}"


@check("E9.stream", "RFC 8639 2.4.2", "an unknown stream: an error", needs=_SUBSCRIBED)
async def unknown_stream(bench: Bench) -> str:
    async with bench.session() as talk:
        return (await _establish(talk, "<stream>keyweave-none</stream>")).wants_error()


@check(
    "E9.delete",
    "RFC 8639 2.4.4",
    "delete-subscription of an unknown id, or of another session's: an error",
    needs=_SUBSCRIBED,
)
async def delete(bench: Bench) -> str:
    async with bench.session() as talk, bench.session() as other:
        number = await _established(talk, "<stream>NETCONF</stream>")
        told = (await _delete(other, number)).wants_error(what="another session's")
        (await _delete(talk, "4294967294")).wants_error(what="unknown id")
        return told


@check("E9.modify", "RFC 8639 2.4.3", "modify-subscription changes a subscription", needs=_SUBSCRIBED)
async def modify(bench: Bench) -> str:
    async with bench.session() as talk:
        number = await _established(talk, "<stream>NETCONF</stream>")
        inner = '<stream-subtree-filter><event xmlns="urn:keyweave:conform:none"/></stream-subtree-filter>'
        asked = f'<modify-subscription xmlns="{_SN}"><id>{number}</id>{inner}</modify-subscription>'
        answer = await talk.ask(asked)
        require(not answer.faults, answer.told)
        return answer.told


@check("E9.periodic", "RFC 8641 3.6", "a periodic push brings updates at its period, with the data",
       needs=(*_PUSH, "subject"), edits=True)  # fmt: skip
async def periodic(bench: Bench) -> str:
    async with editing(bench) as editor, bench.session() as talk:
        await editor.done(editor.subject.put(editor.subject.values[0]))
        trigger = f'<periodic xmlns="{_YP}"><period>50</period></periodic>'
        await _established(talk, _push(bench, trigger))
        for _ in range(2):
            update = await talk.event("push-update", _WAIT_S)
            require(editor.subject.values[0] in _texts(update), "the leaf is not in the update")
        return "two updates"


@check("E9.on-change", "RFC 8641 3.6", "an on-change push brings all once, then the change",
       needs=(*_PUSH, "subject"), edits=True)  # fmt: skip
async def on_change(bench: Bench) -> str:
    async with editing(bench) as editor, bench.session() as talk:
        first, second = editor.subject.values
        await editor.done(editor.subject.put(first))
        await _established(talk, _push(bench, f'<on-change xmlns="{_YP}"/>'))
        update = await talk.event("push-update", _WAIT_S)
        require(first in _texts(update), "the leaf is not in the first update")
        await editor.done(editor.subject.put(second))
        change = await talk.event("push-change-update", _WAIT_S)
        require(second in _texts(change), f"the change is not in it: {sorted(_texts(change))[:8]}")
        names = [local(child) for child in change.iter("*")]
        require("edit" in names, f"no edit in the patch: {names}")
        return "synchronised, then one change"


@check("E9.resync", "RFC 8641 4.3.2", "resync-subscription brings all again", needs=(*_PUSH, "subject"))
async def resync(bench: Bench) -> str:
    async with bench.session() as talk:
        number = await _established(talk, _push(bench, f'<on-change xmlns="{_YP}"/>'))
        await talk.event("push-update", _WAIT_S)
        asked = f'<resync-subscription xmlns="{_YP}"><id>{number}</id></resync-subscription>'
        answer = await talk.ask(asked)
        require(not answer.faults, answer.told)
        await talk.event("push-update", _WAIT_S)
        return "a second push-update"


@check("E9.no-datastore", "RFC 8641 3.1", "a push of a datastore that does not exist: an error", needs=_PUSH)
async def no_datastore(bench: Bench) -> str:
    async with bench.session() as talk:
        inner = f'<datastore xmlns="{_YP}" xmlns:ds="{DATASTORES}">ds:keyweave-none</datastore>'
        return (
            await _establish(talk, inner + f'<periodic xmlns="{_YP}"><period>100</period></periodic>')
        ).wants_error()
