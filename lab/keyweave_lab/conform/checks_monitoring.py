"""Section C of the list: netconf-state (RFC 6022)."""

from keyweave_core.netconf.protocol.elements import Element
from keyweave_lab.conform.bench import Bench
from keyweave_lab.conform.check import check, require
from keyweave_lab.conform.talk import Talk
from keyweave_lab.conform.xml import MONITORING, PROBE, local, text_of

_NEEDS = ("module:ietf-netconf-monitoring",)
_M = f"{{{MONITORING}}}"


async def state(talk: Talk, part: str) -> Element:
    """One child of netconf-state; Failed when it does not come."""
    wanted = f'<netconf-state xmlns="{MONITORING}"><{part}/></netconf-state>'
    answer = await talk.ask(f'<get><filter type="subtree">{wanted}</filter></get>')
    found = answer.data.find(f"{_M}netconf-state/{_M}{part}")
    require(found is not None, f"no netconf-state/{part}: {answer.told}")
    assert found is not None  # noqa: S101 - for the type checker: `require` has raised
    return found


@check(
    "C11.capabilities", "RFC 6022 2.1.1", "netconf-state lists the capabilities of the hello", needs=_NEEDS
)
async def capabilities(bench: Bench) -> str:
    found = {text_of(e) for e in (await state(await bench.steady(), "capabilities")).iterchildren("*")}
    hello = set(bench.capabilities)
    require(
        found == hello,
        f"only in hello {sorted(hello - found)[:3]}, only in state {sorted(found - hello)[:3]}",
    )
    return f"{len(found)} capabilities"


@check("C11.datastores", "RFC 6022 2.1.2", "netconf-state lists running, and candidate where it is announced",
       needs=_NEEDS)  # fmt: skip
async def datastores(bench: Bench) -> str:
    found = {
        text_of(e.find(f"{_M}name"))
        for e in (await state(await bench.steady(), "datastores")).iterchildren("*")
    }
    wanted = {"running"} | {name for name in ("candidate", "startup") if bench.capability(name)}
    require(wanted <= found, f"only {sorted(found)}")
    return ", ".join(sorted(found))


@check(
    "C11.lock",
    "RFC 6022 2.1.2",
    "a lock is shown with its session and time, and no longer when it is free",
    needs=_NEEDS,
    edits=True,
)
async def lock_shown(bench: Bench) -> str:
    talk = await bench.steady()
    async with bench.session() as holder:
        (await holder.ask("<lock><target><running/></target></lock>")).wants_ok("lock")

        async def shown() -> bool:
            return len(await _locks(talk)) == 1

        await bench.eventually(shown, "not one global lock is shown")
        (held,) = await _locks(talk)
        session = text_of(held.find(f"{_M}locked-by-session"))
        require(session == holder.session_id, f"locked by {session!r}, not {holder.session_id!r}")
        require(text_of(held.find(f"{_M}locked-time")), "no locked-time")
        (await holder.ask("<unlock><target><running/></target></unlock>")).wants_ok("unlock")

        async def free() -> bool:
            return not await _locks(talk)

        await bench.eventually(free, "still shown after unlock")
    return f"locked by {session}"


@check(
    "C11.sessions",
    "RFC 6022 2.1.4",
    "each session is listed with transport, user and login time; ended ones not",
    needs=_NEEDS,
)
async def sessions(bench: Bench) -> str:
    talk = await bench.steady()
    async with bench.session() as other:
        await other.alive("a second session")
        gone = other.session_id

        async def listed() -> bool:
            return gone in _by_id(await state(talk, "sessions"))

        await bench.eventually(listed, f"session {gone} is not listed")
        entries = _by_id(await state(talk, "sessions"))
        for one in (talk, other):
            entry = entries.get(one.session_id)
            require(entry is not None, f"session {one.session_id} is not among {sorted(entries)}")
            said = entry or {}
            require(said.get("username") == bench.options.login.user, f"username {said.get('username')!r}")
            require(said.get("login-time") and said.get("transport", "").endswith("netconf-ssh"), f"{said}")

    async def forgotten() -> bool:
        return gone not in _by_id(await state(talk, "sessions"))

    await bench.eventually(forgotten, f"session {gone} is still listed after its end")
    return f"{len(entries)} sessions"


@check(
    "C11.counters",
    "RFC 6022 2.1.4, 2.1.5",
    "in-rpcs, in-bad-rpcs and out-rpc-errors of the session count",
    needs=_NEEDS,
)
async def counters(bench: Bench) -> str:
    talk = await bench.steady()
    before = await _counters(talk)
    await talk.ask(PROBE)
    (await talk.ask("<kill-session><session-id>4294967295</session-id></kill-session>")).wants_error()
    for name in ("in-rpcs", "out-rpc-errors"):

        async def grown(name: str = name) -> bool:
            return (await _counters(talk)).get(name, -1) > before.get(name, 0)

        await bench.eventually(grown, f"{name} was {before.get(name)} and stays so")
    return f"{before} then {await _counters(talk)}"


@check("C11.statistics", "RFC 6022 2.1.5", "statistics count sessions, and bad hellos", needs=_NEEDS)
async def statistics(bench: Bench) -> str:
    talk = await bench.steady()
    before = await _statistics(talk)
    async with bench.session() as other:
        await other.alive("a second session")

    async def grown() -> bool:
        return int((await _statistics(talk)).get("in-sessions", "0")) > int(before.get("in-sessions", "0"))

    await bench.eventually(grown, f"in-sessions was {before.get('in-sessions')} and stays so")
    after = await _statistics(talk)
    missing = {"netconf-start-time", "in-bad-hellos", "dropped-sessions", "in-rpcs"} - set(after)
    require(not missing, f"no {sorted(missing)}")
    return f"in-sessions {after['in-sessions']}, since {after['netconf-start-time']}"


def _by_id(part: Element) -> dict[str, dict[str, str]]:
    entries = [{local(c): text_of(c) for c in entry.iterchildren("*")} for entry in part.iterchildren("*")]
    return {entry.get("session-id", ""): entry for entry in entries}


async def _counters(talk: Talk) -> dict[str, int]:
    entry = _by_id(await state(talk, "sessions")).get(talk.session_id, {})
    names = ("in-rpcs", "in-bad-rpcs", "out-rpc-errors", "out-notifications")
    return {name: int(entry[name]) for name in names if entry.get(name, "").isdigit()}


async def _statistics(talk: Talk) -> dict[str, str]:
    return {local(c): text_of(c) for c in (await state(talk, "statistics")).iterchildren("*")}


async def _locks(talk: Talk) -> list[Element]:
    return (await state(talk, "datastores")).findall(f".//{_M}global-lock")
