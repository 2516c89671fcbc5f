"""The audit record: who got which keys when, one JSON line each, appended and never changed.

    {"time": "2026-11-21T12:00:00.000Z", "api": "014", "method": "enc_keys", "caller": "alice",
     "master": "alice", "slaves": ["bob"], "keys": 3, "size_bits": 256, "status": 200}

A line never has an id of a key, nor its bytes. `keys` and `size_bits` are what was handed over (0 when
nothing was, or of several sizes), `origin` stands there when they are no pure QKD keys; `status` is the HTTP
status, 499 when the client had gone: its keys were drawn and are lost.

Durability: the line is with the operating system before the answer leaves, so it outlives the program however
that ends; it is on the disk within `sync_s`, so a loss of power takes the lines of that time at most. Where a
line cannot be written nothing is handed over (AuditFailed), and no key is drawn until writing works again.

Rule of this file: lines are collected and written once for all that one turn of the loop answers. Files are
`delivery.jsonl` and, rotated at `file_bytes`, `delivery.1.jsonl` (newest) and so on, `files` of them.
"""

import asyncio
import errno
import os
from pathlib import Path
from typing import NamedTuple

import msgspec

from keyweave_agents.service.settings import AuditSettings
from keyweave_core.errors import SettingsError, Unavailable
from keyweave_core.runtime.clock import Clock, date_and_time
from keyweave_core.runtime.log import get_logger

NAME = "delivery.jsonl"

_MOST_KNOWN = 4096
_TRIED_BYTES = 64 * 1024
"""Room for the lines of a busy turn: keys are drawn before their lines are written."""

CLIENT_GONE = 499
"""Status in records and log lines of who did not wait for the answer."""


class AuditFailed(Unavailable):
    """The audit record cannot be written (disk full, broken): nothing is handed over meanwhile."""


class Delivery(NamedTuple):
    """One request for keys and what became of it; see the file head."""

    api: str
    method: str
    caller: str
    master: str
    slaves: tuple[str, ...]
    keys: int
    size_bits: int
    status: int
    origin: str = "qkd"


class AuditLog:
    """The file; it stays open until `close`."""

    def __init__(self, directory: Path, settings: AuditSettings, clock: Clock) -> None:
        """Raises SettingsError when the file cannot be opened."""
        self._path = directory / NAME
        self._settings = settings
        self._clock = clock
        self._log = get_logger("audit")
        self._lines: list[str] = []
        self._known: dict[Delivery, str] = {}
        self._encoder = msgspec.json.Encoder()
        self._timer: asyncio.TimerHandle | None = None
        self._failure: str | None = None
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = self._open()
        except OSError as error:
            raise SettingsError(f"{self._path}: cannot write the audit record: {error.strerror}") from error

    def _open(self) -> int:
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(file).st_size
        return file

    @property
    def broken(self) -> bool:
        """Whether the last attempt to write failed."""
        return self._failure is not None

    def note(self, delivery: Delivery) -> None:
        """Remember a line for the next `flush`, which gives it its time."""
        line = self._known.get(delivery)
        if line is None:  # most lines of an hour differ in their time alone
            fields = delivery._asdict()
            if delivery.origin == "qkd":
                del fields["origin"]
            line = self._encoder.encode(fields)[1:].decode()
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[delivery] = line
        self._lines.append(line)

    def check(self) -> None:
        """Before keys are drawn: AuditFailed when lines cannot be written now."""
        if self._failure is not None:
            self.flush()

    def flush(self) -> None:
        """Write what was noted. AuditFailed: nothing of it counts as written, and it is forgotten."""
        lines, self._lines = self._lines, []
        content = self._timed(lines)
        if not content and self._failure is None:
            return
        try:
            if self._failure is not None:
                self._reopen()  # what is wrong may be the file: moved, or on a volume that came back
            elif self._size + len(content) > self._settings.file_bytes and self._size:
                self._rotate()
            if content:
                self._write(content)
            else:
                self._try_out()
        except OSError as error:
            reason = error.strerror or str(error)
            if self._failure is None:
                self._log.error("audit_failed", reason=reason, file=str(self._path))
            self._failure = reason
            raise AuditFailed(f"the audit record cannot be written: {reason}") from error
        if self._failure is not None:
            self._failure = None
            self._log.info("audit_works_again", file=str(self._path))
        self._sync_later()

    def _timed(self, lines: list[str]) -> bytes:
        if not lines:
            return b""
        head = f'{{"time":"{date_and_time(self._clock.now())}",'
        between = f"\n{head}"
        return f"{head}{between.join(lines)}\n".encode()

    def _write(self, content: bytes) -> None:
        written = os.write(self._file, content)
        if written < len(content):
            # Whole lines or none: what a full disk took of them is taken back.
            os.ftruncate(self._file, self._size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size += written

    def _try_out(self) -> None:
        """Is there room again, and more than a full disk left of the last block? Nothing of it stays."""
        self._write(b"\n" * _TRIED_BYTES)
        os.ftruncate(self._file, self._size - _TRIED_BYTES)
        self._size -= _TRIED_BYTES

    def _rotate(self) -> None:
        os.fdatasync(self._file)
        for number in range(self._settings.files - 1, 0, -1):
            older = self._path.with_name(f"delivery.{number}.jsonl")
            newer = self._path.with_name(f"delivery.{number - 1}.jsonl") if number > 1 else self._path
            if newer.exists():
                newer.replace(older)
        self._reopen()

    def _reopen(self) -> None:
        old, self._file = self._file, self._open()
        os.close(old)

    def _sync_later(self) -> None:
        if self._settings.sync_s == 0:
            os.fdatasync(self._file)
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._settings.sync_s, self._sync)

    def _sync(self) -> None:
        """Force it to the disk, in a thread: nobody waits for it."""
        self._timer = None
        file = os.dup(self._file)
        asyncio.get_running_loop().run_in_executor(None, _sync_and_close, file).add_done_callback(
            self._synced
        )

    def _synced(self, done: "asyncio.Future[None]") -> None:
        if not done.cancelled() and done.exception() is not None:
            self._failure = str(done.exception())
            self._log.error("audit_failed", reason=self._failure, file=str(self._path))

    def close(self) -> None:
        """Write and force out what is left. Idempotent."""
        if self._file < 0:
            return
        if self._timer is not None:
            self._timer.cancel()
        try:
            if self._lines:
                self._write(self._timed(self._lines))
            os.fdatasync(self._file)
        except OSError as error:
            self._log.error("audit_failed", reason=error.strerror, file=str(self._path))
        os.close(self._file)
        self._file = -1


def _sync_and_close(file: int) -> None:
    try:
        os.fdatasync(file)
    finally:
        os.close(file)
