"""Settings of the border to other networks: the table `[etsi020]` of an agent's settings file.

Rule of this file: bounds are checked here, in `__post_init__`, however the value was made. The server trusts
the authorities of `tls.ca`; a peer with a `ca` of its own must have been certified by that one, so that no
peer's authority can speak for another peer.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from keyweave_agents.keys.border.values import Beyond, BorderRules, Domain
from keyweave_agents.service.settings import ServiceSettings
from keyweave_core.model.application import AppQos, KeyOrigin
from keyweave_core.model.ids import SaeId
from keyweave_core.model.units import UINT32_MAX
from keyweave_core.runtime.tls import TlsSettings

ACK_PATH = "/kmapi/v1/ext_keys/ack"
MOST_SAE_ID_CHARS = 64
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


def place_of(url: str) -> tuple[str, int, str]:
    """Host (lower case), port and path of an https URL; ValueError for anything else in it."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError(f"{url[:100]!r}: want https://host or https://host:port")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError(f"{url[:100]!r}: no user, query or fragment in this URL")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(f"{url[:100]!r}: a URL is printable ASCII")
    return parts.hostname.lower(), parts.port or 443, parts.path.rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSettings:
    """`[[etsi020.peers]]`: the key manager at the other side of one border.

    `name` is ours for that network. `url` is its base (`https://host:port`), `certificate_name` the URI or
    DNS name that its certificate must carry, `ca` the authority that must have issued it (a file; None: any
    of `tls.ca`). `sae_ids`: its applications that ours can reach; they stand in this node's tree, so that our
    controller finds them here. `sae_prefixes`: what the ids of others that begin with us may start with.
    `may_reach`: prefixes of our applications that it may hand keys for (none: all). `callbacks`: URLs besides
    `url` + `/kmapi/v1/ext_keys/ack` that it may name. `max_rate_bps` of keys that it may hand over.
    `origins`: what keys that cross may be made of ("pqc" is not among them by default). The rest is what its
    applications get in our network when they begin, as in `[[consumers]]`.
    """

    name: str
    url: str
    certificate_name: str
    ca: Path | None = None
    sae_ids: tuple[SaeId, ...] = ()
    sae_prefixes: tuple[str, ...] = ()
    may_reach: tuple[str, ...] = ()
    callbacks: tuple[str, ...] = ()
    max_rate_bps: int = 10_000_000
    origins: tuple[KeyOrigin, ...] = (KeyOrigin.QKD, KeyOrigin.HYBRID)
    min_bandwidth_bps: int | None = None
    max_bandwidth_bps: int | None = None
    ttl_s: int | None = None
    priority: int = 0

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise ValueError(f"peers: name {self.name[:60]!r}: want 1..64 letters, digits, dots, -, _")
        where = f"peers: {self.name}"
        _, _, path = place_of(self.url)
        if path:
            raise ValueError(f"{where}: url {self.url!r}: want no path, the standard names them")
        for callback in self.callbacks:
            place_of(callback)
        if not self.certificate_name:
            raise ValueError(f"{where}: certificate_name must not be empty")
        if not self.sae_ids and not self.sae_prefixes:
            raise ValueError(f"{where}: want sae_ids or sae_prefixes: nobody is behind this border")
        for sae in self.sae_ids:
            if not 1 <= len(sae) <= MOST_SAE_ID_CHARS:
                raise ValueError(f"{where}: sae_ids: {sae[:70]!r}: want 1..{MOST_SAE_ID_CHARS} characters")
        if "" in self.sae_prefixes or "" in self.may_reach:
            raise ValueError(f"{where}: an empty prefix would mean everybody")
        if len(set(self.sae_ids)) < len(self.sae_ids):
            raise ValueError(f"{where}: sae_ids: one stands there twice")
        for name in ("min_bandwidth_bps", "max_bandwidth_bps", "ttl_s", "priority"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= UINT32_MAX:
                raise ValueError(f"{where}: {name} {value}: not within 0..{UINT32_MAX}")
        if not 1 <= self.max_rate_bps <= 2**40:
            raise ValueError(f"{where}: max_rate_bps {self.max_rate_bps}: not within 1..{2**40}")

    @property
    def domain(self) -> Domain:
        """What the key manager knows of this network."""
        return Domain(
            name=self.name,
            sae_ids=self.sae_ids,
            sae_prefixes=self.sae_prefixes,
            may_reach=self.may_reach,
            sends_rate_bps=self.max_rate_bps,
            origins=frozenset(self.origins),
            qos=AppQos(
                min_bandwidth_bps=self.min_bandwidth_bps,
                max_bandwidth_bps=self.max_bandwidth_bps,
                ttl_s=self.ttl_s,
            ),
            priority=self.priority,
        )

    def answers_at(self, callback: str) -> tuple[str, int, str] | None:
        """Where to answer for a callback that this peer named; None when it may not name it.

        A URL without a path stands for the path of the standard.
        """
        try:
            host, port, path = place_of(callback)
        except ValueError:
            return None
        wanted = (host, port, path or ACK_PATH)
        host, port, _ = place_of(self.url)
        allowed = {(host, port, ACK_PATH)}
        for other in self.callbacks:
            host, port, path = place_of(other)
            allowed.add((host, port, path or ACK_PATH))
        return wanted if wanted in allowed else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Etsi020Settings:
    """The whole table. `listen_port` 0 takes a free port; times in seconds.

    `tls`: our certificate towards peers, and the authorities of theirs; TLS 1.3. `callback_url`: where peers
    acknowledge to us (None: `https://listen_host:port`). `synchronous`: a request without a callback is
    answered when its keys got through, within `wait_s`. `answer_s`: longest wait for an answer of a peer.
    `relay_s`, `ack_wait_s`, `recall_s`, `tombstone_s`, `max_targets`: see `BorderRules`.
    """

    listen_host: str = "127.0.0.1"
    listen_port: int
    tls: TlsSettings
    peers: tuple[PeerSettings, ...] = ()
    callback_url: str | None = None
    synchronous: bool = True
    wait_s: float = 10.0
    answer_s: float = 5.0
    relay_s: float = 60.0
    ack_wait_s: float = 15.0
    recall_s: float = 20.0
    tombstone_s: float = 86_400.0
    max_targets: int = 1
    max_keys_per_request: int = 128
    max_keys_remembered: int = 200_000
    min_key_bits: int = 64
    max_key_bits: int = 8192
    max_requests_per_s: float = 200.0
    max_body_bytes: int = 1024 * 1024
    max_connections: int = 64
    access_log: bool = True

    def __post_init__(self) -> None:
        if self.tls.minimum_version != "1.3":
            raise ValueError("tls.minimum_version: ETSI GS QKD 020 wants TLS 1.3")
        if self.callback_url is not None:
            place_of(self.callback_url)
        for name in ("wait_s", "answer_s", "relay_s", "ack_wait_s", "recall_s"):
            if not 0 < getattr(self, name) <= 3600:
                raise ValueError(f"{name} {getattr(self, name)}: not within 0..3600 s, zero excluded")
        if not 900 <= self.tombstone_s <= 31_536_000:
            raise ValueError(f"tombstone_s {self.tombstone_s}: not within 900..31536000 s")
        if not 1 <= self.max_targets <= 64:
            raise ValueError(f"max_targets {self.max_targets}: not within 1..64")
        if not 1 <= self.max_keys_per_request <= 1024:
            raise ValueError(f"max_keys_per_request {self.max_keys_per_request}: not within 1..1024")
        if not 1 <= self.max_keys_remembered <= 10_000_000:
            raise ValueError(f"max_keys_remembered {self.max_keys_remembered}: not within 1..10000000")
        if not 8 <= self.min_key_bits <= self.max_key_bits <= 65_536:
            raise ValueError("want 8 <= min_key_bits <= max_key_bits <= 65536")
        if not 0 < self.max_requests_per_s <= 1_000_000:
            raise ValueError(f"max_requests_per_s {self.max_requests_per_s}: not within 0..1000000")
        self._check_peers()
        self.door  # noqa: B018 - its own bounds

    def _check_peers(self) -> None:
        for name in ("name", "certificate_name"):
            seen: set[str] = set()
            for peer in self.peers:
                if getattr(peer, name) in seen:
                    raise ValueError(f"peers: {name} {getattr(peer, name)} stands there twice")
                seen.add(getattr(peer, name))
        owners: dict[str, str] = {}
        for peer in self.peers:
            for text in (*peer.sae_ids, *peer.sae_prefixes):
                for other in self.peers:
                    if other is not peer and other.domain.holds(SaeId(text)):
                        raise ValueError(f"peers: {text} belongs to {peer.name} and to {other.name}")
                owners[text] = peer.name

    @property
    def door(self) -> ServiceSettings:
        """How the HTTPS server of the border listens."""
        return ServiceSettings(
            listen_host=self.listen_host,
            listen_port=self.listen_port,
            tls=self.tls,
            max_body_bytes=self.max_body_bytes,
            max_connections=self.max_connections,
            max_handshakes=max(16, self.max_connections),
        )

    @property
    def foreign(self) -> tuple[SaeId, ...]:
        """All applications beyond the border that stand in this node's tree."""
        return tuple(sae for peer in self.peers for sae in peer.sae_ids)

    @property
    def beyond(self) -> Beyond:
        """What the key manager knows of the other side."""
        return Beyond(
            domains=tuple(peer.domain for peer in self.peers),
            rules=BorderRules(
                keys_per_post=self.max_keys_per_request,
                records=self.max_keys_remembered,
                targets=self.max_targets,
                relay_s=self.relay_s,
                ack_wait_s=self.ack_wait_s,
                recall_s=self.recall_s,
                tombstone_s=self.tombstone_s,
            ),
        )

    def anchored(self, folder: Path) -> "Etsi020Settings":
        """The same settings with relative paths taken from `folder`."""
        return replace(
            self,
            tls=self.tls.relative_to(folder),
            peers=tuple(replace(peer, ca=peer.ca and folder / peer.ca) for peer in self.peers),
        )
