"""CLOSE (ETSI GS QKD 004 V2.1.1 clause 5), and what no client should send."""

from keyweave_core.errors import KeyweaveError
from keyweave_lab.conform.check import Note, check, require
from keyweave_lab.conform.etsi004.bench import App, Bench
from keyweave_lab.conform.etsi004.wire import CLOSE, CLOSED, GET, OPEN, OPENED, framed, header, shown
from keyweave_lab.conform.https import Closed


@check("C1.close", "004 5.3", "CLOSE at both ends: status 0")
async def close(bench: Bench) -> str:
    """After one chunk."""
    async with bench.stream() as stream:
        await stream.a.key(stream.ksid, 0)
        for app in (stream.a, stream.b):
            status = await app.end(stream.ksid)
            require(status == 0, shown(status))
        return shown(0)


@check("C1.after", "004 5.3", "a closed stream gives its application no key")
async def after(bench: Bench) -> str:
    """At the end that closed."""
    async with bench.stream() as stream:
        await stream.a.key(stream.ksid, 0)
        await stream.a.end(stream.ksid)
        got = await stream.a.get(stream.ksid, 1)
        require(got.status != 0, "a key came")
        return shown(got.status)


@check("C2.kept", "004 5.3", "what the one end has got stays for the other until that closes, too")
async def kept(bench: Bench) -> str:
    """Two chunks at one end, which closes; the other fetches the second one afterwards."""
    async with bench.stream() as stream:
        mine = [await stream.a.key(stream.ksid, number) for number in range(2)]
        await stream.b.key(stream.ksid, 0)
        await stream.a.end(stream.ksid)
        got = await stream.b.key(stream.ksid, 1)
        require(got.blocks == mine[1].blocks, "another key at index 1")
        return "the same key"


@check("C3.unknown", "004 5.3", "what CLOSE of an unknown KSID gives (left open; status 3 in the open code)")
async def unknown(bench: Bench) -> str:
    """A random KSID."""
    async with bench.app(bench.options.first) as app:
        raise Note(shown(await app.end(bench.new_ksid())))


@check("C3.twice", "004 5.3", "what a second CLOSE gives (left open)")
async def twice(bench: Bench) -> str:
    """At one end."""
    async with bench.stream() as stream:
        await stream.a.end(stream.ksid)
        raise Note(shown(await stream.a.end(stream.ksid)))


@check("D1.pieces", "framing", "a request that comes in pieces of seven bytes is answered")
async def pieces(bench: Bench) -> str:
    """TCP keeps no borders."""
    async with bench.app(bench.options.first) as app:
        data = framed(CLOSE, bench.new_ksid())
        for at in range(0, len(data), 7):
            await app.wire.send(data[at : at + 7])
            await bench.clock.sleep(0.01)
        payload = await app.wire.answer(CLOSED, limit_s=bench.options.message_limit_s)
        return f"{len(payload)} bytes"


@check("D1.two", "framing", "two requests in one piece are both answered, in order")
async def two(bench: Bench) -> str:
    """Pipelined."""
    async with bench.app(bench.options.first) as app:
        await app.wire.send(framed(CLOSE, bench.new_ksid()) + framed(CLOSE, bench.new_ksid()))
        for _ in range(2):
            await app.wire.answer(CLOSED, limit_s=bench.options.message_limit_s)
        return "both"


@check("D2.type", "framing", "what an unknown service type gives (no answer in the open code)")
async def unknown_type(bench: Bench) -> str:
    """0x60."""
    async with bench.app(bench.options.first) as app:
        await app.wire.send(framed(0x60, b""))
        await bench.clock.sleep(0.1)
        raise Note(await _goes_on(bench, app))


@check("D2.version", "framing", "what another version of the framing gives (left open)")
async def version(bench: Bench) -> str:
    """Version 9."""
    async with bench.app(bench.options.first) as app:
        await app.wire.send(header((9, 0, 0), CLOSE, 16) + bench.new_ksid())
        try:
            await app.wire.answer(CLOSED, limit_s=1.0)
        except Closed:
            raise Note("the connection is closed") from None
        raise Note("answered")


@check(
    "D3.short", "framing", "requests that are cut short or promise 4 GB give no key and leave the server well"
)
async def short(bench: Bench) -> str:
    """Each over a connection of its own; then a stream is opened."""
    wrong = (
        framed(OPEN, b"a\0b\0" + b"\0" * 10),
        framed(OPEN, b"x" * 5000),
        framed(GET, b"\0" * 3),
        framed(CLOSE, b""),
        header((1, 0, 1), GET, 2**32 - 1) + b"\0" * 64,
    )
    for data in wrong:
        async with bench.app(bench.options.first) as app:
            await app.wire.send(data)
            try:
                payload = await app.wire.answer(OPENED, limit_s=0.3)
            except KeyweaveError:
                continue  # closed, silent, or the answer to another call: no stream
            require(int.from_bytes(payload[:4]) not in (0, 1), "a stream was opened")
    async with bench.stream() as stream:
        return f"afterwards: {shown(stream.opened.status)}"


async def _goes_on(bench: Bench, app: App) -> str:
    try:
        payload = await app.wire.call(CLOSE, bench.new_ksid(), CLOSED, limit_s=2.0)
    except Closed:
        return "the connection is closed"
    return f"passed over: the next request has {shown(int.from_bytes(payload[:4]))}"
