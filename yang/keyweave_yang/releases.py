"""The operation `release-link` of keyweave-qkd-node: the operator trusts a link again.

Rule of this file: the controller encodes, the agent decodes what its schema has validated.
"""

from lxml import etree

from keyweave_core.errors import SchemaViolation
from keyweave_core.model.ids import LinkId
from keyweave_yang.namespaces import KEYWEAVE, kwq, new_tree
from keyweave_yang.reading import Faults, Fields
from keyweave_yang.writing import text

RELEASE_LINK = kwq("release-link")


def encode_release(link_id: LinkId) -> etree._Element:
    """The operation as it stands in <rpc>."""
    operation = new_tree(RELEASE_LINK, {None: KEYWEAVE})
    text(operation, kwq("link-id"), link_id)
    return operation


def decode_release(operation: etree._Element) -> LinkId:
    """The link that is meant. Raises SchemaViolation when it is another operation, or names none."""
    if operation.tag != RELEASE_LINK:
        raise SchemaViolation(f"not release-link: {str(operation.tag)[:200]}", tag="unknown-element")
    link_id = Fields(operation, "release-link", Faults(strict=True)).uuid(kwq("link-id"), LinkId)
    if link_id is None:
        raise SchemaViolation("release-link without link-id", tag="missing-element")
    return link_id
