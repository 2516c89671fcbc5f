"""Section B of the list: the end of sessions."""

from keyweave_core.errors import PeerUnreachable
from keyweave_lab.conform.bench import Bench
from keyweave_lab.conform.check import Failed, check, require
from keyweave_lab.conform.talk import Talk


@check("B11", "RFC 6241 7.8", "close-session: <ok/>, then the server closes; its locks are free", edits=True)
async def close_session(bench: Bench) -> str:
    async with bench.session() as talk:
        await _lock(talk)
        (await talk.ask("<close-session/>")).wants_ok("close-session")
        ended = await talk.ended("after close-session")
    return f"<ok/>, {ended}; {await _free(bench)}"


@check("B12.self", "RFC 6241 7.9", "kill-session of the own session: invalid-value")
async def kill_self(bench: Bench) -> str:
    async with bench.session() as talk:
        told = (await talk.ask(_kill(talk.session_id))).wants_error("invalid-value")
        await talk.alive("after kill-session of itself")
        return told


@check("B12.unknown", "RFC 6241 7.9", "kill-session of a session that does not exist: invalid-value")
async def kill_unknown(bench: Bench) -> str:
    return (await bench.ask(_kill("4294967295"))).wants_error("invalid-value")


@check("B12.zero", "RFC 6241 7.9", "kill-session of session 0, which no session is: an error")
async def kill_zero(bench: Bench) -> str:
    return (await bench.ask(_kill("0"))).wants_error()


@check("B12.other", "RFC 6241 7.9", "kill-session of another: <ok/>, its connection ends, its locks are free",
       edits=True)  # fmt: skip
async def kill_other(bench: Bench) -> str:
    async with bench.session() as victim:
        await _lock(victim)
        (await bench.ask(_kill(victim.session_id))).wants_ok("kill-session")
        ended = await victim.ended("the killed session")
        return f"<ok/>, {ended}; {await _free(bench)}"


@check("F5", "-", "a session beyond the limit is refused cleanly, and the others go on",
       needs=("option:session_limit",), edits=True)  # fmt: skip
async def session_limit(bench: Bench) -> str:
    await bench.drop_steady()
    talks = []
    refused = ""
    try:
        for _ in range((bench.options.session_limit or 0) + 1):
            talk = await bench.open()
            talks.append(talk)
    except (PeerUnreachable, Failed) as error:
        refused = str(error)
    try:
        require(refused, f"{len(talks)} sessions are open")
        require(len(talks) == bench.options.session_limit, f"only {len(talks)} sessions: {refused}")
        await talks[0].alive("after one session too many")
    finally:
        for talk in talks:
            await talk.close()
    return f"{len(talks)} sessions, then: {refused}"


def _kill(session_id: str) -> str:
    return f"<kill-session><session-id>{session_id}</session-id></kill-session>"


async def _lock(talk: Talk) -> None:
    (await talk.ask("<lock><target><running/></target></lock>")).wants_ok("lock")


async def _free(bench: Bench) -> str:
    async with bench.session() as talk:

        async def taken() -> bool:
            return (await talk.ask("<lock><target><running/></target></lock>")).ok

        await bench.eventually(taken, "its lock is still held")
    return "locked by the next session"
