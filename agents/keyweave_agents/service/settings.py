"""Settings of key delivery: what `[service]` and `[[consumers]]` of an agent's settings file may say.

Rule of this file: bounds are checked here, in `__post_init__`, however the value was made.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from keyweave_core.model.ids import SaeId
from keyweave_core.model.units import UINT32_MAX
from keyweave_core.runtime.tls import TlsSettings

SaeIdentity = Literal["auto", "san-uri", "san-dns", "cn", "listed"]
"""Where the SAE id stands in a client certificate; see `service.callers`."""

MOST_KEYS_PER_REQUEST = 4096

MAX_SAE_ID_CHARS = 256
"""Longest SAE id taken from a path or a certificate. The standard sets no bound; a log line wants one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """`[service.audit]`: the record of every delivery (`service.audit`).

    At most `files` files of `file_bytes` each lie in `directory` (None: `audit` in `node.state_dir`). A line
    is forced to the disk within `sync_s` seconds; 0: before the answer leaves, which waits for the disk.
    """

    enabled: bool = True
    directory: Path | None = None
    file_bytes: int = 64 * 1024 * 1024
    files: int = 8
    sync_s: float = 1.0

    def __post_init__(self) -> None:
        if not 4096 <= self.file_bytes <= 1 << 40:
            raise ValueError(f"audit.file_bytes {self.file_bytes}: not within 4096..{1 << 40}")
        if not 1 <= self.files <= 10_000:
            raise ValueError(f"audit.files {self.files}: not within 1..10000")
        if not 0 <= self.sync_s <= 3600:
            raise ValueError(f"audit.sync_s {self.sync_s}: not within 0..3600 s")

    def anchored(self, folder: Path, state_dir: Path) -> "AuditSettings":
        """The same with a directory: a relative one is taken from `folder`, none is below `state_dir`."""
        directory = state_dir / "audit" if self.directory is None else folder / self.directory
        return replace(self, directory=directory)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """The key delivery server (ETSI GS QKD 014) of one agent.

    Key sizes in bits, multiples of 8. `listen_port` 0 takes a free port. Times in seconds:
    `request_wait_s` is the longest a request for keys waits for the network; `keep_alive_s` the longest
    silence between two requests; `receive_s` the longest a client may take to send one request, and
    `send_s` to take the answer; `handshake_s` the longest TLS handshake; `close_s` how long `close` lets
    running requests end. `max_handshakes` are clients that have not shown a certificate yet, besides
    `max_connections` that have (some 50 kB each). `revoked` is a file of certificate revocation lists (PEM),
    read again when it changes. `access_log`: a log line for every request, besides the audit record of those
    for keys. `status_extension`: `status` tells the mode of the association, too.
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
    max_connections: int = 4096
    max_handshakes: int = 512
    access_log: bool = False
    status_extension: bool = False
    revoked: Path | None = None
    audit: AuditSettings = AuditSettings()

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
        if self.max_keys_per_request > MOST_KEYS_PER_REQUEST:
            raise ValueError(
                f"max_keys_per_request {self.max_keys_per_request}: not within 1..{MOST_KEYS_PER_REQUEST}"
            )
        # An id in a body of dec_keys takes up to 64 bytes with its member name and some white space.
        if self.max_body_bytes < 64 * self.max_keys_per_request:
            raise ValueError(
                f"max_body_bytes {self.max_body_bytes} is too small for dec_keys with "
                f"max_keys_per_request {self.max_keys_per_request}: want {64 * self.max_keys_per_request}"
            )
        if not 0 <= self.max_additional_slaves <= 64:
            raise ValueError(f"max_additional_slaves {self.max_additional_slaves}: not within 0..64")
        for name in ("max_body_bytes", "max_head_bytes"):
            if not 1024 <= getattr(self, name) <= 16 * 1024 * 1024:
                raise ValueError(f"{name} {getattr(self, name)}: not within 1024..16777216")
        for name in ("request_wait_s", "keep_alive_s", "receive_s", "send_s", "handshake_s", "close_s"):
            if not 0 < getattr(self, name) <= 3600:
                raise ValueError(f"{name} {getattr(self, name)}: not within 0..3600 s, zero excluded")

    def anchored(self, folder: Path, state_dir: Path) -> "ServiceSettings":
        """The same settings with relative paths taken from `folder`; the audit record by `state_dir`."""
        return replace(
            self,
            tls=self.tls.relative_to(folder),
            revoked=self.revoked and folder / self.revoked,
            audit=self.audit.anchored(folder, state_dir),
        )


_FINGERPRINT = re.compile(r"[0-9a-f]{64}\Z")
_SERIAL = re.compile(r"[1-9a-f][0-9a-f]{0,39}\Z")  # at most 20 octets (RFC 5280 section 4.1.2.2)


def _plain_hex(text: str) -> str:
    return text.replace(":", "").replace(" ", "").lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateMatch:
    """`[[consumers.certificates]]`: a certificate of a consumer, by what it must say: all that is named here.

    `sha256` is the fingerprint of the whole certificate and `serial` its serial number, both in hex (colons
    and case mean nothing); `issuer` and `cn` are the common names of issuer and subject; `uri` and `dns`
    names of subjectAltName.
    """

    uri: str | None = None
    dns: str | None = None
    cn: str | None = None
    serial: str | None = None
    issuer: str | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        if all(getattr(self, name) is None for name in ("uri", "dns", "cn", "serial", "sha256")):
            raise ValueError("a certificate is named by at least one of uri, dns, cn, serial, sha256")
        if self.serial is not None:
            object.__setattr__(self, "serial", _plain_hex(self.serial).lstrip("0"))
            if not _SERIAL.match(str(self.serial)):
                raise ValueError(f"serial {self.serial!r}: want up to 40 hex digits")
        if self.sha256 is not None:
            object.__setattr__(self, "sha256", _plain_hex(self.sha256))
            if not _FINGERPRINT.match(str(self.sha256)):
                raise ValueError("sha256: want 64 hex digits (openssl x509 -fingerprint -sha256)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerSettings:
    """One application that this agent serves, and what it gets when it asks by itself.

    With `certificates` only these are the application's, whatever names others carry; without, the names in a
    certificate tell (`sae_identity`).

    `min_bandwidth_bps` is what admission reserves, `max_bandwidth_bps` the rate above which requests are
    refused, `ttl_s` the longest stay of an unused key (`app_qos` of ETSI GS QKD 015). A higher `priority`
    is served first.
    """

    sae_id: SaeId
    min_bandwidth_bps: int | None = None
    max_bandwidth_bps: int | None = None
    priority: int = 0
    ttl_s: int | None = None
    certificates: tuple[CertificateMatch, ...] = ()

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
