"""The marks on elements of an edit: operations, defaults, and what means nothing (RFC 6241 clause 7.2).

Rule of this file: attributes are read here and nowhere else in an edit, but for those of `ordering`.
"""

from enum import StrEnum

from lxml import etree

from keyweave_core.netconf.data.ordering import YANG
from keyweave_core.netconf.data.schema_paths import SchemaMap, step
from keyweave_core.netconf.ports import DEFAULT, Kind, SchemaNode
from keyweave_core.netconf.protocol.rpc_errors import BASE, RpcError, base_info

OPERATION = f"{{{BASE}}}operation"
_ORDER_ATTRIBUTES = (f"{{{YANG}}}insert", f"{{{YANG}}}key", f"{{{YANG}}}value")


class Operation(StrEnum):
    """What to do with a node; NONE can only be a default."""

    MERGE = "merge"
    REPLACE = "replace"
    CREATE = "create"
    DELETE = "delete"
    REMOVE = "remove"
    NONE = "none"


GOING = (Operation.DELETE, Operation.REMOVE)


class Marks:
    """Reads the attributes of elements; every complaint is an RpcError with the path."""

    def __init__(self, schema: SchemaMap) -> None:
        self._schema = schema

    def operation(
        self, element: etree._Element, node: SchemaNode, inherited: Operation, path: str
    ) -> Operation:
        """The operation on an element whose path is `path`; attributes without a meaning are refused."""
        if not node.config:
            raise self.state(node, path.rpartition(step(node))[0])
        for name in element.attrib:
            if name not in (OPERATION, DEFAULT) and not (node.user_ordered and name in _ORDER_ATTRIBUTES):
                plain = etree.QName(str(name)).localname
                raise self._schema.error(
                    "unknown-attribute",
                    f"attribute {plain!r} means nothing here",
                    path,
                    bad_attribute=plain,
                    bad_element=node.name,
                )
        given = element.get(OPERATION)
        if given is None:
            return inherited
        try:
            operation = Operation(str(given))
        except ValueError:
            operation = Operation.NONE
        if operation is Operation.NONE:
            raise self.bad_operation(element, path, f"no operation {str(given)[:60]!r}")
        return operation

    def state(self, node: SchemaNode, path: str) -> RpcError:
        """The complaint about a state node below `path`."""
        message = f"{node.name} is state of the system and cannot be configured"
        return self._schema.error("invalid-value", message, path + step(node), bad_element=node.name)

    def means_default(self, element: etree._Element, node: SchemaNode, path: str) -> bool:
        """Does the element carry default="true"? Then its value must be the default."""
        given = element.get(DEFAULT)
        if given is None or given in ("false", "0"):
            return False
        if given not in ("true", "1"):
            where, used = self._schema.located(path)
            info = base_info(bad_attribute="default", bad_element=node.name)
            message = f"default is true or false, not {given[:60]!r}"
            raise RpcError("bad-attribute", message, path=where, namespaces=used, info=info)
        if node.kind is not Kind.LEAF or node.default is None or node.canonical(element) != node.default:
            raise self._schema.error(
                "invalid-value", "said to be the default, which it is not", path, bad_element=node.name
            )
        return True

    def bad_operation(self, element: etree._Element, path: str, message: str) -> RpcError:
        """A complaint about the attribute `operation`."""
        where, used = self._schema.located(path)
        name = etree.QName(element).localname
        info = base_info(bad_attribute="operation", bad_element=name)
        return RpcError("bad-attribute", message, path=where, namespaces=used, info=info)
