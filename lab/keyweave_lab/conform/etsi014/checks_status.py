"""Get status (ETSI GS QKD 014 clauses 5.2 and 6.1)."""

from typing import Any
from urllib.parse import quote

from keyweave_lab.conform.check import Failed, NotApplicable, Note, check, require
from keyweave_lab.conform.etsi014.bench import Bench
from keyweave_lab.conform.etsi014.form import STATUS_MEMBERS, told


@check("B1", "014 5.2", "status 200 with a JSON object")
async def status_answers(bench: Bench) -> str:
    """The master asks about its slave."""
    reply = await bench.ask(bench.options.master, bench.status_path(bench.options.slave.id))
    require(reply.status == 200, told(reply))
    return f"{len(reply.object())} members"


@check("B2", "014 6.1", "every member of Status, with its type")
async def members(bench: Bench) -> str:
    """Presence and types; what stands besides is left to vendors by nothing but status_extension."""
    said = _status(bench)
    wrong = [
        f"{name} {'missing' if name not in said else 'of another type'}"
        for name, kind in STATUS_MEMBERS.items()
        if type(said.get(name)) is not kind
    ]
    if not isinstance(said.get("status_extension", {}), dict):
        wrong.append("status_extension is no object")
    require(not wrong, ", ".join(wrong))
    return "all there"


@check("B3.caller", "014 6.1", "master_SAE_ID is the caller's, by its certificate")
async def caller(bench: Bench) -> str:
    """Both applications are asked for, each with its own certificate."""
    options = bench.options
    seen = [_text(_status(bench), "master_SAE_ID")]
    require(seen[0] == options.master.id, f"master_SAE_ID {seen[0][:80]!r} for {options.master.id!r}")
    reply = await bench.ask(options.slave, bench.status_path(options.master.id))
    if reply.status == 200:
        other = _text(reply.object(), "master_SAE_ID")
        require(other == options.slave.id, f"master_SAE_ID {other[:80]!r} for {options.slave.id!r}")
        seen.append(other)
    return ", ".join(seen)


@check("B3.slave", "014 6.1", "slave_SAE_ID is the one in the path")
async def slave(bench: Bench) -> str:
    """As the path said."""
    seen = _text(_status(bench), "slave_SAE_ID")
    require(seen == bench.options.slave.id, f"{seen[:80]!r} for {bench.options.slave.id!r}")
    return seen


@check("B3.encoded", "014 5.2 (RFC 3986 2.3)", "an id with every character percent-encoded is the same id")
async def encoded(bench: Bench) -> str:
    """The path as a cautious client writes it."""
    slave_id = bench.options.slave.id
    path = bench.status_path(slave_id)
    escaped = "".join(f"%{byte:02X}" for byte in slave_id.encode())
    reply = await bench.ask(bench.options.master, path.replace(quote(slave_id, safe=""), escaped))
    _status(bench)
    require(reply.status == 200, told(reply))
    seen = _text(reply.object(), "slave_SAE_ID")
    require(seen == bench.status.get("slave_SAE_ID"), f"slave_SAE_ID {seen[:80]!r}")
    return seen


@check("B4", "014 6.1", "target_KME_ID is the key manager that the slave calls source_KME_ID")
async def key_managers(bench: Bench) -> str:
    """The two key managers tell of each other, once they have shared a key."""
    await bench.keys({})
    first = await bench.ask(bench.options.master, bench.status_path(bench.options.slave.id))
    require(first.status == 200, told(first))
    said = first.object()
    reply = await bench.ask(bench.options.slave, bench.status_path(bench.options.master.id))
    if reply.status != 200:
        raise NotApplicable(f"the slave's key manager tells no status of this pair: {told(reply)}")
    here, there = _text(said, "target_KME_ID"), _text(reply.object(), "source_KME_ID")
    require(here == there, f"{here[:80]!r} and {there[:80]!r}")
    return here


@check(
    "B5", "014 6.1", "figures agree: sizes in order, counts within their bounds, at least one key a request"
)
async def figures(bench: Bench) -> str:
    """Sizes and counts against each other."""
    low, size, high = (bench.figure(name) for name in ("min_key_size", "key_size", "max_key_size"))
    stored, most = bench.figure("stored_key_count"), bench.figure("max_key_count")
    batch, slaves = bench.figure("max_key_per_request"), bench.figure("max_SAE_ID_count")
    require(0 < low <= size <= high, f"min_key_size {low}, key_size {size}, max_key_size {high}")
    require(stored <= most, f"stored_key_count {stored}, max_key_count {most}")
    require(batch >= 1, f"max_key_per_request {batch}")
    return f"{low}..{high} bits ({size}); {stored} of {most} keys; {batch} a request, {slaves} slaves more"


@check("B6", "014 5.2", "what is answered about an application that nobody knows (left open)")
async def unknown(bench: Bench) -> str:
    """The standard names no status for it."""
    reply = await bench.ask(bench.options.master, bench.status_path("keyweave-conform-nobody"))
    raise Note(told(reply))


def _status(bench: Bench) -> dict[str, Any]:
    if not bench.status:
        raise NotApplicable("there is no status to look at (see B1)")
    return bench.status


def _text(said: dict[str, Any], name: str) -> str:
    value = said.get(name)
    if not isinstance(value, str):
        raise Failed(f"{name} is not told as a string")
    return value
