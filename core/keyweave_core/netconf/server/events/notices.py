"""What the server itself tells of: netconf-config-change and its kin (RFC 6470), in the stream NETCONF.

Rule of this file: each notice is made of what happened and who did it, and is bounded: a change of many
nodes names the roots of what changed, not every leaf. What the capabilities of a server are is settled when
it starts, so netconf-capability-change is never sent.
"""

from collections.abc import Sequence
from ipaddress import ip_address
from itertools import islice

from lxml import etree

from keyweave_core.errors import KeyweaveError
from keyweave_core.netconf.data.changes import Change, ChangeKind, each_change
from keyweave_core.netconf.data.schema_paths import SchemaMap
from keyweave_core.netconf.protocol.elements import Element, element
from keyweave_core.netconf.server.events.stream import EventStream
from keyweave_core.netconf.server.monitoring import SessionFacts
from keyweave_core.netconf.server.operations.calls import Registry, Termination
from keyweave_core.netconf.server.push_modules import NOTICES
from keyweave_core.netconf.server.stores.confirmed import ConfirmedFact
from keyweave_core.netconf.server.stores.snapshots import Editor, RunningChanged

MAX_EDITS = 100
"""More edits than these are told as one of each top-level node."""


class Notices:
    """Publishes the notices of a server."""

    def __init__(self, stream: EventStream, places: SchemaMap, registry: Registry) -> None:
        self._stream = stream
        self._places = places
        self._registry = registry

    def session_started(self, facts: SessionFacts) -> None:
        """netconf-session-start."""
        self._stream.publish(_with_session("netconf-session-start", facts))

    def session_ended(
        self, facts: SessionFacts, termination: Termination, killed_by: int | None = None
    ) -> None:
        """netconf-session-end."""
        root = _with_session("netconf-session-end", facts)
        if termination is Termination.KILLED and killed_by is not None:
            _sub(root, "killed-by", str(killed_by))
        _sub(root, "termination-reason", termination.value)
        self._stream.publish(root)

    def running_changed(self, change: RunningChanged) -> None:
        """netconf-config-change; a watcher of the datastores."""
        root = _root("netconf-config-change")
        self._changed_by(root, change.by)
        _sub(root, "datastore", "running")
        try:
            edits = _edits(change, self._places)
        except (KeyweaveError, ValueError):
            edits = ()  # RFC 6470: the list may be left out; the change itself must be told
        for path, operation in edits:
            edit = _sub(root, "edit")
            where, used = self._places.located(path)
            target = etree.SubElement(edit, f"{{{NOTICES}}}target", nsmap=used)
            target.text = where
            _sub(edit, "operation", operation)
        self._stream.publish(root)

    def confirmed_commit(self, fact: ConfirmedFact) -> None:
        """netconf-confirmed-commit; a watcher of the datastores."""
        root = _root("netconf-confirmed-commit")
        if fact.by is not None:
            self._session_of(root, fact.by)
        _sub(root, "confirm-event", fact.event.value)
        if fact.timeout_s is not None:
            _sub(root, "timeout", str(fact.timeout_s))
        self._stream.publish(root)

    def _changed_by(self, root: Element, by: Editor | None) -> None:
        part = _sub(root, "changed-by")
        if by is None:
            _sub(part, "server")
        else:
            self._session_of(part, by)

    def _session_of(self, part: Element, by: Editor) -> None:
        session = self._registry.find(by.session_id)
        _sub(part, "username", by.user.name)
        _sub(part, "session-id", str(by.session_id))
        if session is not None:
            _host(part, session.facts)


def _edits(change: RunningChanged, places: SchemaMap) -> Sequence[tuple[str, str]]:
    """Target and operation of each edit, at most MAX_EDITS of them."""
    found = list(islice(each_change(change.before.elements, change.after.elements, places), MAX_EDITS + 1))
    if len(found) <= MAX_EDITS:
        return [(one.path, _operation(one)) for one in found]
    # RFC 6470: a target may be an ancestor of what was changed.
    tops = [*change.before.elements, *change.after.elements]
    names = {str(element.tag): places.top(str(element.tag)) for element in tops}
    return [(f"/{node.module}:{node.name}", "merge") for node in names.values() if node is not None]


def _operation(change: Change) -> str:
    # A move is no operation of edit-config: it is a merge with an `insert` attribute.
    return "merge" if change.kind is ChangeKind.MOVE else change.kind.value


def _with_session(name: str, facts: SessionFacts) -> Element:
    root = _root(name)
    _sub(root, "username", facts.peer.username)
    _sub(root, "session-id", str(facts.session_id))
    _host(root, facts)
    return root


def _host(part: Element, facts: SessionFacts) -> None:
    """source-host is an IP address; what a transport knows may be another name."""
    try:
        address = ip_address(facts.peer.source_host.partition("%")[0])
    except ValueError:
        return
    _sub(part, "source-host", str(address))


def _root(name: str) -> Element:
    return element(f"{{{NOTICES}}}{name}", {None: NOTICES})


def _sub(parent: Element, name: str, text: str | None = None) -> Element:
    child = etree.SubElement(parent, f"{{{NOTICES}}}{name}")
    child.text = text
    return child
