"""What key delivery answers when keys are not given (leaves of `keyweave_core.errors.Refused`)."""

from collections.abc import Sequence

from keyweave_core.errors import Refused


class NotEntitled(Refused):
    """Some key was made for other applications than the caller (ETSI GS QKD 014 clause 5.3: 401)."""


class KeysNotFound(Refused):
    """`key_ids` are not in the store: never here, already delivered or expired."""

    def __init__(self, key_ids: Sequence[str]) -> None:
        super().__init__(f"no key {', '.join(key_ids)}")
        self.key_ids = tuple(key_ids)
