"""Section B of the list: the rpc layer (RFC 6241 clause 4)."""

import re

from keyweave_lab.conform.bench import Bench
from keyweave_lab.conform.check import check, require
from keyweave_lab.conform.talk import Talk
from keyweave_lab.conform.xml import BASE, PROBE, Fault, rpc

_AWKWARD = """urn:uuid:<&"'>: ключ"""


@check("B1.message-id", "RFC 6241 4.1", "the message-id is echoed exactly, whatever is in it")
async def message_id(bench: Bench) -> str:
    talk = await bench.steady()
    answer = await talk.ask_raw(rpc(PROBE, _AWKWARD))
    echoed = answer.root.get("message-id")
    require(echoed == _AWKWARD, f"{echoed!r} instead of {_AWKWARD!r}")
    return f"echoed {echoed!r}"


@check("B1.attributes", "RFC 6241 4.1", "all other attributes of the rpc are echoed, with their namespaces")
async def attributes(bench: Bench) -> str:
    talk = await bench.steady()
    more = ' user-id="fred" xmlns:kw="urn:keyweave:conform" kw:mark="a &lt; b"'
    answer = await talk.ask_raw(rpc(PROBE, "7", more))
    wanted = {"message-id": "7", "user-id": "fred", "{urn:keyweave:conform}mark": "a < b"}
    found = {str(name): str(value) for name, value in answer.root.attrib.items()}
    require(found == wanted, f"echoed {found}")
    return f"echoed {sorted(found)}"


@check("B1.attributes-of-errors", "RFC 6241 4.1", "the attributes of the rpc are echoed with an error, too")
async def attributes_of_errors(bench: Bench) -> str:
    talk = await bench.steady()
    answer = await talk.ask_raw(rpc("<keyweave-none/>", "8", ' user-id="fred"'))
    answer.wants_error()
    found = {str(name): str(value) for name, value in answer.root.attrib.items()}
    require(found == {"message-id": "8", "user-id": "fred"}, f"echoed {found}")
    return f"echoed {sorted(found)}"


@check(
    "B2",
    "RFC 6241 4.1, A",
    "no message-id: rpc/missing-attribute naming message-id of rpc; the session goes on",
)
async def no_message_id(bench: Bench) -> str:
    talk = await bench.steady()
    answer = await talk.ask_raw(rpc(PROBE).replace(b' message-id="1"', b""))
    told = answer.wants_error("missing-attribute")
    (fault,) = answer.faults
    # They are names with or without a prefix (xs:QName).
    said = (fault.info(name).rpartition(":")[2] for name in ("bad-attribute", "bad-element"))
    named = (fault.field("error-type"), *said)
    require(named == ("rpc", "message-id", "rpc"), f"{told}; type, bad-attribute, bad-element are {named}")
    require(answer.root.get("message-id") is None, "a message-id in the reply")
    await talk.alive("after an rpc without message-id")
    return told


@check("B3", "RFC 6241 4.5", "pipelined rpcs are answered in their order")
async def pipelining(bench: Bench) -> str:
    talk = await bench.steady()
    ids = [f"p{number}" for number in range(30)]
    talk.wire.send(b"".join(talk.framed(rpc(PROBE, one)) for one in ids))
    answered = [(await talk.answer()).root.get("message-id") for _ in ids]
    require(answered == ids, f"answered in the order {answered}")
    return f"{len(ids)} replies in order"


@check("B7.operation", "RFC 6241 A", "an operation nobody knows: an error that says so; the session goes on")
async def unknown_operation(bench: Bench) -> str:
    return await _unknown(await bench.steady(), "<keyweave-none/>")


@check("B7.namespace", "RFC 6241 A", "an operation of an unknown namespace: an error that says so")
async def unknown_namespace(bench: Bench) -> str:
    return await _unknown(await bench.steady(), '<get xmlns="urn:keyweave:conform:none"/>')


