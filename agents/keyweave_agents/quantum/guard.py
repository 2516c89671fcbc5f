"""What one end of a fibre does about somebody who may be listening: distrust, isolate, tell, and trust again.

Rule of this file: `intrusion.Watch` decides, this acts: at the sink (the pool) first, then it tells.
"""

import asyncio
from collections.abc import Callable

from keyweave_agents.quantum.frames import Suspect, Trust
from keyweave_agents.quantum.intake import KeySink
from keyweave_agents.quantum.intrusion import Watch, suspicion
from keyweave_agents.quantum.module_settings import ModuleSettings
from keyweave_agents.quantum.observed import IntrusionOver, IntrusionSuspected
from keyweave_core.model.link import Quarantine
from keyweave_core.physics.profiles import PROFILES
from keyweave_core.physics.rates import Disturbance, LinkFigures
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import Logger


class Guard:
    """One end of a fibre. `tell` is called from the loop; it must not block."""

    def __init__(
        self,
        settings: ModuleSettings,
        sink: KeySink,
        *,
        first_block_id: int,
        clock: Clock,
        tell: Callable[[IntrusionSuspected | IntrusionOver], None],
        log: Logger,
    ) -> None:
        self._settings = settings
        self._profile = PROFILES[settings.profile]
        self._sink = sink
        self._clock = clock
        self._tell = tell
        self._log = log
        self._watch = Watch(settings.intrusion, first_block_id)
        self._looks = asyncio.Event()  # there is a suspicion of our own, which may end
        self.quarantine: Quarantine | None = None

    @property
    def suspect(self) -> bool:
        """No key may be made, here or at the other end."""
        return self._watch.suspect

    @property
    def reason(self) -> str:
        """Why."""
        return self._watch.reason

    def word(self) -> Suspect | Trust:
        """What to tell the other end."""
        own = self._watch.own
        return Suspect(since_block_id=self._watch.since_block_id, reason=own) if own else Trust()

    def came(self, block_id: int) -> None:
        """A block was put into the pool."""
        self._watch.came(block_id, self._clock.monotonic())

    def measured(self, disturbance: Disturbance, figures: LinkFigures) -> bool:
        """A measurement. Whether a suspicion begins here: what is on its way is to be lost."""
        words = suspicion(
            self._settings.intrusion, self._profile, self._settings.loss_db, disturbance, figures
        )
        began = self._watch.measured(words, self._clock.monotonic())
        if began:
            self._log.warning("intrusion suspected", reason=words)
            self._distrust()
        if self._watch.own:
            self._looks.set()
        return began

    def unlit(self) -> None:
        """There is no measurement now."""
        self._watch.unlit()

    def told(self, word: Suspect | Trust) -> None:
        """What the other end thinks of the fibre."""
        now_s = self._clock.monotonic()
        if isinstance(word, Trust):
            self._watch.told("", 0, now_s)
        elif self._watch.told(word.reason or "errors", word.since_block_id, now_s):
            self._log.warning("intrusion suspected by the other end", reason=word.reason)
            self._distrust()

    def switched_off(self) -> None:
        """The operator has switched the link off: neither end's word counts any more."""
        self._watch.released()

    def release(self) -> bool:
        """The operator trusts the fibre at this end; whether this end did not."""
        suspect, self._watch.own = bool(self._watch.own), ""
        return suspect

    def settle(self) -> None:
        """The quarantine lasts as long as the suspicion of either end."""
        if self.quarantine is None or self._watch.suspect:
            return
        self.quarantine = None
        self._sink.trust(self._settings.link_id)
        self._log.info("intrusion over")
        self._tell(IntrusionOver(link_id=self._settings.link_id))

    async def run(self, over: Callable[[], None]) -> None:
        """Call `over` when a suspicion of our own has ended (the other end is to hear), until cancelled."""
        step_s = min(0.5, max(0.02, self._settings.intrusion.release_after_s / 10))
        while True:
            await self._looks.wait()
            await self._clock.sleep(step_s)
            if self._watch.tick(self._clock.monotonic()):
                over()
            if not self._watch.own:
                self._looks.clear()

    def _distrust(self) -> None:
        link_id, known = self._settings.link_id, self.quarantine
        found = self._sink.distrust(link_id, self._watch.since_block_id)
        self.quarantine = Quarantine(
            reason=self._watch.reason,
            discarded_bits=found.discarded_bits + (known.discarded_bits if known else 0),
            spent_bits=max(found.spent_bits, known.spent_bits if known else 0),
        )
        self._tell(IntrusionSuspected(link_id=link_id, quarantine=self.quarantine))
