"""What the checks of 014 stand on: the two applications, their key managers, and what the run has seen.

Rule of this file: it knows how to ask, not what is right. Every answer of the run passes `_heed`, which notes
what checks at the end judge for all of them together.
"""

import asyncio
import secrets
import ssl
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import msgspec

from keyweave_core.runtime.clock import Clock
from keyweave_lab.conform.check import Failed, NotApplicable
from keyweave_lab.conform.etsi014.form import (
    NOT_FOUND,
    Container,
    Key,
    container_of,
    flaw_of_error,
    is_uuid,
    message_of,
    told,
)
from keyweave_lab.conform.etsi014.lines import Lines, Options, Sae
from keyweave_lab.conform.https import Reply

_RETRY_S = 0.2


@dataclass(slots=True)
class Bench:
    """One pair of applications and their key managers under test."""

    options: Options
    clock: Clock
    status: dict[str, Any] = field(default_factory=dict)  # of the pair, as the master's key manager tells it
    facts: dict[str, Any] = field(default_factory=dict)
    lines: Lines = field(init=False)
    flaws: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    made: dict[str, bytes] = field(default_factory=dict)  # digest by id (lower case) of all keys of enc_keys
    _digests: set[bytes] = field(default_factory=set)
    _salt: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def __post_init__(self) -> None:
        self.lines = Lines(self.options, self.clock)

    async def learn(self) -> None:
        """Reach both key managers once. Raises PeerUnreachable, Failed (TLS) or SettingsError (files)."""
        for what, sae in (("master", self.options.master), ("slave", self.options.slave)):
            line = await self.lines.open(sae)
            try:
                tls = line.tls
                self.facts[what] = {
                    "sae": sae.id,
                    "tls": tls.version(),
                    "cipher": (tls.cipher() or ("",))[0],
                    "certificate": _names(tls.getpeercert() or {}),
                }
            finally:
                await line.close()
        try:
            reply = await self.ask(self.options.master, self.status_path(self.options.slave.id))
            self.facts["server"] = reply.header("server")
            if reply.status == 200:
                self.status = reply.object()
        except Failed:
            self.status = {}  # checks of group B say what is wrong with it
        self.facts["status"] = {name: value for name, value in self.status.items() if _plain(value)}

    def lacks(self, need: str) -> str | None:
        """Why a need is not met: 'third', 'foreign'; None when it is."""
        options = {"third": "--third-sae with its certificate", "foreign": "--foreign-cert"}
        return None if getattr(self.options, need) is not None else f"{options[need]} is not given"

    def figure(self, name: str) -> int:
        """A number of the status; NotApplicable when it is not told."""
        value = self.status.get(name)
        if type(value) is not int or value < 0:
            raise NotApplicable(f"status tells no usable {name}")
        return value

    # Paths. They always name the other application.

    def path(self, other: str, method: str) -> str:
        """`/api/v1/keys/{other}/{method}` with the id URL-encoded."""
        return f"/api/v1/keys/{quote(other, safe='')}/{method}"

    def status_path(self, other: str) -> str:
        """The path of Get status."""
        return self.path(other, "status")

    # Asking.

    async def ask(
        self,
        sae: Sae,
        path: str,
        body: Any = None,
        *,
        method: str | None = None,
        context: ssl.SSLContext | None = None,
    ) -> Reply:
        """One exchange: GET, or POST of `body` as JSON (bytes go as they are).

        With a `context` on a connection of its own, and passed over by the checks of all answers: who shows
        another certificate may be answered by something in front of the key manager.
        """
        headers, content = {}, b""
        if body is not None:
            content = body if isinstance(body, bytes) else msgspec.json.encode(body)
            headers = {"content-type": "application/json"}
        verb = method or ("GET" if body is None else "POST")
        target = sae.place.prefix + path
        reply = await self.lines.ask(sae, verb, target, content, headers, context)
        if context is None:
            self._heed(f"{verb} {path.rpartition('/')[2].partition('?')[0]}", reply)
        return reply

    async def try_keys(self, body: Any = None, *, query: str = "") -> Reply:
        """enc_keys of the master for the slave; asked again while 503 says that there is no key now."""
        master, path = self.options.master, self.path(self.options.slave.id, "enc_keys") + query
        waited = 0.0
        while True:
            reply = await self.ask(master, path, body)
            if reply.status != 503 or waited >= self.options.patience_s:
                return reply
            await self.clock.sleep(_RETRY_S)
            waited += _RETRY_S

    async def keys(self, body: Any = None, *, query: str = "") -> tuple[Key, ...]:
        """The keys of `try_keys`; Failed for any other answer than 200."""
        return self.taken(await self.try_keys(body, query=query))

    def taken(self, reply: Reply) -> tuple[Key, ...]:
        """Read and remember the keys of an answer of enc_keys."""
        if reply.status != 200:
            raise Failed(f"enc_keys: {told(reply)}")
        found = self._read(reply)
        for key in found.keys:
            ident = key.id.casefold()
            if ident in self.made:
                self.flaws["repeated id"].append(f"{_shown(key.id)} was delivered before")
            elif key.digest in self._digests:
                self.flaws["repeated key"].append(f"the key of {_shown(key.id)} was delivered before")
            self.made[ident] = key.digest
            self._digests.add(key.digest)
        return found.keys

    async def try_fetch(
        self, ids: tuple[str, ...], *, sae: Sae | None = None, master: str | None = None, get: bool = False
    ) -> Reply:
        """dec_keys of the slave (or of `sae`) for keys of the master, once."""
        path = self.path(self.options.master.id if master is None else master, "dec_keys")
        who = sae or self.options.slave
        if get:
            return await self.ask(who, f"{path}?key_ID={quote(ids[0], safe='')}")
        return await self.ask(who, path, {"key_IDs": [{"key_ID": ident} for ident in ids]})

    async def fetch(
        self, ids: tuple[str, ...], *, sae: Sae | None = None, get: bool = False
    ) -> dict[str, bytes]:
        """Digests by id of `try_fetch`, asked again while keys may be on their way; Failed without 200."""
        waited = 0.0
        while True:
            reply = await self.try_fetch(ids, sae=sae, get=get)
            on_its_way = reply.status == 503 or message_of(reply) == NOT_FOUND
            if not on_its_way or waited >= self.options.patience_s:
                break
            await self.clock.sleep(_RETRY_S)
            waited += _RETRY_S
        if reply.status != 200:
            raise Failed(f"dec_keys: {told(reply)}")
        return self.fetched(reply)

    def fetched(self, reply: Reply) -> dict[str, bytes]:
        """Digests by id (lower case) of an answer of dec_keys."""
        return self._read(reply).by_id

    async def together(self, *work: Any) -> list[Any]:
        """Results of several exchanges at once; the first failure is raised after all have ended."""
        done = await asyncio.gather(*work, return_exceptions=True)
        for one in done:
            if isinstance(one, BaseException):
                raise one
        return list(done)

    def unknown_id(self) -> str:
        """An id that no key has."""
        return str(uuid.uuid4())

    def _read(self, reply: Reply) -> Container:
        found = container_of(reply, self._salt)
        self.counts["keys"] += len(found.keys)
        for kind, text in found.flaws:
            self.flaws[kind].append(text)
        return found

    def _heed(self, where: str, reply: Reply) -> None:
        self.counts[str(reply.status)] += 1
        if reply.version != "1.1":
            self.flaws["version"].append(f"{where}: HTTP/{reply.version}")
        if reply.status == 200:
            if reply.media_type != "application/json":
                self.flaws["type"].append(f"{where}: content-type {reply.media_type[:60]!r}")
            if "no-store" not in reply.header("cache-control").casefold() and "enc" in where:
                self.flaws["cache"].append(f"{where}: Cache-Control {reply.header('cache-control')[:60]!r}")
        elif reply.status == 401:
            if reply.body:
                self.flaws["401"].append(f"{where}: 401 with a body of {len(reply.body)} bytes")
        elif reply.status in (400, 503):
            flaw = flaw_of_error(reply)
            if flaw:
                self.flaws["error"].append(f"{where}: {reply.status}: {flaw}")
            elif reply.media_type != "application/json":
                self.flaws["type"].append(f"{where}: {reply.status}: content-type {reply.media_type[:60]!r}")


def _shown(ident: str) -> str:
    return ident if is_uuid(ident) else f"a key_ID of {len(ident)} characters"


def _plain(value: Any) -> bool:
    return isinstance(value, (int, float)) or (isinstance(value, str) and len(value) <= 200)


def _names(certificate: dict[str, Any]) -> list[str]:
    return [f"{kind}:{value}"[:200] for kind, value in certificate.get("subjectAltName", ())][:20]
