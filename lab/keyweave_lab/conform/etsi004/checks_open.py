"""OPEN_CONNECT (ETSI GS QKD 004 V2.1.1 clauses 5 and 6)."""

import ssl
import uuid
from dataclasses import replace

from keyweave_core.errors import SettingsError
from keyweave_lab.conform.check import Failed, Note, check, require
from keyweave_lab.conform.etsi004.bench import OPEN_STATES, Bench
from keyweave_lab.conform.etsi004.wire import NULL, Opened, shown
from keyweave_lab.conform.https import Closed

_MOST = 2**32 - 1


@check("A1.null", "004 5.1", "OPEN_CONNECT with KSID NULL allocates a KSID")
async def null(bench: Bench) -> str:
    """The first key manager chooses."""
    async with bench.app(bench.options.first) as app:
        opened = await bench.allocated(app)
        async with bench.closing((app, opened.ksid)):
            return f"{shown(opened.status)}, {uuid.UUID(bytes=opened.ksid)}"


@check("A1.uuid", "004 6.2", "an allocated KSID is a UUID version 4")
async def version_4(bench: Bench) -> str:
    """So that nothing can be derived from it."""
    async with bench.app(bench.options.first) as app:
        opened = await bench.allocated(app)
        async with bench.closing((app, opened.ksid)):
            found = uuid.UUID(bytes=opened.ksid)
            require(found.variant == uuid.RFC_4122 and found.version == 4, str(found))
            return str(found)


@check("A1.other", "004 5.1", "two allocated KSIDs differ, and one application may hold both")
async def other(bench: Bench) -> str:
    """Over one connection."""
    async with bench.app(bench.options.first) as app:
        one = await bench.allocated(app)
        async with bench.closing((app, one.ksid)):
            two = await bench.allocated(app)
            async with bench.closing((app, two.ksid)):
                require(one.ksid != two.ksid, "the same KSID twice")
    return "two KSIDs"


@check("A2.join", "004 5.1", "the peer opens the allocated KSID at its own key manager")
async def join(bench: Bench) -> str:
    """It was told the KSID by its application's own means."""
    async with bench.stream() as stream:
        require(stream.joined.ksid == stream.ksid, "another KSID is returned")
        return shown(stream.joined.status)


@check("A2.qos", "004 5.1", "who opens a registered KSID gets its QoS, whatever was asked")
async def assigned(bench: Bench) -> str:
    """The peer asks for chunks of twice the size."""
    wanted = bench.options.qos
    other_size = replace(wanted, chunk_bytes=2 * wanted.chunk_bytes)
    async with bench.stream(joining=other_size) as stream:
        if stream.joined.qos is None:
            raise Failed("no QoS is returned")
        seen = stream.joined.qos.chunk_bytes
        require(seen == stream.chunk_bytes, f"chunks of {seen} bytes, assigned are {stream.chunk_bytes}")
        return f"{seen} bytes"


@check("A3.in-use", "004 6.3", "a KSID that another application holds at this key manager: status 5")
async def in_use(bench: Bench) -> str:
    """A second connection opens it again at the first key manager."""
    async with bench.stream() as stream, bench.app(bench.options.first) as again:
        opened = await again.open(stream.ksid)
        require(opened.status == 5, shown(opened.status))
        return shown(5)


@check("A4.predefined", "004 5.1", "a KSID that both predefined is opened by both, in whatever order")
async def predefined(bench: Bench) -> str:
    """First one side first, then the other."""
    for turned in (False, True):
        ksid = bench.new_ksid()
        async with bench.apps() as (a, b), bench.closing((a, ksid), (b, ksid)):
            early, late = (b, a) if turned else (a, b)

            async def later() -> Opened:
                await bench.clock.sleep(0.1)
                return await late.open(ksid)  # noqa: B023 - awaited within the turn

            opened: list[Opened] = await bench.together(early.open(ksid), later())
            for one in opened:
                require(one.status in (0, 7), shown(one.status))
                require(one.ksid == ksid, "another KSID is returned")
    return "twice"


