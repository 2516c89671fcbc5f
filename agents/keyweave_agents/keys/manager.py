"""The key manager of a node as a running thing: a `KeyPlane` with sockets, time and waiting around it.

Rule of this file: nothing is decided here. Whatever happens is given to the plane, then its outbox is sent
and missing keys are made, once per turn of the event loop however much came in.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable

from keyweave_agents.keys.border.values import Beyond
from keyweave_agents.keys.failures import KeysNotFound, LedgerFailed, NotEntitled
from keyweave_agents.keys.lanes import Request
from keyweave_agents.keys.peers import Peers
from keyweave_agents.keys.plan import (
    AssociationEnds,
    AssociationExpired,
    AssociationWanted,
    KeyBundle,
    KeyEvent,
    KeyPlan,
    KeyState,
    QosWanted,
    StoreRestored,
    StoreStatus,
    StoreTrouble,
    SuppliedKey,
)
from keyweave_agents.keys.plane import KeyPlane
from keyweave_agents.keys.pqc.identity import PqcIdentity
from keyweave_agents.keys.relaying.frames import Held, LetterKind
from keyweave_agents.keys.relaying.wire import encode
from keyweave_agents.keys.settings import KeySettings
from keyweave_agents.keys.storage.gate import Frames, Gate
from keyweave_agents.keys.storage.ledger import Ledger
from keyweave_agents.quantum.intake import Distrusted, KeyBlock
from keyweave_core.errors import DeadlineExceeded, Exhausted, InvalidInput
from keyweave_core.model.application import AppQos, KeyOrigin
from keyweave_core.model.ids import AppId, LinkId, NodeId, SaeId
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import get_logger

TICK_S = 0.25
ALIVE_EVERY_S = 3.0
SILENCE_S = 10.0
MOST_EVENTS = 4096


class KeyManager:
    """Implements `ports.KeySupply`, `ports.KeyDraw`, `ports.KeyControl` and `quantum.intake.KeySink`.

    `tls_server` and `tls_client` must demand and check certificates (mutual TLS); None is plain TCP, for
    tests alone. `random_bytes(n)` is the source of every end-to-end key: a cryptographic one. `ledger` is
    what outlives the process (see `vault`); without one everything lies in memory alone. `beyond` are the
    networks at this node's border, which `border` deals with (call `stir` after telling it something).
    """

    def __init__(
        self,
        settings: KeySettings,
        *,
        node_id: NodeId,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        tls_server: ssl.SSLContext | None,
        tls_client: ssl.SSLContext | None,
        ledger: Ledger | None = None,
        beyond: Beyond | None = None,
        identity: PqcIdentity | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._tls_server = tls_server
        self._tls_client = tls_client
        self._events: asyncio.Queue[KeyEvent] = asyncio.Queue()
        self._plane = KeyPlane(
            settings, node_id, clock, random_bytes, self._emit, ledger, beyond, identity=identity
        )
        self.border = self._plane.border
        self.ledger: Ledger = self._plane.ledger
        self._gate = Gate(self.ledger, self._send, self._store_told, self._decided, clock.monotonic)
        self._peers = Peers(
            node_id,
            settings.neighbours,
            self._plane,
            clock=clock,
            uniform=lambda: int.from_bytes(random_bytes(4), "big") / 2**32,
            log=get_logger("keys").bind(node_id=node_id),
            after_input=self._stir,
        )
        self._stirred = False
        self._closed = False
        self._address: asyncio.Future[tuple[str, int]] | None = None

    # --- running ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until cancelled. PeerUnreachable when the address to listen on cannot be used."""
        server = await self._peers.listen(
            self._settings.listen_host, self._settings.listen_port, self._tls_server
        )
        host, port = server.sockets[0].getsockname()[:2]
        self._listening().set_result((host, port))
        try:
            async with asyncio.TaskGroup() as tasks:
                for neighbour in self._peers.dialled():
                    tasks.create_task(self._peers.keep_dialling(neighbour, self._tls_client))
                tasks.create_task(self._beat())
        finally:
            server.close()
            self._peers.close()
            self._address = None

    async def listening(self) -> tuple[str, int]:
        """Wait until neighbours can connect; the address."""
        return await asyncio.shield(self._listening())

    def _listening(self) -> asyncio.Future[tuple[str, int]]:
        if self._address is None:
            self._address = asyncio.get_running_loop().create_future()
        return self._address

    async def _beat(self) -> None:
        alive_s = self._clock.monotonic()
        sign_of_life = encode(Held())
        sessions = self._plane.sessions
        while True:
            self._plane.tick()
            self._peers.tick(SILENCE_S)
            self._work()
            self._gate.beat()
            if self._gate.broken is not None:
                self._gate.prune(lambda link_id, number: sessions[link_id].number == number)
            elif self._clock.monotonic() - alive_s >= ALIVE_EVERY_S:
                alive_s = self._clock.monotonic()
                self._gate.push(
                    [(link_id, one.number, sign_of_life) for link_id, one in sessions.items() if one.ready]
                )
                self._gate.turn()
            await self._clock.sleep(TICK_S)

    def stir(self) -> None:
        """Somebody told the border something."""
        self._stir()

    def close(self) -> None:
        """Overwrite every key in memory and let go of the ledger, which keeps what it has."""
        if self._closed:
            return
        self._closed = True
        self._plane.close()
        try:
            self.ledger.close()
        except LedgerFailed as error:
            get_logger("keys").error("key_store_not_closed", reason=str(error))

    def _stir(self) -> None:
        """Something changed: do what follows from it at the end of this turn of the loop."""
        if not self._stirred and not self._closed:
            self._stirred = True
            asyncio.get_running_loop().call_soon(self._work)

    def _work(self) -> None:
        self._stirred = False
        if self._closed:
            return
        self._plane.supply.refill()
        sessions = self._plane.sessions
        self._gate.push(
            [(link_id, sessions[link_id].number, frame) for link_id, frame in self._plane.take_outbox()]
        )
        self._gate.turn()

    def _send(self, frames: Frames) -> None:
        """These may leave; what was meant for a connection that is gone does not."""
        sessions = self._plane.sessions
        self._peers.send(
            [(link_id, frame) for link_id, number, frame in frames if sessions[link_id].number == number]
        )

    def _decided(self, kept: bool) -> None:
        self._plane.decided(kept=kept)

    def _store_told(self, reason: str | None) -> None:
        self._emit(StoreRestored() if reason is None else StoreTrouble(reason=reason))

    async def durable(self) -> None:
        """Wait until all that was noted up to now is on disk. LedgerFailed: it is not, nothing may leave."""
        await self._gate.durable()

    def _emit(self, event: KeyEvent) -> None:
        if self._events.qsize() >= MOST_EVENTS:
            self._events.get_nowait()  # nobody reads: the newest say more
        self._events.put_nowait(event)

    # --- from the quantum layer ------------------------------------------------------------------

    def next_owner(self, link_id: LinkId) -> NodeId | None:
        """See `quantum.intake.KeySink`."""
        return self._plane.next_owner(link_id)

    def deposit(self, link_id: LinkId, block: KeyBlock) -> None:
        """See `quantum.intake.KeySink`. The pool keeps a copy; KeyError for an unknown link."""
        self._plane.deposit(link_id, block)
        self._stir()

    def distrust(self, link_id: LinkId, since_block_id: int) -> Distrusted:
        """See `quantum.intake.KeySink`."""
        found = self._plane.distrust(link_id, since_block_id)
        self._stir()
        return found

    def trust(self, link_id: LinkId) -> None:
        """See `quantum.intake.KeySink`."""
        self._plane.trust(link_id)
        self._stir()

    def newest_block(self, link_id: LinkId) -> int:
        """Id of the newest block that ever came into a pool, in earlier runs too; 0: none."""
        return max(0, self._plane.sessions[link_id].pool.newest)

    # --- from the control layer ------------------------------------------------------------------

    def configure(self, plan: KeyPlan) -> None:
        """See `ports.KeyControl`."""
        self._plane.configure(plan)
        self._stir()

    def refuse(self, server: SaeId, clients: tuple[SaeId, ...], reasons: tuple[str, ...]) -> None:
        """See `ports.KeyControl`."""
        self._plane.serving.refuse(server, clients, reasons)

    def snapshot(self) -> KeyState:
        """See `ports.KeyControl`."""
        return self._plane.snapshot()

    async def next_event(self) -> KeyEvent:
        """See `ports.KeyControl`."""
        return await self._events.get()

    async def events(self) -> AsyncIterator[KeyEvent]:
        """`next_event`, for ever."""
        while True:
            yield await self._events.get()

    # --- from the service layer ------------------------------------------------------------------

    async def get_keys(
        self,
        caller: SaeId,
        client: SaeId,
        number: int,
        size_bits: int,
        deadline_s: float,
        *,
        qos: AppQos | None = None,
        priority: int = 0,
        also: tuple[SaeId, ...] = (),
    ) -> tuple[SuppliedKey, ...]:
        """See `ports.KeySupply`."""
        self._check_request(number, size_bits)
        serving = self._plane.serving
        request = Request(
            server=caller,
            client=client,
            also=also,
            number=number,
            size_bits=size_bits,
            qos=qos or AppQos(),
            priority=priority,
        )
        serving.request(request)
        self._stir()
        if request.keys is None:
            try:
                await self._answer(request, deadline_s)
            except asyncio.CancelledError:
                serving.abandon(request)
                raise
        if request.keys is not None:
            try:
                await self._gate.durable()
            except (LedgerFailed, asyncio.CancelledError):
                serving.abandon(request)
                raise
        if request.error is not None:
            raise request.error
        if request.keys is not None:
            return serving.collect(request)
        why = serving.why(request)
        serving.abandon(request)
        pair = f"{caller} with {' and '.join(request.clients)}"
        if why is None:
            raise DeadlineExceeded(f"no association of {pair} came up within {deadline_s:g} s")
        raise Exhausted(f"keys of {pair} did not come within {deadline_s:g} s: {why}")

    async def _answer(self, request: Request, deadline_s: float) -> None:
        """Wait for the answer or the deadline."""
        answered = asyncio.Event()
        request.wake = answered.set
        answer = asyncio.ensure_future(answered.wait())
        timer = asyncio.ensure_future(self._clock.sleep(deadline_s))
        try:
            await asyncio.wait((answer, timer), return_when=asyncio.FIRST_COMPLETED)
        finally:
            answer.cancel()
            timer.cancel()

    def _check_request(self, number: int, size_bits: int) -> None:
        limits = self._settings.limits
        if not 1 <= number <= limits.keys_per_request:
            raise InvalidInput(f"number of keys: {number} is not within 1..{limits.keys_per_request}")
        if not limits.min_key_bits <= size_bits <= limits.max_key_bits:
            raise InvalidInput(
                f"key size: {size_bits} bit is not within {limits.min_key_bits}..{limits.max_key_bits}"
            )
        if size_bits % 8:
            raise InvalidInput("size shall be a multiple of 8")

    async def get_keys_by_id(
        self, caller: SaeId, master: SaeId, key_ids: tuple[str, ...]
    ) -> tuple[SuppliedKey, ...]:
        """See `ports.KeySupply`."""
        limits = self._settings.limits
        if not 1 <= len(key_ids) <= limits.keys_per_request:
            raise InvalidInput(
                f"number of key ids: {len(key_ids)} is not within 1..{limits.keys_per_request}"
            )
        supplied = self._plane.serving.fetch(caller, master, key_ids)
        try:
            await self._gate.durable()
        except LedgerFailed:  # the store has taken them back
            for key in supplied:
                key.key.wipe()
            raise
        return supplied

    def draw(
        self,
        caller: SaeId,
        client: SaeId,
        number: int,
        size_bits: int,
        *,
        origins: frozenset[KeyOrigin] | None = None,
    ) -> tuple[KeyBundle, ...] | None:
        """See `ports.KeyDraw`."""
        if self._gate.broken is not None:
            return None
        drawn = self._plane.serving.draw(caller, client, number, size_bits, origins)
        if drawn is not None:
            self._stir()
        return drawn

    def fetch(self, caller: SaeId, master: SaeId, key_ids: bytes) -> tuple[KeyBundle, ...] | None:
        """See `ports.KeyDraw`."""
        if self._gate.broken is not None:
            return None
        try:
            return self._plane.serving.fetch_bundles(caller, master, key_ids)
        except (NotEntitled, KeysNotFound):
            return None

    def once_durable(self, call: Callable[[Exception | None], None]) -> None:
        """See `ports.KeyDraw`."""
        self._gate.once_durable(call)
        self._stir()

    def status(self, caller: SaeId, other: SaeId) -> StoreStatus | None:
        """See `ports.KeySupply`."""
        return self._plane.serving.status(caller, other)

    def want(self, wanted: AssociationWanted) -> None:
        """See `ports.KeyAssociations`."""
        self._emit(wanted)

    def change(self, app_id: AppId, qos: AppQos, priority: int) -> None:
        """See `ports.KeyAssociations`."""
        self._emit(QosWanted(app_id=app_id, qos=qos, priority=priority))

    def give_back(self, app_id: AppId) -> None:
        """See `ports.KeyAssociations`."""
        self._emit(AssociationExpired(app_id=app_id))

    def ends(self, app_id: AppId) -> AssociationEnds | None:
        """See `ports.KeyLetters`."""
        return self._plane.letters.ends(app_id)

    def between(self, server: SaeId, client: SaeId) -> AssociationEnds | None:
        """See `ports.KeyLetters`."""
        return self._plane.letters.between(server, client)

    def send_letter(self, app_id: AppId, kind: LetterKind, body: bytes) -> bool:
        """See `ports.KeyLetters`."""
        on_its_way = self._plane.letters.send_letter(app_id, kind, body)
        self._stir()
        return on_its_way

    def on_letters(self, kind: LetterKind, handler: Callable[[AppId, bytes], None]) -> None:
        """See `ports.KeyLetters`."""
        self._plane.letters.on_letters(kind, handler)
