"""Section E of the list: subscriptions and their notifications (RFC 5277)."""

import re

from keyweave_core.runtime.clock import date_and_time
from keyweave_lab.conform.bench import Bench
from keyweave_lab.conform.check import Failed, NotApplicable, check, require
from keyweave_lab.conform.talk import Talk
from keyweave_lab.conform.xml import NETMOD, NOTIFICATION, PROBE, Answer, local, text_of

_NEEDS = ("notification",)
_CLAUSE = "RFC 5277 2.1.1"
_N = f"{{{NETMOD}}}"
_EPOCH = "1990-01-01T00:00:00Z"


async def subscribe(talk: Talk, inner: str = "") -> Answer:
    """create-subscription with the text of its parameters."""
    return await talk.ask(f'<create-subscription xmlns="{NOTIFICATION}">{inner}</create-subscription>')


@check("E1.subscribe", _CLAUSE, "create-subscription without parameters: the stream NETCONF", needs=_NEEDS)
async def plain(bench: Bench) -> str:
    async with bench.session() as talk:
        (await subscribe(talk)).wants_ok("create-subscription")
        return "<ok/>"


@check("E1.stream", _CLAUSE, "the stream NETCONF by its name; an unknown stream: an error", needs=_NEEDS)
async def streams(bench: Bench) -> str:
    async with bench.session() as talk:
        told = (await subscribe(talk, "<stream>keyweave-none</stream>")).wants_error()
        (await subscribe(talk, "<stream>NETCONF</stream>")).wants_ok("stream NETCONF")
        return told


@check("E2.subtree", "RFC 5277 2.1.1, 3.6", "a subtree filter is taken", needs=_NEEDS)
async def subtree(bench: Bench) -> str:
    async with bench.session() as talk:
        inner = '<filter type="subtree"><event xmlns="urn:keyweave:conform:none"/></filter>'
        (await subscribe(talk, inner)).wants_ok("filter")
        return "<ok/>"


@check(
    "E2.selects",
    "RFC 5277 3.6",
    "a filter that nothing fulfils lets no event through",
    needs=_NEEDS,
)
async def selects(bench: Bench) -> str:
    async with bench.session() as talk:
        inner = '<filter type="subtree"><event xmlns="urn:keyweave:conform:none"/></filter>'
        (await subscribe(talk, f"{inner}<startTime>{_EPOCH}</startTime>")).wants_ok("replay with filter")
        try:
            came = local((await talk.notification(2.0))[-1])
        except Failed:
            # Whether a filter applies to replayComplete as well, servers read differently.
            return "nothing came"
        require(came == "replayComplete", f"{came} came")
        return "replayComplete alone"


@check(
    "E2.xpath",
    "RFC 5277 2.1.1",
    "an xpath filter is taken; one that is none: an error",
    needs=(*_NEEDS, "xpath"),
)
async def xpath(bench: Bench) -> str:
    async with bench.session() as talk:
        told = (await subscribe(talk, '<filter type="xpath" select="/x["/>')).wants_error()
        inner = f'<filter type="xpath" xmlns:n="{NETMOD}" select="/n:replayComplete"/>'
        (await subscribe(talk, inner)).wants_ok("xpath filter")
        return told


@check("E3.second", _CLAUSE, "a second subscription on the session: an error", needs=_NEEDS)
async def second(bench: Bench) -> str:
    async with bench.session() as talk:
        (await subscribe(talk)).wants_ok("first")
        return (await subscribe(talk)).wants_error()


@check("E3.interleave", "RFC 5277 6", "with interleave other operations go on after create-subscription",
       needs=(*_NEEDS, "interleave"))  # fmt: skip
async def interleave(bench: Bench) -> str:
    async with bench.session() as talk:
        (await subscribe(talk, f"<startTime>{_EPOCH}</startTime>")).wants_ok("create-subscription")
        for _ in range(3):
            answer = await talk.ask(PROBE)
            require(not answer.faults, answer.told)
        return "three replies"


@check("E4.stop-alone", _CLAUSE, "stopTime without startTime: missing-element", needs=_NEEDS)
async def stop_alone(bench: Bench) -> str:
    return await _times(bench, "", _at(bench, 60), "missing-element")


@check("E4.stop-first", _CLAUSE, "stopTime before startTime: bad-element", needs=_NEEDS)
async def stop_first(bench: Bench) -> str:
    return await _times(bench, _at(bench, -60), _at(bench, -120), "bad-element")


@check("E4.future", _CLAUSE, "startTime in the future: bad-element", needs=_NEEDS)
async def future(bench: Bench) -> str:
    return await _times(bench, _at(bench, 3600), "", "bad-element")


