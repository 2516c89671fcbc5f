"""Section C of the list: NMDA operations (RFC 8526)."""

from keyweave_core.netconf.protocol.elements import Element
from keyweave_lab.conform.bench import Bench
from keyweave_lab.conform.check import check, require
from keyweave_lab.conform.editor import editing
from keyweave_lab.conform.xml import DATASTORES, NMDA, Answer, canonical, local

_NEEDS = ("module:ietf-netconf-nmda",)
_ORIGIN = "{urn:ietf:params:xml:ns:yang:ietf-origin}origin"


async def _get_data(bench: Bench, store: str, inner: str = "") -> Answer:
    named = f'<datastore xmlns:ds="{DATASTORES}">ds:{store}</datastore>'
    return await bench.ask(f'<get-data xmlns="{NMDA}">{named}{inner}</get-data>')


def _children(data: Element) -> list[bytes]:
    return sorted(canonical(child) for child in data.iterchildren("*"))


@check("C13.running", "RFC 8526 3.1.1", "get-data of running is get-config of running", needs=_NEEDS)
async def running(bench: Bench) -> str:
    answer = await _get_data(bench, "running")
    require(not answer.faults, answer.told)
    plain = (await bench.ask("<get-config><source><running/></source></get-config>")).data
    require(_children(answer.data) == _children(plain), f"{answer.told} differs from get-config")
    return answer.told


@check(
    "C13.operational",
    "RFC 8526 3.1.1",
    "get-data of operational; with-origin marks what is configuration",
    needs=_NEEDS,
)
async def operational(bench: Bench) -> str:
    answer = await _get_data(bench, "operational")
    require(not answer.faults, answer.told)
    marked = await _get_data(bench, "operational", "<with-origin/>")
    require(not marked.faults, f"with-origin: {marked.told}")
    found = {str(e.get(_ORIGIN)) for e in marked.data.iter("*") if e.get(_ORIGIN) is not None}
    plain = (await bench.ask("<get-config><source><running/></source></get-config>")).data
    require(found or not len(plain), "no origin anywhere")
    return f"{answer.told}; origins {sorted(found)}"


@check("C13.config-filter", "RFC 8526 3.1.1", "config-filter true leaves state out", needs=_NEEDS)
async def config_filter(bench: Bench) -> str:
    answer = await _get_data(bench, "operational", "<config-filter>true</config-filter>")
    require(not answer.faults, answer.told)
    names = [local(child) for child in answer.data.iterchildren("*")]
    require("netconf-state" not in names, f"state in it: {names}")
    return f"top elements {names}"


@check(
    "C13.filter",
    "RFC 8526 3.1.1",
    "get-data takes a subtree-filter; an empty one selects nothing",
    needs=_NEEDS,
)
async def subtree_filter(bench: Bench) -> str:
    answer = await _get_data(bench, "running", "<subtree-filter/>")
    require(not answer.faults, answer.told)
    require(not len(answer.data), f"selected {[local(child) for child in answer.data]}")
    return "nothing selected"


@check("C13.unknown", "RFC 8526 3.1.1", "an unknown datastore: invalid-value", needs=_NEEDS)
async def unknown_datastore(bench: Bench) -> str:
    return (await _get_data(bench, "keyweave-none")).wants_error("invalid-value")


@check("C13.edit", "RFC 8526 3.1.2", "edit-data changes a datastore as edit-config does",
       needs=(*_NEEDS, "subject"), edits=True)  # fmt: skip
async def edit_data(bench: Bench) -> str:
    async with editing(bench) as editor:
        value = editor.subject.values[0]
        named = f'<datastore xmlns:ds="{DATASTORES}">ds:{editor.target}</datastore>'
        config = f"<config>{editor.subject.put(value)}</config>"
        answer = await bench.ask(f'<edit-data xmlns="{NMDA}">{named}{config}</edit-data>')
        answer.wants_ok("edit-data")
        if editor.staged:
            (await bench.ask("<commit/>")).wants_ok("commit")
        await editor.holds(value, "after edit-data")
    return f"{editor.target} changed"


@check(
    "C13.edit-operational", "RFC 8526 3.1.2", "edit-data of operational: an error", needs=_NEEDS, edits=True
)
async def edit_operational(bench: Bench) -> str:
    named = f'<datastore xmlns:ds="{DATASTORES}">ds:operational</datastore>'
    return (await bench.ask(f'<edit-data xmlns="{NMDA}">{named}<config/></edit-data>')).wants_error()
