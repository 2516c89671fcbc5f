"""What key delivery asks of the key management layer (`keys.manager.KeyManager` is the real one)."""

from collections.abc import Awaitable, Sequence
from typing import Protocol

from keyweave_agents.keys.plan import StoreStatus, SuppliedKey
from keyweave_core.model.ids import SaeId


class KeySupply(Protocol):
    """Keys of the applications of one node.

    Every key handed out has left the store: the caller of these methods is the only holder of its bytes.
    """

    async def get_keys(
        self, caller: SaeId, client: SaeId, number: int, size_bits: int, deadline_s: float
    ) -> list[SuppliedKey]:
        """Take `number` keys of `size_bits` that `client` can fetch at its own node.

        Waits at most `deadline_s` seconds for the network. Cancelling the wait takes no key. Raises
        Refused (reasons for the caller), Exhausted, DeadlineExceeded.
        """
        ...

    def get_keys_by_id(
        self, caller: SaeId, master: SaeId, key_ids: Sequence[str]
    ) -> list[SuppliedKey] | Awaitable[list[SuppliedKey]]:
        """Take the keys of `key_ids` (canonical UUID text) that `master` made for `caller`: all or none.

        In the order of `key_ids`. Raises `keys.errors.NotEntitled` (some key is of other applications),
        `keys.errors.KeysNotFound`.
        """
        ...

    def status(self, caller: SaeId, other: SaeId) -> StoreStatus | None:
        """The store between the two; None while there is no association."""
        ...
