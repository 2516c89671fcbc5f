"""What a NETCONF server said of itself in its hello."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import parse_qs

_CAPABILITY = "urn:ietf:params:netconf:capability:"


@dataclass(frozen=True, slots=True)
class AnnouncedModule:
    """A YANG 1 module of the hello (RFC 6020 clause 5.6.4); '' where the server said nothing."""

    name: str
    namespace: str
    revision: str
    features: frozenset[str]


@dataclass(frozen=True)
class Capabilities:
    """The capability URIs of a peer, and the questions we ask of them.

    A capability is looked for by its whole name: the word `writable-running` may also stand among the
    features of ietf-netconf at a server that does not have it.
    """

    uris: tuple[str, ...]
    _names: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        names = frozenset(uri.partition("?")[0].strip() for uri in self.uris)
        object.__setattr__(self, "_names", names)

    def has(self, name: str) -> bool:
        """True when some version of `urn:ietf:params:netconf:capability:<name>` was announced."""
        start = f"{_CAPABILITY}{name}:"
        return any(uri.startswith(start) for uri in self._names)

    @property
    def candidate(self) -> bool:
        """RFC 6241 clause 8.3."""
        return self.has("candidate")

    @property
    def writable_running(self) -> bool:
        """RFC 6241 clause 8.2."""
        return self.has("writable-running")

    @property
    def validate(self) -> bool:
        """RFC 6241 clause 8.6."""
        return self.has("validate")

    @property
    def notification(self) -> bool:
        """RFC 5277."""
        return self.has("notification")

    @property
    def interleave(self) -> bool:
        """RFC 5277 clause 6: operations go on beside a subscription."""
        return self.has("interleave")

    @property
    def base_1_1(self) -> bool:
        """RFC 6241."""
        return "urn:ietf:params:netconf:base:1.1" in self._names

    @cached_property
    def library_id(self) -> str | None:
        """content-id (RFC 8525) or module-set-id (RFC 7895): equal ids mean the same modules."""
        for uri in self.uris:
            name, _, query = uri.partition("?")
            if name.startswith(f"{_CAPABILITY}yang-library:"):
                given = parse_qs(query)
                for key in ("content-id", "module-set-id"):
                    if key in given:
                        return given[key][0]
        return None

    @cached_property
    def modules(self) -> Mapping[str, AnnouncedModule]:
        """The YANG 1 modules announced, by name."""
        found = {}
        for uri in self.uris:
            namespace, _, query = uri.partition("?")
            given = parse_qs(query.replace("&amp;", "&"))
            if "module" in given:
                name = given["module"][0]
                features = given.get("features", [""])[0]
                found[name] = AnnouncedModule(
                    name=name,
                    namespace=namespace.strip(),
                    revision=given.get("revision", [""])[0],
                    features=frozenset(f for f in features.split(",") if f),
                )
        return found
