"""Who may talk to the key manager, and what it says it can (ETSI GS QKD 020 V1.1.1: transport, versions)."""

import ssl
from typing import Any

from keyweave_core.runtime.tls import TlsSettings
from keyweave_lab.conform.check import Failed, check, require
from keyweave_lab.conform.etsi020.bench import VERSIONS, Bench
from keyweave_lab.conform.etsi020.form import told
from keyweave_lab.conform.https import Closed


@check("A1.tls", "020 transport", "TLS 1.3")
async def tls_version(bench: Bench) -> str:
    """What was negotiated."""
    require(bench.facts["tls"] == "TLSv1.3", str(bench.facts["tls"]))
    return "TLSv1.3"


@check("A1.old", "020 transport", "TLS 1.2 is refused")
async def old_tls(bench: Bench) -> str:
    """Offer nothing newer, with a good certificate."""
    try:
        line = await bench.line(bench.context(most=ssl.TLSVersion.TLSv1_2))
    except Closed:
        return "handshake refused"
    try:
        raise Failed(f"negotiated {line.tls.version()}")
    finally:
        await line.close()


@check("A2.none", "020 transport", "without a client certificate there is no service")
async def no_certificate(bench: Bench) -> str:
    """Ask for the versions without showing one."""
    return await _turned_away(bench, bench.nameless())


@check("A2.foreign", "020 transport", "nor with one of an authority that is not accepted", needs=("foreign",))
async def foreign_certificate(bench: Bench) -> str:
    """Ask for the versions with it."""
    tls = bench.options.foreign
    if tls is None:
        raise Failed("no certificate")
    own = bench.options.tls
    shown = TlsSettings(certificate=tls.certificate, private_key=tls.private_key, ca=own.ca)
    return await _turned_away(bench, bench.context(shown))


async def _turned_away(bench: Bench, context: ssl.SSLContext) -> str:
    try:
        reply = await bench.ask(VERSIONS, context=context)
    except Closed as refusal:
        return str(refusal)
    require(reply.status >= 400, f"status {reply.status}")
    return told(reply)


@check("A3.versions", "020 GET versions", "200 with versions, strings of at most 16, v1 among them")
async def versions(bench: Bench) -> str:
    """What the rest of the suite speaks is v1."""
    said = await _container(bench)
    found = _texts(said, "versions", 16)
    require("v1" in found, ", ".join(found))
    return ", ".join(found)


@check("A3.capabilities", "020 GET versions", "capabilities, if told, are strings of at most 128")
async def capabilities(bench: Bench) -> str:
    """Whether synchronous_mode is one of them decides what B7 asks."""
    said = await _container(bench)
    bench.capabilities = tuple(_texts(said, "capabilities", 128)) if "capabilities" in said else ()
    bench.facts["capabilities"] = list(bench.capabilities)
    return ", ".join(bench.capabilities) or "none"


async def _container(bench: Bench) -> dict[str, Any]:
    reply = await bench.ask(VERSIONS)
    require(reply.status == 200, told(reply))
    return reply.object()


def _texts(said: dict[str, Any], name: str, most: int) -> list[str]:
    found = said.get(name)
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise Failed(f"{name} is no array of strings")
    require(len(found) <= 1000, f"{name}: {len(found)} entries")
    long = [text[:40] for text in found if len(text) > most]
    require(not long, f"{name}: {long} are too long")
    return found
