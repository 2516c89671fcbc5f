"""A gNMI target in the words of the rest of the program: lxml elements and NETCONF edits.

Rule of this file: the controller chooses gNMI or NETCONF for an agent and goes on with the same trees. What
gNMI cannot say is said by its nearest: `create` becomes an update and `delete` a removal, so neither fails
when the data is there already or not.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lxml import etree

from keyweave_core.errors import InvalidInput, MalformedMessage
from keyweave_core.netconf.data.edit import OPERATION, Operation
from keyweave_core.netconf.data.overlay import overlay
from keyweave_core.netconf.data.schema_paths import SchemaMap
from keyweave_core.netconf.ports import Kind, Schema, SchemaNode
from keyweave_core.netconf.protocol.elements import element as new_element
from keyweave_core.netconf.protocol.rpc_errors import BASE
from keyweave_gnmi.client import GnmiClient, Wanted
from keyweave_gnmi.faults import BadValue
from keyweave_gnmi.json_ietf import JsonWriter
from keyweave_gnmi.json_reading import JsonReader
from keyweave_gnmi.matching import Found
from keyweave_gnmi.paths import PathReader, Place, read_pattern, to_path
from keyweave_gnmi.text_paths import path_text
from keyweave_gnmi.values import ValueReader
from keyweave_proto.gnmi import gnmi_pb2 as pb

_MAX_ELEMENTS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One message of a subscription: values as top-level elements, paths that are gone, or the mark that
    everything has been told once. `at_s` is seconds since 1970 by the clock of the target."""

    at_s: float = 0.0
    values: tuple[etree._Element, ...] = ()
    gone: tuple[str, ...] = ()
    synced: bool = False


@dataclass(frozen=True, slots=True)
class SetPlan:
    """What an edit becomes."""

    delete: tuple[str, ...]
    replace: tuple[tuple[str, Any], ...]
    update: tuple[tuple[str, Any], ...]


