"""Section C of the list: get, get-config and subtree filters (RFC 6241 clauses 6 and 7)."""

from keyweave_core.netconf.protocol.elements import Element
from keyweave_lab.conform.bench import Bench
from keyweave_lab.conform.check import NotApplicable, check, require
from keyweave_lab.conform.xml import LIBRARY, MONITORING, local, text_of

_NEEDS = ("module:ietf-netconf-monitoring",)
_M = f"{{{MONITORING}}}"


def _names(data: Element) -> list[str]:
    return [local(child) for child in data.iterchildren("*")]


async def _got(bench: Bench, filtered: str) -> Element:
    return (await bench.ask(f"<get>{filtered}</get>")).data


def _state(inner: str, attributes: str = "") -> str:
    top = f'<netconf-state xmlns="{MONITORING}"{attributes}>{inner}</netconf-state>'
    return f'<filter type="subtree">{top}</filter>'


@check("C1.get-config", "RFC 6241 7.1", "get-config returns configuration and no state")
async def configuration_only(bench: Bench) -> str:
    data = (await bench.ask("<get-config><source><running/></source></get-config>")).data
    tops = (f"{_M}netconf-state", f"{{{LIBRARY}}}yang-library", f"{{{LIBRARY}}}modules-state")
    state = [tag for tag in tops if data.find(tag) is not None]
    if bench.subject is not None and bench.subject.state_tag:
        state += [str(element.tag) for element in data.iter(bench.subject.state_tag)]
    require(not state, f"state in it: {state}")
    return f"top elements {_names(data)}"


@check("C1.get", "RFC 6241 7.7", "get returns running and state")
async def everything(bench: Bench) -> str:
    config = _names((await bench.ask("<get-config><source><running/></source></get-config>")).data)
    data = _names((await bench.ask("<get/>")).data)
    require(set(config) <= set(data), f"{sorted(set(config) - set(data))} of running is not in {data}")
    state = "ietf-netconf-monitoring" in bench.modules and "netconf-state" not in data
    require(not state, f"no netconf-state among {data}")
    return f"top elements {data}"


@check("C1.source", "RFC 6241 7.1", "get-config of a datastore that does not exist: an error")
async def unknown_source(bench: Bench) -> str:
    return (await bench.ask("<get-config><source><keyweave-none/></source></get-config>")).wants_error()


@check("C2", "RFC 6241 6.4.2", "an empty filter selects nothing")
async def empty_filter(bench: Bench) -> str:
    data = await _got(bench, '<filter type="subtree"/>')
    require(not len(data), f"selected {_names(data)}")
    return "an empty data"


@check("C3.no-type", "RFC 6241 7.1", "a filter without type is a subtree filter", needs=_NEEDS)
async def no_type(bench: Bench) -> str:
    data = await _got(bench, _state("<capabilities/>").replace(' type="subtree"', ""))
    found = _names(data)
    inner = [local(child) for child in data.iterfind(f"{_M}netconf-state/*")]
    require((found, inner) == (["netconf-state"], ["capabilities"]), f"selected {found}, in it {inner}")
    return "selected netconf-state/capabilities"


@check("C3.bad-type", "RFC 6241 7.1", "a filter of an unknown type: an error")
async def bad_type(bench: Bench) -> str:
    return (await bench.ask('<get><filter type="keyweave"/></get>')).wants_error()


@check("C4.namespace", "RFC 6241 6.2.1", "a known name in an unknown namespace selects nothing", needs=_NEEDS)
async def other_namespace(bench: Bench) -> str:
    data = await _got(bench, _state("").replace(MONITORING, "urn:keyweave:conform:none"))
    require(not len(data), f"selected {_names(data)}")
    return "nothing selected"


@check("C4.element", "RFC 6241 6.2.1", "an unknown name selects nothing", needs=_NEEDS)
async def other_element(bench: Bench) -> str:
    data = await _got(bench, _state("<keyweave-none/>"))
    inner = [local(child) for child in data.iterfind(f"{_M}netconf-state/*")]
    require(not inner, f"selected {inner}")
    return "nothing selected"


