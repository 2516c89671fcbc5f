"""A bridge as a process: the only module that builds its parts and joins them."""

import asyncio
import contextlib
import random
import signal
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from keyweave_agents.bridge.calls import Caller
from keyweave_agents.bridge.door import BridgeDoor
from keyweave_agents.bridge.files import FileSink
from keyweave_agents.bridge.journal import Journal
from keyweave_agents.bridge.kme import KeyManagerClient
from keyweave_agents.bridge.master import Master
from keyweave_agents.bridge.peer import PeerClient
from keyweave_agents.bridge.settings import BridgeSettings, VaultSettings
from keyweave_agents.bridge.sinks import Sink
from keyweave_agents.bridge.slave import Slave
from keyweave_agents.bridge.vault import VaultSink
from keyweave_agents.service.https import HttpsServer
from keyweave_agents.service.settings import ServiceSettings
from keyweave_core.errors import SettingsError
from keyweave_core.runtime.clock import Clock, SystemClock
from keyweave_core.runtime.log import get_logger
from keyweave_core.runtime.tls import client_context

JOURNAL = "bridge.db"
_DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeReady:
    """Where a running bridge can be reached."""

    role: str
    port: int


class Bridge:
    """All parts of one bridge. Raises SettingsError: a file that cannot be used."""

    def __init__(
        self, settings: BridgeSettings, clock: Clock, uniform: Callable[[], float] = random.random
    ) -> None:
        answer_s = settings.retry.answer_s
        kme, peer = settings.kme, settings.peer
        contexts = client_context(kme.tls), client_context(settings.door.tls)
        vault = None if settings.vault is None else _vault_context(settings.vault)
        self._journal = Journal(settings.state_dir / JOURNAL)
        self._journal.forget(clock.now() - settings.remember_days * _DAY_S)
        asking = Caller(kme.url, contexts[0], answer_s=answer_s, name=kme.name)
        self._keys = KeyManagerClient(asking, kme.peer_sae_id)
        self._peer = PeerClient(Caller(peer.url, contexts[1], answer_s=answer_s, name=peer.name))
        kinds: dict[str, Sink] = {}
        if settings.vault is not None and vault is not None:
            kinds["vault"] = VaultSink(
                settings.vault, Caller(settings.vault.address, vault, answer_s=answer_s)
            )
        if settings.files is not None:
            kinds["file"] = FileSink(settings.files)
        self._kinds = kinds
        secrets = {secret.name: secret for secret in settings.secrets}
        sinks = {secret.name: kinds[secret.sink] for secret in settings.secrets}
        self._master: Master | None = None
        self._slave: Slave | None = None
        if settings.role == "master":
            self._master = Master(
                secrets, sinks, self._journal, self._keys, self._peer, settings.retry, clock, uniform
            )
        else:
            self._slave = Slave(secrets, sinks, self._journal, self._keys, clock)
        door = BridgeDoor(
            self._journal,
            callers=settings.door.callers,
            peer=peer.name,
            master=self._master,
            slave=self._slave,
        )
        place = settings.door
        self._server = HttpsServer(
            door,
            ServiceSettings(
                listen_host=place.listen_host,
                listen_port=place.listen_port,
                tls=place.tls,
                max_connections=64,
            ),
            clock,
        )

    async def start(self) -> int:
        """Open the door; its port. Raises SettingsError when the address cannot be had."""
        return await self._server.start()

    async def run(self) -> None:
        """Rotate until cancelled; a slave only answers."""
        if self._master is not None:
            await self._master.run()
        else:
            await asyncio.Event().wait()

    async def close(self) -> None:
        """Close everything. Idempotent."""
        await self._server.close()
        await self._keys.close()
        await self._peer.close()
        for sink in self._kinds.values():
            await sink.close()
        for side in (self._master, self._slave):
            if side is not None:
                side.wipe()
        self._journal.close()


async def run(
    settings: BridgeSettings,
    *,
    ready: Callable[[BridgeReady], None],
    stop: asyncio.Event | None = None,
    clock: Clock | None = None,
) -> None:
    """Run a bridge until `stop` is set (without one: until SIGTERM or SIGINT), then close everything.

    `ready` is called once, when the door is open. Raises SettingsError.
    """
    bridge = Bridge(settings, clock or SystemClock())
    log = get_logger("bridge")
    try:
        port = await bridge.start()
        with _stopped_by_signals(stop) as stopped:
            working = asyncio.create_task(bridge.run())
            waiting = asyncio.create_task(stopped.wait())
            ready(BridgeReady(role=settings.role, port=port))
            log.info("bridge_ready", role=settings.role, port=port, secrets=len(settings.secrets))
            await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
            for task in (working, waiting):
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working
    finally:
        await bridge.close()


@contextlib.contextmanager
def _stopped_by_signals(stop: asyncio.Event | None) -> Iterator[asyncio.Event]:
    if stop is not None:
        yield stop
        return
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, stopped.set)
    try:
        yield stopped
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def _vault_context(settings: VaultSettings) -> ssl.SSLContext:
    """Vault's certificate is verified; ours is shown where the settings have one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cafile=settings.ca)
        if settings.certificate is not None:
            context.load_cert_chain(settings.certificate, settings.private_key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"[vault] {settings.ca}: no usable certificates: {error}") from error
    return context
