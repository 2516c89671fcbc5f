"""What a NETCONF server asks of the schema and of the managed system behind it.

Rule of this file: `core` knows no YANG library and no product data. The schema (made by `keyweave_yang`)
and the device (made by the agent or the controller) come in through these protocols. Data travels as lxml
elements in their namespaces; the order of children follows the schema where it matters (list keys first).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal, Protocol

from lxml import etree

DEFAULT = "{urn:ietf:params:xml:ns:netconf:default:1.0}default"
"""The attribute of a leaf that is there only because its default is in use (RFC 6243 clause 6)."""


class Kind(Enum):
    """What a schema node is, as far as editing and filtering care."""

    CONTAINER = auto()
    LIST = auto()
    LEAF = auto()
    LEAF_LIST = auto()
    ANYDATA = auto()


class ValueForm(Enum):
    """How the value of a leaf is written where it is not XML text (RFC 7951 clause 6; gNMI scalars)."""

    TEXT = auto()  # strings, enumerations, bits
    INT = auto()  # int8, int16, int32
    UINT = auto()  # uint8, uint16, uint32
    INT64 = auto()
    UINT64 = auto()
    DECIMAL = auto()
    BOOLEAN = auto()
    EMPTY = auto()
    BINARY = auto()
    IDENTITY = auto()
    INSTANCE = auto()  # instance-identifier
    UNION = auto()  # of several forms: the value tells which


class SchemaNode(Protocol):
    """One data node of the schema. Choices and cases are seen through: they never appear on the wire."""

    @property
    def name(self) -> str: ...
    @property
    def namespace(self) -> str: ...
    @property
    def module(self) -> str: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def config(self) -> bool: ...
    @property
    def keys(self) -> tuple[str, ...]:
        """Clark names ('{ns}name') of the keys of a LIST in schema order; () otherwise."""
        ...

    @property
    def default(self) -> str | None:
        """Lexical default of a LEAF, None when there is none."""
        ...

    @property
    def presence(self) -> bool:
        """True for a container that means something by existing."""
        ...

    @property
    def user_ordered(self) -> bool:
        """True for `ordered-by user`."""
        ...

    @property
    def default_deny(self) -> Literal["write", "all"] | None:
        """`nacm:default-deny-write` or `-all` at this very node (RFC 8341 3.2), nothing inherited.

        Of an rpc or action (asked of its input) and of a notification: the mark of its statement.
        """
        ...

    @property
    def cases(self) -> tuple[tuple[str, str], ...]:
        """The choices it stands in, the outermost first, each with its case (RFC 7950 clause 7.9)."""
        ...

    def child(self, tag: str) -> "SchemaNode | None":
        """The data child of this Clark name, or None."""
        ...

    def children(self) -> Sequence["SchemaNode"]:
        """All data children in schema order."""
        ...

    def action(self, tag: str) -> "SchemaNode | None":
        """The input of the action of this Clark name at this node (RFC 7950 clause 7.15), or None."""
        ...

    def check_leaf(self, element: etree._Element) -> None:
        """Check the value of a LEAF or LEAF_LIST element, identityref prefixes resolved by its nsmap.

        Raises SchemaViolation (tag invalid-value, reason without path) when the type refuses it.
        """
        ...

    def checked(self, element: etree._Element) -> str:
        """`check_leaf` and `canonical` in one, for the price of one."""
        ...

    def canonical(self, element: etree._Element) -> str:
        """The value in a form in which equal values are equal text (identityref as 'module:name')."""
        ...

    def form(self, element: etree._Element | None = None) -> ValueForm:
        """The form of the values of a LEAF or LEAF_LIST, leafrefs followed; TEXT for every other node.

        UNION only without `element`: the value of a given element has one form, that of the first member
        type that takes it (TEXT when none does).
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleInfo:
    """One YANG module that the server serves (RFC 8525, RFC 6022)."""

    name: str
    revision: str  # '' when the module has none
    namespace: str
    yang_version: str  # "1" or "1.1"
    implemented: bool  # False: import only
    features: tuple[str, ...] = ()
    text: str  # the YANG source, for get-schema


class Schema(Protocol):
    """The set of modules of one server."""

    @property
    def modules(self) -> Sequence[ModuleInfo]: ...
    @property
    def content_id(self) -> str:
        """Changes only when the set of modules does."""
        ...

    def top(self, tag: str) -> SchemaNode | None:
        """The top-level data node of this Clark name, or None."""
        ...

    def tops(self) -> Sequence[SchemaNode]:
        """All top-level data nodes."""
        ...

    def validate(self, config: Sequence[etree._Element]) -> None:
        """Validate a whole configuration given as top-level elements (when, mandatory, types, uniqueness).

        Raises SchemaViolation with the instance path of the first fault found.
        """
        ...

    def with_defaults(self, data: Sequence[etree._Element]) -> Sequence[etree._Element]:
        """A copy of top-level data of this schema with every default in use that it lacks (RFC 7950 clause
        7.6.1): not where another case of a choice is there or a `when` is false. What is added says so by
        DEFAULT="true".
        """
        ...


class Device(Protocol):
    """The managed system behind a server."""

    async def state(self) -> Sequence[etree._Element]:
        """Observed state as top-level elements: config-false nodes only, with the list keys that hold them.

        The server merges it over running for <get>. A node that has both a written and an observed value
        (qkdl_status) appears here with the observed one, which wins in <get>.
        """
        ...

    async def apply(self, old: Sequence[etree._Element], new: Sequence[etree._Element], user: str) -> None:
        """Make the validated configuration `new` real, or raise and leave everything as `old` says.

        `user` is who changes it, "" when the system does: a confirmed commit that ran out of time, say.
        Raises SchemaViolation or Refused: the edit or commit is answered with that error and undone.
        """
        ...

    async def call(self, operation: etree._Element, user: str) -> Sequence[etree._Element] | None:
        """Carry out an <rpc> operation of a module of its own; None means: an empty reply (<ok/>).

        An <action> of RFC 7950 comes as the whole element (namespace urn:ietf:params:xml:ns:yang:1) with the
        path of an instance that is there; its input stands at the end of that path.

        Raises Refused or SchemaViolation for an error the caller is told; KeyError when the operation is
        not one of this device (the server answers operation-not-supported).
        """
        ...


class Keeper(Protocol):
    """Where a configuration outlives the process, for servers whose device has such a place.

    The server calls it after `Device.apply`, and not at all for a confirmed commit that is not confirmed
    yet: so what is kept is what the next start must begin with, whatever ends this one.
    """

    async def keep(self, config: Sequence[etree._Element] | None) -> None:
        """Have `config` on disk when this returns; None: nothing, the next start is a first one.

        Raises Refused or Unavailable and leaves what was kept before.
        """
        ...
