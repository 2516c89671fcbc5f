"""Where data stands in the schema: instance paths for errors, unknown names told apart.

Rule of this file: a path here is in the one form of `rpc_errors` ('/module:name[module:key='value']'), and
every lookup that fails becomes the error-tag of RFC 6241 appendix A for it.
"""

from collections.abc import Mapping, Sequence

from lxml import etree

from keyweave_core.netconf.ports import Kind, Schema, SchemaNode
from keyweave_core.netconf.protocol.rpc_errors import RpcError, base_info


class SchemaMap:
    """The modules and top-level nodes of a server: those of its schema and those of the protocol."""

    def __init__(self, schema: Schema, protocol: Sequence[SchemaNode] = ()) -> None:
        self._schema = schema
        self._protocol = {f"{{{node.namespace}}}{node.name}": node for node in protocol}
        # Import-only modules count: their identities may be named in values and paths.
        self.namespaces: Mapping[str, str] = {m.name: m.namespace for m in schema.modules} | {
            node.module: node.namespace for node in protocol
        }
        self._known = set(self.namespaces.values())

    def top(self, tag: str) -> SchemaNode | None:
        """The top-level node of this Clark name, or None."""
        return self._schema.top(tag) or self._protocol.get(tag)

    def child(self, parent: SchemaNode | None, element: etree._Element, path: str) -> SchemaNode:
        """The schema node of `element` below `parent` (None: top level), which stands at `path`.

        Raises RpcError unknown-namespace or unknown-element.
        """
        tag = str(element.tag)
        node = self.top(tag) if parent is None else parent.child(tag)
        if node is not None:
            return node
        name = etree.QName(element)
        namespace = name.namespace or ""
        where, used = self.located(path)
        if namespace not in self._known:
            raise RpcError(
                "unknown-namespace",
                f"no module here has the namespace {namespace[:200]!r}",
                path=where,
                namespaces=used,
                info=base_info(bad_element=name.localname, bad_namespace=namespace[:200]),
            )
        raise RpcError(
            "unknown-element",
            f"no element {name.localname!r} in the schema at this place",
            path=where,
            namespaces=used,
            info=base_info(bad_element=name.localname),
        )

    def located(self, path: str) -> tuple[str, dict[str, str]]:
        """A path with the namespaces of the prefixes in it."""
        return path, {name: uri for name, uri in self.namespaces.items() if f"{name}:" in path}

    def error(
        self, tag: str, message: str, path: str, *, app_tag: str | None = None, **info: str
    ) -> RpcError:
        """An application error about the node at `path`."""
        where, used = self.located(path)
        return RpcError(
            tag, message, app_tag=app_tag, path=where, namespaces=used, info=base_info(**info) if info else ()
        )


def step(node: SchemaNode, key_values: Sequence[str] = (), value: str | None = None) -> str:
    """One step of a path: the name, with predicates for a list entry or a leaf-list value."""
    text = f"/{node.module}:{node.name}"
    if node.kind is Kind.LIST:
        for key, given in zip(node.keys, key_values, strict=False):
            text += f"[{node.module}:{etree.QName(key).localname}={_quoted(given)}]"
    elif value is not None:
        text += f"[.={_quoted(value)}]"
    return text


def _quoted(value: str) -> str:
    return f'"{value}"' if "'" in value else f"'{value}'"
