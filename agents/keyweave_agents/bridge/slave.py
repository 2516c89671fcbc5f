"""The slave's side of rotations: fetches the key that the master names, holds it, makes it active when told.

    prepare    FETCHING is on the disk, then the key is fetched by id, made pending, and STAGED is on the disk
    activate   the pending key becomes active; ACTIVE is on the disk

A key manager gives a key by id once. What was fetched and is not in the sink after a crash is lost, which is
found out by asking once more, and told; the master then takes another key (a higher attempt).

Rule of this file: every question may be repeated and gets the same answer; of an attempt below the highest
nothing is done any more. Questions about one secret wait for each other.
"""

import asyncio
import hmac
from collections.abc import Mapping
from dataclasses import replace

from keyweave_agents.bridge.journal import Journal, Rotation, Stage
from keyweave_agents.bridge.kme import KeyGone, KeyManagerClient
from keyweave_agents.bridge.peer import Activate, PeerAnswer, PeerStatus, Prepare
from keyweave_agents.bridge.settings import SecretSettings
from keyweave_agents.bridge.sinks import Held, NothingStaged, Sink, proof_of
from keyweave_core.errors import Refused
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import get_logger


class Slave:
    """All secrets of one slave bridge. `sinks` by secret name."""

    def __init__(
        self,
        secrets: Mapping[str, SecretSettings],
        sinks: Mapping[str, Sink],
        journal: Journal,
        keys: KeyManagerClient,
        clock: Clock,
    ) -> None:
        self._secrets = secrets
        self._sinks = sinks
        self._journal = journal
        self._keys = keys
        self._clock = clock
        self._locks = {name: asyncio.Lock() for name in secrets}
        self._fetched: dict[str, Held] = {}  # fetched, and not in the sink yet
        self._log = get_logger("bridge")

    async def prepare(self, event_id: str, said: Prepare) -> PeerAnswer:
        """Hold the key pending. Raises Refused (no such secret) or Unavailable (ask again)."""
        secret = self._secret(said.secret)
        async with self._locks[secret.name]:
            rotation = self._journal.get(event_id)
            if rotation is not None and rotation.secret != secret.name:
                raise Refused(f"event {event_id} is a rotation of {rotation.secret}")
            if rotation is not None and _newer(rotation, said):
                return PeerAnswer(status="stale", attempt=rotation.attempt)
            if rotation is None or rotation.attempt < said.attempt:
                rotation = self._begin(rotation, event_id, said)
            return PeerAnswer(status=await self._prepare(rotation, secret, said), attempt=said.attempt)

    def _begin(self, known: Rotation | None, event_id: str, said: Prepare) -> Rotation:
        now_s = self._clock.now()
        rotation = Rotation(
            event_id=event_id,
            secret=said.secret,
            stage=Stage.FETCHING,
            attempt=said.attempt,
            key_id=said.key_id,
            began_s=now_s if known is None else known.began_s,
            changed_s=now_s,
        )
        self._journal.put(rotation)
        return rotation

    async def _prepare(self, rotation: Rotation, secret: SecretSettings, said: Prepare) -> PeerStatus:
        sink = self._sinks[secret.name]
        match rotation.stage:
            case Stage.ACTIVE:
                return "active"
            case Stage.LOST:
                return "lost"
            case _:
                held = await sink.pending(secret)
        if held is None or not held.same(rotation.event_id, rotation.attempt, rotation.key_id):
            if rotation.stage is Stage.STAGED:
                active = await sink.active(secret)
                if active is not None and (active.event_id, active.key_id) == _marks(rotation):
                    self._put(rotation, Stage.ACTIVE, version=active.version)
                    return "active"
                self._put(rotation, Stage.LOST)
                return "lost"
            try:
                held = await self._fetch(rotation, secret)
            except KeyGone as gone:
                self._put(rotation, Stage.LOST, reason=str(gone))
                return "lost"
            await sink.stage(secret, held)
            self._fetched.pop(rotation.event_id, None)
        same = hmac.compare_digest(proof_of(held), said.proof)
        held.key.wipe()
        if not same:
            self._put(rotation, Stage.LOST, reason="the master proves another key")
            return "differs"
        if rotation.stage is not Stage.STAGED:
            self._put(rotation, Stage.STAGED)
        return "staged"

    async def _fetch(self, rotation: Rotation, secret: SecretSettings) -> Held:
        """The key by its id, or as it was fetched before a sink that refused it."""
        held = self._fetched.get(rotation.event_id)
        if held is None or held.attempt != rotation.attempt:
            key = await self._keys.fetch(rotation.key_id, secret.key_bits)
            held = Held(event_id=rotation.event_id, attempt=rotation.attempt, key_id=rotation.key_id, key=key)
            self._fetched[rotation.event_id] = held
        return held

    async def activate(self, event_id: str, said: Activate) -> PeerAnswer:
        """Make the key active. Raises Refused (no such secret) or Unavailable (ask again)."""
        secret = self._secret(said.secret)
        sink = self._sinks[secret.name]
        async with self._locks[secret.name]:
            rotation = self._journal.get(event_id)
            if rotation is not None and rotation.attempt != said.attempt:
                return PeerAnswer(status="unknown", attempt=rotation.attempt)
            if rotation is None:  # the journal is a new one; the sink may know
                rotation = Rotation(
                    event_id=event_id,
                    secret=secret.name,
                    stage=Stage.STAGED,
                    attempt=said.attempt,
                    key_id=said.key_id,
                    began_s=self._clock.now(),
                )
            if rotation.key_id != said.key_id or rotation.stage not in (Stage.STAGED, Stage.ACTIVE):
                return PeerAnswer(status="unknown", attempt=rotation.attempt)
            if rotation.stage is Stage.STAGED:
                try:
                    version = await sink.activate(secret, event_id, rotation.key_id)
                except NothingStaged as lost:
                    self._put(rotation, Stage.LOST, reason=str(lost))
                    return PeerAnswer(status="unknown", attempt=rotation.attempt)
                self._put(rotation, Stage.ACTIVE, version=version)
            return PeerAnswer(status="active", attempt=rotation.attempt)

    def _secret(self, name: str) -> SecretSettings:
        if name not in self._secrets:
            raise Refused(f"no secret {name!r} here")
        return self._secrets[name]

    def _put(self, rotation: Rotation, stage: Stage, *, version: int = 0, reason: str = "") -> None:
        self._journal.put(
            replace(rotation, stage=stage, version=version, reason=reason, changed_s=self._clock.now())
        )
        say = self._log.warning if stage is Stage.LOST else self._log.info
        say(
            f"rotation_{stage.value}",
            event_id=rotation.event_id,
            secret=rotation.secret,
            attempt=rotation.attempt,
            key_id=rotation.key_id,
            version=version,
            reason=reason,
        )

    def wipe(self) -> None:
        """Overwrite what is still in memory."""
        for held in self._fetched.values():
            held.key.wipe()
        self._fetched.clear()


def _newer(rotation: Rotation, said: Prepare) -> bool:
    """Whether what is known is of a later attempt, or of another key of the same one."""
    return rotation.attempt > said.attempt or (
        rotation.attempt == said.attempt and rotation.key_id != said.key_id
    )


def _marks(rotation: Rotation) -> tuple[str, str]:
    """What marks the key of a rotation in a sink."""
    return rotation.event_id, rotation.key_id
