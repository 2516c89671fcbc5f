"""The durable memory of the controller: a journal of events and snapshots of what they made.

Rule of this file: one batch is one transaction, confirmed by the lease inside it. SQLite runs in WAL mode
with `synchronous=FULL`, so what was appended survives a power cut. The methods block for the time of a
commit; `loop` calls them from a thread of their own. Errors of the database become Unavailable (now) or
SettingsError (this is no store of ours), here and nowhere else.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    create_engine,
    delete,
    event,
    func,
    insert,
    inspect,
    select,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from keyweave_controller.engine import lease
from keyweave_controller.engine.schema import journal, metadata, snapshots
from keyweave_core.errors import SettingsError, Unavailable

SNAPSHOTS_KEPT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One journaled event: its number, its moment, and what `codec` made of it."""

    seq: int
    at: float
    kind: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSnapshot:
    """The newest snapshot: the state after event `seq`, as JSON text."""

    seq: int
    body: str


class Journal:
    """One store, opened and leased. Not for several threads at once."""

    def __init__(self, url: str, *, holder: str, at: float) -> None:
        """Open or make the store at an SQLAlchemy URL (`sqlite:///path`, `postgresql+psycopg://...`).

        Takes the lease. Raises SettingsError when the URL, the file or its schema is not usable, Unavailable
        when the database does not answer.
        """
        self._where, self.epoch = _shown(url), 0
        try:
            parsed = make_url(url)
            self._sqlite = parsed.get_backend_name() == "sqlite"
            if self._sqlite and parsed.database and parsed.database != ":memory:":
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            arguments: dict[str, Any] = {"check_same_thread": False} if self._sqlite else {}
            self._engine = create_engine(url, poolclass=StaticPool, connect_args=arguments)
        except (ArgumentError, ImportError, OSError, SQLAlchemyError) as error:
            raise SettingsError(f"store {self._where}: {error}") from error
        if self._sqlite:
            event.listen(self._engine, "connect", _prepare_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)
        try:
            with self._transaction(opening=True) as connection:
                self._check_tables(connection)
                metadata.create_all(connection)
                self.epoch = lease.take(connection, holder=holder, at=at)
        except BaseException:
            self._engine.dispose()
            raise

    def append(self, entries: Sequence[Entry], *, at: float) -> None:
        """Make a batch durable, all or nothing. Raises Fenced (another controller writes) or Unavailable."""
        if not entries:
            return
        rows = [
            {"seq": one.seq, "epoch": self.epoch, "at": one.at, "kind": one.kind, "body": one.body}
            for one in entries
        ]
        with self._transaction() as connection:
            lease.confirm(connection, epoch=self.epoch, at=at)
            connection.execute(insert(journal), rows)

    def save_snapshot(self, *, seq: int, at: float, body: str) -> None:
        """Keep a snapshot, and drop what lies before the `SNAPSHOTS_KEPT` newest ones. Errors as `append`."""
        with self._transaction() as connection:
            lease.confirm(connection, epoch=self.epoch, at=at)
            connection.execute(delete(snapshots).where(snapshots.c.seq == seq))
            connection.execute(insert(snapshots).values(seq=seq, at=at, body=body))
            newest = connection.scalars(
                select(snapshots.c.seq).order_by(snapshots.c.seq.desc()).limit(SNAPSHOTS_KEPT)
            ).all()
            connection.execute(delete(snapshots).where(snapshots.c.seq < newest[-1]))
            if len(newest) == SNAPSHOTS_KEPT:
                connection.execute(delete(journal).where(journal.c.seq <= newest[-1]))

    def newest_snapshot(self) -> StoredSnapshot | None:
        """The snapshot to start from; None in a new store."""
        with self._transaction() as connection:
            row = connection.execute(
                select(snapshots.c.seq, snapshots.c.body).order_by(snapshots.c.seq.desc()).limit(1)
            ).first()
        return StoredSnapshot(seq=row.seq, body=row.body) if row else None

    def entries_after(self, seq: int, *, batch: int = 1_000) -> Iterator[Entry]:
        """All entries with a number above `seq`, in order. Raises SettingsError when one is missing."""
        while True:
            with self._transaction() as connection:
                rows = connection.execute(
                    select(journal.c.seq, journal.c.at, journal.c.kind, journal.c.body)
                    .where(journal.c.seq > seq)
                    .order_by(journal.c.seq)
                    .limit(batch)
                ).all()
            for row in rows:
                if row.seq != seq + 1:
                    raise SettingsError(f"store {self._where}: event {seq + 1} is missing from the journal")
                seq = row.seq
                yield Entry(seq=row.seq, at=row.at, kind=row.kind, body=row.body)
            if len(rows) < batch:
                return

    def count(self) -> int:
        """Entries in the journal now."""
        with self._transaction() as connection:
            return connection.scalar(select(func.count()).select_from(journal)) or 0

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def _check_tables(self, connection: Connection) -> None:
        names = set(inspect(connection).get_table_names())
        ours = set(metadata.tables)
        if names & ours and not ours <= names:
            missing = ", ".join(sorted(ours - names))
            raise SettingsError(f"store {self._where}: incomplete, {missing} missing")
        if self._sqlite and names and not names & ours:
            raise SettingsError(
                f"store {self._where}: a database of another program (tables {', '.join(sorted(names)[:5])})"
            )

    @contextmanager
    def _transaction(self, *, opening: bool = False) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except SettingsError as error:
            text = str(error)
            raise SettingsError(text if self._where in text else f"store {self._where}: {text}") from error
        except DatabaseError as error:
            original = error.orig
            broken = type(original) is sqlite3.DatabaseError  # no database, or a malformed one
            if broken or (opening and self._sqlite):
                raise SettingsError(f"store {self._where}: {original}") from error
            raise Unavailable(f"store {self._where}: {original}") from error
        except SQLAlchemyError as error:
            raise Unavailable(f"store {self._where}: {error}") from error


def _shown(url: str) -> str:
    """The URL without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "with a URL that is none"


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves; the driver would start too late
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA busy_timeout=5000")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
