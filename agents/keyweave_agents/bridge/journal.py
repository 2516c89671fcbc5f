"""What a bridge remembers of its rotations: a small SQLite file, one row an event, never a byte of a key.

    master   ACCEPTED -> STAGED -> AGREED -> PEER_ACTIVE -> DONE
             back to ACCEPTED (with the next attempt) from all but DONE, when a key was lost on the way
    slave    FETCHING -> STAGED -> ACTIVE; FETCHING -> LOST; a higher attempt begins anew

Rule of this file: `put` returns when the row is on the disk, and nothing that follows from a row happens
before.
"""

import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from keyweave_core.errors import SettingsError, Unavailable


class Stage(StrEnum):
    """How far a rotation is; see the head of this file."""

    ACCEPTED = "accepted"
    STAGED = "staged"
    AGREED = "agreed"
    PEER_ACTIVE = "peer-active"
    DONE = "done"
    FETCHING = "fetching"
    LOST = "lost"
    ACTIVE = "active"


ENDED = (Stage.DONE, Stage.ACTIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """One event. `attempt` counts keys taken for it; `version` is the sink's, 0 until active.

    `reason` is what it waits for, or '' ; `began_s` and `changed_s` are seconds since 1970.
    """

    event_id: str
    secret: str
    stage: Stage
    attempt: int = 0
    key_id: str = ""
    version: int = 0
    reason: str = ""
    began_s: float = 0.0
    changed_s: float = 0.0


_TABLE = """
CREATE TABLE IF NOT EXISTS rotations (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  event_id TEXT NOT NULL UNIQUE,
  secret TEXT NOT NULL,
  stage TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  key_id TEXT NOT NULL,
  version INTEGER NOT NULL,
  reason TEXT NOT NULL,
  began_s REAL NOT NULL,
  changed_s REAL NOT NULL
)
"""
_COLUMNS = "event_id, secret, stage, attempt, key_id, version, reason, began_s, changed_s"
_SELECT = f"SELECT {_COLUMNS} FROM rotations"  # noqa: S608 - constants


class Journal:
    """The file. Raises SettingsError when it cannot be opened, or another bridge has it open."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._base = sqlite3.connect(path, isolation_level=None, timeout=1.0)
            path.chmod(0o600)
            # One process: the lock is kept, and a second bridge on the same file is told at its start.
            self._base.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = FULL")
            self._base.execute("BEGIN EXCLUSIVE")
            self._base.execute(_TABLE)
            self._base.execute("COMMIT")
        except (OSError, sqlite3.Error) as error:
            raise SettingsError(f"{path}: cannot keep the journal there: {error}") from error

    def get(self, event_id: str) -> Rotation | None:
        """The row of an event."""
        rows = self._rows(f"{_SELECT} WHERE event_id = ?", event_id)
        return rows[0] if rows else None

    def put(self, rotation: Rotation) -> None:
        """Write a row; on the disk when this returns. Raises Unavailable (a full disk, say)."""
        try:
            self._write(rotation)
        except sqlite3.Error as error:
            raise Unavailable(f"the journal cannot be written: {error}") from error

    def _write(self, rotation: Rotation) -> None:
        self._base.execute(
            f"INSERT INTO rotations ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "  # noqa: S608 - constants
            "ON CONFLICT (event_id) DO UPDATE SET stage = excluded.stage, attempt = excluded.attempt, "
            "key_id = excluded.key_id, version = excluded.version, reason = excluded.reason, "
            "changed_s = excluded.changed_s",
            (
                rotation.event_id,
                rotation.secret,
                rotation.stage.value,
                rotation.attempt,
                rotation.key_id,
                rotation.version,
                rotation.reason[:1000],
                rotation.began_s,
                rotation.changed_s,
            ),
        )

    def oldest_open(self, secret: str) -> Rotation | None:
        """The rotation of a secret that is to be gone on with."""
        ended = ", ".join(f"'{stage.value}'" for stage in ENDED)
        rows = self._rows(
            f"{_SELECT} WHERE secret = ? AND stage NOT IN ({ended}) ORDER BY number LIMIT 1",
            secret,
        )
        return rows[0] if rows else None

    def newest(self, limit: int) -> list[Rotation]:
        """The rows that came last, newest first."""
        return self._rows(f"{_SELECT} ORDER BY number DESC LIMIT ?", limit)

    def forget(self, before_s: float) -> None:
        """Drop ended rotations that changed last before `before_s`."""
        ended = ", ".join(f"'{stage.value}'" for stage in ENDED)
        self._base.execute(
            f"DELETE FROM rotations WHERE changed_s < ? AND stage IN ({ended})",  # noqa: S608 - constants
            (before_s,),
        )

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()

    def _rows(self, question: str, *values: str | int) -> list[Rotation]:
        return [
            Rotation(
                event_id=row[0],
                secret=row[1],
                stage=Stage(row[2]),
                attempt=row[3],
                key_id=row[4],
                version=row[5],
                reason=row[6],
                began_s=row[7],
                changed_s=row[8],
            )
            for row in self._base.execute(question, values).fetchall()
        ]
