"""A pair of applications that fetch keys all the time, and what they see meanwhile.

Rule of this file: nothing is smoothed over. Each request that fails is counted with its reason, each key is
compared at both ends, and each key says which virtual link it came over.
"""

import asyncio
from collections.abc import Awaitable, Callable

from keyweave_core.errors import Unavailable
from keyweave_core.runtime.clock import Clock
from keyweave_lab.apps import App, FetchedKey

_BATCH = 8
_PAUSE_S = 0.04
_POLL_S = 0.005


class Traffic:
    """`_BATCH` keys every `_PAUSE_S` seconds, asked for at `master`, fetched by id at `slave`."""

    def __init__(self, master: App, slave: App, clock: Clock) -> None:
        self._master = master
        self._slave = slave
        self._clock = clock
        self._keys: list[tuple[float, str | None]] = []  # when, over which virtual link
        self._under_way: asyncio.Task[None] | None = None
        self.delivered_bits = 0
        self.unequal_keys = 0
        self.failed_requests = 0
        self.last_failure = "no request failed"

    @property
    def delivered_keys(self) -> int:
        """Keys that the master got."""
        return len(self._keys)

    def keys_over(self, link_id: str, *, since: float) -> int:
        """Keys that the master got since then (monotonic seconds) over one virtual link."""
        return sum(1 for at, over in self._keys if over == link_id and at >= since)

    async def run(self) -> None:
        """Fetch until cancelled; `finished` then waits for the round under way: no key is left behind."""
        while True:
            self._under_way = asyncio.create_task(self._round())
            await asyncio.shield(self._under_way)
            await self._clock.sleep(_PAUSE_S)

    async def finished(self) -> None:
        """Return when the round under way, if any, is over."""
        if self._under_way is not None:
            await self._under_way

    async def settled(self) -> None:
        """Return when keys flow (ten rounds were seen)."""
        while self.delivered_keys < 10 * _BATCH:
            await self._clock.sleep(_POLL_S)

    async def first_key_beside(self, link_id: str, within_s: float) -> float | None:
        """When (monotonic seconds) the first key over another virtual link came; None: not in time."""
        start = len(self._keys)
        deadline = self._clock.monotonic() + within_s
        while self._clock.monotonic() < deadline:
            for at, over in self._keys[start:]:
                if over is not None and over != link_id:
                    return at
            await self._clock.sleep(_POLL_S)
        return None

    async def _round(self) -> None:
        source, destination = self._master.address.sae_id, self._slave.address.sae_id
        near = await self._count(lambda: self._master.enc_keys(destination, number=_BATCH, with_path=True))
        if near is None:
            return
        at = self._clock.monotonic()
        self._keys.extend((at, key.link_id) for key in near)
        self.delivered_bits += sum(key.bits for key in near)
        far = await self._count(lambda: self._slave.dec_keys(source, [key.key_id for key in near]))
        if far is not None:
            digests = {key.key_id: key.digest for key in far}
            self.unequal_keys += sum(digests.get(key.key_id) != key.digest for key in near)

    async def _count(self, request: Callable[[], Awaitable[list[FetchedKey]]]) -> list[FetchedKey] | None:
        try:
            return await request()
        except Unavailable as failure:
            self.failed_requests += 1
            self.last_failure = str(failure)
            return None
