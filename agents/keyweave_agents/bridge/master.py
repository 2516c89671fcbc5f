"""The master's side of rotations: takes keys, asks the other bridge to hold them too, makes them active.

    ACCEPTED     take a key (or find the one that was pending before a crash), make it pending here
    STAGED       the other bridge fetches it by id, makes it pending there and proves that it is the same
    AGREED       both hold it: from here on it becomes active, whatever happens; the other bridge first, so
                 that who receives knows the key before who sends uses it
    PEER_ACTIVE  active there; now here
    DONE

A key that got lost on the way (a crash between fetching and writing, one that expired, a sink that was
emptied) costs one more attempt with another key; until both have confirmed one, applications keep the old.

Rule of this file: every step may be repeated. What goes wrong is written down, told once, and tried again
after a pause that doubles; rotations of one secret go one after the other.
"""

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from keyweave_agents.bridge.journal import Journal, Rotation, Stage
from keyweave_agents.bridge.kme import KeyManagerClient
from keyweave_agents.bridge.peer import Activate, PeerClient, Prepare
from keyweave_agents.bridge.settings import RetrySettings, SecretSettings
from keyweave_agents.bridge.sinks import Held, NothingStaged, Sink, proof_of
from keyweave_core.errors import Refused, Unavailable
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import get_logger
from keyweave_core.runtime.retry import Backoff


