"""Section A of the list: chunked framing, whole and abused (RFC 6242 clause 4.2)."""

from keyweave_lab.conform.bench import Bench
from keyweave_lab.conform.check import check, require
from keyweave_lab.conform.talk import Talk
from keyweave_lab.conform.xml import PROBE, chunks, rpc

_CHUNKED = ("base:1.1",)
_CLAUSE = "RFC 6242 4.2"
_PROBE = rpc(PROBE)


async def _answered(talk: Talk, data: bytes) -> str:
    talk.wire.send(data)
    answer = await talk.answer()
    require(not answer.faults, answer.told)
    return answer.told


@check("A9.bytes", _CLAUSE, "chunks of one byte are put together", needs=_CHUNKED)
async def one_byte_chunks(bench: Bench) -> str:
    return await _answered(await bench.steady(), chunks(_PROBE, 1))


@check("A9.split", _CLAUSE, "a header that comes in several packets is read", needs=_CHUNKED)
async def split_header(bench: Bench) -> str:
    talk = await bench.steady()
    data = chunks(_PROBE, 64)
    for piece in (data[:1], data[1:2], data[2:4], data[4:9], data[9:-3], data[-3:-1]):
        talk.wire.send(piece)
        await bench.pause(0.02)
    return await _answered(talk, data[-1:])


@check("A9.several", _CLAUSE, "several messages in one packet are each answered", needs=_CHUNKED)
async def several_messages(bench: Bench) -> str:
    talk = await bench.steady()
    talk.wire.send(chunks(_PROBE) * 3)
    for _ in range(3):
        answer = await talk.answer()
        require(not answer.faults, answer.told)
    return "three replies"


@check("A9.characters", _CLAUSE, "chunks may end inside a character", needs=_CHUNKED)
async def split_character(bench: Bench) -> str:
    text = "ключ-鍵-🔑"
    talk = await bench.steady()
    talk.wire.send(chunks(rpc(PROBE, text), 1))
    answer = await talk.answer()
    echoed = answer.root.get("message-id")
    require(echoed == text, f"message-id {echoed!r} instead of {text!r}")
    return answer.told


async def _abused(bench: Bench, data: bytes, what: str) -> str:
    async with bench.session() as talk:
        talk.wire.send(data)
        return await talk.ended(what)


@check("A10.zero", _CLAUSE, "a chunk of size 0 ends the session", needs=_CHUNKED)
async def zero_size(bench: Bench) -> str:
    return await _abused(bench, b"\n#0\n" + chunks(_PROBE), "chunk size 0")


@check("A10.leading-zero", _CLAUSE, "a size with a leading zero ends the session", needs=_CHUNKED)
async def leading_zero(bench: Bench) -> str:
    return await _abused(bench, b"\n#0%d\n%b\n##\n" % (len(_PROBE), _PROBE), "size with a leading zero")


@check("A10.too-large", _CLAUSE, "a size above 4294967295 ends the session", needs=_CHUNKED)
async def too_large(bench: Bench) -> str:
    return await _abused(bench, b"\n#4294967296\n" + _PROBE, "size 4294967296")


@check("A10.too-long", _CLAUSE, "a size of many digits ends the session", needs=_CHUNKED)
async def too_long(bench: Bench) -> str:
    return await _abused(bench, b"\n#" + b"9" * 40 + b"\n" + _PROBE, "size of 40 digits")


@check("A10.sign", _CLAUSE, "a size with a sign ends the session", needs=_CHUNKED)
async def signed_size(bench: Bench) -> str:
    return await _abused(bench, b"\n#+%d\n%b\n##\n" % (len(_PROBE), _PROBE), "size with a sign")


@check("A10.junk", _CLAUSE, "bytes that are no header end the session", needs=_CHUNKED)
async def junk(bench: Bench) -> str:
    return await _abused(bench, b"this is no chunk header\n", "junk")


@check("A10.after", _CLAUSE, "junk between two chunks ends the session", needs=_CHUNKED)
async def junk_between(bench: Bench) -> str:
    half = len(_PROBE) // 2
    data = b"\n#%d\n%bxx\n#%d\n%b\n##\n" % (half, _PROBE[:half], len(_PROBE) - half, _PROBE[half:])
    return await _abused(bench, data, "junk between chunks")


@check("A10.delimiter", _CLAUSE, "end-of-message framing in a chunked session ends it", needs=_CHUNKED)
async def delimiter_in_chunked(bench: Bench) -> str:
    return await _abused(bench, _PROBE + b"]]>]]>", "message with ]]>]]>")


@check("A10.empty", _CLAUSE, "a message without a chunk ends the session", needs=_CHUNKED)
async def empty_message(bench: Bench) -> str:
    return await _abused(bench, b"\n##\n", "no chunk before the end")


@check("A11.message", "-", "a message above the limit is refused or ends the session",
       needs=(*_CHUNKED, "option:message_limit_bytes"))  # fmt: skip
async def message_limit(bench: Bench) -> str:
    limit = bench.options.message_limit_bytes or 0
    async with bench.session() as talk:
        filler = b"<!-- " + b"x" * (limit + 1) + b" -->"
        talk.wire.send(chunks(_PROBE.replace(b"</rpc>", filler + b"</rpc>"), 65536))
        answer = await talk.next()
        if answer is None:
            return "closed"
        require(answer.faults, f"granted: {answer.told}")
        return answer.told


@check("A11.unfinished", "-", "an unfinished chunk above the limit ends the session",
       needs=(*_CHUNKED, "option:message_limit_bytes"))  # fmt: skip
async def unfinished_chunk(bench: Bench) -> str:
    limit = bench.options.message_limit_bytes or 0
    async with bench.session() as talk:
        talk.wire.send(b"\n#4294967295\n" + b" " * (limit + 65536))
        return await talk.ended("unfinished chunk")


@check("A15.lock", "RFC 6241 7.5", "a connection that drops frees the locks of its session", edits=True)
async def dropped_lock(bench: Bench) -> str:
    async with bench.session() as talk:
        (await talk.ask(_LOCK)).wants_ok("lock")
    return await _free_again(bench)


@check("A15.end-of-input", "RFC 6241 7.5", "end of input ends the session and frees its locks", edits=True)
async def ended_input(bench: Bench) -> str:
    async with bench.session() as talk:
        (await talk.ask(_LOCK)).wants_ok("lock")
        talk.wire.end_input()
        return await _free_again(bench)


@check(
    "A15.framing",
    "RFC 6242 4.2",
    "a session ended by bad framing frees its locks",
    needs=_CHUNKED,
    edits=True,
)
async def lock_after_bad_framing(bench: Bench) -> str:
    async with bench.session() as talk:
        (await talk.ask(_LOCK)).wants_ok("lock")
        talk.wire.send(b"\n#0\n")
        return await _free_again(bench)


_LOCK = "<lock><target><running/></target></lock>"


async def _free_again(bench: Bench) -> str:
    async with bench.session() as talk:

        async def taken() -> bool:
            return (await talk.ask(_LOCK)).ok

        await bench.eventually(taken, "running stays locked")
        (await talk.ask(_LOCK.replace("lock>", "unlock>"))).wants_ok("unlock")
    return "locked by the next session"
