"""What checks stand on: a server's address, what it announced, and sessions with it.

Rule of this file: it knows how to reach the server and what it can do, not what is right.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import asyncssh

from keyweave_core.errors import KeyweaveError
from keyweave_core.runtime.clock import Clock
from keyweave_lab.conform.check import Failed
from keyweave_lab.conform.subject import Subject, choose
from keyweave_lab.conform.talk import Talk
from keyweave_lab.conform.wire import Login, open_wire
from keyweave_lab.conform.xml import HELLO, LIBRARY, PROBE, Answer, Fault, local, text_of

# How long the first rpc of a run may take, and how often servers that lose it are asked again.
_START_S = 2.0
_WARM_UP_S = 0.3
_OPTIONS = {
    "other": "--other-user",
    "hello_timeout_s": "--hello-timeout",
    "message_limit_bytes": "--message-limit",
    "session_limit": "--session-limit",
}
CAPABILITY = "urn:ietf:params:netconf:capability:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the caller decides. Times in seconds; None: the checks that need it are not applicable."""

    login: Login
    other: Login | None = None  # a user without rights of an administrator
    message_limit_s: float = 8.0  # one message
    check_limit_s: float = 60.0  # one check
    patience_s: float = 6.0  # what a server may take to do what need not be done at once
    bulk: int = 5000  # list entries of the checks of large data
    hello_timeout_s: float | None = None  # after which the server drops who says nothing
    message_limit_bytes: int | None = None  # above which the server refuses a message
    session_limit: int | None = None  # sessions the server grants
    subject: Subject | None = None  # instead of what the modules offer


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One module as hello or library tell it."""

    name: str
    revision: str
    namespace: str
    implemented: bool = True
    features: frozenset[str] = frozenset()


@dataclass(slots=True)
class Bench:
    """One server under test."""

    options: Options
    clock: Clock
    capabilities: tuple[str, ...] = ()
    in_hello: dict[str, Module] = field(default_factory=dict)
    modules: dict[str, Module] = field(default_factory=dict)  # hello and library together
    subject: Subject | None = None
    faults: list[Fault] = field(default_factory=list)  # every rpc-error seen in the whole run
    started: str = ""  # netconf-start-time when the run began, '' where not told
    facts: dict[str, Any] = field(default_factory=dict)
    texts: dict[tuple[str, str], str] = field(default_factory=dict)  # schemas by name and revision
    loses_first: bool = False  # an rpc right after the hello may be lost
    dirty: bool = False  # an edit may not have been undone
    original: Any = None  # see `editor`
    _steady: Talk | None = None

    async def learn(self) -> None:
        """Read hello and library; raises PeerUnreachable, DeadlineExceeded or Failed when that fails."""
        await self._try_start()
        async with self.session() as talk:
            self.capabilities = talk.capabilities
            self.in_hello = {m.name: m for m in map(_announced, talk.capabilities) if m is not None}
            self.modules = dict(self.in_hello)
            if "ietf-yang-library" in self.modules or self.capability("yang-library"):
                self.modules = await _from_library(talk) | self.modules
            self.facts = {
                "session_id": talk.session_id,
                "capabilities": list(talk.capabilities),
                "modules": sorted(f"{m.name}@{m.revision}" for m in self.modules.values()),
                "ssh": _ssh_facts(talk.wire.ssh),
            }
            if "ietf-netconf-monitoring" in self.modules:
                self.started = await start_time(talk)
        self.subject = self.options.subject or choose(self.modules)
        self.facts["subject"] = self.subject.name if self.subject else None

    def capability(self, name: str) -> str | None:
        """The URI of a capability by its short name ('candidate', 'validate:1.1', 'base:1.1')."""
        if name.startswith("base:"):
            return next((uri for uri in self.capabilities if uri == f"urn:ietf:params:netconf:{name}"), None)
        start = CAPABILITY + name
        for uri in self.capabilities:
            rest = uri.removeprefix(start)
            if rest != uri and rest[:1] in ("", ":", "?"):
                return uri
        return None

    def lacks(self, need: str) -> str | None:
        """Why a need is not met: capabilities by short name, 'module:NAME', 'subject', 'subject:FIELD',
        'option:FIELD'; None when it is met. '!' in front turns a need round, '|' between them means any."""
        if need.startswith("!"):
            return None if self.lacks(need[1:]) else f"{need[1:]} is announced"
        if "|" in need:
            reasons = [self.lacks(one) for one in need.split("|")]
            return None if None in reasons else "; ".join(reason for reason in reasons if reason)
        kind, _, name = need.partition(":")
        if kind == "module":
            return None if name in self.modules else f"module {name} is not announced"
        if kind == "subject":
            if self.subject is None:
                return "nothing that may be edited is known of this server (see --module, --edit-file)"
            if self.target is None:
                return "neither candidate nor writable-running is announced"
            return None if not name or getattr(self.subject, name) else f"{self.subject.name} has no {name}"
        if kind == "option":
            given = getattr(self.options, name)
            return None if given is not None else f"option {_OPTIONS[name]} is not given"
        return None if self.capability(need) else f"capability {need} is not announced"

    @property
    def target(self) -> str | None:
        """The datastore to edit: the candidate where there is one."""
        if self.capability("candidate"):
            return "candidate"
        return "running" if self.capability("writable-running") else None

    @asynccontextmanager
    async def session(self, hello: bytes | None = HELLO, login: Login | None = None) -> AsyncIterator[Talk]:
        """A session of its own; `hello` None leaves the client's hello unsaid."""
        talk = await self.open(hello, login)
        try:
            yield talk
        finally:
            await talk.close()

    async def steady(self) -> Talk:
        """A session that checks share as long as none of them fails on it."""
        if self._steady is None or self._steady.wire.over:
            await self.drop_steady()
            self._steady = await self.open()
        return self._steady

    async def drop_steady(self) -> None:
        """Forget the shared session, because nobody knows what it still brings."""
        talk, self._steady = self._steady, None
        if talk is not None:
            await talk.close()

    async def ask(self, operation: str) -> Answer:
        """One operation on the shared session."""
        return await (await self.steady()).ask(operation)

    async def pause(self, duration_s: float) -> None:
        """Let time pass."""
        await self.clock.sleep(duration_s)

    async def eventually(self, look: Any, what: str, extra_s: float = 0.0) -> None:
        """Ask again until `look()` (a coroutine function) is true; Failed after the server's time and
        `extra_s` more."""
        within_s = self.options.patience_s + extra_s
        waited = 0.0
        while not await look():
            if waited >= within_s:
                raise Failed(f"{what} (waited {within_s:g} s)")
            await self.clock.sleep(0.1)
            waited += 0.1

    async def _try_start(self) -> None:
        """Find out whether an rpc may follow the hello at once; check A14 judges, the others get by."""
        async with self.session() as talk:
            try:
                await talk.ask(PROBE, _START_S)
            except Failed:
                self.loses_first = True

    async def open(self, hello: bytes | None = HELLO, login: Login | None = None) -> Talk:
        """A session that the caller closes; see `session`."""
        wire = await open_wire(login or self.options.login, self.clock)
        talk = Talk(wire, self.options.message_limit_s, self.faults.append)
        try:
            await talk.greet()
            if hello is not None:
                talk.send_hello(hello)
                if self.loses_first:
                    await talk.warm_up(_WARM_UP_S)
        except (KeyweaveError, asyncio.CancelledError):
            await talk.close()
            raise
        return talk


