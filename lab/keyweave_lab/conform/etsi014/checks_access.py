"""Who may talk to a key manager: TLS, certificates, HTTP (ETSI GS QKD 014 clause 5.1)."""

from keyweave_core.runtime.tls import TlsSettings
from keyweave_lab.conform.check import Failed, NotApplicable, Note, check, require
from keyweave_lab.conform.etsi014.bench import Bench
from keyweave_lab.conform.etsi014.form import told
from keyweave_lab.conform.https import Closed


@check("A1.tls", "014 5.1", "TLS 1.2 or higher with both key managers")
async def tls_version(bench: Bench) -> str:
    """What was negotiated."""
    seen = {what: bench.facts[what]["tls"] for what in ("master", "slave")}
    require(set(seen.values()) <= {"TLSv1.2", "TLSv1.3"}, str(seen))
    return ", ".join(f"{what}: {version}" for what, version in seen.items())


@check("A1.old", "014 5.1", "TLS 1.1 and older are refused")
async def old_tls(bench: Bench) -> str:
    """Offer nothing newer than TLS 1.1, with the master's certificate."""
    try:
        line = await bench.lines.open(bench.options.master, bench.lines.nameless(old=True))
    except Closed as refusal:
        if "no protocols available" in str(refusal) or "no ciphers available" in str(refusal):
            raise NotApplicable("the TLS library here cannot offer TLS 1.1") from refusal
        return "handshake refused"
    try:
        raise Failed(f"negotiated {line.tls.version()}")
    finally:
        await line.close()


@check("A2.none", "014 5.1", "without a client certificate there is no service")
async def no_certificate(bench: Bench) -> str:
    """Ask for the status without showing a certificate."""
    return await _turned_away(bench, None)


@check(
    "A2.foreign", "014 5.1", "with a certificate of another authority there is no service", needs=("foreign",)
)
async def foreign_certificate(bench: Bench) -> str:
    """Ask for the status with a certificate of an authority that the key manager does not know."""
    return await _turned_away(bench, bench.options.foreign)


async def _turned_away(bench: Bench, tls: TlsSettings | None) -> str:
    master = bench.options.master
    context = bench.lines.nameless()
    if tls is not None:
        # The server is still judged by the authority that signed it.
        shown = TlsSettings(certificate=tls.certificate, private_key=tls.private_key, ca=master.tls.ca)
        context = bench.lines.context(shown)
    try:
        reply = await bench.ask(master, bench.status_path(bench.options.slave.id), context=context)
    except Closed as refusal:
        return str(refusal)
    require(reply.status >= 400, f"status {reply.status}")
    return told(reply)


@check("A3.keep-alive", "014 5.1 (RFC 7230 6.3)", "a connection serves several requests")
async def keep_alive(bench: Bench) -> str:
    """Two requests for the status over one connection."""
    master = bench.options.master
    line = await bench.lines.open(master)
    target = master.place.prefix + bench.status_path(bench.options.slave.id)
    try:
        first = await line.ask("GET", target, limit_s=bench.options.message_limit_s)
        if not line.reusable:
            raise Note("the key manager closes after each answer: a handshake a request")
        second = await line.ask("GET", target, limit_s=bench.options.message_limit_s)
    finally:
        await line.close()
    require(second.status == first.status, f"{first.status}, then {second.status}")
    return f"twice {first.status}"
