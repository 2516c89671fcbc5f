"""What the checks of 020 stand on: the peer key manager, keys to hand over, and where it acknowledges.

Rule of this file: it knows how to ask, not what is right. What the run handed over is voided at its end.
"""

import secrets
import ssl
import uuid
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from keyweave_core.errors import KeyweaveError, SettingsError
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.tls import TlsSettings, client_context, server_context
from keyweave_lab.conform.check import NotApplicable
from keyweave_lab.conform.etsi020.callback import Heard, Listener
from keyweave_lab.conform.etsi020.form import RELAYED, Ack, acks_of, flaw_of_problem
from keyweave_lab.conform.https import Line, Place, Reply, open_line

VERSIONS = "/kmapi/versions"
EXT_KEYS = "/kmapi/v1/ext_keys"
ACK = "/kmapi/v1/ext_keys/ack"
VOID = "/kmapi/v1/ext_keys/void"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the caller decides. Times in seconds; None: the checks that need it are not applicable.

    `tls` is the suite's certificate, for calling and for being called. `callback_url` is where the peer is
    told to acknowledge (None: the standard's path at the listener). `pinned`: the peer is configured to
    acknowledge there and nowhere else.
    """

    peer: Place
    tls: TlsSettings
    initiator: str
    target: str
    listen_host: str = "127.0.0.1"
    listen_port: int = 0
    callback_url: str | None = None
    pinned: bool = False
    foreign: TlsSettings | None = None
    check_name: bool = True
    key_bytes: int = 32
    message_limit_s: float = 15.0  # one exchange
    check_limit_s: float = 120.0  # one check
    patience_s: float = 20.0  # until an acknowledgement has come


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedKey:
    """A key of the suite's own making."""

    id: str
    value: bytes = field(repr=False)


@dataclass(slots=True)
class Bench:
    """One key manager under test."""

    options: Options
    clock: Clock
    listener: Listener = field(init=False)
    elsewhere: Listener = field(init=False)  # an address that the peer has no business with
    callback: str = ""
    elsewhere_url: str = ""
    capabilities: tuple[str, ...] = ()
    relays: bool = True  # until a key did not get through
    facts: dict[str, Any] = field(default_factory=dict)
    flaws: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _handed: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.listener = Listener(self.clock)
        self.elsewhere = Listener(self.clock)

    async def learn(self) -> None:
        """Listen, and reach the peer. Raises PeerUnreachable, Failed (TLS), SettingsError or InvalidInput."""
        options = self.options
        context = server_context(options.tls)
        port = await self.listener.start(options.listen_host, options.listen_port, context)
        other = await self.elsewhere.start(options.listen_host, 0)
        self.callback = options.callback_url or f"https://{options.listen_host}:{port}{ACK}"
        self.elsewhere_url = f"https://{options.listen_host}:{other}{ACK}"
        line = await self.line()
        self.facts |= {"tls": line.tls.version(), "callback": self.callback}
        await line.close()

    async def part(self) -> None:
        """Void what was handed over, and stop listening."""
        ids = list(self._handed)
        for at in range(0, len(ids), 100):
            since = len(self.listener.heard)
            with suppress(KeyweaveError):
                await self.void(ids[at : at + 100])
                # Heard to its end, so that nobody goes on calling an address where nobody is.
                last = HandedKey(id=ids[at : at + 100][-1], value=b"")
                await self.acked(last, since, min(1.0, self.options.patience_s))
        await self.listener.close()
        await self.elsewhere.close()

    def lacks(self, need: str) -> str | None:
        """Why a need is not met: 'foreign'."""
        return None if getattr(self.options, need) is not None else "--foreign-cert is not given"

    def context(
        self, tls: TlsSettings | None = None, *, most: ssl.TLSVersion | None = None
    ) -> ssl.SSLContext:
        """The context that shows a certificate (the suite's own unless told); at most of TLS `most`."""
        shown = replace(tls or self.options.tls, minimum_version="1.2")
        context = client_context(shown, check_hostname=self.options.check_name)
        if most is not None:
            context.maximum_version = most
        return context

    def nameless(self) -> ssl.SSLContext:
        """A context without a certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = self.options.check_name
        try:
            context.load_verify_locations(cafile=self.options.tls.ca)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(f"{self.options.tls.ca}: no usable certificate of an authority") from error
        return context

    async def line(self, context: ssl.SSLContext | None = None) -> Line:
        """A connection to the peer, which the caller closes."""
        return await open_line(
            self.options.peer,
            context or self.context(),
            self.clock,
            limit_s=self.options.message_limit_s,
        )

    async def ask(
        self, path: str, body: Any = None, *, context: ssl.SSLContext | None = None, method: str = ""
    ) -> Reply:
        """One exchange on a connection of its own: GET, or POST of `body` as JSON (bytes go as they are)."""
        content, headers = b"", {}
        if body is not None:
            content = body if isinstance(body, bytes) else msgspec.json.encode(body)
            headers = {"content-type": "application/json; charset=UTF-8"}
        verb = method or ("GET" if body is None else "POST")
        line = await self.line(context)
        try:
            reply = await line.ask(
                verb,
                self.options.peer.prefix + path,
                content,
                headers,
                limit_s=self.options.message_limit_s,
            )
        finally:
            await line.close()
        if context is None:
            self._heed(f"{verb} {path}", reply)
        return reply

    # Keys.

    def fresh(self) -> HandedKey:
        """A new key with a new id."""
        return HandedKey(id=str(uuid.uuid4()), value=secrets.token_bytes(self.options.key_bytes))

    def container(self, *keys: HandedKey, **changes: Any) -> dict[str, Any]:
        """`ext_key_container` of these keys; a member that is changed to None is left out."""
        said = {
            "keys": [{"key_id": key.id, "value": key.value} for key in keys],
            "initiator_sae_id": self.options.initiator,
            "target_sae_ids": [self.options.target],
            "ack_callback_url": self.callback,
        } | changes
        return {name: value for name, value in said.items() if value is not None}

    async def hand(self, *keys: HandedKey, **changes: Any) -> Reply:
        """POST ext_keys."""
        reply = await self.ask(EXT_KEYS, self.container(*keys, **changes))
        if reply.status not in (400, 401):
            self._handed |= dict.fromkeys(key.id for key in keys)
        return reply

    async def handed(self) -> HandedKey:
        """A key that got through; NotApplicable when none does, which check B1.ack says."""
        if not self.relays:
            raise NotApplicable("no key gets through (see B1.ack)")
        key, since = self.fresh(), len(self.listener.heard)
        status = await self.outcome(await self.hand(key), key, since)
        if status != RELAYED:
            raise NotApplicable(f"the key did not get through: {status} (see B1.ack)")
        return key

    async def void(self, ids: list[str], **changes: Any) -> Reply:
        """POST void."""
        said = {
            "key_ids": ids,
            "initiator_sae_id": self.options.initiator,
            "target_sae_ids": [self.options.target],
            "ack_callback_url": self.callback,
        } | changes
        body = {name: value for name, value in said.items() if value is not None}
        return await self.ask(VOID, body)

    async def outcome(self, reply: Reply, key: HandedKey, since: int, *, limit_s: float | None = None) -> str:
        """What is said of a key: at once (200), by callback (202), or 'status N' of a refusal.

        'nothing' when no acknowledgement comes in time. `since`: requests heard before the question.
        """
        if reply.status == 200:
            acks, flaws = acks_of(reply.json())
            self.flaws["acks"] += flaws
            found = [ack for ack in acks if ack.key_id == key.id]
            return found[0].status if found else "nothing"
        if reply.status != 202:
            return f"status {reply.status}"
        ack = await self.acked(key, since, limit_s)
        return "nothing" if ack is None else ack.status

    async def acked(self, key: HandedKey, since: int, limit_s: float | None = None) -> Ack | None:
        """The acknowledgement of a key by callback; None when none comes in time."""

        def about(heard: Heard) -> bool:
            return any(ack.key_id == key.id for ack in heard.acks)

        heard = await self.listener.wait(
            about, self.options.patience_s if limit_s is None else limit_s, since
        )
        return None if heard is None else next(ack for ack in heard.acks if ack.key_id == key.id)

    def _heed(self, where: str, reply: Reply) -> None:
        self.counts[str(reply.status)] += 1
        if reply.status in (400, 408, 503) or (reply.status == 401 and reply.body):
            flaw = flaw_of_problem(reply)
            if flaw:
                self.flaws["problem"].append(f"{where}: {reply.status}: {flaw}")
        if reply.body and reply.media_type not in ("application/json", "application/problem+json"):
            self.flaws["type"].append(f"{where}: {reply.status}: {reply.media_type[:60]!r}")
