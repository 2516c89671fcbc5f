"""Files as a sink: one JSON file a secret (`sinks.Document`), mode 0600, changed by rename alone.

    {directory}/{path}             the active key
    {directory}/{path}.pending     the pending one; renaming it is what makes it active
    {directory}/{path}.pending.new while that is written; what a crash left there the next writing removes

Rule of this file: a file is whole or not there: written beside its place, forced to the disk, renamed, and
the directory forced too.
"""

import asyncio
import os
from pathlib import Path

import msgspec

from keyweave_agents.bridge.settings import FilesSettings, SecretSettings
from keyweave_agents.bridge.sinks import Active, Document, Held, NothingStaged, document_of, held_of
from keyweave_core.errors import Unavailable

_MOST_BYTES = 256 * 1024


class FileSink:
    """See `sinks.Sink`."""

    def __init__(self, settings: FilesSettings) -> None:
        self._directory = settings.directory

    async def pending(self, secret: SecretSettings) -> Held | None:
        """The pending key."""
        document = await asyncio.to_thread(self._read, self._pending(secret))
        return None if document is None else held_of(document)

    async def stage(self, secret: SecretSettings, held: Held) -> None:
        """Write the pending file; its version is the next one."""
        active = await self.active(secret)
        version = 1 if active is None else active.version + 1
        await asyncio.to_thread(self._write, self._pending(secret), document_of(held, version))

    async def active(self, secret: SecretSettings) -> Active | None:
        """What the file says."""
        document = await asyncio.to_thread(self._read, self._active(secret))
        if document is None:
            return None
        return Active(event_id=document.event_id, key_id=document.key_id, version=document.version)

    async def activate(self, secret: SecretSettings, event_id: str, key_id: str) -> int:
        """Rename the pending file."""
        active = await self.active(secret)
        if active is not None and (active.event_id, active.key_id) == (event_id, key_id):
            return active.version
        document = await asyncio.to_thread(self._read, self._pending(secret))
        if document is None or (document.event_id, document.key_id) != (event_id, key_id):
            raise NothingStaged(f"{self._pending(secret)} does not hold the key of {event_id}")
        await asyncio.to_thread(self._rename, self._pending(secret), self._active(secret))
        return document.version

    async def close(self) -> None:
        """Nothing is open."""

    def _active(self, secret: SecretSettings) -> Path:
        return self._directory / secret.path

    def _pending(self, secret: SecretSettings) -> Path:
        path = self._active(secret)
        return path.with_name(path.name + ".pending")

    def _read(self, path: Path) -> Document | None:
        try:
            with path.open("rb") as file:
                text = file.read(_MOST_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(f"{path}: cannot read: {error.strerror or error}") from error
        try:
            return msgspec.json.decode(text, type=Document)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None  # not ours; it is replaced when a key becomes active

    def _write(self, path: Path, document: Document) -> None:
        # One name, whoever writes: a crash here leaves a key in clear, which must not stay for good.
        beside = path.with_name(f"{path.name}.new")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside.unlink(missing_ok=True)
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, 0o600)
                file.write(msgspec.json.encode(document) + b"\n")
                file.flush()
                os.fsync(descriptor)
        except OSError as error:
            raise Unavailable(f"{path}: cannot write: {error.strerror or error}") from error
        self._rename(beside, path)

    def _rename(self, source: Path, target: Path) -> None:
        try:
            source.replace(target)
            folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise Unavailable(f"{target}: cannot rename: {error.strerror or error}") from error
