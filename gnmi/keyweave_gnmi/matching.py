"""Finding what paths name in a tree of elements, and taking subtrees apart into leaves.

Rule of this file: trees are only read. The walk goes by the schema, so elements that it does not know are
not seen. What stands below something found belongs to it and is not found again.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lxml import etree

from keyweave_core.netconf.data.changes import Change, ChangeKind
from keyweave_core.netconf.data.schema_paths import SchemaMap
from keyweave_core.netconf.ports import Kind, SchemaNode
from keyweave_gnmi.paths import ANY, DEEP, Hop, PathReader, Pattern, Place, is_met, start


@dataclass(frozen=True, slots=True)
class Found:
    """Something that is there: where, and its element. A leaf-list has one element for each value, the
    root (no steps) its top-level elements."""

    steps: tuple[Place, ...]
    elements: tuple[etree._Element, ...]

    @property
    def node(self) -> SchemaNode | None:
        """Its schema node; None for the root."""
        return self.steps[-1].node if self.steps else None

    @property
    def mark(self) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
        """Equal for the same place in two trees."""
        return tuple(place.mark for place in self.steps)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which leaves count: those of some modules (None: all), and configuration or state (None: both)."""

    modules: frozenset[str] | None = None
    config: bool | None = None

    def takes(self, node: SchemaNode) -> bool:
        """True when leaves of this schema node count."""
        return (self.modules is None or node.module in self.modules) and (
            self.config is None or node.config is self.config
        )


EVERYTHING = Selection()


def find(reader: PathReader, pattern: Pattern, data: Sequence[etree._Element]) -> Iterator[Found]:
    """Everything in `data` (top-level elements) that `pattern` names, in the order of the schema."""
    yield from _find(reader, pattern, Found((), tuple(data)), start(pattern))


def _find(reader: PathReader, pattern: Pattern, here: Found, states: frozenset[int]) -> Iterator[Found]:
    if is_met(pattern, states):
        yield here
        return
    for child in _reachable(reader, pattern, here.node, states):
        for inner in _instances(reader, here, child, _keys_asked(reader, pattern, states, child)):
            yield from _find(
                reader, pattern, inner, reader.advance(pattern, states, here.node, inner.steps[-1])
            )


def _reachable(
    reader: PathReader, pattern: Pattern, node: SchemaNode | None, states: frozenset[int]
) -> Sequence[SchemaNode]:
    hops: list[Hop] = [pattern.hops[state] for state in states if state < len(pattern.hops)]
    if any(hop.name == DEEP for hop in hops):
        return reader.children(node)
    named = {id(child): child for hop in hops for child in reader.named(node, hop, pattern.origin)}
    return list(named.values())


def _keys_asked(
    reader: PathReader, pattern: Pattern, states: frozenset[int], node: SchemaNode
) -> tuple[str, ...] | None:
    """The canonical keys of the one entry of a list that can be meant here; None when there may be more."""
    if node.kind is not Kind.LIST or not node.keys or len(states) != 1:
        return None
    (state,) = states
    given = {reader.key_tag(node, key): text for key, text in pattern.hops[state].keys.items()}
    if ANY in given.values() or not all(tag in given for tag in node.keys):
        return None
    return tuple(reader.canonical_key(node, tag, given[tag]) for tag in node.keys)


def _instances(
    reader: PathReader, here: Found, node: SchemaNode, keys: tuple[str, ...] | None = None
) -> Iterator[Found]:
    """What is there of one child of `here`: an instance for each list entry, one for a whole leaf-list.

    With canonical `keys` the entries may be left out that have others.
    """
    tag = f"{{{node.namespace}}}{node.name}"
    if here.steps:
        elements = [element for parent in here.elements for element in parent.iterchildren(tag)]
    else:
        elements = [element for element in here.elements if element.tag == tag]
    if not elements:
        return
    if node.kind is Kind.LIST:
        if keys is not None:
            # Data is mostly in canonical form: then equal text finds the entry without reading the others.
            same = [each for each in elements if tuple(each.findtext(tag) for tag in node.keys) == keys]
            elements = same or elements
        for element in elements:
            yield Found((*here.steps, reader.place(element, node)), (element,))
    else:
        yield Found((*here.steps, Place(node)), tuple(elements))


