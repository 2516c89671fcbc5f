"""Settings of one bridge: a TOML file of its own.

Rule of this file: bounds are checked here, in `__post_init__`, however the value was made.
"""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import urlsplit

from keyweave_core.errors import SettingsError
from keyweave_core.runtime.settings import read_settings
from keyweave_core.runtime.tls import TlsSettings

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_PATH = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*\Z")


def _https(where: str, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError(f"{where} {url[:100]!r}: want https://host[:port][/prefix]")


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorSettings:
    """`[door]`: where events and the other bridge come in. `listen_port` 0 takes a free port.

    `callers` are names (URI, DNS name or common name) of certificates that may ask for rotations and look.
    """

    listen_host: str = "127.0.0.1"
    listen_port: int
    tls: TlsSettings
    callers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSettings:
    """`[peer]`: the bridge at the other site. `name`: a URI, DNS name or common name of its certificate."""

    url: str
    name: str

    def __post_init__(self) -> None:
        _https("peer.url", self.url)
        if not self.name:
            raise ValueError("peer.name must not be empty")


@dataclass(frozen=True, slots=True, kw_only=True)
class KmeSettings:
    """`[kme]`: the key manager of this site, and the SAE id of the bridge at the other one.

    `tls` holds the certificate of this bridge as an application; `name`, where given, is what the certificate
    of the key manager must say (014 clause 5.1: an application checks whom it talks to).
    """

    url: str
    peer_sae_id: str
    tls: TlsSettings
    name: str = ""

    def __post_init__(self) -> None:
        _https("kme.url", self.url)
        if not 1 <= len(self.peer_sae_id) <= 256:
            raise ValueError("kme.peer_sae_id: want 1..256 characters")


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultSettings:
    """`[vault]`: a KV version 2 secrets engine of HashiCorp Vault (or what speaks its HTTP API).

    The token is read from `token_file` for every request, so whoever renews it may replace the file. `ca`:
    the authority of Vault's certificate. `certificate` and `private_key` where Vault wants one of ours.
    """

    address: str
    mount: str = "secret"
    token_file: Path
    namespace: str = ""
    ca: Path
    certificate: Path | None = None
    private_key: Path | None = None
    pending_suffix: str = ".pending"

    def __post_init__(self) -> None:
        _https("vault.address", self.address)
        if not _PATH.match(self.mount):
            raise ValueError(f"vault.mount {self.mount[:60]!r}: want a path of letters, digits and ._-/")
        if (self.certificate is None) is not (self.private_key is None):
            raise ValueError("vault.certificate and vault.private_key belong together")
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,32}", self.pending_suffix):
            raise ValueError(
                f"vault.pending_suffix {self.pending_suffix[:60]!r}: want letters, digits and ._-"
            )
        if not self.namespace.isprintable() or not self.namespace.isascii():
            raise ValueError("vault.namespace: want printable ASCII")


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesSettings:
    """`[files]`: a directory whose files are the secrets. Only its owner should reach it; tmpfs suits it."""

    directory: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretSettings:
    """`[[secrets]]`: one secret, the same `name` at both sites; `path` is where it lies in the sink.

    `every_s`: rotated by the clock of the master, once in each such period (None: by events alone).
    """

    name: str
    sink: Literal["vault", "file"] = "vault"
    path: str
    key_bits: int = 256
    every_s: float | None = None

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise ValueError(f"secrets.name {self.name[:80]!r}: want 1..64 letters, digits and ._-")
        if not _PATH.match(self.path) or any(part in (".", "..") for part in PurePosixPath(self.path).parts):
            raise ValueError(
                f"secrets.path {self.path[:80]!r}: want a path of letters, digits and ._-, no '..'"
            )
        if self.key_bits % 8 or not 64 <= self.key_bits <= 65536:
            raise ValueError(f"{self.name}: key_bits {self.key_bits}: want a multiple of 8 within 64..65536")
        if self.every_s is not None and not 1 <= self.every_s <= 366 * 86_400:
            raise ValueError(f"{self.name}: every_s {self.every_s}: not within 1..31622400 s")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySettings:
    """`[retry]`: pauses between attempts, and the longest wait for one answer; seconds."""

    first_s: float = 0.5
    most_s: float = 60.0
    answer_s: float = 15.0

    def __post_init__(self) -> None:
        if not 0 < self.first_s <= self.most_s <= 86_400:
            raise ValueError(f"retry wants 0 < first_s <= most_s <= 86400, not {self.first_s}, {self.most_s}")
        if not 0 < self.answer_s <= 3600:
            raise ValueError(f"retry.answer_s {self.answer_s}: not within 0..3600 s, zero excluded")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """`[log]`."""

    level: str = "info"
    form: Literal["json", "console"] = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeSettings:
    """The whole file. The master takes keys and decides; the slave fetches them and confirms.

    `remember_days`: how long a finished rotation is remembered, so that its event changes nothing again.
    """

    role: Literal["master", "slave"]
    state_dir: Path
    door: DoorSettings
    peer: PeerSettings
    kme: KmeSettings
    vault: VaultSettings | None = None
    files: FilesSettings | None = None
    secrets: tuple[SecretSettings, ...] = ()
    retry: RetrySettings = field(default_factory=RetrySettings)
    log: LogSettings = field(default_factory=LogSettings)
    remember_days: int = 400

    def __post_init__(self) -> None:
        if not self.secrets:
            raise ValueError("secrets: want at least one")
        for what in ("name", "path"):
            seen: set[str] = set()
            for secret in self.secrets:
                key = secret.name if what == "name" else f"{secret.sink}:{secret.path}"
                if key in seen:
                    raise ValueError(f"secrets: {what} {key} stands there twice")
                seen.add(key)
        for sink, table in (("vault", self.vault), ("file", self.files)):
            if table is None and any(secret.sink == sink for secret in self.secrets):
                raise ValueError(f"a secret goes to sink {sink}, and there is no table for it")
        if self.role == "slave" and any(secret.every_s is not None for secret in self.secrets):
            raise ValueError("every_s belongs to the master: the slave follows")
        if not 1 <= self.remember_days <= 36_500:
            raise ValueError(f"remember_days {self.remember_days}: not within 1..36500")

    def anchored(self, folder: Path) -> "BridgeSettings":
        """The same settings with relative paths taken from `folder` (where the settings file lies)."""
        vault, files = self.vault, self.files
        if vault is not None:
            vault = replace(
                vault,
                token_file=folder / vault.token_file,
                ca=folder / vault.ca,
                certificate=vault.certificate and folder / vault.certificate,
                private_key=vault.private_key and folder / vault.private_key,
            )
        if files is not None:
            files = replace(files, directory=folder / files.directory)
        return replace(
            self,
            state_dir=folder / self.state_dir,
            door=replace(self.door, tls=self.door.tls.relative_to(folder)),
            kme=replace(self.kme, tls=self.kme.tls.relative_to(folder)),
            vault=vault,
            files=files,
        )


def read_bridge_settings(path: Path) -> BridgeSettings:
    """Read the file; raises SettingsError naming it and the key that is wrong."""
    try:
        return read_settings(path, BridgeSettings).anchored(path.resolve().parent)
    except ValueError as error:
        raise SettingsError(f"{path}: {error}") from error
