"""How to work with a NETCONF server, decided from what it announces.

Rule of this file: pure. A capability that lacks takes a way away and never the agent: the least that is
needed is to read and to edit one datastore (RFC 6241 with nothing on top).
"""

from dataclasses import dataclass
from typing import Literal

from keyweave_core.errors import PeerUnreachable
from keyweave_core.netconf.protocol.peer import Capabilities
from keyweave_yang.namespaces import ETSI_NODE, KEYWEAVE

Library = Literal["rfc8525", "rfc7895", "hello"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Approach:
    """The way chosen for one session.

    `target` is the datastore that edits go to; a candidate is locked before it is edited. `rollback`: an edit
    of running may ask to be all or nothing by itself. `library` is where modules are looked up that the hello
    does not name; `listed`: the hello names the 015 module.
    """

    target: Literal["running", "candidate"]
    rollback: bool
    events: bool
    ours: bool
    listed: bool
    library: Library
    chunked: bool

    @property
    def ways(self) -> tuple[str, ...]:
        """The same for people, one sentence each."""
        told = ["base:1.1, chunked framing" if self.chunked else "base:1.0, end-of-message framing"]
        if self.target == "running":
            told.append(
                "edits running, rollback-on-error"
                if self.rollback
                else "edits running, without rollback-on-error"
            )
        else:
            told.append("edits the candidate under its lock, commits")
        told.append(
            "notifications of RFC 5277" if self.events else "no notifications: what happens shows at polls"
        )
        if not self.ours:
            told.append("no keyweave-qkd-node: no pool levels, no refusals, consumers from the inventory")
        if not self.listed:
            told.append(f"etsi-qkd-sdn-node not in the hello, looked for in {_PLACES[self.library]}")
        return tuple(told)


_PLACES: dict[Library, str] = {
    "rfc8525": "yang-library",
    "rfc7895": "modules-state",
    "hello": "the data itself",
}


def choose(name: str, announced: Capabilities) -> Approach:
    """The approach to agent `name`; PeerUnreachable when nothing can be written to it."""
    namespaces = {uri.partition("?")[0].strip() for uri in announced.uris}
    if announced.writable_running:
        target: Literal["running", "candidate"] = "running"
    elif announced.candidate:
        target = "candidate"
    else:
        raise PeerUnreachable(f"agent {name} announces neither writable-running nor candidate")
    return Approach(
        target=target,
        rollback=announced.has("rollback-on-error"),
        events=announced.notification,
        ours=KEYWEAVE in namespaces,
        listed=ETSI_NODE in namespaces,
        library=_library(announced),
        chunked=announced.base_1_1,
    )


def _library(announced: Capabilities) -> Library:
    versions = [uri.partition(_LIBRARY)[2] for uri in announced.uris if uri.strip().startswith(_LIBRARY)]
    if any(version.startswith("1.1") for version in versions):
        return "rfc8525"
    return "rfc7895" if versions else "hello"


_LIBRARY = "urn:ietf:params:netconf:capability:yang-library:"
