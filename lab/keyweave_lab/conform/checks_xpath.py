"""Section C of the list: XPath filters (RFC 6241 clause 8.9)."""

from xml.sax.saxutils import quoteattr

from keyweave_lab.conform.bench import Bench
from keyweave_lab.conform.check import check, require
from keyweave_lab.conform.xml import MONITORING, Answer, local, text_of

_NEEDS = ("xpath", "module:ietf-netconf-monitoring")
_CLAUSE = "RFC 6241 8.9"
_M = f"{{{MONITORING}}}"


async def _select(bench: Bench, path: str) -> Answer:
    declared = f'xmlns:m="{MONITORING}"'
    return await bench.ask(f'<get><filter type="xpath" {declared} select={quoteattr(path)}/></get>')


@check(
    "C8.path",
    _CLAUSE,
    "a location path selects what it names, prefixes from the filter element",
    needs=_NEEDS,
)
async def path(bench: Bench) -> str:
    data = (await _select(bench, "/m:netconf-state/m:capabilities")).data
    inner = [local(child) for child in data.iterfind(f"{_M}netconf-state/*")]
    require(inner == ["capabilities"] and len(list(data)) == 1, f"selected {inner}")
    return f"{len(data.findall(f'.//{_M}capability'))} capabilities"


@check("C8.predicate", _CLAUSE, "a predicate selects one entry", needs=_NEEDS)
async def predicate(bench: Bench) -> str:
    asked = "/m:netconf-state/m:schemas/m:schema[m:identifier='ietf-netconf-monitoring']"
    data = (await _select(bench, asked)).data
    found = [text_of(entry.find(f"{_M}identifier")) for entry in data.iter(f"{_M}schema")]
    require(found and set(found) == {"ietf-netconf-monitoring"}, f"selected {found[:5]}")
    return f"selected {found}"


@check("C8.union", _CLAUSE, "a union selects both", needs=_NEEDS)
async def union(bench: Bench) -> str:
    data = (await _select(bench, "/m:netconf-state/m:capabilities | /m:netconf-state/m:datastores")).data
    inner = sorted(local(child) for child in data.iterfind(f"{_M}netconf-state/*"))
    require(inner == ["capabilities", "datastores"], f"selected {inner}")
    return f"selected {inner}"


@check("C8.descendant", _CLAUSE, "the abbreviated descendant axis selects at any depth", needs=_NEEDS)
async def descendants(bench: Bench) -> str:
    data = (await _select(bench, "//m:netconf-start-time")).data
    found = [local(e) for e in data.iter("*")]
    require("netconf-start-time" in found, f"selected {found[:5]}")
    return f"selected {len(found)} elements"


@check("C8.nothing", _CLAUSE, "a path that finds nothing: an empty data", needs=_NEEDS)
async def nothing(bench: Bench) -> str:
    data = (await _select(bench, "/m:netconf-state/m:schemas/m:schema[m:identifier='keyweave-none']")).data
    require(not data.findall(f".//{_M}schema"), "entries selected")
    return "nothing selected"


@check("C8.syntax", _CLAUSE, "a path that is none: an error", needs=_NEEDS)
async def bad_syntax(bench: Bench) -> str:
    return (await _select(bench, "/m:netconf-state[")).wants_error()


@check("C8.prefix", _CLAUSE, "a prefix that is not declared: an error", needs=_NEEDS)
async def bad_prefix(bench: Bench) -> str:
    return (await _select(bench, "/none:netconf-state")).wants_error()


@check("C8.node-set", _CLAUSE, "an expression that is no node-set: an error", needs=_NEEDS)
async def no_node_set(bench: Bench) -> str:
    return (await _select(bench, "count(/m:netconf-state)")).wants_error()


@check("C8.select", _CLAUSE, "an xpath filter without select: an error", needs=_NEEDS)
async def no_select(bench: Bench) -> str:
    return (await bench.ask('<get><filter type="xpath"/></get>')).wants_error()


@check("C8.not-announced", _CLAUSE, "without the capability an xpath filter is an error", needs=("!xpath",))
async def not_announced(bench: Bench) -> str:
    return (await _select(bench, "/m:netconf-state")).wants_error()