@check("A5.alone", "004 5.1", "without the peer OPEN_CONNECT ends within QoS.Timeout: status 1 or 6")
async def alone(bench: Bench) -> str:
    """A predefined KSID that nobody else opens."""
    ksid, qos = bench.new_ksid(), replace(bench.options.qos, timeout_ms=300)
    async with bench.app(bench.options.first) as app, bench.closing((app, ksid)):
        began = bench.clock.monotonic()
        opened = await app.open(ksid, qos)
        took_s = bench.clock.monotonic() - began
        require(opened.status in (1, 6), shown(opened.status))
        require(took_s < 0.3 + 2.0, f"{took_s:.1f} s for a Timeout of 0.3 s")
        return f"{shown(opened.status)} after {took_s:.1f} s"


@check("A6.media", "004 6.2", "an unknown metadata media type opens nothing and returns a known one")
async def media(bench: Bench) -> str:
    """`application/json` is what every key manager must know."""
    qos = replace(bench.options.qos, mimetype="application/x-keyweave-conform")
    async with bench.app(bench.options.first) as app:
        opened = await app.open(qos=qos)
        async with bench.closing((app, opened.ksid)):
            require(opened.status not in (0, 1), shown(opened.status))
            if opened.qos is None:
                raise Note(f"{shown(opened.status)} alone: the preferred type is not told")
            require(opened.qos.mimetype not in ("", qos.mimetype), f"type {opened.qos.mimetype[:60]!r}")
            return f"{shown(opened.status)}, {opened.qos.mimetype[:60]}"


@check("A6.none", "004 6.2", "an empty media type (no metadata) is taken")
async def no_media(bench: Bench) -> str:
    """Metadata is an offer."""
    async with bench.stream(replace(bench.options.qos, mimetype="")) as stream:
        got = await stream.a.key(stream.ksid, 0, 0)
        require(not got.metadata, f"{len(got.metadata)} bytes of metadata")
        return shown(stream.opened.status)


@check("A7.uri", "004 5.1, 6.1", "a source that is no URI opens nothing")
async def no_uri(bench: Bench) -> str:
    """Status 4 in the open implementation."""
    async with bench.app(bench.options.first) as app:
        opened = await app.open(source="no uri", destination="\x01")
        async with bench.closing((app, opened.ksid)):
            require(opened.status not in OPEN_STATES, shown(opened.status))
            return shown(opened.status)


@check(
    "A8.chosen", "004 6.2", "fields that the caller leaves open are chosen: a chunk has a size, keys a life"
)
async def chosen(bench: Bench) -> str:
    """All numbers 0 but the time of the call."""
    qos = replace(bench.options.qos, chunk_bytes=0, ttl_s=0)
    async with bench.app(bench.options.first) as app:
        opened = await bench.allocated(app, qos)
        async with bench.closing((app, opened.ksid)):
            if opened.qos is None:
                raise Failed("no QoS is returned")
            require(opened.qos.chunk_bytes > 0, "Key_chunk_size 0")
            require(opened.qos.ttl_s > 0, "TTL 0")
            return f"{opened.qos.chunk_bytes} bytes, {opened.qos.ttl_s} s"


@check("A8.too-much", "004 6.3", "a Min_bps that no network has: status 7 and a lower proposal")
async def too_much(bench: Bench) -> str:
    """4 Gbit/s of key."""
    qos = replace(bench.options.qos, min_bps=_MOST, max_bps=_MOST)
    async with bench.app(bench.options.first) as app:
        opened = await app.open(qos=qos)
        async with bench.closing((app, opened.ksid)):
            require(opened.status == 7, shown(opened.status))
            if opened.qos is None:
                raise Failed("no QoS is returned")
            require(opened.qos.min_bps < _MOST, "the proposal is what was asked")
            return f"{opened.qos.min_bps} bit/s"


@check("A9.tls", "004 (TLS as agreed)", "without a client certificate there is no service", needs=("tls",))
async def certificate(bench: Bench) -> str:
    """OPEN_CONNECT over TLS without a certificate."""
    side = bench.options.first
    if side.tls is None:
        raise Failed("plain TCP")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = bench.options.check_name
    try:
        context.load_verify_locations(cafile=side.tls.ca)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"{side.tls.ca}: no usable certificate of an authority") from error
    try:
        async with bench.app(side, context) as app:
            opened = await app.open(NULL)
    except Closed as refusal:
        return str(refusal)
    async with bench.app(side) as app, bench.closing((app, opened.ksid)):
        require(opened.status not in OPEN_STATES, shown(opened.status))
    return shown(opened.status)
