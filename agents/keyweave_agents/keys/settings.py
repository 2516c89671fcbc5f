"""Settings of the key manager: the table `[keys]` of an agent.

Rule of this file: bounds are checked where the value is made, so a wrong file and a wrong test fail alike.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from keyweave_agents.keys.pqc.settings import PqcSettings
from keyweave_core.model.ids import parse_uuid


def _within(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise ValueError(f"{name} must be {least}..{most}, not {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """The key manager at the other end of one physical link (UUID text ids, lower case)."""

    node_id: str
    link_id: str
    host: str
    port: int

    def __post_init__(self) -> None:
        for name, text in (("node_id", self.node_id), ("link_id", self.link_id)):
            if parse_uuid(text) != text:
                raise ValueError(f"neighbour {name} must be lower case: {text}")
        if not self.host:
            raise ValueError("neighbour host must not be empty")
        _within("neighbour port", self.port, 1, 65535)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLimits:
    """What protects the key manager from asking too much of it. Counts; sizes in bits; times in seconds."""

    keys_per_request: int = 128
    min_key_bits: int = 64
    max_key_bits: int = 8192
    keys_per_batch: int = 128  # one relay message carries at most so many keys
    stored_keys: int = 262_144  # of one association at its destination
    waiting_requests: int = 1_024
    relay_records: int = 1_024  # batches under way through this node at one time
    batches_in_flight: int = 8  # unacknowledged, of one association

    def __post_init__(self) -> None:
        _within("keys_per_request", self.keys_per_request, 1, 4096)
        _within("min_key_bits", self.min_key_bits, 8, 65536)
        _within("max_key_bits", self.max_key_bits, self.min_key_bits, 65536)
        if self.min_key_bits % 8 or self.max_key_bits % 8:
            raise ValueError("min_key_bits and max_key_bits must be multiples of 8")
        _within("keys_per_batch", self.keys_per_batch, 1, 4096)
        _within("stored_keys", self.stored_keys, 1, 10_000_000)
        _within("waiting_requests", self.waiting_requests, 1, 1_000_000)
        _within("relay_records", self.relay_records, 1, 1_000_000)
        _within("batches_in_flight", self.batches_in_flight, 1, 256)


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings:
    """`[keys.storage]`: where pools, keys and what was used outlive the process. Without it: nowhere.

    The master key comes from `key_file` (32 bytes or 64 hex digits, mode 0600 or stricter) or is what
    `key_command` (program and arguments, no shell) writes to its standard output; a store that the key of
    `former_key_file` opens is taken over to the new one. `durability` "power": every
    commit is forced to disk; "process": it survives the end of the process, and after a loss of power the
    store is begun anew. `directory`: where the file `keys.store` lies (None: `node.state_dir`). A new data
    key is drawn at each start and every `rotate_data_key_s`; records under keys twice as old are moved to
    the newest.
    """

    key_file: Path | None = None
    key_command: tuple[str, ...] = ()
    key_command_timeout_s: float = 10.0
    former_key_file: Path | None = None
    durability: Literal["power", "process"] = "power"
    directory: Path | None = None
    max_bytes: int = 8 << 30
    rotate_data_key_s: float = 86_400.0

    def __post_init__(self) -> None:
        if (self.key_file is None) == (not self.key_command):
            raise ValueError("storage wants one of key_file and key_command")
        if self.key_command and not self.key_command[0]:
            raise ValueError("storage.key_command must begin with a program")
        _within("storage.key_command_timeout_s", self.key_command_timeout_s, 0.1, 600)
        _within("storage.max_bytes", self.max_bytes, 1 << 18, 1 << 44)
        _within("storage.rotate_data_key_s", self.rotate_data_key_s, 60, 31_536_000)

    def anchored(self, folder: Path, state_dir: Path) -> "StorageSettings":
        """The same with relative paths taken from `folder`, and the directory known."""
        return replace(
            self,
            key_file=self.key_file and folder / self.key_file,
            former_key_file=self.former_key_file and folder / self.former_key_file,
            directory=state_dir if self.directory is None else folder / self.directory,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySettings:
    """The whole table. Port 0 lets the system choose (then `KeyManager.listening` tells it)."""

    listen_host: str = "127.0.0.1"
    listen_port: int = 0
    pool_capacity_bits: int = 16_000_000  # of each physical link, both directions together
    pool_low_bits: int = 0  # below so much an alarm is raised, cleared at twice as much; 0: never
    buffer_keys: int = 64  # keys of the default size that a source keeps ready per association
    default_key_bits: int = 256
    key_ttl_s: float = 3600.0  # where the association's qos names none
    statistics_period_s: float = 60.0
    neighbours: tuple[Neighbour, ...] = ()
    limits: KeyLimits = KeyLimits()
    storage: StorageSettings | None = None
    pqc: PqcSettings | None = None

    def __post_init__(self) -> None:
        _within("listen_port", self.listen_port, 0, 65535)
        _within("pool_capacity_bits", self.pool_capacity_bits, 1024, 2**33)
        if not 0 <= self.pool_low_bits <= self.pool_capacity_bits // 3:
            raise ValueError(f"pool_low_bits must be 0..{self.pool_capacity_bits // 3}, a third of the pool")
        _within("buffer_keys", self.buffer_keys, 1, 4_000_000)
        _within("default_key_bits", self.default_key_bits, self.limits.min_key_bits, self.limits.max_key_bits)
        if self.default_key_bits % 8:
            raise ValueError("default_key_bits must be a multiple of 8")
        _within("key_ttl_s", self.key_ttl_s, 1, 10_000_000)
        _within("statistics_period_s", self.statistics_period_s, 0.05, 86_400)
        links = [neighbour.link_id for neighbour in self.neighbours]
        if len(set(links)) != len(links):
            raise ValueError("neighbours name one link twice")

    def anchored(self, folder: Path, state_dir: Path) -> "KeySettings":
        """The same with relative paths taken from `folder`; `state_dir` is that of the node."""
        return replace(
            self,
            storage=self.storage and self.storage.anchored(folder, state_dir),
            pqc=self.pqc and self.pqc.anchored(folder),
        )
