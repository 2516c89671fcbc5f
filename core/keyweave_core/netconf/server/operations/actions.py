"""Actions of data nodes (RFC 7950 clause 7.15): <action> names an instance, and what to do there.

Rule of this file: the instance must be there, as its caller sees it, before the device hears of it. The
device is given the whole <action> element and looks for its way itself.
"""

from collections.abc import Mapping, Sequence

from lxml import etree

from keyweave_core.netconf.data.changes import identity_of, path_step
from keyweave_core.netconf.data.ordering import YANG
from keyweave_core.netconf.ports import Kind, SchemaNode
from keyweave_core.netconf.protocol.elements import Element
from keyweave_core.netconf.protocol.messages import OK, to_bytes
from keyweave_core.netconf.protocol.rpc_errors import bad_element
from keyweave_core.netconf.server.operations.calls import Answer, Caller, Method, not_supported
from keyweave_core.netconf.server.system import System

ACTION = f"{{{YANG}}}action"

_Hop = tuple[Element, SchemaNode]


def operations(system: System) -> Mapping[str, Method]:
    """action."""
    group = _Actions(system)
    return {ACTION: group.action}


class _Actions:
    def __init__(self, system: System) -> None:
        self._system = system

    async def action(self, caller: Caller, operation: etree._Element) -> Answer:
        """Let the device carry out the action at the instance named."""
        hops, name = self._read(operation)
        tag = str(hops[0][0].tag)
        data = await self._system.operational(lambda top: top == tag)
        self._find(self._system.access.readable(caller.user, data), hops)
        try:
            elements = await self._system.device.call(operation, caller.user.name)
        except KeyError:
            raise not_supported(name) from None
        return Answer(OK if elements is None else b"".join(to_bytes(element) for element in elements))

    def _read(self, operation: etree._Element) -> tuple[Sequence[_Hop], str]:
        """The elements from the top down to the node that has the action, and the action's name."""
        hops: list[_Hop] = []
        node: SchemaNode | None = None
        path = ""
        element = _one(operation, (), "action")
        while node is None or node.action(str(element.tag)) is None:
            node = self._system.places.child(node, element, path)
            for key in node.keys:
                if element.find(key) is None:
                    name = etree.QName(key).localname
                    message = f"list {node.name} without its key {name}"
                    raise self._system.places.error(
                        "missing-element", message, path + path_step(element, node), bad_element=name
                    )
            path += path_step(element, node)
            hops.append((element, node))
            element = _one(element, node.keys, node.name)
        return hops, etree.QName(element).localname

    def _find(self, data: Sequence[etree._Element], hops: Sequence[_Hop]) -> None:
        """Raises RpcError data-missing with the path of the first element that is not in `data`."""
        path = ""
        level = list(data)
        for element, node in hops:
            path += path_step(element, node)
            wanted = identity_of(element, node)
            found = next(
                (each for each in level if each.tag == element.tag and identity_of(each, node) == wanted),
                None,
            )
            if found is None and not (node.kind is Kind.CONTAINER and not node.presence):
                raise self._system.places.error("data-missing", f"{node.name} does not exist", path)
            level = [] if found is None else found.findall("*")


def _one(element: etree._Element, keys: Sequence[str], name: str) -> etree._Element:
    """The only child that is no key."""
    inner = [child for child in element.iterchildren("*") if str(child.tag) not in keys]
    if not inner:
        raise bad_element("missing-element", f"{name} does not lead to an action", name)
    if len(inner) > 1:
        extra = etree.QName(inner[1]).localname
        raise bad_element("bad-element", "an <action> leads to one action of one instance", extra)
    return inner[0]
