"""What the two ends of an agreement need from their key manager, and share.

Rule of this file: the port, and the values that both sides use.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from keyweave_agents.keys.pqc.identity import PqcIdentity
from keyweave_agents.keys.pqc.letters import Why
from keyweave_agents.keys.pqc.settings import PqcSettings
from keyweave_agents.keys.relaying.frames import Batch
from keyweave_agents.material import Secret
from keyweave_core.model.ids import AppId, NodeId, SaeId
from keyweave_core.runtime.clock import Clock

AGREEMENT_LIFE_S = 30.0
"""An agreement that is not through after so long is given up, and its encapsulation key forgotten."""

RETIRED_S = 60.0
"""How long a secret is still understood after another took its place: as long as a batch may be under way."""

RETRY_FIRST_S = 0.5
RETRY_MOST_S = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """The association that an agreement belongs to, and its two nodes."""

    app_id: AppId
    source: NodeId
    destination: NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """This node as one who agrees: its identity, settings, time and randomness."""

    identity: PqcIdentity
    settings: PqcSettings
    clock: Clock
    random_bytes: Callable[[int], bytes]


class PqcHost(Protocol):
    """The associations of this node, as agreements see them."""

    @property
    def keeper(self) -> bytes:
        """See `records.Endpoint.keeper`."""
        ...

    def write(self, app_id: AppId, body: bytes) -> bool:
        """Send a letter to the other end; False when there is no way now."""
        ...

    def offered(self, batch: Batch, clients: tuple[SaeId, ...], make: Callable[[], Secret]) -> Why | None:
        """Destination: store the keys that `make` makes. None when they are stored, else why not."""
        ...

    def stored(self, batch_id: bytes, keeper: bytes) -> None:
        """Source: the destination, as `keeper`, holds the keys of an offered batch."""
        ...

    def declined(self, batch_id: bytes, reason: str) -> None:
        """Source: an offered batch is not stored yet."""
        ...

    def agreed(self, app_id: AppId) -> None:
        """A secret stands that did not stand before."""
        ...

    def forgotten(self, app_id: AppId, names: frozenset[bytes], keeper: bytes) -> None:
        """Source: the destination, as `keeper`, does not know these secrets (any more)."""
        ...

    def forged(self, app_id: AppId, reason: str) -> None:
        """A letter was not what it pretends to be."""
        ...

    def authentic(self, app_id: AppId) -> None:
        """A letter proved itself."""
        ...
