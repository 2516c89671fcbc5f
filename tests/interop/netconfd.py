"""netconfd (yuma123, from Debian) as an agent of somebody else, serving the modules of ETSI GS QKD 015.

Rule of this file: what netconfd needs and leaves lies in one temporary folder, but for the id of its last
transaction, for which it knows no place besides `~/.yuma`. There is no sshd: an SSH server of asyncssh
bridges the subsystem `netconf` to netconfd's own `netconf-subsystem` program, one process a session.
"""

import asyncio
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import asyncssh

from keyweave_yang.sources import find_source, search_path

YUMA_MODULES = Path("/usr/share/yuma/modules")
MODULES = ("etsi-qkd-node-types", "etsi-qkd-sdn-node")
PREFIX = "etsi-qkdn-types:"
USER = "tester"
START_S = 20.0

Target = Literal["running", "candidate"]


def why_not() -> str:
    """Why netconfd cannot be used on this machine; "" when it can."""
    programs = [name for name in ("netconfd", "netconf-subsystem") if _program(name) is None]
    if programs:
        return f"{' and '.join(programs)} not installed (make test-deps)"
    return "" if YUMA_MODULES.is_dir() else f"{YUMA_MODULES} is missing (Debian package libyuma-base)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Netconfd:
    """A running netconfd: where it is, how to get in, and what it says of itself."""

    port: int
    host_key: asyncssh.SSHKey
    pid: int
    log: Path


@asynccontextmanager
async def netconfd(
    target: Target, users: Sequence[asyncssh.SSHKey], *, password: str = "", identities: str = PREFIX
) -> AsyncIterator[Netconfd]:
    """Start netconfd with the ETSI modules and an empty datastore; stopped and swept away at the end.

    `target` is what it lets clients edit: its running, or a candidate only. The user `tester` logs in with
    one of the keys `users`, or with `password` unless that is empty. `identities` is how the three `when`
    conditions of the module name an identity: PREFIX is the form that netconfd finds true, "" the published
    one. RuntimeError with its log when it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="netconfd-") as name:
        folder = Path(name)
        _write_modules(folder / "modules", identities)
        process = _start(folder, target)
        try:
            await _listens(process, folder)
            host_key = asyncssh.generate_private_key("ssh-ed25519")
            async with _bridge(folder / "socket", host_key, users, password) as port:
                yield Netconfd(
                    port=port,
                    host_key=host_key.convert_to_public(),
                    pid=process.pid,
                    log=folder / "netconfd.log",
                )
        finally:
            process.terminate()
            try:
                await asyncio.to_thread(process.wait, 5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def _write_modules(folder: Path, identities: str) -> None:
    """The ETSI modules, without `mandatory true` on the id of the node.

    netconfd refuses to load a module whose mandatory nodes it cannot make up by itself when it starts empty.
    In XPath it compares an identity with the prefix of the module that defines it, and it silently takes away
    what a false `when` excludes.
    """
    folder.mkdir()
    for name in MODULES:
        source = find_source(name, search_path())
        text, _ = re.subn(r"(leaf qkdn_id \{\s*type yang:uuid;)\s*mandatory true;", r"\1", source.text)
        text = text.replace("'etsi-qkd-node-types:", f"'{identities}")
        (folder / f"{name}@{source.revision}.yang").write_text(text, encoding="utf-8")


def _start(folder: Path, target: Target) -> subprocess.Popen[bytes]:
    # It writes the file it started from at each change, by default one in the user's home.
    (folder / "startup-cfg.xml").write_text('<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"/>')
    return subprocess.Popen(
        [
            _program("netconfd") or "netconfd",
            f"--startup={folder / 'startup-cfg.xml'}",
            f"--target={target}",
            f"--module={MODULES[1]}",
            f"--modpath={folder / 'modules'}:{YUMA_MODULES}",
            f"--ncxserver-sockname={folder / 'socket'}",
            f"--superuser={USER}",
            "--access-control=off",
            f"--log={folder / 'netconfd.log'}",
            "--max-sessions=1024",
        ],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


async def _listens(process: subprocess.Popen[bytes], folder: Path) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + START_S
    while not (folder / "socket").exists():
        if process.poll() is not None or loop.time() > deadline:
            log = folder / "netconfd.log"
            said = log.read_text(errors="replace")[-2000:] if log.exists() else "nothing"
            raise RuntimeError(f"netconfd does not listen; it said: {said}")
        await asyncio.sleep(0.02)


@asynccontextmanager
async def _bridge(
    path: Path, host_key: asyncssh.SSHKey, users: Sequence[asyncssh.SSHKey], password: str
) -> AsyncIterator[int]:
    """An SSH server on a free port of the loopback whose subsystem `netconf` is netconfd's."""
    keys = frozenset(key.public_data for key in users)
    connections: set[asyncssh.SSHServerConnection] = set()
    server = await asyncssh.create_server(
        lambda: _Login(path, keys, password, connections),
        "127.0.0.1",
        0,
        config=None,
        server_host_keys=[host_key],
        gss_host=None,
        kbdint_auth=False,
        agent_forwarding=False,
    )
    try:
        yield server.get_port()
    finally:
        server.close()
        for connection in list(connections):
            connection.abort()
        await asyncio.gather(*(each.wait_closed() for each in list(connections)), return_exceptions=True)
        await server.wait_closed()


