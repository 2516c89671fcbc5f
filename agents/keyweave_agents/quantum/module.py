"""A QKD module: keeps its fibre connected, makes or takes key, and says how the link does.

Rule of this file: `connected` follows the fibre at once, what the outside is told (`generating`, LinkUp,
LinkDown) follows after the hold-off, so a flicker is no alarm.

    fibre dark or too noisy -> hold-off runs -> LinkDown once   (light again in time: nothing is told)
    switched off, here or at the other end -> LinkDown at once
    told another channel -> dark until the other end is on it, too
    errors like those of somebody listening, here or at the other end -> LinkDown at once, and quarantine
    light and a rate above zero -> LinkUp once
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace

from keyweave_agents.quantum.channel import FrameStream, connect, listen
from keyweave_agents.quantum.frames import Bye, Condition, Suspect, Trust
from keyweave_agents.quantum.greeting import SessionEnded, greet, hello_of
from keyweave_agents.quantum.guard import Guard
from keyweave_agents.quantum.intake import KeySink
from keyweave_agents.quantum.module_settings import ModuleSettings, split_address
from keyweave_agents.quantum.observed import (
    DownCause,
    FiguresChanged,
    LinkDown,
    LinkUp,
    ModuleEvent,
    ModuleState,
)
from keyweave_agents.quantum.session import Ledger, Session
from keyweave_core.errors import PeerUnreachable
from keyweave_core.model.ids import NodeId
from keyweave_core.model.link import InterfaceStatus
from keyweave_core.physics.profiles import PROFILES
from keyweave_core.physics.rates import Disturbance, LinkFigures, link_figures
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import get_logger
from keyweave_core.runtime.retry import Backoff

__all__ = ["ModuleEvent", "ModuleSettings", "ModuleState", "QuantumModule"]

# A repaired fibre should carry key within a second, and nine dark ones should cost nothing.
_RETRY = Backoff(first_s=0.05, most_s=0.5)
_STABLE_S = 1.0  # a connection that lived this long was a good one: the next attempt is soon again
_OFF = Bye(cause=DownCause.SWITCHED_OFF, reason="switched off")
_DARK = LinkFigures(skr_bps=0, qber=None, snr_db=None)


class QuantumModule:
    """One end of a fibre. `run` is its life; `state` and `enable` may be called at any time of the loop.

    `sink` takes the key, `random_bytes` must be fit for keys, `on_event` (called from the loop; it must not
    block) hears of every change.
    """

    def __init__(
        self,
        settings: ModuleSettings,
        sink: KeySink,
        *,
        node_id: NodeId,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        on_event: Callable[[ModuleEvent], None] | None = None,
        newest_block_id: int = 0,
    ) -> None:
        self.settings = settings
        self.profile = PROFILES[settings.profile]
        self._calibration = settings.calibration
        self._sink = sink
        self._node_id = node_id
        self._clock = clock
        self._random_bytes = random_bytes
        self._on_event = on_event
        self._log = get_logger("quantum").bind(link_id=settings.link_id, interface_id=settings.interface_id)
        # Microseconds since 1970 are above every id of an earlier run, and no link makes a million blocks/s;
        # but for a clock that was set back, when the pool (`newest_block_id`) knows better.
        self._ledger = Ledger(
            next_block_id=max(int(clock.now() * 1_000_000), newest_block_id + 1),
            newest_block_id=newest_block_id,
        )
        self._wavelength = settings.wavelength
        self._enabled = asyncio.Event()
        self._enabled.set()
        self._failed = False
        self._guard = Guard(
            settings,
            sink,
            first_block_id=self._ledger.next_block_id,
            clock=clock,
            tell=self._tell,
            log=self._log,
        )
        self._stream: FrameStream | None = None
        self._disturbance = Disturbance()
        self._figures = _DARK
        self._generating = False
        self._cause: DownCause | None = None
        self._reason = ""
        self._hold_off: asyncio.Task[None] | None = None
        self.listening_port: int | None = None

    def state(self) -> ModuleState:
        """The module as it is now."""
        if self._failed:
            status = InterfaceStatus.FAILED
        elif self._enabled.is_set():
            status = InterfaceStatus.ENABLED
        else:
            status = InterfaceStatus.DISABLED
        return ModuleState(
            link_id=self.settings.link_id,
            interface_status=status,
            enabled=self._enabled.is_set(),
            connected=self._stream is not None,
            generating=self._generating,
            skr_bps=self._figures.skr_bps,
            qber=self._figures.qber,
            snr_db=self._figures.snr_db,
            loss_db=self.settings.loss_db + self._disturbance.extra_loss_db,
            excess_noise=self._disturbance.excess_noise,
            generated_bits=self._ledger.generated_bits,
            discarded_bits=self._ledger.discarded_bits,
            cause=self._cause,
            reason=self._reason,
            quarantine=self._guard.quarantine,
        )

    def enable(self, wanted: bool) -> None:
        """Start or stop making key (015 `qkdl_enable`); the other end is told. Repeating it does nothing."""
        if wanted == self._enabled.is_set():
            return
        if wanted:
            self._why(DownCause.FIBRE, "waiting for the other end")
            self._enabled.set()
            return
        self._enabled.clear()
        self._guard.switched_off()
        stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(PeerUnreachable):
                stream.send(_OFF)
            stream.finish()
        self._why(DownCause.SWITCHED_OFF, "switched off")
        self._settle()

    def release(self) -> None:
        """The operator trusts the fibre again (`release-link`); what it measures now counts."""
        if self._guard.release():
            self._trusted_here()

    @property
    def wavelength(self) -> int:
        """The channel that it is on."""
        return self._wavelength

    def tune(self, wavelength: int) -> None:
        """Go to another channel (015 `phys_wavelength`); key is made again once the other end is there, too.

        The caller has seen that it is in the range of the module. Repeating it does nothing.
        """
        if wavelength == self._wavelength:
            return
        self._log.info("module tuned", former=self._wavelength, wavelength=wavelength)
        self._wavelength = wavelength
        stream, self._stream = self._stream, None
        if stream is not None:
            reason = f"tuned to channel {wavelength}"
            with contextlib.suppress(PeerUnreachable):
                stream.send(Bye(cause=DownCause.WAVELENGTH, reason=reason))
            stream.finish()
            self._why(DownCause.WAVELENGTH, reason)
            self._settle()

    async def run(self) -> None:
        """Keep the fibre connected until cancelled; closes everything on the way out."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._guard.run(self._trusted_here))
                if self.settings.listen is not None:
                    await self._listen(self.settings.listen, tasks)
                elif self.settings.connect is not None:
                    await self._dial(self.settings.connect)
        finally:
            if self._hold_off is not None:
                self._hold_off.cancel()

    async def _dial(self, address: str) -> None:
        host, port = split_address(address)
        delays = _RETRY.delays(self._uniform)
        while True:
            await self._enabled.wait()
            started_s = self._clock.monotonic()
            try:
                stream = await connect(host, port, timeout_s=self.settings.silence_s)
                await self._greet_and_live(stream)
            except PeerUnreachable as error:
                self._why(DownCause.FIBRE, str(error))
            if self._clock.monotonic() - started_s > _STABLE_S:
                delays = _RETRY.delays(self._uniform)
            await self._clock.sleep(next(delays))

    async def _listen(self, address: str, tasks: asyncio.TaskGroup) -> None:
        host, port = split_address(address)
        delays = _RETRY.delays(self._uniform)
        while True:
            try:
                listener = await listen(host, port)
                break
            except PeerUnreachable as error:
                self._failed = True
                self._why(DownCause.FIBRE, str(error))
                self._log.error("module cannot listen", reason=str(error))
                await self._clock.sleep(next(delays))
        self._failed = False
        self.listening_port = listener.port
        try:
            while True:
                stream = await listener.accept()
                tasks.create_task(self._greet_and_live(stream))
        finally:
            listener.close()

    async def _greet_and_live(self, stream: FrameStream) -> None:
        """One connection from greeting to end."""
        try:
            if not self._enabled.is_set():
                stream.send(_OFF)
                return
            hello = hello_of(
                self.settings,
                self._node_id,
                newest_block_id=self._ledger.newest_block_id,
                wavelength=self._wavelength,
            )
            greeting = await greet(stream, self.settings, hello)
            if hello.wavelength != self._wavelength:
                stream.send(Bye(cause=DownCause.WAVELENGTH, reason=f"tuned to channel {self._wavelength}"))
                return
            if not self._enabled.is_set():
                stream.send(_OFF)
                return
            if self._stream is not None:
                # The other end has come again, so the older connection is dead and does not know it yet.
                self._stream.abort()
            self._disturbance = _disturbance_of(greeting.condition)
            session = Session(
                stream,
                self.settings,
                self._sink,
                self._ledger,
                node_id=self._node_id,
                peer=greeting.peer,
                clock=self._clock,
                random_bytes=self._random_bytes,
                rate_bps=lambda: self._figures.skr_bps,
                on_condition=self._disturbed,
                on_word=self._told,
                word=self._guard.word(),
                on_block=self._guard.came,
            )
            self._stream = stream
            self._settle()
            await session.run()
        except (SessionEnded, PeerUnreachable) as error:
            self._ended(stream, error)
        finally:
            await stream.close()

    def _ended(self, stream: FrameStream, error: SessionEnded | PeerUnreachable) -> None:
        """Note why a connection ended, unless a newer one has taken its place."""
        cause = error.cause if isinstance(error, SessionEnded) else DownCause.FIBRE
        if self._stream not in (stream, None):
            return
        # A connection that we ended to go to another channel was not lost.
        tuned = self._cause is DownCause.WAVELENGTH and cause is DownCause.FIBRE
        self._stream = None
        if self._enabled.is_set() and not tuned:
            self._why(cause, str(error))
        self._settle()

    def _disturbed(self, condition: Condition) -> None:
        self._disturbance = _disturbance_of(condition)
        self._settle()

    def _settle(self) -> None:
        """Work out the figures and tell the outside what changed."""
        before = self._figures, self._generating
        if self._stream is None:
            self._figures = _DARK
            self._guard.unlit()
        else:
            self._figures = link_figures(
                self.profile, self.settings.loss_db, self._disturbance, calibration=self._calibration
            )
            if self._guard.measured(self._disturbance, self._figures):
                self._part()
            if self._guard.suspect:
                self._figures = replace(self._figures, skr_bps=0)
                self._why(DownCause.INTRUSION, self._guard.reason)
            elif self._figures.skr_bps == 0:
                self._why(DownCause.NOISE, self._too_noisy())
        self._guard.settle()
        if self._figures.skr_bps > 0:
            self._cancel_hold_off()
            self._cause, self._reason = None, ""
            if not self._generating:
                self._generating = True
                self._log.info("link up", skr_bps=self._figures.skr_bps)
                self._tell(LinkUp(link_id=self.settings.link_id))
        elif self._generating:
            if self._cause in (DownCause.SWITCHED_OFF, DownCause.PEER_OFF, DownCause.INTRUSION):
                self._down()
            elif self._hold_off is None:
                self._hold_off = asyncio.get_running_loop().create_task(self._wait_hold_off())
        if (self._figures, self._generating) != before:
            self._tell(FiguresChanged(link_id=self.settings.link_id))

    def _part(self) -> None:
        """End the connection, so that nothing that is on its way is kept; the next one is for measuring."""
        stream = self._stream
        if stream is not None:
            with contextlib.suppress(PeerUnreachable):
                stream.send(self._guard.word())
                stream.send(Bye(cause=DownCause.INTRUSION, reason=self._guard.reason))
            stream.finish()

    def _told(self, word: Suspect | Trust) -> None:
        self._guard.told(word)
        self._settle()

    def _trusted_here(self) -> None:
        if self._stream is not None:
            with contextlib.suppress(PeerUnreachable):
                self._stream.send(self._guard.word())
        self._settle()

    async def _wait_hold_off(self) -> None:
        await self._clock.sleep(self.settings.hold_off_s)
        self._hold_off = None
        self._down()

    def _down(self) -> None:
        self._cancel_hold_off()
        self._generating = False
        cause = self._cause or DownCause.FIBRE
        self._log.warning("link down", cause=str(cause), reason=self._reason)
        self._tell(LinkDown(link_id=self.settings.link_id, cause=cause, reason=self._reason))

    def _cancel_hold_off(self) -> None:
        if self._hold_off is not None:
            self._hold_off.cancel()
            self._hold_off = None

    def _too_noisy(self) -> str:
        loss_db = self.settings.loss_db + self._disturbance.extra_loss_db
        if self._figures.qber is not None:
            return f"no key at a QBER of {self._figures.qber:.2%} and {loss_db:.1f} dB"
        return f"no key at an SNR of {self._figures.snr_db:.1f} dB and {loss_db:.1f} dB of loss"

    def _why(self, cause: DownCause, reason: str) -> None:
        self._cause, self._reason = cause, reason

    def _tell(self, event: ModuleEvent) -> None:
        if self._on_event is not None:
            self._on_event(event)

    def _uniform(self) -> float:
        return int.from_bytes(self._random_bytes(4), "big") / 2**32


def _disturbance_of(condition: Condition | None) -> Disturbance:
    if condition is None:
        return Disturbance()
    return Disturbance(extra_loss_db=condition.extra_loss_db, excess_noise=condition.excess_noise)