class Master:
    """All secrets of one master bridge. `sinks` by secret name."""

    def __init__(
        self,
        secrets: Mapping[str, SecretSettings],
        sinks: Mapping[str, Sink],
        journal: Journal,
        keys: KeyManagerClient,
        peer: PeerClient,
        retry: RetrySettings,
        clock: Clock,
        uniform: Callable[[], float],
    ) -> None:
        self._secrets = secrets
        self._sinks = sinks
        self._journal = journal
        self._keys = keys
        self._peer = peer
        self._backoff = Backoff(first_s=retry.first_s, most_s=retry.most_s)
        self._clock = clock
        self._uniform = uniform
        self._taken: dict[str, Held] = {}  # taken, and not in the sink yet
        self._news = {name: asyncio.Event() for name in secrets}
        self._log = get_logger("bridge")

    def accept(self, event_id: str, secret: str) -> Rotation:
        """An event; on the disk when this returns. Of an event that is known nothing changes.

        Raises Refused: no such secret, or the event was about another one.
        """
        if secret not in self._secrets:
            raise Refused(f"no secret {secret!r} here")
        known = self._journal.get(event_id)
        if known is not None:
            if known.secret != secret:
                raise Refused(f"event {event_id} is a rotation of {known.secret}")
            return known
        now_s = self._clock.now()
        rotation = Rotation(
            event_id=event_id, secret=secret, stage=Stage.ACCEPTED, began_s=now_s, changed_s=now_s
        )
        self._journal.put(rotation)
        self._news[secret].set()
        self._log.info("rotation_accepted", event_id=event_id, secret=secret)
        return rotation

    async def run(self) -> None:
        """Rotate until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for secret in self._secrets.values():
                tasks.create_task(self._work(secret))
                if secret.every_s is not None:
                    tasks.create_task(self._keep_time(secret, secret.every_s))

    async def _keep_time(self, secret: SecretSettings, every_s: float) -> None:
        """One event a period. Its id says which period, so a restart within it asks for nothing new."""
        while True:
            period = math.floor(self._clock.now() / every_s)
            waiting = self._journal.oldest_open(secret.name)
            if waiting is None:
                self.accept(f"{secret.name}@{every_s:g}s.{period}", secret.name)
            # Periods that pass while one is under way are not made up for: one new key is as good as three.
            await self._clock.sleep((period + 1) * every_s - self._clock.now())

    async def _work(self, secret: SecretSettings) -> None:
        delays = self._backoff.delays(self._uniform)
        news = self._news[secret.name]
        while True:
            news.clear()
            rotation = self._journal.oldest_open(secret.name)
            if rotation is None:
                await news.wait()
                continue
            try:
                after = await self._try(rotation, secret)
            except Unavailable as error:  # the journal: the same step again, which changes nothing
                after = replace(rotation, reason=str(error))
                self._log.error("journal_failed", event_id=rotation.event_id, reason=after.reason)
            if after.reason:
                await self._clock.sleep(next(delays))
            elif after.stage is Stage.DONE:
                delays = self._backoff.delays(self._uniform)

    async def _try(self, rotation: Rotation, secret: SecretSettings) -> Rotation:
        """One step, written down; `reason` says what went wrong."""
        try:
            after = await self.step(rotation, secret)
        except Unavailable as error:
            after = replace(rotation, reason=str(error))
        if after.reason and after.reason != rotation.reason:
            self._log.warning(
                "rotation_waits",
                event_id=after.event_id,
                secret=after.secret,
                stage=after.stage.value,
                attempt=after.attempt,
                reason=after.reason,
            )
        if after != rotation:
            self._journal.put(replace(after, changed_s=self._clock.now()))
        if after.stage is Stage.DONE:
            self._log.info(
                "rotation_done",
                event_id=after.event_id,
                secret=after.secret,
                key_id=after.key_id,
                version=after.version,
            )
        return after

    async def step(self, rotation: Rotation, secret: SecretSettings) -> Rotation:
        """The next step of a rotation. Raises Unavailable; then everything is as before."""
        sink = self._sinks[secret.name]
        match rotation.stage:
            case Stage.ACCEPTED:
                return await self._take(rotation, secret, sink)
            case Stage.STAGED:
                return await self._agree(rotation, secret, sink)
            case Stage.AGREED:
                return await self._activate_there(rotation)
            case Stage.PEER_ACTIVE:
                return await self._activate_here(rotation, secret, sink)
            case _:
                raise Unavailable(f"a rotation of a slave ({rotation.stage.value}) in a master's journal")

    async def _take(self, rotation: Rotation, secret: SecretSettings, sink: Sink) -> Rotation:
        if rotation.attempt == 0:
            active = await sink.active(secret)
            if active is not None and active.event_id == rotation.event_id:  # and the journal is a new one
                return replace(rotation, stage=Stage.DONE, key_id=active.key_id, version=active.version)
        held = await sink.pending(secret)
        if held is None or held.event_id != rotation.event_id or held.attempt <= rotation.attempt:
            held = self._taken.get(rotation.event_id)
            if held is None or held.attempt <= rotation.attempt:
                key_id, key = await self._keys.take(secret.key_bits)
                held = Held(event_id=rotation.event_id, attempt=rotation.attempt + 1, key_id=key_id, key=key)
                # Kept until it is written: a sink that refuses must not cost a key an attempt.
                self._taken[rotation.event_id] = held
            await sink.stage(secret, held)
        self._taken.pop(rotation.event_id, None)
        attempt, key_id = held.attempt, held.key_id
        held.key.wipe()
        return replace(rotation, stage=Stage.STAGED, attempt=attempt, key_id=key_id, reason="")

    async def _agree(self, rotation: Rotation, secret: SecretSettings, sink: Sink) -> Rotation:
        held = await sink.pending(secret)
        if held is None or not held.same(rotation.event_id, rotation.attempt, rotation.key_id):
            return _again(rotation, "the pending key is gone from the sink here")
        proof = proof_of(held)
        held.key.wipe()
        answer = await self._peer.prepare(
            rotation.event_id,
            Prepare(secret=secret.name, attempt=rotation.attempt, key_id=rotation.key_id, proof=proof),
        )
        match answer.status:
            case "staged" | "active":
                return replace(rotation, stage=Stage.AGREED, reason="")
            case "stale":
                after = replace(rotation, attempt=max(rotation.attempt, answer.attempt))
                return _again(after, "the other bridge has seen later attempts of this event")
            case "differs":
                return _again(rotation, "the two key managers gave different keys under one id")
            case _:
                return _again(rotation, "the key was lost at the other site")

    async def _activate_there(self, rotation: Rotation) -> Rotation:
        answer = await self._peer.activate(
            rotation.event_id,
            Activate(secret=rotation.secret, attempt=rotation.attempt, key_id=rotation.key_id),
        )
        if answer.status == "active":
            return replace(rotation, stage=Stage.PEER_ACTIVE, reason="")
        return _again(rotation, "the key was lost at the other site after it had been confirmed")

    async def _activate_here(self, rotation: Rotation, secret: SecretSettings, sink: Sink) -> Rotation:
        try:
            version = await sink.activate(secret, rotation.event_id, rotation.key_id)
        except NothingStaged:
            return _again(rotation, "the pending key is gone from the sink here, and active there")
        return replace(rotation, stage=Stage.DONE, version=version, reason="")

    def wipe(self) -> None:
        """Overwrite what is still in memory."""
        for held in self._taken.values():
            held.key.wipe()
        self._taken.clear()


def _again(rotation: Rotation, reason: str) -> Rotation:
    """Another attempt with another key."""
    return replace(rotation, stage=Stage.ACCEPTED, key_id="", reason=reason)