class _Login(asyncssh.SSHServer):
    def __init__(
        self,
        path: Path,
        keys: frozenset[bytes],
        password: str,
        connections: set[asyncssh.SSHServerConnection],
    ) -> None:
        self._path = path
        self._keys = keys
        self._password = password
        self._connections = connections
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._connections.discard(self._connection)

    def public_key_auth_supported(self) -> bool:
        return bool(self._keys)

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == USER and key.public_data in self._keys

    def password_auth_supported(self) -> bool:
        return bool(self._password)

    def validate_password(self, username: str, password: str) -> bool:
        return username == USER and bool(self._password) and password == self._password

    def session_requested(
        self,
    ) -> "tuple[asyncssh.SSHServerChannel[bytes], asyncssh.SSHServerSession[bytes]]":
        assert self._connection is not None
        return self._connection.create_server_channel(encoding=None), _Channel(self._path)


class _Subsystem(asyncio.Protocol):
    """The end of the socket pair whose other end is stdin and stdout of `netconf-subsystem`."""

    def __init__(self, channel: "asyncssh.SSHServerChannel[bytes]") -> None:
        self._channel = channel

    def data_received(self, data: bytes) -> None:
        self._channel.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._channel.is_closing():
            self._channel.write_eof()
            self._channel.exit(0)


class _Channel(asyncssh.SSHServerSession[bytes]):
    """One channel of a client and the process behind it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: asyncio.Transport | None = None
        self._early: list[bytes] = []
        self._opening: asyncio.Task[None] | None = None

    def connection_made(self, chan: "asyncssh.SSHServerChannel[bytes]") -> None:
        self._channel = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == "netconf"

    def session_started(self) -> None:
        assert self._channel is not None
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [
                    _program("netconf-subsystem") or "netconf-subsystem",
                    f"--ncxserver-sockname=830@{self._path}",
                ],
                env={"USER": USER, "SSH_CONNECTION": "127.0.0.1 1024 127.0.0.1 830"},
                stdin=theirs,
                stdout=theirs,
                stderr=subprocess.DEVNULL,
            )
        self._opening = asyncio.ensure_future(self._open(ours, self._channel))

    async def _open(self, ours: socket.socket, channel: "asyncssh.SSHServerChannel[bytes]") -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(lambda: _Subsystem(channel), sock=ours)
        self._socket = cast("asyncio.Transport", transport)
        if channel.is_closing():
            self._socket.close()
        for data in self._early:
            self._socket.write(data)

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        if self._socket is None:
            self._early.append(data)
        else:
            self._socket.write(data)

    def eof_received(self) -> bool:
        if self._socket is not None:
            self._socket.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