async def start_time(talk: Talk) -> str:
    """netconf-start-time of the statistics, '' where it is not told."""
    wanted = (
        f'<netconf-state xmlns="{_MONITORING}"><statistics><netconf-start-time/></statistics></netconf-state>'
    )
    answer = await talk.ask(f'<get><filter type="subtree">{wanted}</filter></get>')
    return "" if answer.faults else text_of(answer.data.find(f".//{{{_MONITORING}}}netconf-start-time"))


_MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"


def _announced(uri: str) -> Module | None:
    namespace, _, query = uri.partition("?")
    told = parse_qs(query.replace("&amp;", "&"))
    if "module" not in told:
        return None
    features = frozenset(told.get("features", [""])[0].split(",")) - {""}
    return Module(
        name=told["module"][0], revision=told.get("revision", [""])[0], namespace=namespace, features=features
    )


async def _from_library(talk: Talk) -> dict[str, Module]:
    """Modules of yang-library (RFC 8525), of modules-state (RFC 7895) where there is none."""
    for top in ("yang-library", "modules-state"):
        answer = await talk.ask(f'<get><filter type="subtree"><{top} xmlns="{LIBRARY}"/></filter></get>')
        if answer.faults:
            continue
        found: dict[str, Module] = {}
        for entry in answer.data.iter(f"{{{LIBRARY}}}module", f"{{{LIBRARY}}}import-only-module"):
            said = {local(child): text_of(child) for child in entry.iterchildren("*")}
            if "name" not in said or "namespace" not in said:
                continue
            imported = local(entry) != "module" or said.get("conformance-type") == "import"
            if imported and said["name"] in found:
                continue
            found[said["name"]] = Module(
                name=said["name"],
                revision=said.get("revision", ""),
                namespace=said["namespace"],
                implemented=not imported,
                features=frozenset(text_of(f) for f in entry.iterchildren(f"{{{LIBRARY}}}feature")),
            )
        if found:
            return found
    return {}


def _ssh_facts(ssh: asyncssh.SSHClientConnection) -> dict[str, str]:
    facts = {name: str(ssh.get_extra_info(name)) for name in ("server_version", "send_cipher", "send_mac")}
    with suppress(AttributeError):
        key = ssh.get_server_host_key()
        facts["host_key"] = key.get_algorithm() if key else ""
    return facts
