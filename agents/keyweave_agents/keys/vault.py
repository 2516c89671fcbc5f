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

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from heapq import merge
from operator import itemgetter
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keyweave_agents.keys import vault_file
from keyweave_agents.keys.failures import LedgerFailed
from keyweave_agents.keys.ledger import Bytes, Ledger, MemoryLedger
from keyweave_agents.keys.settings import StorageSettings
from keyweave_agents.keys.wrapping import (
    KEY_BYTES,
    NONCE_BYTES,
    TAG_BYTES,
    KeyWrap,
    read_former_master_key,
    read_master_key,
)
from keyweave_core.errors import SettingsError
from keyweave_core.model.ids import NodeId
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import get_logger

MOST_GENERATIONS = 16
"""So many starts without a day in between, and records under older data keys are moved as well."""

MOVED_AT_ONCE = 256
TIDY_EVERY_S = 10.0

Place = tuple[str, bytes]
Sealed = tuple[int, bytes]


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
    """A durable ledger. Opened with `open_vault`; `now` are seconds since 1970."""

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
        self._wrap = wrap
        self._now = now
        self._lock = threading.Lock()  # between noting (the loop) and committing (a thread)
        self._writing = threading.RLock()  # one commit at a time, and none while closing
        self._tidied_s = 0.0
        self._pending: dict[Place, Sealed | None] = {}
        self._busy: dict[Place, Sealed | None] = {}
        self._begun = False
        self._facts: dict[str, bytes] = dict(database.execute("SELECT name, value FROM facts"))
        self._made_s: dict[int, float] = {}
        self._ciphers: dict[int, AESGCM] = {}
        self._new_keys: dict[int, bytes] = {}  # wrapped, and not written yet
        for generation, wrapped, made_s in database.execute("SELECT * FROM data_keys"):
            self._take_key(generation, self._unwrap(generation, wrapped, former), made_s)
        self._newest = max(self._ciphers)
        self._nonce = 0
        self.intact = self._looks_intact()
        self._draw_key()

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
                yield key, self._open((shelf, key), sealed)

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
            self._pending[place] = None if value is None else self._seal(place, value)
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
        if not busy and not self._new_keys and self._begun:
            return
        if database.in_transaction:  # what failed before could not even be rolled back then
            database.execute("ROLLBACK")
        database.execute("BEGIN IMMEDIATE")
        try:
            if not self._begun:
                self._begin_run()
            for generation, wrapped in self._new_keys.items():
                database.execute(
                    "INSERT OR REPLACE INTO data_keys VALUES (?, ?, ?)",
                    (generation, wrapped, self._made_s[generation]),
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
        self._new_keys.clear()
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
        if not 0 <= now_s - self._made_s[self._newest] < every_s:
            with self._lock:
                self._draw_key()
            self._commit()
        database = self._database
        try:
            for generation in sorted(self._ciphers)[:-1]:  # all but the newest
                old = now_s - self._made_s[generation] >= 2 * every_s
                if old or generation <= self._newest - MOST_GENERATIONS:
                    self._move_some(generation)
                held = database.execute(
                    "SELECT 1 FROM records WHERE generation = ? LIMIT 1", (generation,)
                ).fetchone()
                if held is None and not self._awaits(generation):
                    database.execute("DELETE FROM data_keys WHERE generation = ?", (generation,))
                    del self._ciphers[generation], self._made_s[generation]
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
            value = self._open((shelf, key), (generation, sealed))
            with self._lock:
                if (shelf, key) not in self._pending:
                    self._pending[shelf, key] = self._seal((shelf, key), value)
            value[:] = bytes(len(value))
        if rows:
            self._commit()

    def _draw_key(self) -> None:
        generation = self._newest + 1
        data_key = bytearray(os.urandom(KEY_BYTES))
        self._new_keys[generation] = self._wrap.wrap(data_key, self._context(generation))
        self._take_key(generation, data_key, self._now())
        self._newest, self._nonce = generation, 0

    def _unwrap(self, generation: int, wrapped: bytes, former: KeyWrap | None) -> bytearray:
        """A data key; one that the former master key wrapped is wrapped anew with the first commit."""
        context = self._context(generation)
        try:
            return self._wrap.unwrap(wrapped, context)
        except SettingsError:
            if former is None:
                raise
        data_key = former.unwrap(wrapped, context)
        self._new_keys[generation] = self._wrap.wrap(data_key, context)
        return data_key

    def _take_key(self, generation: int, data_key: bytearray, made_s: float) -> None:
        self._ciphers[generation] = AESGCM(data_key)
        self._made_s[generation] = made_s
        data_key[:] = bytes(len(data_key))

    def _context(self, generation: int) -> bytes:
        return b"keyweave data key" + self._facts["store"] + generation.to_bytes(8, "big")

    def _bound(self, place: Place, generation: int) -> bytes:
        shelf = place[0].encode()
        head = self._facts["store"] + generation.to_bytes(8, "big") + len(shelf).to_bytes(2, "big")
        return b"keyweave record" + head + shelf + place[1]

    def _seal(self, place: Place, value: Bytes) -> Sealed:
        generation = self._newest
        self._nonce += 1
        nonce = self._nonce.to_bytes(NONCE_BYTES, "big")
        return generation, nonce + self._ciphers[generation].encrypt(
            nonce, value, self._bound(place, generation)
        )

    def _open(self, place: Place, sealed: Sealed) -> bytearray:
        generation, text = sealed
        value = bytearray(max(0, len(text) - NONCE_BYTES - TAG_BYTES))
        try:
            cipher = self._ciphers[generation]
            cipher.decrypt_into(
                memoryview(text)[:NONCE_BYTES],
                memoryview(text)[NONCE_BYTES:],
                self._bound(place, generation),
                value,
            )
        except (InvalidTag, ValueError, KeyError) as error:
            raise SettingsError(
                f"{self.path}: a record of {place[0]} is damaged or was tampered with"
            ) from error
        return value

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
            self._ciphers.clear()


def open_vault(
    settings: StorageSettings,
    node_id: NodeId,
    wrap: KeyWrap,
    now: Callable[[], float],
    former: KeyWrap | None = None,
) -> Vault:
    """The key store of a node, made when there is none. `former`: the master key before this one.

    SettingsError, and nothing is changed: a foreign or damaged file, a newer format, the store of another
    node, another master key, or another process has it open.
    """
    if settings.directory is None:
        raise ValueError("nobody said where the key store lies")
    path = settings.directory / vault_file.FILE_NAME
    if not vault_file.recognise(path):
        store = os.urandom(16)
        data_key = bytearray(os.urandom(KEY_BYTES))
        wrapped = wrap.wrap(data_key, b"keyweave data key" + store + (1).to_bytes(8, "big"))
        vault_file.make(path, {"store": store, "node": node_id.encode()}, wrapped, now())
    database = vault_file.connect(path, max_bytes=settings.max_bytes)
    try:
        owner = database.execute("SELECT value FROM facts WHERE name = 'node'").fetchone()
        if owner is None or owner[0] != node_id.encode():
            raise SettingsError(f"the key store of another node ({_shown(owner)}), not of {node_id}")
        return Vault(path, database, settings, wrap, now, former)
    except SettingsError as error:
        database.close()
        raise SettingsError(f"{path}: {error}") from error
    except (sqlite3.Error, KeyError) as error:
        database.close()
        raise SettingsError(f"{path}: the key store is damaged: {error}") from error


def open_ledger(settings: StorageSettings | None, node_id: NodeId, clock: Clock) -> Ledger:
    """What `[keys.storage]` asks for: a key store, or without that table a ledger in memory alone.

    SettingsError as `open_vault`, or for a master key that cannot be had.
    """
    if settings is None:
        return MemoryLedger()
    vault = open_vault(
        settings, node_id, read_master_key(settings), clock.now, read_former_master_key(settings)
    )
    if not vault.intact:
        get_logger("keys").warning(
            "key_store_not_intact",
            reason="copied, put back, or without power since: pools and keys in it are not used",
            path=str(vault.path),
        )
    return vault


def _inode(path: Path) -> bytes:
    return str(path.stat().st_ino).encode()


def _shown(owner: tuple[bytes] | None) -> str:
    return "nobody" if owner is None else owner[0].decode(errors="replace")
