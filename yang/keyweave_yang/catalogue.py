"""Which modules each server of the project serves, with which features.

Rule of this file: a list is what hello and yang-library announce, so a feature stands here only when the
server does what it promises. A module that others only import, or whose nodes we do not serve, is not
implemented (RFC 8525: conformance `import`). docs/yang.md says why each is here.
"""

from dataclasses import dataclass
from typing import Literal

ServerKind = Literal["agent", "controller"]
"""The servers that have a schema."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One module of a server. `features` are those that the server supports."""

    name: str
    implemented: bool = True
    features: tuple[str, ...] = ()


_PROTOCOL = (
    Wanted(
        name="ietf-netconf",
        features=(
            "writable-running",
            "candidate",
            "confirmed-commit",
            "rollback-on-error",
            "validate",
            "xpath",
        ),
    ),
    Wanted(name="ietf-netconf-monitoring"),
    Wanted(name="ietf-netconf-acm"),
    Wanted(name="ietf-yang-library"),
    Wanted(name="ietf-datastores"),  # identities in use, so implemented (RFC 8525)
    Wanted(name="notifications"),
    Wanted(name="nc-notifications"),
)
_TYPES = (
    Wanted(name="ietf-inet-types", implemented=False),
    Wanted(name="ietf-yang-types", implemented=False),
)

MODULES: dict[ServerKind, tuple[Wanted, ...]] = {
    "agent": (
        Wanted(name="etsi-qkd-node-types"),
        Wanted(name="etsi-qkd-sdn-node"),
        Wanted(name="keyweave-qkd-node"),
        *_PROTOCOL,
        *_TYPES,
    ),
    "controller": (
        Wanted(name="ietf-network"),
        Wanted(name="ietf-network-topology"),
        Wanted(name="keyweave-qkd-network"),
        Wanted(
            name="ietf-alarms",
            features=(
                "operator-actions",
                "alarm-summary",
                "root-cause-analysis",
                "service-impact-analysis",
            ),
        ),
        Wanted(name="keyweave-qkd-alarms"),
        *_PROTOCOL,
        *_TYPES,
    ),
}
"""The modules of each server, its own ones first."""
