"""GET_KEY (ETSI GS QKD 004 V2.1.1 clauses 5 and 6): equal keys at equal positions, and nowhere else."""

from dataclasses import replace
from typing import Any

import msgspec

from keyweave_lab.conform.check import Failed, NotApplicable, Note, check, require
from keyweave_lab.conform.etsi004.bench import App, Bench, Stream
from keyweave_lab.conform.etsi004.wire import Got, shown

_FAR = 1_000_000


@check("B1.equal", "004 5.2", "both applications get the same chunk at index 0, of Key_chunk_size bytes")
async def equal(bench: Bench) -> str:
    """Compared by digest."""
    async with bench.stream() as stream:
        got = await _both(stream, 0)
        size = stream.chunk_bytes
        require(got.key_bytes == size, f"{got.key_bytes} bytes where Key_chunk_size is {size}")
        return f"{size} bytes"


@check("B1.order", "004 5.2", "indexes 0 to 4 give five chunks, equal at both ends, none like another")
async def order(bench: Bench) -> str:
    """One after the other."""
    async with bench.stream() as stream:
        found = [await _both(stream, index) for index in range(5)]
        blocks = [block for got in found for block in got.blocks]
        require(len(set(blocks)) == len(blocks), "key material repeats within the stream")
        return "5 chunks"


@check("B1.second-first", "004 5.2", "it does not matter which end asks first")
async def second_first(bench: Bench) -> str:
    """The one that joined."""
    async with bench.stream() as stream:
        late = await stream.b.key(stream.ksid, 0)
        early = await stream.a.key(stream.ksid, 0)
        require(late.blocks == early.blocks, "different keys at index 0")
        return "equal"


@check("B2.index", "004 5.2", "the chunk is the one of the index that was asked for")
async def index(bench: Bench) -> str:
    """One end goes on to 2; the other asks for 2 alone."""
    async with bench.stream() as stream:
        found = [await stream.a.key(stream.ksid, number) for number in range(3)]
        got = await stream.b.key(stream.ksid, 2)
        require(got.index == 2, f"index {got.index} is returned for 2")
        require(got.blocks == found[2].blocks, "another chunk than the first end has at index 2")
        return "2"


@check("B2.again", "004 5.2", "what the same index gives a second time (left open; never another key)")
async def again(bench: Bench) -> str:
    """At one end."""
    async with bench.stream() as stream:
        first = await stream.a.key(stream.ksid, 0)
        second = await stream.a.get(stream.ksid, 0)
        if second.status == 0 and second.index == 0:
            require(second.blocks == first.blocks, "another key under the same index")
            raise Note("the same chunk")
        raise Note(f"index {second.index}" if second.status == 0 else shown(second.status))


@check("B3.streams", "004 5.1", "two streams of the same applications share no material")
async def streams(bench: Bench) -> str:
    """Four chunks of each, of different sizes, compared by digests of every 16 bytes."""
    qos = bench.options.qos
    async with bench.stream() as one, bench.stream(replace(qos, chunk_bytes=2 * qos.chunk_bytes)) as two:
        mine = {block for number in range(4) for block in (await one.a.key(one.ksid, number)).blocks}
        theirs = {block for number in range(4) for block in (await two.a.key(two.ksid, number)).blocks}
        require(not mine & theirs, f"{len(mine & theirs)} blocks of 16 bytes are in both")
        return "none in common"


@check("B4.metadata", "004 6.2", "metadata is JSON; age is milliseconds as uint32, hops a number")
async def metadata(bench: Bench) -> str:
    """What `application/json` was asked for."""
    async with bench.stream() as stream:
        got = await stream.a.key(stream.ksid, 0)
        if not got.metadata:
            raise Note("no metadata is given")
        try:
            said: Any = msgspec.json.decode(got.metadata)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Failed(f"{len(got.metadata)} bytes that are no JSON") from error
        if not isinstance(said, dict):
            raise Failed("JSON, but no object")
        for name in ("age", "hops"):
            value = said.get(name, 0)
            require(type(value) is int and 0 <= value < 2**32, f"{name} is no uint32")
        return ", ".join(f"{name} {said[name]}" for name in ("age", "hops") if name in said) or "neither"


