"""Settings of the key manager: the table `[keys]` of an agent.

Rule of this file: bounds are checked where the value is made, so a wrong file and a wrong test fail alike.
"""

from dataclasses import dataclass

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
    stored_keys: int = 16_384  # of one association at its destination
    waiting_requests: int = 1_024
    relay_records: int = 1_024  # batches under way through this node at one time
    batches_in_flight: int = 8  # unacknowledged, of one association

    def __post_init__(self) -> None:
        _within("keys_per_request", self.keys_per_request, 1, 1024)
        _within("min_key_bits", self.min_key_bits, 8, 65536)
        _within("max_key_bits", self.max_key_bits, self.min_key_bits, 65536)
        if self.min_key_bits % 8 or self.max_key_bits % 8:
            raise ValueError("min_key_bits and max_key_bits must be multiples of 8")
        _within("keys_per_batch", self.keys_per_batch, 1, 512)
        _within("stored_keys", self.stored_keys, 1, 10_000_000)
        _within("waiting_requests", self.waiting_requests, 1, 1_000_000)
        _within("relay_records", self.relay_records, 1, 1_000_000)
        _within("batches_in_flight", self.batches_in_flight, 1, 256)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySettings:
    """The whole table. Port 0 lets the system choose (then `KeyManager.listening` tells it)."""

    listen_host: str = "127.0.0.1"
    listen_port: int = 0
    pool_capacity_bits: int = 16_000_000  # of each physical link, both directions together
    buffer_keys: int = 64  # keys of the default size that a source keeps ready per association
    default_key_bits: int = 256
    key_ttl_s: float = 3600.0  # where the association's qos names none
    statistics_period_s: float = 60.0
    neighbours: tuple[Neighbour, ...] = ()
    limits: KeyLimits = KeyLimits()

    def __post_init__(self) -> None:
        _within("listen_port", self.listen_port, 0, 65535)
        _within("pool_capacity_bits", self.pool_capacity_bits, 1024, 2**33)
        _within("buffer_keys", self.buffer_keys, 1, 100_000)
        _within("default_key_bits", self.default_key_bits, self.limits.min_key_bits, self.limits.max_key_bits)
        if self.default_key_bits % 8:
            raise ValueError("default_key_bits must be a multiple of 8")
        _within("key_ttl_s", self.key_ttl_s, 1, 10_000_000)
        _within("statistics_period_s", self.statistics_period_s, 0.05, 86_400)
        links = [neighbour.link_id for neighbour in self.neighbours]
        if len(set(links)) != len(links):
            raise ValueError("neighbours name one link twice")
