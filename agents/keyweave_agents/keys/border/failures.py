"""What a border node answers when it does not take what a peer hands over.

Rule of this file: the problem types of ETSI GS QKD 020, each with its status, and one exception that carries
them. A `Refusal` changes nothing: of a request that is refused no key is kept.
"""

from collections.abc import Mapping
from enum import Enum

from keyweave_core.errors import InvalidInput


class Problem(Enum):
    """`type` of a problem (its end) and its HTTP status."""

    MISSING_PARAMETERS = ("missing-parameters", 400)
    INVALID_PARAMETER = ("invalid-parameter", 400)
    ROUTING = ("key-routing-error", 400)
    NO_ROUTE = ("key-routing-error", 503)
    VOID_NOT_UNDERSTOOD = ("void-request-not-understood", 400)
    NO_IDS_OR_CONFIRMATION = ("no-key-ids-or-confirmation", 400)
    ACK_NOT_UNDERSTOOD = ("ack-not-understood", 400)
    KEY_NOT_PRESENT = ("key-not-present", 400)
    UNAUTHORIZED = ("unauthorized", 401)
    TIMEOUT = ("timeout", 408)
    GENERAL = ("server-side-general-error", 503)
    NO_MATERIAL = ("insufficient-key-material", 503)
    UNSUPPORTED_EXTENSION = ("unsupported-mandatory-extension", 503)

    @property
    def ending(self) -> str:
        """The last part of the type."""
        return self.value[0]

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.value[1]


class Refusal(InvalidInput):
    """Not taken: the problem, a title for people, and details by name (never a key)."""

    def __init__(self, problem: Problem, title: str, details: Mapping[str, str] | None = None) -> None:
        super().__init__(title)
        self.problem = problem
        self.title = title
        self.details = dict(details or {})
