"""What datastores hold and tell: configurations that never change, who changed them, who locked them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from lxml import etree

from keyweave_core.netconf.protocol.elements import Element
from keyweave_core.netconf.protocol.messages import to_bytes
from keyweave_core.netconf.server.access import User


class Store(StrEnum):
    """The configuration datastores. A server has STARTUP only when it announces it."""

    RUNNING = "running"
    CANDIDATE = "candidate"
    STARTUP = "startup"


class Test(StrEnum):
    """test-option of edit-config (RFC 6241 clause 8.6.4.1)."""

    TEST_THEN_SET = "test-then-set"
    SET = "set"
    TEST_ONLY = "test-only"


class Snapshot:
    """A configuration as top-level elements, with its text made once."""

    def __init__(self, elements: Sequence[etree._Element]) -> None:
        self.elements = tuple(elements)

    @cached_property
    def xml(self) -> bytes:
        """The elements one after the other, as UTF-8; equal configurations mostly have equal text."""
        return b"".join(to_bytes(element) for element in self.elements)


@dataclass(frozen=True, slots=True)
class Editor:
    """Who changes a datastore: a session (0: none of NETCONF's) and the user whose rights count."""

    session_id: int
    user: User


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningChanged:
    """Running became another configuration. `by` is None when the system did it itself."""

    before: Snapshot
    after: Snapshot
    by: Editor | None


Remaking = Callable[[Sequence[Element]], Sequence[Element] | None]
"""Makes a new running of the one there is, of which nothing may be changed; None: it is right as it is."""


@dataclass(frozen=True, slots=True)
class Lock:
    """A global lock of one datastore."""

    session_id: int
    since_s: float  # seconds since 1970
