"""Dispatch: from the name of an operation to what carries it out, through access control.

Rule of this file: operations live in groups, one file each, as methods that read their parameters, do their
work and return the body of the reply, or raise RpcError. What must come after the reply (a subscription, the
end of a session) is returned with it.
"""

from collections.abc import Sequence

from lxml import etree

from keyweave_core.netconf.protocol.messages import OK, to_bytes
from keyweave_core.netconf.protocol.rpc_errors import RpcError, base_info
from keyweave_core.netconf.server.operations import (
    actions,
    committing,
    locking,
    nmda,
    reading,
    schemas,
    subscribing,
    writing,
)
from keyweave_core.netconf.server.operations import sessions as ending
from keyweave_core.netconf.server.operations.calls import Answer, Caller, Method, Registry, not_supported
from keyweave_core.netconf.server.subscriptions import operations as dynamic
from keyweave_core.netconf.server.subscriptions.book import SubscriptionBook
from keyweave_core.netconf.server.system import System


class Operations:
    """Every operation of the server, by name."""

    def __init__(self, system: System, registry: Registry, book: SubscriptionBook) -> None:
        self._system = system
        self._table: dict[str, Method] = {
            **reading.operations(system, registry),
            **nmda.operations(system, registry),
            **actions.operations(system),
            **writing.operations(system),
            **committing.operations(system),
            **locking.operations(system),
            **ending.operations(registry),
            **schemas.operations(system),
            **subscribing.operations(system),
            **dynamic.operations(system, book),
        }
        self._callable = {m.namespace for m in system.schema.modules if m.implemented}

    async def perform(self, caller: Caller, operation: etree._Element) -> Answer:
        """Carry out one operation; raises RpcError, or what the device raised."""
        self._system.access.check_operation(caller.user, operation)
        method = self._table.get(str(operation.tag))
        if method is not None:
            return await method(caller, operation)
        name = etree.QName(operation)
        namespace = name.namespace or ""
        own = self._system.own
        if namespace in self._callable and namespace not in own:
            try:
                elements: Sequence[etree._Element] | None
                elements = await self._system.device.call(operation, caller.user.name)
            except KeyError:
                raise not_supported(name.localname) from None
            return Answer(OK if elements is None else b"".join(to_bytes(element) for element in elements))
        if namespace in self._callable or namespace in own:
            raise not_supported(name.localname)
        raise RpcError(
            "unknown-namespace",
            f"no module here has the namespace {namespace[:200]!r}",
            type="protocol",
            info=base_info(bad_element=name.localname, bad_namespace=namespace[:200]),
        )
