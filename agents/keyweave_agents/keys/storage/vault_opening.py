"""Opening the key store of a node: made when there is none, refused when it is not what it should be.

Rule of this file: whatever is wrong is a SettingsError that names the file, and nothing was changed by then.
"""

import os
import sqlite3
from collections.abc import Callable

from keyweave_agents.keys.settings import StorageSettings
from keyweave_agents.keys.storage import vault_file
from keyweave_agents.keys.storage.ledger import Ledger, MemoryLedger
from keyweave_agents.keys.storage.sealing import first_data_key
from keyweave_agents.keys.storage.vault import Vault
from keyweave_agents.keys.storage.wrapping import KeyWrap, read_former_master_key, read_master_key
from keyweave_core.errors import SettingsError
from keyweave_core.model.ids import NodeId
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import get_logger


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
        wrapped = first_data_key(wrap, store)
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


def _shown(owner: tuple[bytes] | None) -> str:
    return "nobody" if owner is None else owner[0].decode(errors="replace")