@check("C5", "RFC 6241 6.2.1", "a name in no namespace stands for that name in any", needs=_NEEDS)
async def any_namespace(bench: Bench) -> str:
    data = await _got(
        bench, '<filter type="subtree"><netconf-state xmlns=""><capabilities/></netconf-state></filter>'
    )
    require(data.find(f"{_M}netconf-state/{_M}capabilities") is not None, f"selected {_names(data)}")
    return "selected netconf-state/capabilities"


@check(
    "C6.selection", "RFC 6241 6.2.4", "selection nodes select whole subtrees, and only those", needs=_NEEDS
)
async def selection(bench: Bench) -> str:
    data = await _got(bench, _state("<capabilities/><datastores/>"))
    inner = sorted(local(child) for child in data.iterfind(f"{_M}netconf-state/*"))
    require(inner == ["capabilities", "datastores"], f"selected {inner}")
    require(len(data.findall(f".//{_M}capability")) > 0, "without what is in them")
    return f"selected {inner}"


async def _identifiers(bench: Bench, entry: str) -> list[str]:
    data = await _got(bench, _state(f"<schemas><schema>{entry}</schema></schemas>"))
    return [text_of(schema.find(f"{_M}identifier")) for schema in data.iter(f"{_M}schema")]


@check("C6.match", "RFC 6241 6.2.5", "a content match selects the entries that hold the value", needs=_NEEDS)
async def content_match(bench: Bench) -> str:
    found = await _identifiers(bench, "<identifier>ietf-netconf-monitoring</identifier>")
    require(found and set(found) == {"ietf-netconf-monitoring"}, f"selected {found[:5]}")
    none = await _identifiers(bench, "<identifier>keyweave-none</identifier>")
    require(not none, f"no entry matches, but selected {none[:5]}")
    return f"selected {found}"


@check("C6.all", "RFC 6241 6.2.5", "several content matches must all hold", needs=_NEEDS)
async def all_matches(bench: Bench) -> str:
    found = await _identifiers(
        bench, "<identifier>ietf-netconf-monitoring</identifier><version>1999-01-01</version>"
    )
    require(not found, f"selected {found}")
    return "nothing selected"


@check(
    "C6.white-space",
    "RFC 6241 6.2.5",
    "white space around the value of a content match is ignored",
    needs=_NEEDS,
)
async def padded_match(bench: Bench) -> str:
    found = await _identifiers(bench, "<identifier>\n  ietf-netconf-monitoring\n</identifier>")
    require(found == ["ietf-netconf-monitoring"], f"selected {found}")
    return f"selected {found}"


@check(
    "C6.and-selection", "RFC 6241 6.2.5", "beside a content match, only what is selected comes", needs=_NEEDS
)
async def match_and_selection(bench: Bench) -> str:
    data = await _got(
        bench,
        _state(
            "<schemas><schema><identifier>ietf-netconf-monitoring</identifier><namespace/></schema></schemas>"
        ),
    )
    entries = list(data.iter(f"{_M}schema"))
    require(len(entries) == 1, f"{len(entries)} entries")
    names = [local(child) for child in entries[0].iterchildren("*")]
    # The other keys may come along.
    extra = set(names) - {"identifier", "version", "format", "namespace"}
    require("namespace" in names and not extra, f"children {names}")
    return f"children {names}"


@check("C6.two", "RFC 6241 6.2", "two filters for the same list select the union", needs=_NEEDS)
async def union(bench: Bench) -> str:
    listed = await _identifiers(bench, "<identifier/>")
    if len(set(listed)) < 2:
        raise NotApplicable("fewer than two schemas are listed")
    wanted = sorted(set(listed))[:2]
    entries = "</schema><schema>".join(f"<identifier>{name}</identifier>" for name in wanted)
    found = sorted(set(await _identifiers(bench, entries)))
    require(found == wanted, f"asked for {wanted}, selected {found[:5]}")
    return f"selected {found}"


@check("C7", "RFC 6241 6.2.2", "an attribute in a filter must be there with its value", needs=_NEEDS)
async def attribute_match(bench: Bench) -> str:
    mark = ' xmlns:kw="urn:keyweave:conform" kw:mark="1"'
    data = await _got(bench, _state("", mark))
    require(not len(data.findall(f"{_M}netconf-state/*")), f"selected {_names(data)}")
    return "nothing selected"
