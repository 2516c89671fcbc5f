"""The ledger on disk: every value encrypted, every commit all or nothing.

Rule of this file: a value is sealed (AES-256-GCM) the moment it is noted, so no plain copy waits here. Each
run of the program draws a data key of its own, used with the nonces 1, 2, 3 and so on: none ever comes twice,
whatever crashes. Shelf, key, generation and the store itself are bound to each value, so records cannot be
put in each other's place. Data keys lie in the file, wrapped by the master key; one that no record needs is
deleted.

A store is `intact` when it is as its last run left it. It is not when the file was copied or put back (its
inode is another one), or when it was kept with durability "process" and the machine lost its power: then what
was spent may look unspent, and who reads it treats it so.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from heapq import merge
from operator import itemgetter
from pathlib import Path

from keyweave_agents.keys.failures import LedgerFailed
from keyweave_agents.keys.settings import StorageSettings
from keyweave_agents.keys.storage import vault_file
from keyweave_agents.keys.storage.ledger import Bytes
from keyweave_agents.keys.storage.sealing import Place, Sealed, Sealer
from keyweave_agents.keys.storage.wrapping import KeyWrap
from keyweave_core.errors import SettingsError

MOST_GENERATIONS = 16
"""So many starts without a day in between, and records under older data keys are moved as well."""

MOVED_AT_ONCE = 256
TIDY_EVERY_S = 10.0


class VaultShelf:
    """One shelf of a vault."""

    def __init__(self, vault: "Vault", name: str) -> None:
        self._vault = vault
        self._name = name

    def put(self, key: bytes, value: Bytes, *, lazy: bool = False) -> None:
        """See `Shelf.put`."""
        self._vault.note((self._name, key), value, lazy=lazy)

    def delete(self, key: bytes, *, lazy: bool = False) -> None:
        """See `Shelf.delete`."""
        self._vault.note((self._name, key), None, lazy=lazy)

    def items(self) -> Iterator[tuple[bytes, bytearray]]:
        """See `Shelf.items`. SettingsError: a record is damaged."""
        return self._vault.items(self._name)


class Vault:
    """A durable ledger. Opened with `vault_opening.open_vault`; `now` are seconds since 1970."""

    lasting = True

    def __init__(
        self,
        path: Path,
        database: sqlite3.Connection,
        settings: StorageSettings,
        wrap: KeyWrap,
        now: Callable[[], float],
        former: KeyWrap | None = None,
    ) -> None:
        self.path = path
        self.slow = settings.durability == "power"
        self.noted = 0
        self.kept = 0
        self._database = database
        self._settings = settings
        self._now = now
        self._lock = threading.Lock()  # between noting (the loop) and committing (a thread)
        self._writing = threading.RLock()  # one commit at a time, and none while closing
        self._tidied_s = 0.0
        self._pending: dict[Place, Sealed | None] = {}
        self._busy: dict[Place, Sealed | None] = {}
        self._begun = False
        self._facts: dict[str, bytes] = dict(database.execute("SELECT name, value FROM facts"))
        kept = database.execute("SELECT * FROM data_keys ORDER BY generation").fetchall()
        self._sealer = Sealer(self._facts["store"], wrap, kept, former)
        self.intact = self._looks_intact()
        self._sealer.draw(now())

    # --- what a run finds --------------------------------------------------------------------------

    def _looks_intact(self) -> bool:
        facts = self._facts
        if facts.get("inode", b"") not in (b"", _inode(self.path)):
            return False
        lost_end = facts.get("durability") == b"process" and facts.get("boot") != vault_file.boot_id()
        return facts.get("ended") == b"well" or not lost_end

    def shelf(self, name: str) -> VaultShelf:
        """See `Ledger.shelf`."""
        return VaultShelf(self, name)

    def items(self, shelf: str) -> Iterator[tuple[bytes, bytearray]]:
        """What lies on a shelf, with what is noted and not written yet."""
        with self._lock:
            changed = {
                place[1]: sealed
                for place, sealed in (*self._busy.items(), *self._pending.items())
                if place[0] == shelf
            }
        rows = ((key, sealed) for key, sealed in self._rows(shelf) if key not in changed)
        for key, sealed in merge(rows, sorted(changed.items()), key=itemgetter(0)):
            if sealed is not None:
                yield key, self._opened((shelf, key), sealed)

    def _rows(self, shelf: str) -> Iterator[tuple[bytes, Sealed | None]]:
        try:
            for key, generation, sealed in self._database.execute(
                "SELECT key, generation, sealed FROM records WHERE shelf = ? ORDER BY key", (shelf,)
            ):
                yield key, (generation, sealed)
        except sqlite3.Error as error:
            raise SettingsError(f"{self.path}: the key store is damaged: {error}") from error

    # --- noting --------------------------------------------------------------------------------------

    @property
    def stale(self) -> bool:
        """See `Ledger.stale`."""
        return bool(self._pending)

    def note(self, place: Place, value: Bytes | None, *, lazy: bool) -> None:
        """A record is `value` from now on; None: there is none."""
        with self._lock:
            self._pending[place] = None if value is None else self._sealer.seal(place, value)
            self.noted += not lazy

    def commit(self) -> None:
        """See `Ledger.commit`. From any thread."""
        with self._writing:
            self._commit()
            if not 0 <= self._now() - self._tidied_s < TIDY_EVERY_S:
                self._tidied_s = self._now()
                self.tidy()

    def _commit(self) -> None:
        with self._lock:
            upto, self._busy, self._pending = self.noted, self._pending, {}
        try:
            self._write()
        except sqlite3.Error as error:
            with self._lock:
                self._pending = {**self._busy, **self._pending}
            raise LedgerFailed(f"the key store {self.path} cannot be written: {error}") from error
        finally:
            self._busy = {}
        self.kept = upto

    def _write(self) -> None:
        database, busy = self._database, self._busy
        if not busy and not self._sealer.unwritten and self._begun:
            return
        if database.in_transaction:  # what failed before could not even be rolled back then
            database.execute("ROLLBACK")
        database.execute("BEGIN IMMEDIATE")
        try:
            if not self._begun:
                self._begin_run()
            for generation, wrapped in self._sealer.unwritten.items():
                database.execute(
                    "INSERT OR REPLACE INTO data_keys VALUES (?, ?, ?)",
                    (generation, wrapped, self._sealer.made_s[generation]),
                )
            database.executemany(
                "INSERT INTO records VALUES (?, ?, ?, ?) ON CONFLICT (shelf, key)"
                " DO UPDATE SET generation = excluded.generation, sealed = excluded.sealed",
                [(*place, *sealed) for place, sealed in busy.items() if sealed is not None],
            )
            database.executemany(
                "DELETE FROM records WHERE shelf = ? AND key = ?",
                [place for place, sealed in busy.items() if sealed is None],
            )
            database.execute("COMMIT")
        except sqlite3.Error:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise
        self._sealer.unwritten.clear()
        if not self._begun:
            self._begun = True
            if not self.slow:
                # The first commit of a run says so for certain; what follows may be lost with the power.
                database.execute("PRAGMA synchronous = NORMAL")

    def _begin_run(self) -> None:
        self._set_facts(
            inode=_inode(self.path),
            boot=vault_file.boot_id(),
            durability=self._settings.durability.encode(),
            ended=b"",
        )

    def _set_facts(self, **facts: bytes) -> None:
        self._database.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts.items())

    # --- data keys ---------------------------------------------------------------------------------

    def tidy(self) -> None:
        """A new data key when it is time, and away with those that nothing needs. Commits do so now and then.

        Moves at most `MOVED_AT_ONCE` records of each. Raises LedgerFailed.
        """
        now_s, every_s = self._now(), self._settings.rotate_data_key_s
        sealer, database = self._sealer, self._database
        if not 0 <= now_s - sealer.made_s[sealer.newest] < every_s:
            with self._lock:
                sealer.draw(now_s)
            self._commit()
        try:
            for generation in sealer.former:
                old = now_s - sealer.made_s[generation] >= 2 * every_s
                if old or generation <= sealer.newest - MOST_GENERATIONS:
                    self._move_some(generation)
                held = database.execute(
                    "SELECT 1 FROM records WHERE generation = ? LIMIT 1", (generation,)
                ).fetchone()
                if held is None and not self._awaits(generation):
                    database.execute("DELETE FROM data_keys WHERE generation = ?", (generation,))
                    sealer.forget(generation)
        except sqlite3.Error as error:
            raise LedgerFailed(f"the key store {self.path} cannot be tidied: {error}") from error

    def _awaits(self, generation: int) -> bool:
        with self._lock:
            return any(sealed is not None and sealed[0] == generation for sealed in self._pending.values())

    def _move_some(self, generation: int) -> None:
        rows = self._database.execute(
            "SELECT shelf, key, sealed FROM records WHERE generation = ? LIMIT ?", (generation, MOVED_AT_ONCE)
        ).fetchall()
        for shelf, key, sealed in rows:
            value = self._opened((shelf, key), (generation, sealed))
            with self._lock:
                if (shelf, key) not in self._pending:
                    self._pending[shelf, key] = self._sealer.seal((shelf, key), value)
            value[:] = bytes(len(value))
        if rows:
            self._commit()

    def _opened(self, place: Place, sealed: Sealed) -> bytearray:
        try:
            return self._sealer.open(place, sealed)
        except SettingsError as error:
            raise SettingsError(f"{self.path}: {error}") from error

    def close(self) -> None:
        """Write what was noted, say that this run ended well, and let the file go. Raises LedgerFailed."""
        with self._writing:
            self._close()

    def _close(self) -> None:
        try:
            self._commit()
            self._database.execute("PRAGMA synchronous = FULL")
            self._set_facts(ended=b"well")
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise LedgerFailed(f"the key store {self.path} cannot be closed: {error}") from error
        finally:
            self._database.close()
            self._sealer.clear()


def _inode(path: Path) -> bytes:
    return str(path.stat().st_ino).encode()
