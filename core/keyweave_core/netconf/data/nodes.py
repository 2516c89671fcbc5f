"""Schema nodes written down by hand: for data that the protocol itself defines, and for small schemas.

Rule of this file: a `DataNode` answers what `ports.SchemaNode` asks from plain values. Its leaves take any
text unless `check` says otherwise. The product's own data comes from YANG through the port instead.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from lxml import etree

from keyweave_core.errors import SchemaViolation
from keyweave_core.netconf.ports import Kind, SchemaNode, ValueForm
from keyweave_core.netconf.protocol.elements import Element

Check = Callable[[Element], str]
"""Returns the canonical form of a leaf's value, or raises ValueError with the reason against it."""


def plain_text(element: etree._Element) -> str:
    """Accept any text; white space around it means nothing."""
    return (element.text or "").strip()


class DataNode:
    """One data node; `inner` are its children, which take over namespace and module (see `augmenting`)."""

    default_deny: Literal["write", "all"] | None = None
    cases: tuple[tuple[str, str], ...] = ()

    def __init__(
        self,
        name: str,
        kind: Kind,
        *inner: "DataNode",
        keys: Sequence[str] = (),
        config: bool = True,
        default: str | None = None,
        presence: bool = False,
        user_ordered: bool = False,
        check: Check = plain_text,
        form: ValueForm = ValueForm.TEXT,
    ) -> None:
        self.name = name
        self.kind = kind
        self.config = config
        self.default = default
        self.presence = presence
        self.user_ordered = user_ordered
        self.namespace = ""
        self.module = ""
        self.keys: tuple[str, ...] = ()
        self._key_names = tuple(keys)
        self._inner = inner
        self._by_tag: dict[str, DataNode] = {}
        self._actions: dict[str, DataNode] = {}
        self._check = check
        self._form = form
        self._augmenting: tuple[str, str] | None = None

    def augmenting(self, namespace: str, module: str) -> "DataNode":
        """Let this node and all below it be of another module than what they stand in."""
        self._augmenting = (namespace, module)
        return self

    def bind(self, namespace: str, module: str, *, config: bool = True) -> "DataNode":
        """Put this node and all below it into a module; state nodes make all below them state."""
        namespace, module = self._augmenting or (namespace, module)
        self.namespace, self.module = namespace, module
        self.config = self.config and config
        self.keys = tuple(f"{{{namespace}}}{name}" for name in self._key_names)
        inner = [node.bind(namespace, module, config=self.config) for node in self._inner]
        self._by_tag = {f"{{{node.namespace}}}{node.name}": node for node in inner}
        return self

    def child(self, tag: str) -> SchemaNode | None:
        """The data child of this Clark name, or None."""
        return self._by_tag.get(tag)

    def children(self) -> Sequence[SchemaNode]:
        """All data children."""
        return self._inner

    def action(self, tag: str) -> SchemaNode | None:
        """The input of an action of this node, or None."""
        return self._actions.get(tag)

    def with_actions(self, *inputs: "DataNode") -> "DataNode":
        """Give the bound node actions; each input carries the name of its action and is bound as well."""
        self._actions = {f"{{{node.namespace}}}{node.name}": node for node in inputs}
        return self

    def check_leaf(self, element: etree._Element) -> None:
        """Raise SchemaViolation when the value is refused."""
        try:
            self._check(element)
        except ValueError as error:
            raise SchemaViolation(str(error)) from error

    def checked(self, element: etree._Element) -> str:
        """Both at once: SchemaViolation, or the canonical form."""
        try:
            return self._check(element)
        except ValueError as error:
            raise SchemaViolation(str(error)) from error

    def canonical(self, element: etree._Element) -> str:
        """The value in the form the check gives it."""
        return self._check(element)

    def form(self, element: etree._Element | None = None) -> ValueForm:
        """The form of its values."""
        del element
        return self._form


def leaf(
    name: str,
    *,
    default: str | None = None,
    config: bool = True,
    check: Check = plain_text,
    form: ValueForm = ValueForm.TEXT,
) -> DataNode:
    """A leaf."""
    return DataNode(name, Kind.LEAF, default=default, config=config, check=check, form=form)


def leaf_list(
    name: str,
    *,
    user_ordered: bool = False,
    config: bool = True,
    check: Check = plain_text,
    form: ValueForm = ValueForm.TEXT,
) -> DataNode:
    """A leaf-list."""
    return DataNode(name, Kind.LEAF_LIST, user_ordered=user_ordered, config=config, check=check, form=form)


def container(name: str, *inner: DataNode, presence: bool = False, config: bool = True) -> DataNode:
    """A container."""
    return DataNode(name, Kind.CONTAINER, *inner, presence=presence, config=config)


def list_of(
    name: str, keys: str, *inner: DataNode, user_ordered: bool = False, config: bool = True
) -> DataNode:
    """A list; `keys` are the names of its key leaves, separated by blanks ('' for none)."""
    return DataNode(name, Kind.LIST, *inner, keys=keys.split(), user_ordered=user_ordered, config=config)


def state_leaves(names: str) -> Iterable[DataNode]:
    """Plain leaves, one for each name."""
    return [leaf(name) for name in names.split()]