def leaves(reader: PathReader, found: Found, selection: Selection = EVERYTHING) -> Iterator[Found]:
    """The leaves, leaf-lists and anydata at and below something, in the order of the schema."""
    node = found.node
    if node is not None and node.kind not in (Kind.CONTAINER, Kind.LIST):
        if selection.takes(node):
            yield found
        return
    for child in reader.children(node):
        for inner in _instances(reader, found, child):
            yield from leaves(reader, inner, selection)


@dataclass(frozen=True, slots=True)
class Difference:
    """What a set of paths sees of a change: places that are gone, leaves that have a (new) value."""

    gone: tuple[tuple[Place, ...], ...]
    values: tuple[Found, ...]


def difference(
    reader: PathReader,
    schema: SchemaMap,
    patterns: Iterable[Pattern],
    changed: Sequence[Change],
    after: Sequence[etree._Element],
    selection: Selection = EVERYTHING,
) -> Difference:
    """The part of `changed`, which led to the data `after`, that `patterns` name; each place told once."""
    gone: dict[object, tuple[Place, ...]] = {}
    values: dict[object, Found] = {}
    asked = list(patterns)
    for change in changed:
        if change.node is None or (change.kind is ChangeKind.MOVE and change.node.kind is Kind.LIST):
            continue  # gNMI does not tell the order of list entries
        part, is_there = _outcome(reader, schema, change, after)
        for pattern in asked:
            for found in _named(reader, pattern, part):
                if is_there:
                    for leaf in leaves(reader, found, selection):
                        values[leaf.mark] = leaf
                elif _counts(reader, found, selection):
                    gone[found.mark] = found.steps
    return Difference(tuple(gone.values()), tuple(values.values()))


def _outcome(
    reader: PathReader, schema: SchemaMap, change: Change, after: Sequence[etree._Element]
) -> tuple[Found, bool]:
    """What a change left: the place with what is there now (True), or with what was there (False)."""
    element = change.before if change.after is None else change.after
    assert element is not None  # noqa: S101 - a change has at least one side
    found = located(reader, schema, element)
    if change.node is not None and change.node.kind is Kind.LEAF_LIST:
        # One value of it came or went: what is told is the whole leaf-list as it is now.
        now = at_place(reader, after, found.steps)
        return (found, False) if now is None else (now, True)
    return found, change.after is not None


def at_place(reader: PathReader, data: Sequence[etree._Element], steps: Sequence[Place]) -> Found | None:
    """What stands in `data` at exactly this place, or None."""
    here = Found((), tuple(data))
    for place in steps:
        inner = _instances(reader, here, place.node, place.keys)
        following = next((each for each in inner if each.steps[-1].keys == place.keys), None)
        if following is None:
            return None
        here = following
    return here


def located(reader: PathReader, schema: SchemaMap, element: etree._Element) -> Found:
    """An element of a tree with the steps that lead to it."""
    chain = [element, *element.iterancestors()]
    node: SchemaNode | None = None
    steps: list[Place] = []
    for each in reversed(chain):
        inner = schema.top(str(each.tag)) if node is None else node.child(str(each.tag))
        if inner is None:
            continue  # what holds the top-level elements together
        steps.append(reader.place(each, inner))
        node = inner
    return Found(tuple(steps), (element,))


def _named(reader: PathReader, pattern: Pattern, part: Found) -> Iterator[Found]:
    """What `pattern` names at or below `part`, or `part` itself when it lies within something named."""
    states = start(pattern)
    node: SchemaNode | None = None
    for place in part.steps:
        if is_met(pattern, states):
            yield part
            return
        states = reader.advance(pattern, states, node, place)
        node = place.node
    yield from _find(reader, pattern, part, states)


def _counts(reader: PathReader, found: Found, selection: Selection) -> bool:
    return selection == EVERYTHING or next(leaves(reader, found, selection), None) is not None