@check("E4.no-time", _CLAUSE, "a startTime that is no time: an error", needs=_NEEDS)
async def no_time(bench: Bench) -> str:
    async with bench.session() as talk:
        return (await subscribe(talk, "<startTime>yesterday</startTime>")).wants_error()


async def _times(bench: Bench, start: str, stop: str, tag: str) -> str:
    inner = f"<startTime>{start}</startTime>" if start else ""
    inner += f"<stopTime>{stop}</stopTime>" if stop else ""
    async with bench.session() as talk:
        return (await subscribe(talk, inner)).wants_error(tag)


def _at(bench: Bench, offset_s: float) -> str:
    return date_and_time(bench.clock.now() + offset_s)


@check(
    "E5.replay",
    "RFC 5277 3.3",
    "a replay ends with replayComplete; every event has an eventTime with zone",
    needs=_NEEDS,
)
async def replay(bench: Bench) -> str:
    await _supports_replay(bench)
    async with bench.session() as talk:
        (await subscribe(talk, f"<startTime>{_EPOCH}</startTime>")).wants_ok("create-subscription")
        events = await _until(talk, "replayComplete")
        return f"{len(events)} events, then replayComplete"


@check("E5.stop", "RFC 5277 2.1.1", "notificationComplete at the stop time, and then nothing", needs=_NEEDS)
async def stop(bench: Bench) -> str:
    await _supports_replay(bench)
    async with bench.session() as talk:
        inner = f"<startTime>{_EPOCH}</startTime><stopTime>{_at(bench, 1.5)}</stopTime>"
        (await subscribe(talk, inner)).wants_ok("create-subscription")
        await _until(talk, "replayComplete")
        await _until(talk, "notificationComplete", 5.0)
        await talk.alive("after notificationComplete")
        (await subscribe(talk)).wants_ok("a subscription after the first was complete")
        return "replayComplete, notificationComplete; a new subscription is taken"


@check(
    "E5.past",
    "RFC 5277 2.1.1",
    "start and stop in the past: replay, replayComplete, notificationComplete",
    needs=_NEEDS,
)
async def past(bench: Bench) -> str:
    await _supports_replay(bench)
    async with bench.session() as talk:
        inner = f"<startTime>{_EPOCH}</startTime><stopTime>1990-01-02T00:00:00Z</stopTime>"
        (await subscribe(talk, inner)).wants_ok("create-subscription")
        events = await _until(talk, "replayComplete")
        require(not events, f"events of 1990: {events[:3]}")
        await _until(talk, "notificationComplete", 5.0)
        return "both, and no event"


@check(
    "E5.streams",
    "RFC 5277 3.2.5",
    "netconf/streams lists NETCONF, and since when it can be replayed",
    needs=_NEEDS,
)
async def stream_list(bench: Bench) -> str:
    found = await _streams(bench)
    require("NETCONF" in found, f"streams {sorted(found)}")
    said = found["NETCONF"]
    support = said.get("replaySupport")
    require(support in ("true", "false"), f"replaySupport {support!r}")
    require(support == "false" or said.get("replayLogCreationTime"), "no replayLogCreationTime")
    return f"{sorted(found)}, NETCONF since {said.get('replayLogCreationTime', 'never')}"


async def _streams(bench: Bench) -> dict[str, dict[str, str]]:
    wanted = f'<filter type="subtree"><netconf xmlns="{NETMOD}"><streams/></netconf></filter>'
    data = (await bench.ask(f"<get>{wanted}</get>")).data
    entries = [
        {local(c): text_of(c) for c in stream.iterchildren("*")} for stream in data.iter(f"{_N}stream")
    ]
    return {entry.get("name", ""): entry for entry in entries}


async def _supports_replay(bench: Bench) -> None:
    said = (await _streams(bench)).get("NETCONF", {})
    if said.get("replaySupport") == "false":
        raise NotApplicable("the stream NETCONF has no replay")


async def _until(talk: Talk, name: str, limit_s: float | None = None) -> list[str]:
    """Names of the events before the one of this name; each envelope is looked at."""
    passed: list[str] = []
    while True:
        envelope = await talk.notification(limit_s or talk.limit_s)
        time = text_of(envelope.find(f"{{{NOTIFICATION}}}eventTime"))
        zoned = re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", time)
        require(zoned, f"eventTime {time!r}")
        content = [child for child in envelope.iterchildren("*") if local(child) != "eventTime"]
        require(len(content) == 1, f"{len(content)} elements beside eventTime")
        if local(content[0]) == name:
            return passed
        passed.append(local(content[0]))
