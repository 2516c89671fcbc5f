"""gNMI paths against the schema: what a client asks for (`Pattern`) and where something stands (`Place`).

Rule of this file: names may carry their module ('module:name') or not; a bare name means the child of that
name whatever its module, and its parent's own when several modules have one. '*' is any name or key value,
'...' any number of levels (none included), a key left out is any value. Matching is a walk of states, each
the number of elements already met.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lxml import etree

from keyweave_core.netconf.data.schema_paths import SchemaMap
from keyweave_core.netconf.ports import Kind, SchemaNode
from keyweave_core.netconf.protocol.elements import element as new_element
from keyweave_gnmi.faults import BadPath, NoSuchNode, Unsupported
from keyweave_gnmi.text_paths import element_text
from keyweave_proto.gnmi import gnmi_pb2 as pb

ANY = "*"
DEEP = "..."
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Hop:
    """One element of a path: a name (ANY, DEEP), the module it names ('' for none), keys by their text."""

    name: str
    module: str
    keys: Mapping[str, str]

    @property
    def text(self) -> str:
        """As it stands in a path."""
        return element_text(f"{self.module}:{self.name}" if self.module else self.name, self.keys)


@dataclass(frozen=True, slots=True)
class Place:
    """One step to something that is there: its schema node and, for a list entry, its canonical keys."""

    node: SchemaNode
    keys: tuple[str, ...] = ()

    @property
    def mark(self) -> tuple[str, str, tuple[str, ...]]:
        """What tells it from its siblings."""
        return (self.node.namespace, self.node.name, self.keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A path of a request with its prefix before it."""

    hops: tuple[Hop, ...]
    origin: str = ""
    target: str = ""

    @property
    def text(self) -> str:
        """As people write it, shortened when it is long."""
        text = "".join(f"/{hop.text}" for hop in self.hops) or "/"
        return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."

    @property
    def qualified(self) -> bool:
        """True when any name carries a module: answers then do, too."""
        return any(hop.module for hop in self.hops)


def read_pattern(prefix: pb.Path, path: pb.Path, *, modules: Iterable[str], max_elements: int) -> Pattern:
    """A path of a request behind the prefix of that request.

    `modules` are the names that an origin may be, besides '' and 'rfc7951'. Raises BadPath (too long, a name
    that is empty, a target outside the prefix, origins that contradict each other) or Unsupported (another
    origin, the old form of paths).
    """
    if prefix.element or path.element:
        raise Unsupported("paths in 'element' (gNMI 0.3) are not read: use 'elem'")
    elems = [*prefix.elem, *path.elem]
    if len(elems) > max_elements:
        raise BadPath(f"a path of {len(elems)} elements, want {max_elements} or less")
    if path.target and path.target != prefix.target:
        raise BadPath(f"target {path.target[:60]!r} belongs into the prefix")
    if prefix.origin and path.origin and prefix.origin != path.origin:
        raise BadPath(
            f"origin {prefix.origin[:60]!r} of the prefix and {path.origin[:60]!r} of the path differ"
        )
    origin = prefix.origin or path.origin
    if origin not in ("", "rfc7951") and origin not in modules:
        raise Unsupported(f"origin {origin[:60]!r} is not served: name a module, or none")
    return Pattern(hops=tuple(_hop(elem) for elem in elems), origin=origin, target=prefix.target)


def _hop(elem: pb.PathElem) -> Hop:
    module, colon, name = elem.name.rpartition(":")
    if not name or (colon and not module):
        raise BadPath(f"{elem.name[:60]!r} is no name of a node")
    if name == DEEP and elem.key:
        raise BadPath("'...' takes no keys")
    return Hop(name, module, dict(elem.key))


