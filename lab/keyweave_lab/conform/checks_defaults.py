"""Section C of the list: with-defaults (RFC 6243)."""

from collections import Counter
from urllib.parse import parse_qs

from keyweave_core.netconf.protocol.elements import Element
from keyweave_lab.conform.bench import Bench
from keyweave_lab.conform.check import NotApplicable, check, require
from keyweave_lab.conform.xml import DEFAULTS, leaves

_NEEDS = ("with-defaults",)
_MODES = ("report-all", "report-all-tagged", "trim", "explicit")
_DEFAULT = "{urn:ietf:params:xml:ns:netconf:default:1.0}default"


def _announced(bench: Bench) -> tuple[str, set[str]]:
    query = parse_qs((bench.capability("with-defaults") or "").partition("?")[2])
    basic = query.get("basic-mode", [""])[0]
    also = set(query.get("also-supported", [""])[0].split(",")) - {""}
    return basic, also


async def _read(bench: Bench, mode: str, op: str = "get-config") -> Element:
    source = "<source><running/></source>" if op == "get-config" else ""
    asked = f'<{op}>{source}<with-defaults xmlns="{DEFAULTS}">{mode}</with-defaults></{op}>'
    answer = await bench.ask(asked)
    require(not answer.faults, f"{mode}: {answer.told}")
    return answer.data


async def _wanted(bench: Bench, mode: str) -> Element:
    basic, also = _announced(bench)
    if mode != basic and mode not in also:
        raise NotApplicable(f"mode {mode} is not announced")
    return await _read(bench, mode)


def _values(data: Element, *, tagged: bool | None = None) -> Counter[str]:
    """Leaves with path and value; `tagged` keeps only those that (do not) say that they are defaults."""
    return Counter(
        f"{path}={(leaf.text or '').strip()}"
        for path, leaf in leaves(data)
        if leaf is not data
        and (leaf.text or "").strip()
        and (tagged is None or (leaf.get(_DEFAULT) in ("true", "1")) is tagged)
    )


def _differing(one: Counter[str], other: Counter[str]) -> Counter[str]:
    return (one - other) + (other - one)


@check(
    "C9.capability",
    "RFC 6243 4.3",
    "the capability names a basic mode, and only modes there are",
    needs=_NEEDS,
)
async def capability(bench: Bench) -> str:
    basic, also = _announced(bench)
    require(basic in ("report-all", "trim", "explicit"), f"basic-mode {basic!r}")
    require(also <= set(_MODES), f"also-supported {sorted(also)}")
    return f"basic-mode {basic}, also {sorted(also)}"


@check("C9.basic", "RFC 6243 4.5.1", "without the parameter the basic mode is reported", needs=_NEEDS)
async def basic_mode(bench: Bench) -> str:
    basic, _ = _announced(bench)
    plain = (await bench.ask("<get-config><source><running/></source></get-config>")).data
    asked = await _read(bench, basic)
    differ = _differing(_values(plain), _values(asked))
    require(not differ, f"{len(differ)} leaves differ: {list(differ)[:2]}")
    return f"{sum(_values(plain).values())} leaves as in {basic}"


@check("C9.report-all", "RFC 6243 3.1", "report-all reports all that the other modes do", needs=_NEEDS)
async def report_all(bench: Bench) -> str:
    everything = _values(await _wanted(bench, "report-all"))
    plain = _values((await bench.ask("<get-config><source><running/></source></get-config>")).data)
    missing = plain - everything
    require(not missing, f"missing {list(missing)[:2]}")
    return f"{sum(everything.values())} leaves, {sum(plain.values())} without the parameter"


@check("C9.trim", "RFC 6243 3.2", "trim reports no leaf that holds its default", needs=_NEEDS)
async def trim(bench: Bench) -> str:
    trimmed = _values(await _wanted(bench, "trim"))
    tagged = _values(await _wanted(bench, "report-all-tagged"), tagged=True)
    both = trimmed & tagged
    require(not both, f"reported though default: {list(both)[:2]}")
    return f"{sum(trimmed.values())} leaves, {sum(tagged.values())} defaults left out"


@check("C9.explicit", "RFC 6243 3.3", "explicit reports no more than report-all", needs=_NEEDS)
async def explicit(bench: Bench) -> str:
    some = _values(await _wanted(bench, "explicit"))
    everything = _values(await _wanted(bench, "report-all"))
    require(not some - everything, f"only in explicit: {list(some - everything)[:2]}")
    return f"{sum(some.values())} of {sum(everything.values())} leaves"


@check("C9.tagged", "RFC 6243 3.4", "report-all-tagged is report-all, with defaults marked", needs=_NEEDS)
async def tagged(bench: Bench) -> str:
    data = await _wanted(bench, "report-all-tagged")
    found, everything = _values(data), _values(await _wanted(bench, "report-all"))
    differ = _differing(found, everything)
    require(not differ, f"{len(differ)} leaves differ: {list(differ)[:2]}")
    return f"{sum(_values(data, tagged=True).values())} of {sum(found.values())} leaves are marked"


@check("C9.get", "RFC 6243 4.5.1", "get takes the parameter, too", needs=_NEEDS)
async def with_get(bench: Bench) -> str:
    basic, _ = _announced(bench)
    return f"{sum(_values(await _read(bench, basic, 'get')).values())} leaves"


@check(
    "C9.bad", "RFC 6243 4.5.1", "a mode that does not exist or is not announced: invalid-value", needs=_NEEDS
)
async def bad_mode(bench: Bench) -> str:
    basic, also = _announced(bench)
    told = ""
    for mode in ("keyweave", *(m for m in _MODES if m not in also | {basic})):
        asked = f'<with-defaults xmlns="{DEFAULTS}">{mode}</with-defaults>'
        answer = await bench.ask(f"<get-config><source><running/></source>{asked}</get-config>")
        told = answer.wants_error("invalid-value", "operation-not-supported", what=mode)
    return told
