"""The file of a key store: made, recognised and opened, or refused with nothing changed.

    facts        name -> value: whose store, which run had it last and how that ended
    data_keys    generation -> data key, wrapped by the master key
    records      (shelf, key) -> generation, nonce and sealed value

Rule of this file: SQLite is met here and in `vault` alone. A file is made beside its place and moved there
whole, so what lies there is a store or something foreign, never half of one. One process at a time: the lock
is held as long as the file is open.
"""

import os
import sqlite3
from pathlib import Path

from keyweave_core.errors import SettingsError

FILE_NAME = "keys.store"
FORMAT = 1
_APPLICATION = 0x4B575653  # "KWVS", at offset 68 of the file
_PAGE_BYTES = 4096
_HEADER = b"SQLite format 3\x00"

_SCHEMA = (
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {FORMAT}",
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE data_keys (generation INTEGER PRIMARY KEY, wrapped BLOB NOT NULL, made_s REAL NOT NULL)",
    "CREATE TABLE records (shelf TEXT NOT NULL, key BLOB NOT NULL, generation INTEGER NOT NULL, sealed BLOB)",
    "CREATE UNIQUE INDEX by_key ON records (shelf, key)",
    "CREATE INDEX by_generation ON records (generation)",
)


def recognise(path: Path) -> bool:
    """Whether there is a store at `path`; False: there is nothing.

    SettingsError: it is something else, or was written by a newer program. Nothing is changed.
    """
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise SettingsError(f"{path}: cannot read the key store: {error.strerror}") from error
    if header[:16] != _HEADER or int.from_bytes(header[68:72], "big") != _APPLICATION:
        raise SettingsError(f"{path}: this is no key store; move it away, and a new one is made")
    found = int.from_bytes(header[60:64], "big")
    if found != FORMAT:
        raise SettingsError(f"{path}: a key store of format {found}; this program writes format {FORMAT}")
    return True


def make(path: Path, facts: dict[str, bytes], wrapped: bytes, made_s: float) -> None:
    """A new store with its first data key. SettingsError: the disk does not take it."""
    beside = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.unlink(missing_ok=True)
        os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        database = sqlite3.connect(beside, isolation_level=None)
        try:
            database.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            database.execute("PRAGMA synchronous = EXTRA")
            database.execute("BEGIN")
            for statement in _SCHEMA:
                database.execute(statement)
            database.executemany("INSERT INTO facts VALUES (?, ?)", facts.items())
            database.execute("INSERT INTO data_keys VALUES (1, ?, ?)", (wrapped, made_s))
            database.execute("COMMIT")
        finally:
            database.close()
        beside.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except (OSError, sqlite3.Error) as error:
        raise SettingsError(f"{path}: cannot make a key store: {error}") from error


def connect(path: Path, *, max_bytes: int) -> sqlite3.Connection:
    """Open a store that was recognised, for this process alone.

    SettingsError: another process has it, or it is damaged.
    """
    try:
        database = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=2.0,
        )
        try:
            for statement in (
                "PRAGMA locking_mode = EXCLUSIVE",
                "PRAGMA journal_mode = WAL",
                "PRAGMA synchronous = FULL",
                "PRAGMA secure_delete = ON",
                "PRAGMA cache_size = -256",  # KiB: the file is read once, at the start
                "PRAGMA trusted_schema = OFF",
                "PRAGMA cell_size_check = ON",
                f"PRAGMA journal_size_limit = {16 << 20}",
                f"PRAGMA max_page_count = {max_bytes // _PAGE_BYTES}",
                "BEGIN EXCLUSIVE",
                "COMMIT",
            ):
                database.execute(statement)
        except sqlite3.Error:
            database.close()
            raise
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise SettingsError(f"{path}: another process has this key store open") from error
        raise SettingsError(f"{path}: cannot open the key store: {error}") from error
    except sqlite3.Error as error:
        raise SettingsError(f"{path}: the key store is damaged: {error}") from error
    return database


def boot_id() -> bytes:
    """What names this boot of the machine (empty where the system does not say)."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
    except OSError:
        return b""
