"""How requests about subscriptions are refused (RFC 8639 clause 2.4.6, RFC 8640 clause 7, RFC 8641 A.1).

Rule of this file: an identity of the standard goes out as the error-app-tag, with the error-tag that RFC 8640
gives it; hints travel in the structure of the operation at hand, which repeats no reason.
"""

from collections.abc import Mapping
from enum import StrEnum

from lxml import etree

from keyweave_core.netconf.protocol.elements import Element
from keyweave_core.netconf.protocol.messages import PUSH, SUBSCRIBED
from keyweave_core.netconf.protocol.rpc_errors import RpcError, Structure


class Request(StrEnum):
    """The operation that is refused."""

    ESTABLISH = "establish-subscription"
    MODIFY = "modify-subscription"
    DELETE = "delete-subscription"
    RESYNC = "resync-subscription"


_SN = "ietf-subscribed-notifications"
_YP = "ietf-yang-push"
# identity: module, error-tag
_IDENTITIES = {
    "encoding-unsupported": (_SN, "invalid-value"),
    "filter-unsupported": (_SN, "invalid-value"),
    "insufficient-resources": (_SN, "resource-denied"),
    "no-such-subscription": (_SN, "invalid-value"),
    "replay-unsupported": (_SN, "operation-not-supported"),
    "datastore-not-subscribable": (_YP, "invalid-value"),
    "no-such-subscription-resync": (_YP, "invalid-value"),
    "on-change-sync-unsupported": (_YP, "operation-not-supported"),
    "period-unsupported": (_YP, "invalid-value"),
    "sync-too-big": (_YP, "too-big"),
    "unchanging-selection": (_YP, "operation-failed"),
    "update-too-big": (_YP, "too-big"),
}


def refusal(
    identity: str,
    message: str,
    *,
    request: Request = Request.ESTABLISH,
    push: bool = False,
    hints: Mapping[str, str] | None = None,
) -> RpcError:
    """The error for an identity of the standards; `push` tells whether a datastore was the target."""
    module, tag = _IDENTITIES[identity]
    structures: tuple[Structure, ...] = ()
    if hints:
        namespace = PUSH if push else SUBSCRIBED
        kind = "datastore" if push else "stream"
        name = f"{request.value}-error" if request is Request.RESYNC else f"{request.value}-{kind}-error-info"
        leaves = tuple((f"{{{namespace}}}{leaf}", text) for leaf, text in hints.items())
        structures = ((f"{{{namespace}}}{name}", leaves),)
    return RpcError(tag, message, app_tag=f"{module}:{identity}", structures=structures)


def put_reason(parent: Element, identity: str) -> None:
    """Append the leaf `reason` of a state notification."""
    foreign = identity in _IDENTITIES and _IDENTITIES[identity][0] == _YP
    leaf = etree.SubElement(parent, f"{{{SUBSCRIBED}}}reason", nsmap={"yp": PUSH} if foreign else None)
    leaf.text = f"yp:{identity}" if foreign else identity
