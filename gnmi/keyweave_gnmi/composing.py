"""Many small changes as few edits.

Rule of this file: a change whose place lies neither above nor below that of another one waiting stands beside
it in one edit; else what waits is applied first. So the outcome is that of applying each change in turn, at
the cost of mostly one edit.
"""

import copy
from collections.abc import Callable, Sequence

from lxml import etree

from keyweave_core.netconf.data.edit import OPERATION, Operation
from keyweave_core.netconf.protocol.elements import Element
from keyweave_core.netconf.protocol.elements import element as new_element
from keyweave_core.netconf.protocol.rpc_errors import BASE
from keyweave_gnmi.json_reading import JsonReader
from keyweave_gnmi.paths import Place, steps_text

Mark = tuple[tuple[str, str, tuple[str, ...]], ...]
Apply = Callable[[Sequence[Element], Element], Sequence[Element]]


class Composer:
    """Holds a configuration while it is changed; `apply` applies one <config> to top-level elements."""

    def __init__(self, elements: Sequence[etree._Element], apply: Apply, json: JsonReader) -> None:
        self._elements = elements
        self._apply = apply
        self._json = json
        self._edit: etree._Element | None = None
        self._built: dict[Mark, etree._Element] = {}
        self._targets: set[Mark] = set()
        self._above: set[Mark] = set()

    def elements(self) -> Sequence[etree._Element]:
        """The configuration as it is now, every change applied."""
        self.flush()
        return self._elements

    @property
    def elements_so_far(self) -> Sequence[etree._Element]:
        """The configuration without the changes that wait."""
        return self._elements

    def clashes(self, steps: Sequence[Place]) -> bool:
        """True when a change that waits is at, above or below this place."""
        mark = _mark(steps)
        return (
            mark in self._targets
            or mark in self._above
            or any(mark[:length] in self._targets for length in range(len(mark)))
        )

    def put(self, steps: Sequence[Place], elements: Sequence[etree._Element], operation: Operation) -> None:
        """Let `elements`, all at the place `steps`, be changed by `operation`. They are taken over.

        What leads there is made where it is missing. An entry needs no keys inside: the place tells them.
        """
        if self.clashes(steps):
            self.flush()
        mark = _mark(steps)
        parent = self._parent(steps[:-1])
        for element in elements:
            element.set(OPERATION, operation.value)
            parent.append(element)
        self._targets.add(mark)
        self._above.update(mark[:length] for length in range(len(mark)))

    def whole(self, config: etree._Element) -> None:
        """Merge a <config> of its own."""
        self.flush()
        self._elements = self._apply(self._elements, config)

    def removal(self, elements: Sequence[etree._Element]) -> list[etree._Element]:
        """Copies of `elements` that say which ones, without what is in them."""
        return [_bare(element) for element in elements]

    def flush(self) -> None:
        """Apply what waits."""
        if self._edit is None:
            return
        config, self._edit = self._edit, None
        self._built.clear()
        self._targets.clear()
        self._above.clear()
        self._elements = self._apply(self._elements, config)

    def entry(self, place: Place, where: str) -> etree._Element:
        """A new element for a place; a list entry with its keys."""
        node = place.node
        made = new_element(f"{{{node.namespace}}}{node.name}", {None: node.namespace})
        for tag, value in zip(node.keys, place.keys, strict=True):
            key = node.child(tag)
            if key is not None:
                made.append(self._json.leaf_element(key, value, f"{where}/{key.name}"))
        return made

    def _parent(self, steps: Sequence[Place]) -> etree._Element:
        mark = _mark(steps)
        found = self._built.get(mark)
        if found is not None:
            return found
        if not steps:
            self._edit = made = new_element(f"{{{BASE}}}config", {None: BASE})
        else:
            made = self.entry(steps[-1], steps_text(steps))
            self._parent(steps[:-1]).append(made)
        self._built[mark] = made
        return made


def _mark(steps: Sequence[Place]) -> Mark:
    return tuple(place.mark for place in steps)


def _bare(element: etree._Element) -> etree._Element:
    """A leaf as it is; of anything else the leaves at its top, among which are the keys of an entry."""
    kept = copy.deepcopy(element)
    kept.tail = None
    for child in kept.findall("*"):
        if len(child):
            kept.remove(child)
    return kept
