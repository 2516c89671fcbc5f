"""A QKD module under a key manager in another process, as the SDN agent's own rooms see theirs.

Rule of this file: made of the figures that the agent reads; QBER and signal-to-noise are not among them.
"""

import asyncio
from collections.abc import Callable

from keyweave_agents.quantum.module_settings import ModuleSettings
from keyweave_agents.quantum.observed import (
    DownCause,
    FiguresChanged,
    LinkDown,
    LinkUp,
    ModuleEvent,
    ModuleState,
)
from keyweave_agents.quicks import messages as said
from keyweave_agents.quicks.caller import Caller
from keyweave_agents.quicks.remote_keys import RemoteKeys
from keyweave_core.errors import InvalidInput, KeyweaveError
from keyweave_core.model.link import InterfaceStatus
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import Logger

RETRY_S = 1.0
NEWS = 0.02


class RemoteModule:
    """One module; `looked` is called when figures were read, `run` switches it as it is wanted."""

    def __init__(
        self,
        settings: ModuleSettings,
        keys: RemoteKeys,
        caller: Caller,
        *,
        on_event: Callable[[ModuleEvent], None],
        clock: Clock,
        log: Logger,
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._caller = caller
        self._on_event = on_event
        self._clock = clock
        self._log = log
        self._enabled = True
        self._switch = asyncio.Event()
        self._told = False
        self._rate = 0.0
        self._ever = False

    @property
    def device_id(self) -> str:
        """How it is named on the interface."""
        return device_id(self._settings)

    def state(self) -> ModuleState:
        """See `QuantumModule.state`. What is not known is as if there were none."""
        figures = self._keys.figures[self._settings.link_id]
        online = figures.device is not None and figures.device.state == "online"
        rate = 0 if figures.kpi is None else round(8 * figures.kpi.SKR)
        away = figures.kpi is None
        return ModuleState(
            link_id=self._settings.link_id,
            interface_status=InterfaceStatus.ENABLED if online else InterfaceStatus.DISABLED,
            enabled=self._enabled,
            connected=online,
            generating=online,
            skr_bps=rate if online else 0,
            qber=None,
            snr_db=None,
            loss_db=self._settings.loss_db,
            excess_noise=0.0,
            generated_bits=1 if self._ever else 0,
            discarded_bits=0,
            cause=None if online else DownCause.FIBRE if self._enabled else DownCause.SWITCHED_OFF,
            reason=""
            if online
            else "the key manager is away"
            if away
            else "the key manager says it is not online",
        )

    def enable(self, wanted: bool) -> None:
        """See `QuantumModule.enable`."""
        if wanted != self._enabled:
            self._enabled = wanted
            self._switch.set()

    def tune(self, wavelength: int) -> None:
        """See `QuantumModule.tune`; InvalidInput: there is no word for it on this interface."""
        if wavelength != self._settings.wavelength:
            raise InvalidInput(
                f"module {self._settings.interface_id}: its key manager cannot be told a wavelength by QuicKS"
            )

    def release(self) -> None:
        """See `QuantumModule.release`; InvalidInput: there is no word for it on this interface."""
        raise InvalidInput(f"module {self._settings.interface_id}: QuicKS has no word to trust a fibre again")

    def looked(self) -> None:
        """Tell what is news in the figures."""
        state = self.state()
        self._ever = self._ever or state.skr_bps > 0
        link_id = self._settings.link_id
        if state.generating != self._told:
            self._told = state.generating
            self._rate = state.skr_bps
            self._on_event(
                LinkUp(link_id=link_id)
                if state.generating
                else LinkDown(link_id=link_id, cause=state.cause or DownCause.FIBRE, reason=state.reason)
            )
        elif abs(state.skr_bps - self._rate) > NEWS * max(state.skr_bps, self._rate):
            self._rate = state.skr_bps
            self._on_event(FiguresChanged(link_id=link_id))

    async def run(self) -> None:
        """Switch it as it is wanted, until cancelled."""
        while True:
            await self._switch.wait()
            self._switch.clear()
            wish = said.QkdDevice(state="online" if self._enabled else "stopped")
            try:
                await self._caller.tell("PUT", f"/control/qkd-device/{self.device_id}", wish)
            except KeyweaveError as error:
                self._log.warning("module_not_switched", device=self.device_id, reason=str(error))
                self._switch.set()
                await self._clock.sleep(RETRY_S)


def device_id(settings: ModuleSettings) -> str:
    """How a module is named on the interface: by its 015 interface id."""
    return f"interface-{settings.interface_id}"
