"""Section B of the list: XML that is legal in any form, and XML that is not."""

from keyweave_lab.conform.bench import Bench
from keyweave_lab.conform.check import Failed, check, require
from keyweave_lab.conform.talk import Talk
from keyweave_lab.conform.xml import BASE, MONITORING, PROBE, chunks, rpc, text_of

_SCHEMA = ("module:ietf-netconf-monitoring",)


@check(
    "B4.truncated",
    "RFC 6241 A",
    "XML that is not well-formed: malformed-message or the end, never a grant",
    needs=("base:1.1",),
)
async def truncated(bench: Bench) -> str:
    return await _refused(bench, b'<rpc xmlns="%b" message-id="1"><get>' % BASE.encode(), "unclosed elements")


@check(
    "B4.no-xml", "RFC 6241 A", "a message that is no XML: malformed-message or the end", needs=("base:1.1",)
)
async def no_xml(bench: Bench) -> str:
    return await _refused(bench, b"neither rpc nor reply", "no XML")


@check("B4.two-roots", "RFC 6241 A", "two documents in one message: malformed-message or the end",
       needs=("base:1.1",))  # fmt: skip
async def two_roots(bench: Bench) -> str:
    return await _refused(bench, rpc(PROBE) + rpc(PROBE, "2"), "two roots")


@check(
    "B4.encoding", "RFC 6241 3", "bytes that are no UTF-8: malformed-message or the end", needs=("base:1.1",)
)
async def bad_encoding(bench: Bench) -> str:
    return await _refused(bench, rpc(PROBE, "@").replace(b"@", b"\xff\xfe"), "bytes that are no UTF-8")


@check("B4.prefix", "RFC 6241 A", "a prefix that is not declared: malformed-message or the end",
       needs=("base:1.1",))  # fmt: skip
async def undeclared_prefix(bench: Bench) -> str:
    return await _refused(bench, rpc("<none:get/>"), "undeclared prefix")


@check("B5.doctype", "RFC 6241 3.2", "a document type declaration is refused", needs=("base:1.1",))
async def doctype(bench: Bench) -> str:
    return await _refused(bench, b"<!DOCTYPE rpc>" + rpc(PROBE), "DOCTYPE")


@check("B5.entity", "RFC 6241 3.2", "an entity of the client is not expanded", needs=("base:1.1",))
async def internal_entity(bench: Bench) -> str:
    declared = b'<!DOCTYPE rpc [<!ENTITY where "running">]>'
    asked = rpc("<get-config><source><running>&where;</running></source></get-config>")
    return await _refused(bench, declared + asked, "internal entity")


@check("B5.file", "RFC 6241 3.2", "an entity that names a file is not read", needs=("base:1.1",))
async def external_entity(bench: Bench) -> str:
    declared = b'<!DOCTYPE rpc [<!ENTITY where SYSTEM "file:///etc/hostname">]>'
    asked = rpc("<get-config><source><running>&where;</running></source></get-config>")
    return await _refused(bench, declared + asked, "external entity")


async def _refused(bench: Bench, message: bytes, what: str) -> str:
    """The message is answered with an error or the session ends; another session does not notice."""
    async with bench.session() as talk:
        talk.wire.send(chunks(message))
        answer = await talk.next()
        if answer is not None:
            require(answer.faults, f"{what}: granted: {answer.told}")
        answer_told = "closed" if answer is None else answer.told
    await (await bench.steady()).alive(what)
    return answer_told


async def _understood(talk: Talk, message: bytes) -> str:
    answer = await talk.ask_raw(message)
    require(not answer.faults, answer.told)
    return answer.told


@check("B6.prefixes", "Namespaces in XML 1.0", "prefixes instead of a default namespace are understood")
async def prefixes(bench: Bench) -> str:
    text = rpc(PROBE.replace(' xmlns="urn:none"', "")).replace(b"<", b"<nc:").replace(b"<nc:/", b"</nc:")
    return await _understood(await bench.steady(), text.replace(b"xmlns=", b"xmlns:nc="))


@check("B6.redeclared", "Namespaces in XML 1.0", "namespaces declared again further inside are understood")
async def redeclared(bench: Bench) -> str:
    text = (
        f'<a:rpc xmlns:a="{BASE}" xmlns="urn:none" message-id="1"><get-config xmlns="{BASE}">'
        f'<b:source xmlns:b="{BASE}"><running/></b:source>'
        '<a:filter type="subtree"><x xmlns="urn:none"/></a:filter></get-config></a:rpc>'
    )
    return await _understood(await bench.steady(), text.encode())


@check("B6.comments", "XML 1.0 2.5", "comments and processing instructions mean nothing")
async def comments(bench: Bench) -> str:
    noise = b"<!-- <get/> --><?keyweave conform?>"
    text = b'<?xml version="1.0" encoding="UTF-8"?>' + noise + rpc(PROBE).replace(b">", b">" + noise)
    return await _understood(await bench.steady(), text)


@check("B6.white-space", "XML 1.0 2.10", "white space between elements means nothing")
async def white_space(bench: Bench) -> str:
    text = b"\n  " + rpc(PROBE).replace(b">", b">\n\t  ") + b"\n"
    return await _understood(await bench.steady(), text)


@check("B6.cdata", "XML 1.0 2.7", "a CDATA section is text", needs=_SCHEMA)
async def cdata(bench: Bench) -> str:
    return await _monitoring_schema(bench, "<![CDATA[ietf-netconf-]]>monitoring")


@check("B6.characters", "XML 1.0 4.1", "character references are characters", needs=_SCHEMA)
async def references(bench: Bench) -> str:
    return await _monitoring_schema(bench, "ietf&#45;netconf&#x2d;monitoring")


@check("B6.comment-in-text", "XML 1.0 2.5", "a comment inside a value does not cut it", needs=_SCHEMA)
async def comment_in_text(bench: Bench) -> str:
    return await _monitoring_schema(bench, "ietf-netconf<!-- a -->-monitoring")


async def _monitoring_schema(bench: Bench, identifier: str) -> str:
    asked = f'<get-schema xmlns="{MONITORING}"><identifier>{identifier}</identifier></get-schema>'
    answer = await bench.ask(asked)
    if answer.faults or "module ietf-netconf-monitoring" not in text_of(answer.data):
        raise Failed(answer.told)
    return answer.told
