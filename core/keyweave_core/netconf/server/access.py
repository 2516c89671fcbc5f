"""Who may do what: the question every operation, reading, change and notification is put through.

Rule of this file: the server asks, in one form, at four places; whoever answers knows nothing of sessions.
`OpenAccess` is the answer of a server without access control.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from lxml import etree


@dataclass(frozen=True, slots=True)
class User:
    """Somebody whom a transport authenticated.

    `groups` are those the transport knows (settings, certificate); the configuration may add others.
    `recovery` is true for the session that nothing is denied to (RFC 8341 clause 3.1.4).
    """

    name: str
    groups: frozenset[str] = field(default_factory=frozenset)
    recovery: bool = False


SYSTEM = User("", recovery=True)
"""The system itself: what it does on its own behalf is not asked about."""


class AccessControl(Protocol):
    """RFC 8341 as the server sees it. Elements are never changed; nothing here waits."""

    def check_operation(self, user: User, operation: etree._Element) -> None:
        """May the user call this operation (the child of <rpc>)? Raises RpcError access-denied."""
        ...

    def readable(self, user: User, elements: Sequence[etree._Element]) -> Sequence[etree._Element]:
        """Top-level data without what the user may not read; shares what is unchanged with `elements`."""
        ...

    def check_changes(
        self, user: User, before: Sequence[etree._Element], after: Sequence[etree._Element]
    ) -> None:
        """May the user change a datastore this way? Raises RpcError access-denied with the path."""
        ...

    def check_lockout(
        self, user: User, before: Sequence[etree._Element], after: Sequence[etree._Element]
    ) -> None:
        """Would this change of running take the user's right to change access control?

        Raises RpcError operation-failed, app-tag `lockout`: nobody should do that by mistake, as who
        replaces the whole configuration by one without rules does.
        """
        ...

    def may_receive(self, user: User, notification: etree._Element) -> bool:
        """May the user be sent this notification (its content element)? Denials are counted."""
        ...

    def configured(self, running: Sequence[etree._Element]) -> None:
        """Running is another one now: rules in it hold from here on."""
        ...

    def state(self) -> Sequence[etree._Element]:
        """What it has to tell of itself (counters), as top-level state elements."""
        ...


class OpenAccess:
    """Everything is permitted to everybody who could log in."""

    def check_operation(self, user: User, operation: etree._Element) -> None:
        """Permit."""

    def readable(self, user: User, elements: Sequence[etree._Element]) -> Sequence[etree._Element]:
        """All of it."""
        del user
        return elements

    def check_changes(
        self, user: User, before: Sequence[etree._Element], after: Sequence[etree._Element]
    ) -> None:
        """Permit."""

    def check_lockout(
        self, user: User, before: Sequence[etree._Element], after: Sequence[etree._Element]
    ) -> None:
        """There is nothing to lose."""

    def may_receive(self, user: User, notification: etree._Element) -> bool:
        """Permit."""
        del user, notification
        return True

    def configured(self, running: Sequence[etree._Element]) -> None:
        """There are no rules."""

    def state(self) -> Sequence[etree._Element]:
        """Nothing."""
        return ()