class TreeClient:
    """One target whose data follows `schema`."""

    def __init__(self, client: GnmiClient, schema: Schema) -> None:
        self._client = client
        self._places = SchemaMap(schema)
        self._reader = PathReader(self._places, schema.tops())
        self._json = JsonReader(self._reader, self._places.namespaces)
        self._values = ValueReader(self._json)
        names = {uri: name for name, uri in self._places.namespaces.items()}
        self._writer = JsonWriter(self._places.top, names)

    async def read(
        self, paths: Iterable[str] = ("/",), *, kind: int = pb.GetRequest.ALL
    ) -> list[etree._Element]:
        """What the target holds at `paths`, as top-level elements; `kind` is a pb.GetRequest.DataType.

        Raises MalformedMessage when the target sends what the schema does not have.
        """
        data: list[etree._Element] = []
        for notification in await self._client.get(paths, kind=kind):
            for update in notification.update:
                data = overlay(data, self._elements(notification.prefix, update), self._places.top)
        return data

    async def edit(self, config: etree._Element) -> float:
        """Apply what a NETCONF <config> element says, whole or not at all; returns when, as `GnmiClient.set`.

        Raises BadValue for an edit that gNMI cannot say, and what the target answers.
        """
        plan = self.plan(config)
        return await self._client.set(delete=plan.delete, replace=plan.replace, update=plan.update)

    async def follow(self, paths: Iterable[str] = ("/",), *, heartbeat_s: float = 0.0) -> AsyncIterator[Told]:
        """Everything at `paths`, then every change, until the connection ends (PeerUnreachable)."""
        wanted = [Wanted(path=path, heartbeat_s=heartbeat_s) for path in paths]
        async with self._client.subscribe(wanted) as answers:
            async for response in answers:
                if response.WhichOneof("response") == "sync_response":
                    yield Told(synced=True)
                    continue
                told = response.update
                data: list[etree._Element] = []
                for update in told.update:
                    data = overlay(data, self._elements(told.prefix, update), self._places.top)
                gone = tuple(path_text(self._absolute(told.prefix, path)) for path in told.delete)
                yield Told(at_s=told.timestamp / 1e9, values=tuple(data), gone=gone)

    def plan(self, config: etree._Element) -> SetPlan:
        """The paths and values that a <config> element means."""
        delete: list[str] = []
        replace: list[tuple[str, Any]] = []
        update: list[tuple[str, Any]] = []
        for steps, element, operation in self._parts(config, None, (), Operation.MERGE):
            path = path_text(to_path(steps, qualified=True))
            node = steps[-1].node
            if operation in (Operation.DELETE, Operation.REMOVE):
                if node.kind is Kind.LEAF_LIST:
                    raise BadValue(f"{path}: gNMI removes a leaf-list as a whole, not one of its values")
                delete.append(path)
            elif operation is Operation.REPLACE:
                replace.append((path, self._value(steps, element)))
            else:
                update.append((path, self._value(steps, element)))
        return SetPlan(tuple(delete), tuple(replace), tuple(update))

    def _parts(
        self, parent: etree._Element, node: SchemaNode | None, above: tuple[Place, ...], inherited: Operation
    ) -> Iterator[tuple[tuple[Place, ...], etree._Element, Operation]]:
        """The subtrees that one operation each is about; a leaf-list comes once for all its values."""
        told: set[str] = set()
        keys = () if node is None else node.keys
        for element in parent.iterchildren("*"):
            tag = str(element.tag)
            inner = self._places.child(node, element, "")
            steps = (*above, self._reader.place(element, inner))
            given = element.get(OPERATION)
            operation = inherited if given is None else Operation(str(given))
            if tag in keys or (inner.kind is Kind.LEAF_LIST and operation is inherited and tag in told):
                continue
            told.add(tag)
            whole = operation in (Operation.DELETE, Operation.REMOVE, Operation.REPLACE)
            nested = inner.kind in (Kind.CONTAINER, Kind.LIST) and _has_operations(element)
            if whole or not nested:
                yield steps, element, operation
                continue
            if inner.kind is Kind.LIST:
                yield steps, self._keys_of(element, inner), operation
            yield from self._parts(element, inner, steps, operation)

    def _keys_of(self, element: etree._Element, node: SchemaNode) -> etree._Element:
        made = new_element(str(element.tag), {None: node.namespace})
        for tag in node.keys:
            found, key = element.find(tag), node.child(tag)
            if found is not None and key is not None:
                made.append(self._json.leaf_element(key, key.canonical(found), str(tag)))
        return made

    def _value(self, steps: Sequence[Place], element: etree._Element) -> Any:
        node = steps[-1].node
        elements: tuple[etree._Element, ...] = (element,)
        parent = element.getparent()
        if node.kind is Kind.LEAF_LIST and parent is not None:
            elements = tuple(parent.iterchildren(str(element.tag)))
        return self._writer.value(Found(tuple(steps), elements))

    def _elements(self, prefix: pb.Path, update: pb.Update) -> list[etree._Element]:
        """The top-level elements that an update tells of, with what leads there."""
        path = self._absolute(prefix, update.path)
        where = path_text(path)
        config = new_element(f"{{{BASE}}}config", {None: BASE})
        try:
            if not path.elem:
                self._values.fill_root(config, update.val)
                return list(config)
            steps = self._steps(path)
            parent = config
            for place in steps[:-1]:
                parent = self._put(parent, place, where)
            last = steps[-1]
            elements = self._values.elements(last.node, update.val, where)
            for element in elements:
                if last.node.kind is Kind.LIST:
                    for tag, value in zip(last.node.keys, last.keys, strict=True):
                        key = last.node.child(tag)
                        if element.find(tag) is None and key is not None:
                            element.insert(0, self._json.leaf_element(key, value, where))
                parent.append(element)
        except InvalidInput as error:
            raise MalformedMessage(f"{self._client.where}: {error}") from error
        return list(config)

    def _steps(self, path: pb.Path) -> list[Place]:
        pattern = read_pattern(pb.Path(), path, modules=self._places.namespaces, max_elements=_MAX_ELEMENTS)
        self._reader.check(pattern)
        steps: list[Place] = []
        for hop in pattern.hops:
            node = self._reader.named(steps[-1].node if steps else None, hop, pattern.origin)[0]
            keys = {self._reader.key_tag(node, key): value for key, value in hop.keys.items()}
            steps.append(Place(node, tuple(keys.get(tag, "") for tag in node.keys)))
        return steps

    def _put(self, parent: etree._Element, place: Place, where: str) -> etree._Element:
        made = new_element(f"{{{place.node.namespace}}}{place.node.name}", {None: place.node.namespace})
        for tag, value in zip(place.node.keys, place.keys, strict=True):
            key = place.node.child(tag)
            if key is not None:
                made.append(self._json.leaf_element(key, value, where))
        parent.append(made)
        return made

    def _absolute(self, prefix: pb.Path, path: pb.Path) -> pb.Path:
        origin = path.origin or prefix.origin
        known = origin if origin in self._places.namespaces else ""
        return pb.Path(origin=known, elem=[*prefix.elem, *path.elem])


def _has_operations(element: etree._Element) -> bool:
    return any(OPERATION in below.attrib for below in element.iterdescendants("*"))
