"""What the key manager answers when it does not supply keys.

    InvalidInput
    +-- Refused
    |   +-- NotEntitled      the caller was not named for these keys (ETSI GS QKD 014: 401 without a body)
    +-- KeysNotFound         ids that are not here, or no longer (014: 400)
    Unavailable
    +-- LedgerFailed         what happened cannot be made durable now, so nothing follows from it (disk full)
    +-- Exhausted
    |   +-- RateExceeded     above `max_bandwidth` of the association (ETSI GS QKD 015: answer with an error)

Rule of this file: leaves only; everything else the key manager raises is a class of `keyweave_core.errors`.
"""

from keyweave_core.errors import Exhausted, InvalidInput, Refused, Unavailable


class NotEntitled(Refused):
    """The caller is not among the applications these keys were made for. Nothing was consumed."""


class KeysNotFound(InvalidInput):
    """One or more ids name no key that is held here for the caller. Nothing was consumed."""

    def __init__(self, key_ids: tuple[str, ...]) -> None:
        shown = ", ".join(text[:40] for text in key_ids[:4])
        more = f" and {len(key_ids) - 4} more" if len(key_ids) > 4 else ""
        super().__init__(f"no such key held here: {shown}{more}")
        self.key_ids = key_ids


class RateExceeded(Exhausted):
    """The request goes beyond the association's `max_bandwidth`; the text names the limit."""


class LedgerFailed(Unavailable):
    """The key store cannot be written (full, broken). Nothing was supplied and nothing is lost; try later."""