class PathReader:
    """Resolves patterns with the schema of one server."""

    def __init__(self, places: SchemaMap, tops: Sequence[SchemaNode]) -> None:
        self._places = places
        self.tops = tuple(tops)
        # Keys may hold identities of any module: all prefixes are known to them.
        self._nsmap: dict[str | None, str] = dict(places.namespaces.items())

    def children(self, node: SchemaNode | None) -> Sequence[SchemaNode]:
        """The data children of a node, or the top-level nodes."""
        return self.tops if node is None else node.children()

    def check(self, pattern: Pattern) -> list[SchemaNode | None]:
        """The schema nodes that a pattern can end at (None: the root).

        Raises NoSuchNode, naming the first element that leads nowhere, or BadPath for keys that do not fit
        their lists.
        """
        level: dict[int, tuple[SchemaNode | None, SchemaNode | None]] = {0: (None, None)}
        for number, hop in enumerate(pattern.hops):
            following: dict[int, tuple[SchemaNode | None, SchemaNode | None]] = {}
            for node, parent in level.values():
                if hop.name == DEEP:
                    following |= {id(one): (one, up) for one, up in self._below(node, parent)}
                    continue
                for child in self.named(node, hop, pattern.origin):
                    if all(self.key_tag(child, key) for key in hop.keys):
                        following[id(child)] = (child, node)
            if not following:
                raise self._nowhere(pattern, number, [node for node, _ in level.values()])
            level = following
        return [node for node, _ in level.values()]

    def _below(
        self, node: SchemaNode | None, parent: SchemaNode | None
    ) -> Iterable[tuple[SchemaNode | None, SchemaNode | None]]:
        yield node, parent
        for child in self.children(node):
            yield from self._below(child, node)

    def _nowhere(self, pattern: Pattern, number: int, nodes: Sequence[SchemaNode | None]) -> BadPath:
        hop = pattern.hops[number]
        at = "".join(f"/{one.text}" for one in pattern.hops[: number + 1])[:_SHOWN]
        for node in nodes:
            for child in self.named(node, hop, pattern.origin):
                wrong = next((key for key in hop.keys if not self.key_tag(child, key)), "")
                return BadPath(f"{at}: {child.name} has no key {wrong[:60]!r}")
        return NoSuchNode(f"{at}: no node {hop.name[:60]!r} in the schema at this place")

    def named(self, node: SchemaNode | None, hop: Hop, origin: str = "") -> list[SchemaNode]:
        """The children of `node` that a hop names. At the top, an origin names the module of a bare name."""
        module = hop.module
        if node is None and not module and origin not in ("", "rfc7951"):
            module = origin
        found = [
            child
            for child in self.children(node)
            if hop.name in (ANY, child.name) and module in ("", child.module)
        ]
        if len(found) > 1 and hop.name != ANY and not module and node is not None:
            return [child for child in found if child.module == node.module] or found
        return found

    def key_tag(self, node: SchemaNode, key: str) -> str:
        """The Clark name of the key of a list that `key` names, with or without module; '' for none."""
        name = key.rpartition(":")[2]
        return next((tag for tag in node.keys if tag.rpartition("}")[2] == name), "")

    def canonical_key(self, node: SchemaNode, tag: str, text: str) -> str:
        """A key value of a request in canonical form; as it is when the type refuses it."""
        leaf = node.child(tag)
        if leaf is None:
            return text
        made = new_element(tag, self._nsmap)
        try:
            made.text = text
        except ValueError:  # characters that XML cannot carry are in no key
            return text
        return leaf.canonical(made)

    def keys_match(self, node: SchemaNode, hop: Hop, keys: Sequence[str]) -> bool:
        """True when the canonical keys of an entry are what a hop asks for."""
        for key, wanted in hop.keys.items():
            tag = self.key_tag(node, key)
            if not tag:
                return False
            held = keys[node.keys.index(tag)]
            if wanted not in (ANY, held) and self.canonical_key(node, tag, wanted) != held:
                return False
        return True

    def advance(
        self, pattern: Pattern, states: frozenset[int], parent: SchemaNode | None, place: Place
    ) -> frozenset[int]:
        """The states behind `place`, a child of `parent`. `start` makes the first ones."""
        following: set[int] = set()
        for state in states:
            if state == len(pattern.hops):
                continue
            hop = pattern.hops[state]
            if hop.name == DEEP:
                following.add(state)
            elif place.node in self.named(parent, hop, pattern.origin) and self.keys_match(
                place.node, hop, place.keys
            ):
                following.add(state + 1)
        return closed(pattern, following)

    def place(self, element: etree._Element, node: SchemaNode) -> Place:
        """The step that leads to an element of the data."""
        if node.kind is not Kind.LIST:
            return Place(node)
        keys: list[str] = []
        for tag in node.keys:
            found, leaf = element.find(tag), node.child(tag)
            keys.append("" if found is None or leaf is None else leaf.canonical(found))
        return Place(node, tuple(keys))


def start(pattern: Pattern) -> frozenset[int]:
    """The states before the first element."""
    return closed(pattern, {0})


def closed(pattern: Pattern, states: Iterable[int]) -> frozenset[int]:
    """States with those that '...' reaches without a step."""
    reached = set(states)
    for state in sorted(reached):
        at = state
        while at < len(pattern.hops) and pattern.hops[at].name == DEEP:
            at += 1
            reached.add(at)
    return frozenset(reached)


def is_met(pattern: Pattern, states: frozenset[int]) -> bool:
    """True when the whole pattern has been met."""
    return len(pattern.hops) in states


def to_path(steps: Sequence[Place], *, qualified: bool) -> pb.Path:
    """The path to something; `qualified` puts the module before a name where it differs from its parent's."""
    elems = []
    module = ""
    for place in steps:
        node = place.node
        name = f"{node.module}:{node.name}" if qualified and node.module != module else node.name
        keys = {tag.rpartition("}")[2]: value for tag, value in zip(node.keys, place.keys, strict=False)}
        elems.append(pb.PathElem(name=name, key=keys))
        module = node.module
    return pb.Path(elem=elems)


def steps_text(steps: Sequence[Place]) -> str:
    """Where something stands, as people write it."""
    names = (
        element_text(
            place.node.name,
            {tag.rpartition("}")[2]: key for tag, key in zip(place.node.keys, place.keys, strict=False)},
        )
        for place in steps
    )
    return "".join(f"/{name}" for name in names) or "/"
