"""The extension parameters of ETSI GS QKD 014 that this key manager knows (clauses 6.2 and 6.4).

    name                   value                        means
    keyweave_relay_link    true                         tell the virtual link of each key
    keyweave_origin        true                         tell what each key was made of
                           "qkd", "hybrid", "pqc",      the same, and as a mandatory parameter: keys of no
                           or a list of these           other origin

Rule of this file: a mandatory parameter is honoured to the letter or the request fails with the text of the
standard; an optional one that is unknown, or has a value that means nothing, is ignored.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from keyweave_agents.service.container import ORIGIN, RELAY_LINK
from keyweave_core.errors import InvalidInput
from keyweave_core.model.application import KeyOrigin

MANDATORY_UNSUPPORTED = "not all extension_mandatory parameters are supported"
MANDATORY_UNMET = "not all extension_mandatory request options could be met"

_VALUES = {
    RELAY_LINK: "true",
    ORIGIN: 'true, "qkd", "hybrid", "pqc" or a list of origins',
}


class MandatoryFailed(InvalidInput):
    """A mandatory parameter is unknown or cannot be met: `message` of the standard and which it is."""

    def __init__(self, message: str, details: list[dict[str, str]]) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


@dataclass(frozen=True, slots=True)
class Wishes:
    """What extension parameters ask for; `origins`: keys of these origins or none (None: of any)."""

    tell_link: bool = False
    tell_origin: bool = False
    origins: frozenset[KeyOrigin] | None = None


NO_WISHES = Wishes()


def wishes_of(mandatory: Iterable[dict[str, Any]], optional: Iterable[dict[str, Any]] = ()) -> Wishes:
    """Read both lists of a request. Raises MandatoryFailed."""
    demanded = [(name, value) for extension in mandatory for name, value in extension.items()]
    unsupported = [name for name, _ in demanded if name not in _VALUES]
    if unsupported:
        raise MandatoryFailed(
            MANDATORY_UNSUPPORTED,
            [{"extension_mandatory_unsupported": name[:100]} for name in unsupported[:20]],
        )
    tell_link = tell_origin = False
    origins: frozenset[KeyOrigin] | None = None
    for name, value in demanded:
        wanted = _origins(value) if name == ORIGIN else None
        if value is not True and not wanted:
            raise MandatoryFailed(MANDATORY_UNMET, [{name: f"takes {_VALUES[name]}"}])
        if name == RELAY_LINK:
            tell_link = True
        else:
            tell_origin = True
            if wanted:
                origins = wanted if origins is None else origins & wanted
    for extension in optional:
        tell_link = tell_link or extension.get(RELAY_LINK) is True
        value = extension.get(ORIGIN)
        tell_origin = tell_origin or value is True or bool(_origins(value))
    return Wishes(tell_link, tell_origin, origins)


def unmet(origins: frozenset[KeyOrigin]) -> MandatoryFailed:
    """There is no key of these origins, and none to wait for."""
    wanted = ", ".join(sorted(origins)) or "no origin at all"
    return MandatoryFailed(MANDATORY_UNMET, [{ORIGIN: f"no key of {wanted} for these applications now"}])


def _origins(value: Any) -> frozenset[KeyOrigin]:
    """The origins that a value names; none when it is not made of origins alone."""
    texts = value if isinstance(value, list) else [value]
    try:
        return frozenset(KeyOrigin(text) for text in texts)
    except (ValueError, TypeError):
        return frozenset()