@check("B4.unwanted", "004 6.2", "with Metadata_size 0 the chunk comes without metadata")
async def unwanted(bench: Bench) -> str:
    """No buffer is no fault."""
    async with bench.stream() as stream:
        got = await stream.a.key(stream.ksid, 0, 0)
        require(not got.metadata, f"{len(got.metadata)} bytes of metadata")
        return "none"


@check("B5.small", "004 6.3", "a metadata buffer that is too small: status 8 and the size that is needed")
async def small(bench: Bench) -> str:
    """One byte."""
    async with bench.stream() as stream:
        got = await _small(bench, stream)
        require(got.status == 8, shown(got.status))
        require(got.needed > 1, f"needed are {got.needed}")
        return f"{got.needed} bytes"


@check("B5.kept", "004 6.3", "after status 8 no key is lost: the same index gives it, equal at both ends")
async def kept(bench: Bench) -> str:
    """Asked again with a buffer that is large enough."""
    async with bench.stream() as stream:
        got = await _small(bench, stream)
        if got.status != 8:
            raise NotApplicable(f"{shown(got.status)} (see B5.small)")
        mine = await stream.a.key(stream.ksid, 0, 4096)
        theirs = await stream.b.key(stream.ksid, 0, 4096)
        require(mine.index == 0, f"index {mine.index} instead of 0")
        require(mine.blocks == theirs.blocks, "different keys at index 0")
        return "the same key"


@check("B6.unknown", "004 6.3", "a KSID that nobody opened gives no key: status 2, 3 or 6")
async def unknown(bench: Bench) -> str:
    """Status 3 in the open implementation."""
    async with bench.app(bench.options.first) as app:
        got = await app.get(bench.new_ksid(), 0)
        require(got.status in (2, 3, 6), shown(got.status))
        return shown(got.status)


@check(
    "B6.alone",
    "004 6.3",
    "before the peer has opened there is no key: status 3 (or 6 at the end of the time)",
)
async def alone(bench: Bench) -> str:
    """The first application alone."""
    async with bench.app(bench.options.first) as app:
        opened = await bench.allocated(app, replace(bench.options.qos, timeout_ms=500))
        async with bench.closing((app, opened.ksid)):
            got = await app.get(opened.ksid, 0)
            require(got.status in (3, 6), shown(got.status))
            return shown(got.status)


@check("B7.far", "004 5.2, 6.3", "an index far ahead: status 2 or 6 within QoS.Timeout")
async def far(bench: Bench) -> str:
    """A million chunks on; the stream goes on after it."""
    async with bench.stream(replace(bench.options.qos, timeout_ms=500)) as stream:
        began = bench.clock.monotonic()
        got = await stream.a.get(stream.ksid, _FAR)
        took_s = bench.clock.monotonic() - began
        require(got.status in (2, 6), shown(got.status))
        require(took_s < 0.5 + 2.0, f"{took_s:.1f} s for a Timeout of 0.5 s")
        await _both(stream, 0)
        return f"{shown(got.status)} after {took_s:.1f} s"


async def _both(stream: Stream, number: int) -> Got:
    mine: Got = await stream.a.key(stream.ksid, number)
    theirs: Got = await stream.b.key(stream.ksid, number)
    require(mine.blocks == theirs.blocks, f"different keys at index {number}")
    return mine


async def _small(bench: Bench, stream: Stream) -> Got:
    """GET_KEY with a buffer of one byte, once there is key; NotApplicable where there is no metadata."""
    waited = 0.0
    app: App = stream.a
    while True:
        got = await app.get(stream.ksid, 0, 1)
        if got.status not in (2, 3, 6) or waited >= bench.options.patience_s:
            break
        await bench.clock.sleep(0.1)
        waited += 0.1
    if got.status == 0 and not got.metadata:
        again = await stream.a.key(stream.ksid, 1, 4096)
        if not again.metadata:
            raise NotApplicable("no metadata is given")
    return got