async def _unknown(talk: Talk, operation: str) -> str:
    answer = await talk.ask(operation)
    # Which of them fits is read differently by good servers.
    told = answer.wants_error(
        "operation-not-supported", "unknown-element", "unknown-namespace", "operation-failed"
    )
    await talk.alive("after an unknown operation")
    return told


@check("B7.root", "RFC 6241 4", "a message that is no rpc: an error or the end, never a grant")
async def no_rpc(bench: Bench) -> str:
    async with bench.session() as talk:
        talk.wire.send(talk.framed(rpc(PROBE).replace(b"<rpc ", b"<call ").replace(b"</rpc>", b"</call>")))
        answer = await talk.next()
        if answer is None:
            return "closed"
        require(answer.faults, answer.told)
        return answer.told


@check("B8.none", "RFC 6241 4.1", "an rpc without operation: one error; the session goes on")
async def no_operation(bench: Bench) -> str:
    talk = await bench.steady()
    told = (await talk.ask("")).wants_error()
    await talk.alive("after an empty rpc")
    return told


@check(
    "B8.two",
    "RFC 6241 4.1",
    "two operations in one rpc: one error, nothing carried out; the session goes on",
    edits=True,
)
async def two_operations(bench: Bench) -> str:
    async with bench.session() as talk:
        lock = "<lock><target><running/></target></lock>"
        answer = await talk.ask(lock + PROBE)
        told = answer.wants_error()
        await talk.alive("after two operations")
        again = await talk.ask(lock)
        require(again.ok, f"the first was carried out: {again.told}")
        await talk.ask(lock.replace("lock>", "unlock>"))
        return told


@check("B8.parameter", "RFC 6241 A", "a parameter the operation does not have: an error; the session goes on")
async def unknown_parameter(bench: Bench) -> str:
    talk = await bench.steady()
    told = (await talk.ask("<get-config><source><running/></source><keyweave/></get-config>")).wants_error()
    await talk.alive("after an unknown parameter")
    return told


@check("B8.missing", "RFC 6241 A", "a mandatory parameter is missing: an error; the session goes on")
async def missing_parameter(bench: Bench) -> str:
    talk = await bench.steady()
    told = (await talk.ask("<get-config/>")).wants_error("missing-element", "data-missing", "bad-element")
    await talk.alive("after a missing parameter")
    return told


_PREFIX = re.compile(r"([A-Za-z_][\w.-]*):[A-Za-z_]")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_ORDER = ("type", "tag", "severity", "app-tag", "path", "message", "info")
_TYPES = ("transport", "rpc", "protocol", "application")


def errors_in_order(faults: list[Fault]) -> str:
    """What is wrong with the children of the first bad error, '' when all are right."""
    for fault in faults:
        names = [str(c.tag).removeprefix(f"{{{BASE}}}error-") for c in fault.element.iterchildren("*")]
        known = [name for name in names if name in _ORDER]
        if known != sorted(known, key=_ORDER.index) or len(set(known)) < len(known):
            return f"children of an rpc-error: {names}"
        missing = {"type", "tag", "severity"} - set(known)
        if missing:
            return f"an rpc-error without {sorted(missing)}"
        if fault.field("error-type") not in _TYPES:
            return f"error-type {fault.field('error-type')!r}"
        if fault.field("error-severity") not in ("error", "warning"):
            return f"error-severity {fault.field('error-severity')!r}"
    return ""


def bad_paths(faults: list[Fault]) -> str:
    """The first error-path that is not absolute or names an undeclared prefix, '' when there is none."""
    for fault in faults:
        path = fault.element.find(f"{{{BASE}}}error-path")
        if path is None:
            continue
        text = (path.text or "").strip()
        prefixes = set(_PREFIX.findall(_QUOTED.sub("", text)))
        unknown = {prefix for prefix in prefixes if prefix not in path.nsmap}
        if not text.startswith("/") or unknown:
            return f"error-path {text!r}" + (f" with undeclared {sorted(unknown)}" if unknown else "")
    return ""
