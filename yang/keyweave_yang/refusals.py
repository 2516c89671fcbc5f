"""The operation `refuse-application` of keyweave-qkd-node: an application gets no keys, and why.

Rule of this file: the controller encodes, the agent decodes what its schema has validated.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from lxml import etree

from keyweave_core.errors import SchemaViolation
from keyweave_core.model.ids import SaeId
from keyweave_yang.namespaces import KEYWEAVE, kwq, new_tree
from keyweave_yang.reading import Faults, Fields
from keyweave_yang.writing import prose, text

REFUSE_APPLICATION = kwq("refuse-application")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Who asked for whom, and why not; `reasons` are whole sentences."""

    server_app_id: SaeId
    client_app_ids: tuple[SaeId, ...] = ()
    reasons: tuple[str, ...] = ()


def encode_refusal(
    server: SaeId, clients: Iterable[SaeId] = (), reasons: Iterable[str] = ()
) -> etree._Element:
    """The operation as it stands in <rpc>. A reason given twice is said once (leaf-lists hold a set)."""
    operation = new_tree(REFUSE_APPLICATION, {None: KEYWEAVE})
    text(operation, kwq("server-app-id"), server)
    for client in dict.fromkeys(clients):
        text(operation, kwq("client-app-id"), client)
    for reason in dict.fromkeys(reasons):
        prose(operation, kwq("reason"), reason)
    return operation


def decode_refusal(operation: etree._Element) -> Refusal:
    """Read the operation. Raises SchemaViolation when it is another one or names no server application."""
    if operation.tag != REFUSE_APPLICATION:
        raise SchemaViolation(f"not refuse-application: {str(operation.tag)[:200]}", tag="unknown-element")
    fields = Fields(operation, "refuse-application", Faults(strict=True))
    server = fields.text(kwq("server-app-id"))
    if server is None:
        raise SchemaViolation("refuse-application without server-app-id", tag="missing-element")
    return Refusal(
        server_app_id=SaeId(server),
        client_app_ids=fields.texts(kwq("client-app-id"), SaeId),
        reasons=fields.texts(kwq("reason"), str),
    )
