"""The key manager as its neighbours in the agent see it: the service layer and the control layer.

Rule of this file: the ports only. `keys.manager.KeyManager(settings, *, node_id, clock, random_bytes,
tls_server, tls_client)` implements both of them and `quantum.intake.KeySink`, and lives while its
`async run()` does. Sizes in bits, times in seconds.
"""

from collections.abc import Callable
from typing import Protocol

from keyweave_agents.keys.plan import (
    AssociationEnds,
    AssociationWanted,
    KeyBundle,
    KeyEvent,
    KeyPlan,
    KeyState,
    StoreStatus,
    SuppliedKey,
)
from keyweave_agents.keys.relaying.frames import LetterKind
from keyweave_core.model.application import AppQos, KeyOrigin
from keyweave_core.model.ids import AppId, SaeId


class KeySupply(Protocol):
    """What an application may ask of its key manager."""

    async def get_keys(
        self,
        caller: SaeId,
        client: SaeId,
        number: int,
        size_bits: int,
        deadline_s: float,
        *,
        qos: AppQos | None = None,
        priority: int = 0,
        also: tuple[SaeId, ...] = (),
    ) -> tuple[SuppliedKey, ...]:
        """Supply `number` keys of `size_bits` that master `caller` shares with slave `client`: all or none.

        `also` are further slaves that shall get the very same keys.

        Waits at most `deadline_s` for an association (asking the controller for one, with `qos` and
        `priority`) and for keys. Raises InvalidInput: number or size out of bounds; Refused: the controller
        refused the association (its reasons), or it expired; RateExceeded: above the association's
        `max_bandwidth`; Exhausted: an association, but not enough keys in time (says why);
        DeadlineExceeded: no association in time; LedgerFailed: the key store cannot be written, nothing was
        supplied.
        """
        ...

    async def get_keys_by_id(
        self, caller: SaeId, master: SaeId, key_ids: tuple[str, ...]
    ) -> tuple[SuppliedKey, ...]:
        """Supply the keys that `master` got under `key_ids` to `caller` (slave): all or none, once.

        Raises NotEntitled: `caller` was not named for one of them, or `master` did not make it;
        KeysNotFound (ids): unknown, expired, fetched before, or named twice; LedgerFailed: as above, they can
        be fetched later.
        """
        ...

    def status(self, caller: SaeId, other: SaeId) -> StoreStatus | None:
        """What is stored for `caller` (master) and `other` (slave); None when there is no association."""
        ...


class KeyDraw(Protocol):
    """The same without waiting, for keys that lie ready: many applications are answered by one turn.

    What was taken is gone (noted in the ledger as supplied), but may leave the process only when
    `once_durable` calls back. Who cannot use it after all wipes it.
    """

    def draw(
        self,
        caller: SaeId,
        client: SaeId,
        number: int,
        size_bits: int,
        *,
        origins: frozenset[KeyOrigin] | None = None,
    ) -> tuple[KeyBundle, ...] | None:
        """Take keys that are ready now, oldest first; None: nothing was taken, `get_keys` waits or explains.

        `origins`: keys of no other origin. Raises RateExceeded as `get_keys` does.
        """
        ...

    def fetch(self, caller: SaeId, master: SaeId, key_ids: bytes) -> tuple[KeyBundle, ...] | None:
        """Take stored keys by id (16 bytes each), in that order; None: `get_keys_by_id` finds or explains."""
        ...

    def once_durable(self, call: Callable[[Exception | None], None]) -> None:
        """Call when all that was noted up to now is on record, or with why it is not: nothing may leave then.

        At the end of this turn of the loop, in the order asked, together with all others.
        """
        ...


class KeyAssociations(Protocol):
    """How a service has the controller told of applications under an id of their own."""

    def want(self, wanted: AssociationWanted) -> None:
        """The applications want an association; a request for keys besides waits for it, or is refused."""
        ...

    def change(self, app_id: AppId, qos: AppQos, priority: int) -> None:
        """The applications of an association want other qualities; `KeyLetters.ends` shows what they have."""
        ...

    def give_back(self, app_id: AppId) -> None:
        """The applications of an association are done with it: the controller may close it."""
        ...


class KeyLetters(Protocol):
    """Messages between the two ends of an association, besides its keys (`frames.Letter`).

    They may be lost, repeated, overtaken, or made up by a node on the way; they work without any pool bits.
    """

    def ends(self, app_id: AppId) -> AssociationEnds | None:
        """Whose an association is; None when there is none of this id here."""
        ...

    def between(self, server: SaeId, client: SaeId) -> AssociationEnds | None:
        """The association whose keys `server` gets first and `client` gets too, at either end of it."""
        ...

    def send_letter(self, app_id: AppId, kind: LetterKind, body: bytes) -> bool:
        """Write to the other end of an association; False when there is no way to it now."""
        ...

    def on_letters(self, kind: LetterKind, handler: Callable[[AppId, bytes], None]) -> None:
        """Who reads letters of a kind: gets the association and the body."""
        ...


class KeyControl(Protocol):
    """What the node's SDN agent may tell and ask its key manager."""

    def configure(self, plan: KeyPlan) -> None:
        """Hold exactly `plan` from now on; the same plan again changes nothing.

        Raises InvalidInput when the plan contradicts itself (an id twice, a route without any hop).
        """
        ...

    def refuse(self, server: SaeId, clients: tuple[SaeId, ...], reasons: tuple[str, ...]) -> None:
        """The controller refused the association: the requests that wait for it end with Refused."""
        ...

    def snapshot(self) -> KeyState:
        """What is observed now: pools, consumption, associations with statistics, neighbours."""
        ...

    async def next_event(self) -> KeyEvent:
        """Wait for the next thing worth a notification (one reader)."""
        ...
