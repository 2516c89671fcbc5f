"""Settings of key streams: what `[etsi004]` of an agent's settings file may say.

Rule of this file: bounds are checked here, in `__post_init__`, however the value was made. The defaults of
the qualities are those of the open implementation whose framing is spoken (`wire004`).
"""

from dataclasses import dataclass, replace
from pathlib import Path

from keyweave_agents.service.settings import ConsumerSettings, SaeIdentity
from keyweave_agents.service.streams.letters import MOST_CHUNK_BYTES
from keyweave_agents.service.streams.qos import QosBounds
from keyweave_agents.service.streams.uris import UriRule
from keyweave_agents.service.streams.values import StreamQos
from keyweave_agents.service.wire004 import Edition
from keyweave_core.model.ids import SaeId
from keyweave_core.model.units import UINT32_MAX
from keyweave_core.runtime.tls import TlsSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class UriName:
    """One URI (whole, as OPEN_CONNECT brings it) and the application that it names."""

    uri: str
    sae_id: SaeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Etsi004Settings:
    """The server of key streams (ETSI GS QKD 004) of one agent.

    Chunks in bytes; rates in bit/s; `idle_s` (a connection without a request), `receive_s` (one request),
    `send_s` (one answer) and `handshake_s` in seconds. `default_*` is chosen where an application leaves the
    choice, `max_*` the most that it can have; `max_min_bps` bounds what it can have reserved. `listen_port` 0
    takes a free port.

    Without `tls` the settings must say `plain = true`: then anybody who reaches the port is whoever he says,
    and keys pass in clear. That is for laboratories alone.
    """

    listen_host: str = "127.0.0.1"
    listen_port: int
    tls: TlsSettings | None = None
    plain: bool = False
    sae_identity: SaeIdentity = "auto"
    uri_rule: UriRule = "auto"
    uris: tuple[UriName, ...] = ()
    edition: Edition = "2.1.1"
    default_chunk_bytes: int = 32
    min_chunk_bytes: int = 8
    max_chunk_bytes: int = 512
    max_bps: int = 500_000
    max_min_bps: int = 5_000
    max_priority: int = 0
    default_timeout_ms: int = 5_000
    max_timeout_ms: int = 30_000
    default_ttl_s: int = 3_600
    max_ttl_s: int = 7_200
    max_streams: int = 1_024
    max_streams_each: int = 64
    max_chunks: int = 65_536  # held by all streams together
    max_connections: int = 256
    max_connections_each: int = 64
    idle_s: float = 600.0
    receive_s: float = 10.0
    send_s: float = 10.0
    handshake_s: float = 10.0
    access_log: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.listen_port <= 65535:
            raise ValueError(f"listen_port {self.listen_port}: not a port (0 takes a free one)")
        if (self.tls is None) is not self.plain:
            raise ValueError("etsi004 wants either a table tls, or plain = true (no TLS, laboratories alone)")
        if not 8 <= self.min_chunk_bytes <= self.default_chunk_bytes <= self.max_chunk_bytes:
            raise ValueError(
                "chunks want 8 <= min_chunk_bytes <= default_chunk_bytes <= max_chunk_bytes, not "
                f"{self.min_chunk_bytes}, {self.default_chunk_bytes}, {self.max_chunk_bytes}"
            )
        if self.max_chunk_bytes > MOST_CHUNK_BYTES:
            raise ValueError(f"max_chunk_bytes {self.max_chunk_bytes}: above {MOST_CHUNK_BYTES}")
        for name in ("max_bps", "default_timeout_ms", "max_timeout_ms", "default_ttl_s", "max_ttl_s"):
            if not 1 <= getattr(self, name) <= UINT32_MAX:
                raise ValueError(f"{name} {getattr(self, name)}: not within 1..{UINT32_MAX}")
        for name in ("max_min_bps", "max_priority"):
            if not 0 <= getattr(self, name) <= UINT32_MAX:
                raise ValueError(f"{name} {getattr(self, name)}: not within 0..{UINT32_MAX}")
        for kind in ("timeout_ms", "ttl_s"):
            if getattr(self, f"default_{kind}") > getattr(self, f"max_{kind}"):
                raise ValueError(f"default_{kind} is above max_{kind}")
        for name in ("max_streams", "max_streams_each", "max_connections", "max_connections_each"):
            if not 1 <= getattr(self, name) <= 100_000:
                raise ValueError(f"{name} {getattr(self, name)}: not within 1..100000")
        if not 128 <= self.max_chunks <= 10_000_000:
            raise ValueError(f"max_chunks {self.max_chunks}: not within 128..10000000")
        for name in ("idle_s", "receive_s", "send_s", "handshake_s"):
            if not 0 < getattr(self, name) <= 86_400:
                raise ValueError(f"{name} {getattr(self, name)}: not within 0..86400 s, zero excluded")
        if len({one.uri for one in self.uris}) < len(self.uris):
            raise ValueError("etsi004.uris: a uri stands there twice")

    def anchored(self, folder: Path) -> "Etsi004Settings":
        """The same settings with relative paths taken from `folder`."""
        return self if self.tls is None else replace(self, tls=self.tls.relative_to(folder))

    def bounds_of(self, consumer: ConsumerSettings) -> QosBounds:
        """What one application can have: its own entry goes before what holds for all."""
        max_bps = min(self.max_bps, consumer.max_bandwidth_bps or self.max_bps)
        min_bps = consumer.min_bandwidth_bps or 0
        ttl_s = consumer.ttl_s or self.default_ttl_s
        return QosBounds(
            default=StreamQos(
                chunk_bytes=self.default_chunk_bytes,
                max_bps=max_bps,
                min_bps=min_bps,
                priority=consumer.priority,
                timeout_ms=self.default_timeout_ms,
                ttl_s=ttl_s,
            ),
            most=StreamQos(
                chunk_bytes=self.max_chunk_bytes,
                max_bps=max_bps,
                min_bps=max(min_bps, self.max_min_bps),
                priority=max(consumer.priority, self.max_priority),
                timeout_ms=self.max_timeout_ms,
                ttl_s=max(ttl_s, self.max_ttl_s),
            ),
            least_chunk_bytes=self.min_chunk_bytes,
        )
