"""The `netconf-state` container of ietf-netconf-monitoring (RFC 6022), made when somebody asks for it.

Rule of this file: only the parts asked for are made; counters live with what they count.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lxml import etree

from keyweave_core.netconf.ports import ModuleInfo
from keyweave_core.netconf.protocol.elements import element
from keyweave_core.netconf.protocol.messages import MONITORING
from keyweave_core.netconf.protocol.rpc_errors import RpcError, base_info
from keyweave_core.netconf.server.stores.datastores import Lock, Store
from keyweave_core.netconf.transport import Peer
from keyweave_core.runtime.clock import date_and_time


@dataclass(slots=True)
class Counters:
    """common-counters; of one session, or of all since the start."""

    in_rpcs: int = 0
    in_bad_rpcs: int = 0
    out_rpc_errors: int = 0
    out_notifications: int = 0


@dataclass(slots=True)
class ServerCounters:
    """Statistics of the whole server."""

    started_s: float
    in_bad_hellos: int = 0
    in_sessions: int = 0
    dropped_sessions: int = 0
    common: Counters = field(default_factory=Counters)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """One open session."""

    session_id: int
    peer: Peer
    login_s: float
    counters: Counters


def netconf_state(
    wanted: frozenset[str] | None,
    *,
    capabilities: Sequence[str],
    stores: Iterable[Store],
    locks: Mapping[Store, Lock],
    modules: Iterable[ModuleInfo],
    sessions: Iterable[SessionFacts],
    statistics: ServerCounters,
) -> etree._Element:
    """The container with the children whose local names are in `wanted` (None: all)."""
    root = element(f"{{{MONITORING}}}netconf-state", {None: MONITORING, "ncm": MONITORING})

    def asked(name: str) -> bool:
        return wanted is None or name in wanted

    if asked("capabilities"):
        part = _sub(root, "capabilities")
        for uri in capabilities:
            _sub(part, "capability", uri)
    if asked("datastores"):
        _datastores(_sub(root, "datastores"), stores, locks)
    if asked("schemas"):
        _schemas(_sub(root, "schemas"), modules)
    if asked("sessions"):
        _sessions(_sub(root, "sessions"), sessions)
    if asked("statistics"):
        part = _sub(root, "statistics")
        _sub(part, "netconf-start-time", date_and_time(statistics.started_s))
        _sub(part, "in-bad-hellos", str(statistics.in_bad_hellos))
        _sub(part, "in-sessions", str(statistics.in_sessions))
        _sub(part, "dropped-sessions", str(statistics.dropped_sessions))
        _counters(part, statistics.common)
    return root


def find_schema(modules: Sequence[ModuleInfo], identifier: str, version: str | None, data_format: str) -> str:
    """The YANG text that get-schema asks for (RFC 6022 clause 3.1); RpcError unless it is exactly one."""
    if data_format.rpartition(":")[2] != "yang":
        raise RpcError(
            "invalid-value", f"schemas are there as yang, not as {data_format[:60]!r}", info=_bad("format")
        )
    named = [m for m in modules if m.name == identifier and m.text and version in (None, m.revision)]
    if not named:
        revision = "" if version is None else f" of revision {version[:20]!r}"
        raise RpcError("invalid-value", f"no schema {identifier[:100]!r}{revision}", info=_bad("identifier"))
    if len(named) > 1:
        raise RpcError(
            "operation-failed",
            f"several revisions of {identifier}: {', '.join(m.revision for m in named)}",
            app_tag="data-not-unique",
        )
    return named[0].text


def _bad(name: str) -> tuple[tuple[str, str], ...]:
    return base_info(bad_element=name)


def _datastores(part: etree._Element, stores: Iterable[Store], locks: Mapping[Store, Lock]) -> None:
    for store in stores:
        entry = _sub(part, "datastore")
        _sub(entry, "name", store.value)
        lock = locks.get(store)
        if lock is not None:
            held = _sub(_sub(entry, "locks"), "global-lock")
            _sub(held, "locked-by-session", str(lock.session_id))
            _sub(held, "locked-time", date_and_time(lock.since_s))


def _schemas(part: etree._Element, modules: Iterable[ModuleInfo]) -> None:
    for module in modules:
        if not module.text:
            continue
        entry = _sub(part, "schema")
        _sub(entry, "identifier", module.name)
        _sub(entry, "version", module.revision)
        _sub(entry, "format", "ncm:yang")
        _sub(entry, "namespace", module.namespace)
        _sub(entry, "location", "NETCONF")


def _sessions(part: etree._Element, sessions: Iterable[SessionFacts]) -> None:
    for facts in sessions:
        entry = _sub(part, "session")
        _sub(entry, "session-id", str(facts.session_id))
        _sub(entry, "transport", f"ncm:{facts.peer.transport}")
        _sub(entry, "username", facts.peer.username)
        _sub(entry, "source-host", facts.peer.source_host)
        _sub(entry, "login-time", date_and_time(facts.login_s))
        _counters(entry, facts.counters)


def _counters(part: etree._Element, counters: Counters) -> None:
    _sub(part, "in-rpcs", str(counters.in_rpcs))
    _sub(part, "in-bad-rpcs", str(counters.in_bad_rpcs))
    _sub(part, "out-rpc-errors", str(counters.out_rpc_errors))
    _sub(part, "out-notifications", str(counters.out_notifications))


def _sub(parent: etree._Element, name: str, text: str | None = None) -> etree._Element:
    element = etree.SubElement(parent, f"{{{MONITORING}}}{name}")
    element.text = text
    return element
