"""What key supply asks of the border to other networks, and what it does for it: the ports between them.

Rule of this file: ports alone. `keys.border` implements `Abroad`, `keys.home.HomeSide` implements `Home`,
`keys.serving.Serving` implements `Asking`. An application is *abroad* when another network's key manager
serves it; towards our own controller the border node stands for it.
"""

from typing import Protocol

from keyweave_agents.keys.lanes import Request
from keyweave_agents.keys.plan import AssociationPlan
from keyweave_agents.keys.relaying.frames import Batch, Reason
from keyweave_agents.material import Secret
from keyweave_core.model.ids import AppId, SaeId


class Abroad(Protocol):
    """The border of one node, as key supply sees it."""

    def holds(self, sae: SaeId) -> bool:
        """Whether an application is abroad: keys of an association that it began are given, never made."""
        ...

    def arrived(self, plan: AssociationPlan, batch: Batch, payload: Secret) -> Reason | None:
        """Keys for applications abroad: None when the other network has them, else why not yet or never."""
        ...

    def landed(self, batch_id: bytes) -> None:
        """The destination in our network holds a batch of given keys."""
        ...

    def given_up(self, batch_id: bytes) -> None:
        """A batch of given keys is not under way any more, and its destination did not confirm it."""
        ...

    def recalled(self, key_ids: bytes) -> frozenset[str]:
        """Those of these keys (16 bytes each) that were recalled before they came: nobody may get them."""
        ...


class Home(Protocol):
    """Key supply of one node, as its border sees it."""

    def cross(self, abroad: Abroad) -> None:
        """Who stands at the border of this node, before any association is planned."""
        ...

    def room(self, server: SaeId, clients: tuple[SaeId, ...], key_bytes: int) -> int | None:
        """How many keys these applications can be given now, in one batch; None: no open association."""
        ...

    def association(self, server: SaeId, clients: tuple[SaeId, ...]) -> AppId | None:
        """The open association that keys of these applications are given to."""
        ...

    def trouble(self, server: SaeId, clients: tuple[SaeId, ...]) -> str:
        """Why keys of these applications do not get through; empty when that is not known."""
        ...

    def give(
        self, server: SaeId, clients: tuple[SaeId, ...], batch_id: bytes, key_ids: bytes, payload: Secret
    ) -> AppId | None:
        """Send as many keys as there is `room` for to the node of the clients; the association, or None.

        `Abroad.landed` or `Abroad.given_up` tells the end, possibly at once. The payload is copied.
        """
        ...

    def recall(self, app_id: AppId, key_ids: tuple[str, ...]) -> frozenset[str]:
        """Take back keys of an association that lie here and that nobody got; those that were taken back."""
        ...

    def both_here(self, app_id: AppId) -> bool:
        """Whether both ends of an association are at this node."""
        ...

    def count(self, batch: Batch) -> None:
        """Book keys that left our network at the destination of their association."""
        ...

    def resume(self) -> None:
        """Something came that batches at this node may have waited for."""
        ...


class Asking(Protocol):
    """Where the border asks for associations, as an application does."""

    def request(self, request: Request) -> None:
        """See `Serving.request`. One of no keys is answered as soon as its association is open."""
        ...

    def abandon(self, request: Request) -> None:
        """See `Serving.abandon`."""
        ...
