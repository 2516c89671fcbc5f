"""Pairs of applications that fetch keys while things break, and an account of every key.

Rule of this file: nothing is excused silently. A failed request is kept with its reason; a key that the
master got and the slave did not is `lost`, and whoever reads it must explain it by a death of the slave's
agent after the key was made.
"""

import asyncio
import random
from dataclasses import dataclass, field

import httpx

from keyweave_core.errors import PeerUnreachable
from keyweave_core.runtime.clock import Clock
from keyweave_lab.apps import App, FetchedKey, KeyRequestFailed

BAD_REQUEST = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A request that failed: when it was asked and ended (monotonic seconds), and how."""

    method: str
    asked_s: float
    ended_s: float
    status: int  # 0: the key manager did not answer
    text: str


@dataclass(slots=True, kw_only=True)
class Account:
    """What one pair fetched."""

    keys: int = 0
    bits: int = 0
    unequal: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    lost: list[tuple[float, float, str]] = field(default_factory=list)  # supplied, asked for, words
    failures: list[Failure] = field(default_factory=list)
    unsure: int = 0  # requests whose answer never came: the key manager may have counted them
    slowest_s: float = 0.0


class Pair:
    """One master and one slave that fetch all the time. `seen` is shared by all pairs: no id comes twice."""

    def __init__(self, master: App, slave: App, clock: Clock, seed: int, seen: set[str]) -> None:
        self.master = master
        self.slave = slave
        self.account = Account()
        self._clock = clock
        self._dice = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self._seen = seen
        self._stopping = asyncio.Event()

    @property
    def names(self) -> tuple[str, str]:
        """Who asks and who fetches by id."""
        return self.master.address.sae_id, self.slave.address.sae_id

    async def run(self) -> None:
        """Fetch until `stop`; the round under way then ends."""
        while not self._stopping.is_set():
            await self.round(self._dice.randint(1, 6), size_bits=self._dice.choice((256, 256, 256, 128, 512)))
            await self._clock.sleep(self._dice.uniform(0.02, 0.3))

    def stop(self) -> None:
        """No more rounds."""
        self._stopping.set()

    async def round(self, number: int, *, size_bits: int = 256) -> bool:
        """Ask for keys and fetch them at the other end; whether all went well."""
        near = await self._enc(number, size_bits)
        if near is None:
            return False
        supplied_s = self._clock.monotonic()
        while True:
            asked_s = self._clock.monotonic()
            try:
                far = await self.slave.dec_keys(self.names[0], [key.key_id for key in near])
            except KeyRequestFailed as failure:
                self._failed("dec_keys", asked_s, failure.status, failure.message)
                if failure.status == BAD_REQUEST:
                    self.account.lost.append((supplied_s, asked_s, failure.message))
                    return False
            except PeerUnreachable as failure:
                self._failed("dec_keys", asked_s, 0, str(failure))
            else:
                break
            await self._clock.sleep(0.2)
        if [(key.key_id, key.digest) for key in near] != [(key.key_id, key.digest) for key in far]:
            self.account.unequal.append(f"{self.names}: {near} and {far}")
        return True

    async def _enc(self, number: int, size_bits: int) -> list[FetchedKey] | None:
        asked_s = self._clock.monotonic()
        try:
            near = await self.master.enc_keys(self.names[1], number=number, size_bits=size_bits)
        except KeyRequestFailed as failure:
            self._failed("enc_keys", asked_s, failure.status, failure.message)
            return None
        except PeerUnreachable as failure:
            self._failed("enc_keys", asked_s, 0, str(failure))
            if not isinstance(failure.__cause__, httpx.ConnectError):
                self.account.unsure += 1
            return None
        self.account.slowest_s = max(self.account.slowest_s, self._clock.monotonic() - asked_s)
        self.account.keys += len(near)
        self.account.bits += sum(key.bits for key in near)
        for key in near:
            if key.key_id in self._seen:
                self.account.repeated.append(key.key_id)
            self._seen.add(key.key_id)
        if len(near) != number or any(key.bits != size_bits for key in near):
            self.account.unequal.append(
                f"{self.names}: {number} keys of {size_bits} bit asked for, got {near}"
            )
        return near

    def _failed(self, method: str, asked_s: float, status: int, text: str) -> None:
        self.account.failures.append(
            Failure(method=method, asked_s=asked_s, ended_s=self._clock.monotonic(), status=status, text=text)
        )
