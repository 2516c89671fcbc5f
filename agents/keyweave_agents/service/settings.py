"""Settings of key delivery: what `[service]` and `[[consumers]]` of an agent's settings file may say.

Rule of this file: bounds are checked here, in `__post_init__`, however the value was made.
"""

from dataclasses import dataclass
from typing import Literal

from keyweave_core.model.ids import SaeId
from keyweave_core.model.units import UINT32_MAX
from keyweave_core.runtime.tls import TlsSettings

SaeIdentity = Literal["auto", "san-uri", "san-dns", "cn"]
"""Where the SAE id stands in a client certificate; see `service.callers`."""

MAX_SAE_ID_CHARS = 256
"""Longest SAE id taken from a path or a certificate. The standard sets no bound; a log line wants one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """The key delivery server (ETSI GS QKD 014) of one agent.

    Key sizes in bits, multiples of 8. `listen_port` 0 takes a free port. Times in seconds:
    `request_wait_s` is the longest a request for keys waits for the network; `keep_alive_s` the longest
    silence between two requests; `receive_s` the longest a client may take to send one request, and
    `send_s` to take the answer; `handshake_s` the longest TLS handshake; `close_s` how long `close` lets
    running requests end. `max_handshakes` are clients that have not shown a certificate yet, besides
    `max_connections` that have.
    """

    listen_host: str = "127.0.0.1"
    listen_port: int
    tls: TlsSettings
    sae_identity: SaeIdentity = "auto"
    default_key_bits: int = 256
    min_key_bits: int = 64
    max_key_bits: int = 4096
    max_keys_per_request: int = 128
    max_additional_slaves: int = 0  # slaves besides the one in the path; wants a controller that makes trees
    max_key_count: int = 4096  # told by `status` while there is no association that knows better
    request_wait_s: float = 5.0
    keep_alive_s: float = 60.0
    receive_s: float = 10.0
    send_s: float = 10.0
    handshake_s: float = 10.0
    close_s: float = 2.0
    max_body_bytes: int = 64 * 1024
    max_head_bytes: int = 16 * 1024
    max_connections: int = 10_240
    max_handshakes: int = 512
    access_log: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.listen_port <= 65535:
            raise ValueError(f"listen_port {self.listen_port}: not a port (0 takes a free one)")
        for name in ("min_key_bits", "default_key_bits", "max_key_bits"):
            if getattr(self, name) % 8:
                raise ValueError(f"{name} {getattr(self, name)}: not a multiple of 8")
        if not 8 <= self.min_key_bits <= self.default_key_bits <= self.max_key_bits <= 1_000_000:
            raise ValueError(
                "key sizes want 8 <= min_key_bits <= default_key_bits <= max_key_bits <= 1000000, not "
                f"{self.min_key_bits}, {self.default_key_bits}, {self.max_key_bits}"
            )
        for name in ("max_keys_per_request", "max_key_count", "max_connections", "max_handshakes"):
            if not 1 <= getattr(self, name) <= 1_000_000:
                raise ValueError(f"{name} {getattr(self, name)}: not within 1..1000000")
        if not 0 <= self.max_additional_slaves <= 64:
            raise ValueError(f"max_additional_slaves {self.max_additional_slaves}: not within 0..64")
        for name in ("max_body_bytes", "max_head_bytes"):
            if not 1024 <= getattr(self, name) <= 16 * 1024 * 1024:
                raise ValueError(f"{name} {getattr(self, name)}: not within 1024..16777216")
        for name in ("request_wait_s", "keep_alive_s", "receive_s", "send_s", "handshake_s", "close_s"):
            if not 0 < getattr(self, name) <= 3600:
                raise ValueError(f"{name} {getattr(self, name)}: not within 0..3600 s, zero excluded")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerSettings:
    """One application that this agent serves, and what it gets when it asks by itself.

    `min_bandwidth_bps` is what admission reserves, `max_bandwidth_bps` the rate above which requests are
    refused, `ttl_s` the longest stay of an unused key (`app_qos` of ETSI GS QKD 015). A higher `priority`
    is served first.
    """

    sae_id: SaeId
    min_bandwidth_bps: int | None = None
    max_bandwidth_bps: int | None = None
    priority: int = 0
    ttl_s: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.sae_id) <= MAX_SAE_ID_CHARS or not self.sae_id.isprintable():
            raise ValueError(f"sae_id {self.sae_id[:60]!r}: want 1..{MAX_SAE_ID_CHARS} printable characters")
        for name in ("min_bandwidth_bps", "max_bandwidth_bps", "priority", "ttl_s"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= UINT32_MAX:
                raise ValueError(f"{name} {value} of {self.sae_id}: not within 0..{UINT32_MAX}")
        if (
            self.min_bandwidth_bps is not None
            and self.max_bandwidth_bps is not None
            and self.min_bandwidth_bps > self.max_bandwidth_bps
        ):
            raise ValueError(
                f"{self.sae_id}: min_bandwidth_bps {self.min_bandwidth_bps} is above "
                f"max_bandwidth_bps {self.max_bandwidth_bps}"
            )
