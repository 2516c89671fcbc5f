"""Set: deletes, replacements and updates as one change of running (gNMI clause 3.4).

Rule of this file: everything is read before anything is applied, in the order of the clause (delete, replace,
update), each on what the ones before it made. The datastores check and apply the outcome as a whole, so a
fault anywhere changes nothing.

    delete     what the path names, wildcards included; what is not there is gone already
    replace    the place holds the value and nothing else; of a whole list: these entries and no others
    update     the value is merged into what is there
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lxml import etree

from keyweave_core.netconf.data.edit import Operation, edit
from keyweave_core.netconf.data.schema_paths import SchemaMap
from keyweave_core.netconf.ports import Kind, SchemaNode
from keyweave_core.netconf.protocol.elements import element as new_element
from keyweave_core.netconf.protocol.rpc_errors import BASE
from keyweave_core.netconf.server.stores.datastores import Snapshot
from keyweave_gnmi.composing import Composer
from keyweave_gnmi.faults import BadPath, BadValue, Unsupported
from keyweave_gnmi.json_reading import JsonReader
from keyweave_gnmi.matching import Found, at_place, find
from keyweave_gnmi.paths import ANY, DEEP, PathReader, Pattern, Place, read_pattern
from keyweave_gnmi.values import ValueReader
from keyweave_proto.gnmi import gnmi_pb2 as pb


@dataclass(frozen=True, slots=True)
class Target:
    """A place that can be written; `whole` when it means all entries of a list."""

    steps: tuple[Place, ...]
    where: str
    whole: bool = False


class SetReader:
    """Turns requests into changes of a configuration."""

    def __init__(self, reader: PathReader, places: SchemaMap, *, max_paths: int, max_elements: int) -> None:
        self._reader = reader
        self._places = places
        self._json = JsonReader(reader, places.namespaces)
        self._values = ValueReader(self._json)
        self._max_paths = max_paths
        self._max_elements = max_elements

    def read(self, request: pb.SetRequest) -> Callable[[Snapshot], Snapshot]:
        """The change that a request means, for `Datastores.rewrite`.

        Raises BadPath, NoSuchNode, BadValue or Unsupported at once for what no configuration could make good;
        the change itself raises them for values, and RpcError.
        """
        if request.union_replace:
            raise Unsupported("union_replace is not offered: there is one origin, use replace")
        count = len(request.delete) + len(request.replace) + len(request.update)
        if count > self._max_paths:
            raise BadPath(f"{count} operations, want {self._max_paths} or less")
        deletes = [self._pattern(request.prefix, path) for path in request.delete]
        for pattern in deletes:
            ends = self._reader.check(pattern)
            if all(node is not None and not node.config for node in ends):
                raise BadPath(f"{pattern.text}: is state of the system and cannot be deleted")
            self._refuse_key(pattern)
        replaces = [(self._target(request.prefix, each.path), each.val) for each in request.replace]
        updates = [(self._target(request.prefix, each.path), each.val) for each in request.update]

        def change(base: Snapshot) -> Snapshot:
            composer = Composer(base.elements, self._apply, self._json)
            for pattern in deletes:
                self._delete(composer, pattern)
            for target, value in replaces:
                self._write(composer, target, value, Operation.REPLACE)
            for target, value in updates:
                self._write(composer, target, value, Operation.MERGE)
            return Snapshot(composer.elements())

        return change

    def _apply(self, elements: Sequence[etree._Element], config: etree._Element) -> Sequence[etree._Element]:
        return edit(elements, config, schema=self._places)

    def _pattern(self, prefix: pb.Path, path: pb.Path) -> Pattern:
        return read_pattern(prefix, path, modules=self._places.namespaces, max_elements=self._max_elements)

    def _target(self, prefix: pb.Path, path: pb.Path) -> Target:
        """The one place that a path names; BadPath when it could be several."""
        pattern = self._pattern(prefix, path)
        where = pattern.text
        if any(hop.name in (ANY, DEEP) or ANY in hop.keys.values() for hop in pattern.hops):
            raise BadPath(f"{where}: only a delete takes wildcards")
        self._reader.check(pattern)
        steps: list[Place] = []
        whole = False
        for number, hop in enumerate(pattern.hops):
            parent = steps[-1].node if steps else None
            found = self._reader.named(parent, hop, pattern.origin)
            if len(found) != 1:
                raise BadPath(f"{where}: several modules have {hop.name!r} here: name the module")
            node = found[0]
            keys: list[str] = []
            if node.kind is Kind.LIST:
                given = {self._reader.key_tag(node, key): text for key, text in hop.keys.items()}
                whole = not given and number == len(pattern.hops) - 1
                if not whole and (missing := [tag for tag in node.keys if tag not in given]):
                    names = ", ".join(tag.rpartition("}")[2] for tag in missing)
                    raise BadPath(f"{where}: an entry of {node.name} is named by its keys, without {names}")
                if not whole:
                    keys = [self._reader.canonical_key(node, tag, given[tag]) for tag in node.keys]
            steps.append(Place(node, tuple(keys)))
        if steps and not steps[-1].node.config:
            raise BadPath(f"{where}: is state of the system and cannot be configured")
        return Target(tuple(steps), where, whole)

    def _refuse_key(self, pattern: Pattern) -> None:
        """The key of a list entry goes with the entry alone."""
        if pattern.hops and pattern.hops[-1].name not in (ANY, DEEP):
            nodes: list[SchemaNode | None] = [None]
            for hop in pattern.hops[:-1]:
                if hop.name in (ANY, DEEP):
                    return
                nodes = [child for node in nodes for child in self._reader.named(node, hop, pattern.origin)]
            name = pattern.hops[-1].name
            if any(node is not None and self._reader.key_tag(node, name) for node in nodes):
                raise BadPath(f"{pattern.text}: a list key cannot be deleted, delete the entry")

    def _delete(self, composer: Composer, pattern: Pattern) -> None:
        found: Sequence[Found] = list(find(self._reader, pattern, composer.elements_so_far))
        if any(composer.clashes(each.steps) for each in found):
            found = list(find(self._reader, pattern, composer.elements()))
        for each in found:
            self._remove(composer, each)

    def _remove(self, composer: Composer, found: Found) -> None:
        if found.steps:
            composer.put(found.steps, composer.removal(found.elements), Operation.REMOVE)
            return
        for element in found.elements:
            node = self._places.top(str(element.tag))
            if node is not None:
                composer.put(
                    (self._reader.place(element, node),), composer.removal([element]), Operation.REMOVE
                )

    def _write(self, composer: Composer, target: Target, value: pb.TypedValue, operation: Operation) -> None:
        if not target.steps:
            root = new_element(f"{{{BASE}}}config", {None: BASE})
            self._values.fill_root(root, value)
            if operation is Operation.REPLACE:
                self._remove(composer, Found((), tuple(composer.elements())))
            composer.whole(root)
        elif target.whole:
            self._write_list(composer, target, value, operation)
        else:
            self._write_one(composer, target, value, operation)

    def _write_list(
        self, composer: Composer, target: Target, value: pb.TypedValue, operation: Operation
    ) -> None:
        """All entries of a list: with REPLACE those that are not given go."""
        node = target.steps[-1].node
        entries = self._values.entries(node, value, target.where)
        if operation is Operation.REPLACE:
            held = at_place(self._reader, composer.elements(), target.steps[:-1])
            if held is not None:
                tag = f"{{{node.namespace}}}{node.name}"
                sources = (
                    [child for parent in held.elements for child in parent.iterchildren(tag)]
                    if held.steps
                    else [element for element in held.elements if element.tag == tag]
                )
                for element in sources:
                    self._remove(
                        composer, Found((*target.steps[:-1], self._reader.place(element, node)), (element,))
                    )
                composer.flush()
        for number, entry in enumerate(entries):
            place = self._reader.place(entry, node)
            if "" in place.keys and any(entry.find(tag) is None for tag in node.keys):
                raise BadValue(f"{target.where}[{number}]: an entry without all of its keys")
            composer.put((*target.steps[:-1], place), [entry], operation)

    def _write_one(
        self, composer: Composer, target: Target, value: pb.TypedValue, operation: Operation
    ) -> None:
        place = target.steps[-1]
        elements = list(self._values.elements(place.node, value, target.where))
        parent = target.steps[-2] if len(target.steps) > 1 else None
        tag = f"{{{place.node.namespace}}}{place.node.name}"
        if parent is not None and tag in parent.node.keys:
            self._check_key(parent, tag, elements[0], target.where)
            # The key is there as soon as its entry is: nothing else of the entry changes.
            composer.put(target.steps[:-1], [composer.entry(parent, target.where)], Operation.MERGE)
            return
        if place.node.kind is Kind.LIST:
            self._add_keys(composer, place, elements[0], target.where)
        if place.node.kind is Kind.LEAF_LIST and operation is Operation.REPLACE:
            held = at_place(self._reader, composer.elements(), target.steps)
            if held is not None:
                self._remove(composer, held)
                composer.flush()
        if elements:
            composer.put(target.steps, elements, operation)

    def _add_keys(self, composer: Composer, place: Place, element: etree._Element, where: str) -> None:
        """Give an entry the keys of its path; the value may repeat them, not contradict them."""
        for tag in place.node.keys:
            given = element.find(tag)
            if given is not None:
                self._check_key(place, tag, given, where)
                element.remove(given)
        for number, key in enumerate(composer.entry(place, where)):
            element.insert(number, key)

    def _check_key(self, place: Place, tag: str, given: etree._Element, where: str) -> None:
        leaf = place.node.child(tag)
        wanted = place.keys[place.node.keys.index(tag)]
        if leaf is not None and leaf.canonical(given) != wanted:
            name = tag.rpartition("}")[2]
            raise BadValue(
                f"{where}: the value says {name} is {(given.text or '')[:60]!r}, the path {wanted!r}"
            )
