"""The configuration that controllers wrote, kept on disk: a restarted agent still knows its paths.

Rule of this file: configuration only, never a key byte. A write replaces the whole file or nothing (written
beside it, forced to disk, renamed); what cannot be read back is reported, never half used.
"""

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from keyweave_core.errors import MalformedMessage, Unavailable
from keyweave_core.model.ids import AppId

_FORMAT = 1
_TEMPORARY = "running-"  # how names of files begin that are still being written


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What is kept: the configuration as XML text, and when each application was first configured.

    `version` and `location_id` are what the node itself said when this was written: where the configuration
    says the same, nobody wrote it, and what the node says today takes its place.
    """

    configuration: str
    created: Mapping[AppId, str]  # yang:date-and-time
    version: str | None = None
    location_id: str = ""
    format: int = _FORMAT


class SavedConfiguration:
    """The file `running.json` in an agent's state directory."""

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / "running.json"

    def load(self) -> Saved | None:
        """What was saved last; None when nothing ever was. For the start of a program.

        What a program that was killed left half written is removed. Raises MalformedMessage naming the file
        when it cannot be read or is not what `save` writes.
        """
        for leftover in self.path.parent.glob(f"{_TEMPORARY}*"):
            with suppress(OSError):
                leftover.unlink()
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise MalformedMessage(f"{self.path}: cannot read: {error.strerror}") from error
        try:
            saved = msgspec.json.decode(content, type=Saved)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MalformedMessage(f"{self.path}: {error}") from error
        if saved.format != _FORMAT:
            raise MalformedMessage(f"{self.path}: format {saved.format}, this program writes {_FORMAT}")
        return saved

    def save(self, saved: Saved) -> None:
        """Write `saved` so that it is on disk when this returns. Blocks for the time of the disk.

        Raises Unavailable naming the file when the disk does not take it; the old content then stays.
        """
        folder = self.path.parent
        temporary = ""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=folder, prefix=_TEMPORARY, delete=False) as file:
                temporary = file.name
                file.write(msgspec.json.encode(saved))
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self.path)
            _force(folder)
        except OSError as error:
            if temporary:
                Path(temporary).unlink(missing_ok=True)
            raise Unavailable(f"{self.path}: cannot write: {error.strerror}") from error

    def forget(self) -> None:
        """Remove what was saved; it is gone from the disk when this returns. Raises Unavailable."""
        try:
            self.path.unlink(missing_ok=True)
            if self.path.parent.is_dir():
                _force(self.path.parent)
        except OSError as error:
            raise Unavailable(f"{self.path}: cannot remove: {error.strerror}") from error


def _force(folder: Path) -> None:
    """The rename itself lives in the folder, so that must reach the disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
