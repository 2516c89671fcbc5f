"""What an SDN agent may ask and tell our key manager: relay orders, figures, modules, its state.

Rule of this file: a call is done when it is answered, or has changed nothing. Orders are not kept over a
restart: the key manager introduces itself to its agent, which sends them again.
"""

import datetime as dt
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from keyweave_agents.keys.ports import KeyControl
from keyweave_agents.quantum.observed import ModuleState
from keyweave_agents.quicks import messages as said
from keyweave_agents.quicks.door import Call, CallProblem, Door, Reply, number_of
from keyweave_agents.quicks.orders import Exists, OrderBook, Unknown
from keyweave_agents.service.settings import ServiceSettings
from keyweave_core.model.ids import LinkId
from keyweave_core.runtime.clock import Clock

MOST_HISTORY = 600


class Module(Protocol):
    """What is asked of a QKD module (`quantum.module.QuantumModule`)."""

    def state(self) -> ModuleState: ...

    def enable(self, wanted: bool) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A QKD module under the key manager, as it is named to the outside."""

    device_id: str
    link_id: LinkId
    label: str
    peer: str
    module: Module


class KeyManagerDoor:
    """Serves the agent's calls on one key manager. `sample` is to be called every second."""

    def __init__(
        self,
        keys: KeyControl,
        book: OrderBook,
        fitted: tuple[Fitted, ...],
        *,
        capabilities: said.Capabilities,
        info: said.DeviceInfo,
        clock: Clock,
    ) -> None:
        self._keys = keys
        self._book = book
        self._fitted = {one.device_id: one for one in fitted}
        self._capabilities = capabilities
        self._info = info
        self._clock = clock
        self._history: dict[LinkId, deque[said.Kpi]] = {
            one.link_id: deque(maxlen=MOST_HISTORY) for one in fitted
        }
        self._sampled_s: float | None = None
        self._stopped: frozenset[str] = frozenset()
        self.sample()

    def serve(self, door: Door) -> None:
        """Put every call of the interface on `door`."""
        door.on("GET", "/version", self._version)
        door.on("GET", "/monitor/capabilities", self._tell_capabilities)
        door.on("GET", "/monitor/device-info", self._device_info)
        door.on("GET", "/monitor/status", self._status)
        door.on("GET", "/monitor/log", self._not_offered)
        door.on("GET", "/monitor/qkd-device", self._devices)
        door.on("PUT", "/control/status", self._change_state)
        door.on("POST", "/control/qkd-device/{device_id}", self._add_device)
        door.on("PUT", "/control/qkd-device/{device_id}", self._change_device)
        door.on("DELETE", "/control/qkd-device/{device_id}", self._remove_device)
        door.on("GET", "/link/performance/{link_id}", self._performance)
        door.on("POST", "/link/relay/{key_stream_id}", self._relay)
        door.on("PUT", "/link/relay/{key_stream_id}", self._change_relay)
        door.on("DELETE", "/link/relay/{key_stream_id}", self._end_relay)

    def sample(self) -> None:
        """Read the figures of every link."""
        now_s = self._clock.monotonic()
        delta_ms = 0 if self._sampled_s is None else round(1000 * (now_s - self._sampled_s))
        self._sampled_s = now_s
        stamp = dt.datetime.fromtimestamp(self._clock.now(), dt.UTC).isoformat(timespec="milliseconds")
        state = self._keys.snapshot()
        for one in self._fitted.values():
            pool = state.pools.get(one.link_id)
            self._history[one.link_id].appendleft(
                said.Kpi(
                    timestamp=stamp,
                    delta_t=delta_ms,
                    IKR=state.consumption_bps.get(one.link_id, 0) / 8,
                    SKR=one.module.state().skr_bps / 8,
                    KAV=0 if pool is None else pool.stored_bits // 8,
                )
            )

    def newest(self) -> tuple[said.LinkKpi, ...]:
        """The newest figures of every link."""
        return tuple(
            said.LinkKpi(link_id=link_id, current_kpi=history[0])
            for link_id, history in self._history.items()
        )

    # --- what it is ------------------------------------------------------------------------------

    async def _version(self, _call: Call) -> Reply:
        return 200, said.write(said.Version(version=said.VERSION))

    async def _tell_capabilities(self, _call: Call) -> Reply:
        offered = self._capabilities
        if offered.etsi_014_info is not None:
            stored = sum(view.stored_keys for view in self._keys.snapshot().associations.values())
            info = msgspec.structs.replace(offered.etsi_014_info, stored_key_count=stored)
            offered = msgspec.structs.replace(offered, etsi_014_info=info)
        return 200, said.write(offered)

    async def _device_info(self, _call: Call) -> Reply:
        return 200, said.write(self._info)

    async def _status(self, _call: Call) -> Reply:
        state: said.State = (
            "stopped" if self._fitted and len(self._stopped) == len(self._fitted) else "online"
        )
        dark = [one for one in self._fitted.values() if not one.module.state().generating]
        empty = not self._keys.snapshot().peers_up and bool(self._fitted)
        operation: said.Operation = "errors" if empty else "warnings" if dark else "normal operation"
        return 200, said.write(said.MonitorStatus(state=state, operation=operation))

    async def _not_offered(self, _call: Call) -> Reply:
        raise CallProblem(501, "this key manager writes its log to standard error and keeps no file of it")

    # --- modules ---------------------------------------------------------------------------------

    async def _devices(self, _call: Call) -> Reply:
        devices = tuple(self._device(one) for one in self._fitted.values())
        return 200, said.write(said.QkdDevices(qkd_devices=devices))

    def _device(self, one: Fitted) -> said.QkdDevice:
        state = one.module.state()
        shown: said.State = "online" if state.generating else "stopped" if not state.enabled else "offline"
        return said.QkdDevice(device_id=one.device_id, label=one.label, state=shown, peer_kms=one.peer)

    def _known(self, call: Call) -> Fitted:
        found = self._fitted.get(call.path["device_id"])
        if found is None:
            raise CallProblem(404, f"there is no QKD device {call.path['device_id']} here")
        return found

    async def _add_device(self, call: Call) -> Reply:
        if call.path["device_id"] in self._fitted:
            raise CallProblem(409, "this QKD device is there already; PUT changes it")
        raise CallProblem(403, "QKD devices of this key manager are fitted by its settings")

    async def _change_device(self, call: Call) -> Reply:
        one, wish = self._known(call), said.read(call.body, said.QkdDevice)
        if wish.state is None:
            raise CallProblem(403, "of a QKD device only its state can be changed from here")
        self._switch(one, on=wish.state == "online")
        return 200, said.write(self._device(one))

    async def _remove_device(self, call: Call) -> Reply:
        self._known(call)
        raise CallProblem(403, "QKD devices of this key manager are fitted by its settings")

    async def _change_state(self, call: Call) -> Reply:
        wish = said.read(call.body, said.StateChange)
        if wish.state == "offline":
            raise CallProblem(403, "this key manager is not ended from here; stopped ends the making of keys")
        for one in self._fitted.values():
            self._switch(one, on=wish.state == "online")
        return 200, b""

    def _switch(self, one: Fitted, *, on: bool) -> None:
        one.module.enable(on)
        self._stopped = self._stopped - {one.device_id} if on else self._stopped | {one.device_id}

    # --- figures and orders ----------------------------------------------------------------------

    async def _performance(self, call: Call) -> Reply:
        history = self._history.get(LinkId(call.path["link_id"]))
        if history is None:
            raise CallProblem(404, f"there is no link {call.path['link_id']} here")
        entries = number_of(call, "entries", 0, MOST_HISTORY)
        current, *older = list(history)[: entries + 1]
        return 200, said.write(said.Performance(current=current, history=tuple(older)))

    async def _relay(self, call: Call) -> Reply:
        order = said.read(call.body, said.RelayOrder)
        self._do(lambda book: book.add(call.path["key_stream_id"], order))
        return 201, b""

    async def _change_relay(self, call: Call) -> Reply:
        change = said.read(call.body, said.RelayChange)
        self._do(lambda book: book.change(call.path["key_stream_id"], change))
        return 200, b""

    async def _end_relay(self, call: Call) -> Reply:
        self._do(lambda book: book.remove(call.path["key_stream_id"]))
        return 204, b""

    def _do(self, change: Callable[[OrderBook], object]) -> None:
        """Change the orders and do what they say now, or leave both as they are."""
        book = self._book.copy()
        try:
            change(book)
        except Exists as error:
            raise CallProblem(409, str(error)) from error
        except Unknown as error:
            raise CallProblem(404, str(error)) from error
        self._keys.configure(book.plan())
        self._book = book


def capabilities_of(
    node_id: str, service: ServiceSettings, *, relays: bool, streams: bool
) -> said.Capabilities:
    """What a key manager of ours offers."""
    return said.Capabilities(
        key_relay_support=relays,
        app_api_support=("etsi_014", "etsi_004") if streams else ("etsi_014",),
        etsi_014_info=said.Info014(
            KME_ID=node_id,
            key_size=service.default_key_bits,
            stored_key_count=0,
            max_key_count=service.max_key_count,
            max_key_per_request=service.max_keys_per_request,
            max_key_size=service.max_key_bits,
            min_key_size=service.min_key_bits,
            max_SAE_ID_count=service.max_additional_slaves,
        ),
    )
