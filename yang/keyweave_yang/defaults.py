"""Defaults in use, written into data (RFC 7950 clauses 7.6.1 and 7.7.2, RFC 6243).

Rule of this file: yangson decides which defaults are in use (choices, cases, `when`); here they become
elements in a copy of the data. What is there already stays as it is.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

from lxml import etree
from yangson.enumerations import ContentType
from yangson.instance import RootNode
from yangson.instvalue import ArrayValue, ObjectValue

from keyweave_core.netconf.ports import DEFAULT, Kind
from keyweave_core.netconf.protocol.elements import element as new_element
from keyweave_yang.nodes import Naming, NodeView

_PREFIX = "wd"


def completed(
    data: Sequence[etree._Element],
    root: RootNode,
    tops: Sequence[NodeView],
    naming: Naming,
) -> list[etree._Element]:
    """A copy of top-level `data` with the defaults that `root`, the same data, lacks; each marked DEFAULT.

    Only configuration has defaults here: what is not observed is not known. Top-level containers that are
    there only because of defaults inside them come last.
    """
    holder = etree.Element("data")
    holder.extend(copy.deepcopy(element) for element in data)
    _Filler(naming).fill(holder, tops, root.add_defaults(ContentType.config).value)
    return list(holder)


class _Filler:
    def __init__(self, naming: Naming) -> None:
        self._naming = naming

    def fill(self, element: etree._Element, views: Sequence[NodeView], value: ObjectValue) -> None:
        """Add below `element` what `value` has and it has not."""
        for view in views:
            held = value.get(view.member)
            if held is None:
                continue
            present = element.findall(view.tag)
            match view.kind:
                case Kind.CONTAINER:
                    inner = present[0] if present else new_element(view.tag, {None: view.namespace})
                    self.fill(inner, view.children(), held)
                    if not present and len(inner):
                        element.append(inner)
                case Kind.LIST:
                    for entry, entry_value in zip(present, held, strict=False):
                        self.fill(entry, view.children(), entry_value)
                case Kind.LEAF | Kind.LEAF_LIST if not present:
                    values = held if isinstance(held, ArrayValue) else [held]
                    element.extend(self._leaf(view, each) for each in values)
                case _:
                    pass

    def _leaf(self, view: NodeView, value: Any) -> etree._Element:
        show: Callable[[Any], str] = view.leaf.show if view.leaf is not None else str
        text = show(value)
        nsmap: dict[str | None, str] = {None: view.namespace, _PREFIX: DEFAULT[1:].partition("}")[0]}
        module = text.partition(":")[0]
        if isinstance(value, tuple) and module in self._naming.namespaces:  # an identity
            nsmap[module] = self._naming.namespaces[module]
        made = new_element(view.tag, nsmap, {DEFAULT: "true"})
        made.text = text or None
        return made
