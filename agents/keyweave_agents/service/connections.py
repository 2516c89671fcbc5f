"""Client connections of a server: who is at the other end, and who has to go when there is no place left.

Rule of this file: no sockets. Fairness is by certificate: whoever holds most connections gives up those that
lie idle longest, so a client that opens thousands never takes the place of one that opens two.
"""

import asyncio
import contextlib
import hashlib
import heapq
import ssl
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from keyweave_core.runtime.tls import PeerNames, names_of


class ClientGone(Exception):
    """The client closed its connection while its request was in work; there is nobody to answer."""


@dataclass(frozen=True)
class ClientCertificate:
    """What a verified client certificate says.

    `serial` is lower-case hex without leading zeros, `issuer` the common name of who issued it, `not_after_s`
    the end of its life in seconds since 1970; `der` fetches the whole of it.
    """

    names: PeerNames = field(default_factory=PeerNames)
    serial: str = ""
    issuer: str = ""
    not_after_s: float = float("inf")
    der: Callable[[], bytes] = bytes

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the whole certificate (DER), lower-case hex."""
        return hashlib.sha256(self.der()).hexdigest()


def certificate_of(parsed: dict[str, Any] | None, der: Callable[[], bytes]) -> ClientCertificate:
    """From what `ssl.SSLObject.getpeercert()` tells (asyncio's `peercert`); `der` fetches the bytes."""
    if not parsed:
        return ClientCertificate()
    issuers = [value for part in parsed.get("issuer", ()) for name, value in part if name == "commonName"]
    until = parsed.get("notAfter")
    return ClientCertificate(
        names=names_of(parsed),
        serial=str(parsed.get("serialNumber", "")).lower().lstrip("0"),
        issuer=issuers[-1] if issuers else "",
        not_after_s=float(ssl.cert_time_to_seconds(until)) if until else float("inf"),
        der=der,
    )


class Connection:
    """One client connection as the application sees it; `note` is the application's own to keep."""

    __slots__ = ("_gone", "_waiting", "certificate", "note")

    def __init__(self, certificate: ClientCertificate) -> None:
        self.certificate = certificate
        self.note: Any = None
        self._gone = False
        self._waiting: asyncio.Task[Any] | None = None

    @property
    def names(self) -> PeerNames:
        """The names in the verified certificate of the client."""
        return self.certificate.names

    @property
    def gone(self) -> bool:
        """Whether the client has closed it."""
        return self._gone

    def lost(self) -> None:
        """The transport is closed: end what waits inside `while_waiting`."""
        self._gone = True
        if self._waiting is not None:
            self._waiting.cancel()

    @contextlib.contextmanager
    def while_waiting(self) -> Iterator[None]:
        """Work inside is cancelled when the client goes away, and ClientGone comes out."""
        if self._gone:
            raise ClientGone
        self._waiting = asyncio.current_task()
        try:
            yield
        except asyncio.CancelledError:
            if self._gone:
                raise ClientGone from None
            raise
        finally:
            self._waiting = None


@dataclass(frozen=True, slots=True)
class Place:
    """One connection in the count: who holds it, and since when it lies idle (None: in work)."""

    holder: PeerNames
    idle_since_s: float | None


def who_goes(places: Iterable[Place], number: int) -> list[int]:
    """Which connections (by position in `places`) to close for `number` free places; fewer when few are idle.

    One after the other: of the holder with most connections (those in work counted), the one that lies idle
    longest.
    """
    idle: dict[PeerNames, list[tuple[float, int]]] = {}
    held: Counter[PeerNames] = Counter()
    for position, place in enumerate(places):
        held[place.holder] += 1
        if place.idle_since_s is not None:
            idle.setdefault(place.holder, []).append((place.idle_since_s, position))
    queues = [deque(sorted(found)) for found in idle.values()]
    turns = [(-held[holder], queues[which][0], which) for which, holder in enumerate(idle)]
    heapq.heapify(turns)
    gone: list[int] = []
    while turns and len(gone) < number:
        count, _, which = heapq.heappop(turns)
        gone.append(queues[which].popleft()[1])
        if queues[which]:
            heapq.heappush(turns, (count + 1, queues[which][0], which))
    return gone
