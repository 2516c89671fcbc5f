"""What holds for every answer of the run, and the key manager after all that was asked of it."""

from keyweave_lab.conform.check import Failed, NotApplicable, Note, check, require
from keyweave_lab.conform.etsi014.bench import Bench
from keyweave_lab.conform.etsi014.form import told
from keyweave_lab.conform.https import Closed, Reply

_LARGE = 2 * 1024 * 1024


@check(
    "E1.http", "014 5.1 (RFC 7230 3)", "bytes that are no HTTP are answered with 400, or the connection ends"
)
async def no_http(bench: Bench) -> str:
    """One line of nonsense."""
    line = await bench.lines.open(bench.options.master)
    try:
        reply = await line.say(b"KEYWEAVE conform\r\n\r\n", limit_s=bench.options.message_limit_s)
    except Closed:
        return "closed"
    finally:
        await line.close()
    require(400 <= reply.status < 600, f"status {reply.status}")
    return told(reply)


@check("E1.path", "014 5.1", "a method that the table does not have is not found")
async def no_method(bench: Bench) -> str:
    """Beside the three that there are."""
    options = bench.options
    reply = await bench.ask(options.master, bench.path(options.slave.id, "all_keys"))
    require(reply.status >= 400, told(reply))
    return told(reply)


@check("E1.large", "014 5.3", "what a body of 2 MiB gives (left open; 413 says it best)")
async def large(bench: Bench) -> str:
    """JSON of white space, which nobody needs to hold in memory."""
    options = bench.options
    try:
        body = b"{" + b" " * _LARGE + b"}"
        reply = await bench.ask(options.master, bench.path(options.slave.id, "enc_keys"), body)
    except Closed as end:
        raise Note(str(end)) from end
    if reply.status == 200:
        bench.taken(reply)
    raise Note(told(reply))


@check("U1.uuid", "014 6.3", "every key_ID is a UUID")
async def uuids(bench: Bench) -> str:
    """Of all keys of the run."""
    return _none(bench, "uuid")


@check("U1.ids", "014 6.3", "no key_ID came twice from enc_keys")
async def ids(bench: Bench) -> str:
    """Of all keys of the run."""
    return _none(bench, "repeated id")


@check("U1.keys", "014 6.3", "no key came twice from enc_keys")
async def keys(bench: Bench) -> str:
    """Under different ids; compared by digest."""
    return _none(bench, "repeated key")


@check("U2.base64", "014 6.3 (RFC 4648 4)", "every key is base64 with its padding")
async def base64(bench: Bench) -> str:
    """The plain alphabet."""
    return _none(bench, "base64")


@check("U2.members", "014 6.3", "key containers hold what the standard names, and objects as extensions")
async def members(bench: Bench) -> str:
    """`keys`, `key_ID`, `key` and the extensions."""
    return _none(bench, "members")


@check(
    "U3.error",
    "014 6.5",
    "every 400 and 503 has an error object: message, and details as an array of objects",
)
async def errors(bench: Bench) -> str:
    """All that the run met."""
    if not bench.counts["400"] + bench.counts["503"]:
        raise NotApplicable("no such answer in this run")
    return _without(bench, "error")


@check("U3.401", "014 5.4", "401 has no body")
async def unauthorised(bench: Bench) -> str:
    """All that the run met."""
    if not bench.counts["401"]:
        raise NotApplicable("no 401 in this run")
    return _without(bench, "401")


@check("U4.type", "014 5.1", "JSON is told as application/json")
async def media_type(bench: Bench) -> str:
    """Of 200, 400 and 503."""
    return _without(bench, "type")


@check("U4.http", "014 5.1", "answers are HTTP/1.1")
async def version(bench: Bench) -> str:
    """All of them."""
    return _without(bench, "version")


@check("U4.cache", "014 5.1 (RFC 7234 5.2.2.3)", "keys go out with Cache-Control: no-store (good practice)")
async def cache(bench: Bench) -> str:
    """The standard is silent."""
    flaws = bench.flaws["cache"]
    if flaws:
        raise Note(flaws[0])
    return "no-store"


@check("U5.alive", "014 5.2", "after all this the status is answered as before")
async def alive(bench: Bench) -> str:
    """Both key managers."""
    options = bench.options
    reply = await bench.ask(options.master, bench.status_path(options.slave.id))
    other: Reply = await bench.ask(options.slave, bench.status_path(options.master.id))
    require(reply.status == 200, told(reply))
    return f"{reply.status}, {other.status}"


def _none(bench: Bench, kind: str) -> str:
    if not bench.counts["keys"]:
        raise NotApplicable("no key in this run")
    _without(bench, kind)
    return f"{bench.counts['keys']} keys"


def _without(bench: Bench, kind: str) -> str:
    flaws = bench.flaws[kind]
    if flaws:
        raise Failed(f"{len(flaws)} times; first: {flaws[0]}")
    return "all of them"
