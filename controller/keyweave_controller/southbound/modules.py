"""The YANG modules of a foreign agent: is 015 among them, and does it speak a newer one than we know?

Rule of this file: an agent is never turned away for a module that differs; what differs is found out from its
own text (RFC 6022 get-schema) and told, because data we do not know is left out of what we read.
"""

import asyncio

from lxml import etree

from keyweave_controller.southbound.approach import Approach
from keyweave_core.errors import MalformedMessage, PeerUnreachable
from keyweave_core.netconf.client.client import NetconfClient
from keyweave_core.netconf.protocol.elements import element
from keyweave_core.netconf.protocol.rpc_errors import RpcError
from keyweave_yang.compare import Difference, differences, known_revisions
from keyweave_yang.namespaces import ETSI_NODE

MODULE = "etsi-qkd-sdn-node"
_LIBRARY = "urn:ietf:params:xml:ns:yang:ietf-yang-library"
_TOP = {"rfc8525": "yang-library", "rfc7895": "modules-state"}
_LONGEST_TEXT = 1024 * 1024
_TOLD = 5


async def look(name: str, client: NetconfClient, approach: Approach) -> tuple[str, ...]:
    """What is worth telling about the agent's 015 module; PeerUnreachable when it lists none.

    A module that is the published one or ours is not fetched; another revision is, and compared.
    """
    if approach.listed:
        announced = client.capabilities.modules.get(MODULE)
        revision = announced.revision if announced is not None else ""
    elif approach.library == "hello":
        return ()  # nothing lists modules: reading the node will show
    else:
        found = await _in_library(client, _TOP[approach.library])
        if found is None:
            raise PeerUnreachable(f"agent {name} does not list {MODULE} ({ETSI_NODE})")
        revision = found
    return await _compared(client, revision)


async def _in_library(client: NetconfClient, top: str) -> str | None:
    """The revision of the 015 module in a library ('' when it tells none), None when it is not there."""
    wanted = element(f"{{{_LIBRARY}}}{top}", {None: _LIBRARY})
    holder = wanted if top == "modules-state" else etree.SubElement(wanted, f"{{{_LIBRARY}}}module-set")
    module = etree.SubElement(holder, f"{{{_LIBRARY}}}module")
    etree.SubElement(module, f"{{{_LIBRARY}}}name").text = MODULE
    etree.SubElement(module, f"{{{_LIBRARY}}}revision")
    for library in await client.get(wanted):
        for entry in library.iter(f"{{{_LIBRARY}}}module"):
            if entry.findtext(f"{{{_LIBRARY}}}name") == MODULE:
                return entry.findtext(f"{{{_LIBRARY}}}revision") or ""
    return None


async def _compared(client: NetconfClient, revision: str) -> tuple[str, ...]:
    known = known_revisions(MODULE)
    if not revision or revision in known:
        return (f"{MODULE}@{revision}",) if revision else (MODULE,)
    told = f"{MODULE}@{revision} (we know {', '.join(sorted(known))})"
    try:
        text = await client.get_schema(MODULE, revision)
    except (RpcError, MalformedMessage):
        return (f"{told}; it does not give its text",)
    if len(text) > _LONGEST_TEXT:
        return (f"{told}; its text is too long to be read",)
    return (told, *_words(await asyncio.to_thread(differences, MODULE, text)))


def _words(difference: Difference | None) -> tuple[str, ...]:
    if difference is None:
        return ("its text is no YANG that can be read",)
    told = []
    for what, names in (("it has more", difference.more), ("it lacks", difference.less)):
        if names:
            rest = f" and {len(names) - _TOLD} others" if len(names) > _TOLD else ""
            told.append(f"{what}: {', '.join(names[:_TOLD])}{rest}")
    return tuple(told)
