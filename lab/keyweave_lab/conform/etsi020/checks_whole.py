"""What holds for every answer and acknowledgement of the run, and the key manager after all of it."""

from keyweave_lab.conform.check import Failed, NotApplicable, check, require
from keyweave_lab.conform.etsi020.bench import VERSIONS, Bench
from keyweave_lab.conform.etsi020.form import told


@check("U1.problem", "020 problem_details (RFC 9457)", "refusals have a type, and details as object")
async def problems(bench: Bench) -> str:
    """Of every 400, 408 and 503, and of 401 with a body."""
    if not sum(bench.counts[status] for status in ("400", "401", "408", "503")):
        raise NotApplicable("no refusal in this run")
    return _without(bench, "problem")


@check("U1.type", "020 transport", "JSON is told as application/json or application/problem+json")
async def media_type(bench: Bench) -> str:
    """Of every answer with a body."""
    return _without(bench, "type")


@check("U2.acks", "020 ack_containers", "acknowledgements are an array of containers with known statuses")
async def acks(bench: Bench) -> str:
    """All that came, by callback or as an answer."""
    heard = [one for one in bench.listener.heard if one.acks or one.flaws]
    flaws = [flaw for one in heard for flaw in one.flaws] + bench.flaws["acks"]
    if not heard and not flaws:
        raise NotApplicable("no acknowledgement came")
    if flaws:
        raise Failed(f"{len(flaws)} times; first: {flaws[0]}")
    return f"{len(heard)} by callback"


@check("U3.alive", "020 GET versions", "after all this the versions are answered as before")
async def alive(bench: Bench) -> str:
    """Still there."""
    reply = await bench.ask(VERSIONS)
    require(reply.status == 200, told(reply))
    return told(reply)


def _without(bench: Bench, kind: str) -> str:
    flaws = bench.flaws[kind]
    if flaws:
        raise Failed(f"{len(flaws)} times; first: {flaws[0]}")
    return "all of them"
