"""Settings of one controller: a TOML file in, frozen values out.

Rule of this file: `read_controller_settings` is the only reader; the program and `check-config` both use it,
so what the one accepts the other runs. Relative paths mean relative to the settings file. Every complaint is
a SettingsError that names the file, the key and the reason.
"""

import dataclasses
import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from keyweave_controller.control.configuration import Policy, Tariff
from keyweave_controller.control.events import InventoryNode
from keyweave_core.errors import SettingsError
from keyweave_core.model.ids import SaeId
from keyweave_core.netconf.server.settings import NetconfSettings
from keyweave_core.runtime.retry import Backoff
from keyweave_core.runtime.settings import read_settings

_PORTS = range(65536)


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSettings:
    """[controller]: where the controller keeps what it must not forget."""

    state_dir: Path = Path("state")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """[database]: an SQLAlchemy URL; empty means SQLite inside `state_dir`."""

    url: str = ""


class CallerRole(StrEnum):
    """What a caller of the northbound may do."""

    OPERATOR = "operator"  # everything
    VIEWER = "viewer"  # look, not change


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerSettings:
    """[[grpc.callers]]: one certificate name (common name) and its role."""

    name: str
    role: CallerRole = CallerRole.OPERATOR


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcSettings:
    """[grpc]: the northbound endpoint, always with mutual TLS.

    `listen_port` 0 takes a free one (told by the ready file). `callers` empty: every certificate that `ca`
    signed is an operator; otherwise only the names listed are let in.
    """

    certificate: Path
    private_key: Path
    ca: Path
    listen_host: str = "127.0.0.1"
    listen_port: int = 50051
    callers: tuple[CallerSettings, ...] = ()

    def __post_init__(self) -> None:
        if self.listen_port not in _PORTS:
            raise ValueError(f"listen_port must be 0..65535, not {self.listen_port}")
        _refuse_repeats("grpc.callers", [caller.name for caller in self.callers])


@dataclass(frozen=True, slots=True, kw_only=True)
class SouthboundSettings:
    """[southbound]: how agents are reached over NETCONF; all durations in seconds."""

    user: str
    private_key: Path
    poll_interval_s: float = 5.0
    audit_interval_s: float = 60.0
    connect_timeout_s: float = 5.0
    rpc_timeout_s: float = 10.0
    keepalive_s: float = 5.0
    backoff: Backoff = field(default_factory=Backoff)

    def __post_init__(self) -> None:
        if not self.user:
            raise ValueError("user must not be empty")
        for name in (
            "poll_interval_s",
            "audit_interval_s",
            "connect_timeout_s",
            "rpc_timeout_s",
            "keepalive_s",
        ):
            if not 0 < getattr(self, name) <= 3600:
                raise ValueError(f"{name} must be above 0 and at most 3600, not {getattr(self, name)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountingSettings:
    """[accounting]: the file with the prices; without one nothing costs anything."""

    tariff: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """[log]: how much is said on standard error, and in which form."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    form: Literal["console", "json"] = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSettings:
    """[metrics]: `listen` as host:port for Prometheus in plain HTTP; empty means none."""

    listen: str = ""

    def __post_init__(self) -> None:
        if self.listen:
            self.endpoint()

    def endpoint(self) -> tuple[str, int]:
        """Host and port of `listen`; ValueError when it has another form."""
        match = re.fullmatch(r"\[?([^\[\]]+?)\]?:(\d{1,5})", self.listen)
        if match is None or int(match[2]) not in _PORTS:
            raise ValueError(f"listen must be host:port, not {self.listen!r}")
        return match[1], int(match[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """[[agents]]: one agent of the inventory. `host_key` is the file with its SSH public host key.

    `consumers` names applications behind an agent that cannot tell them itself (no keyweave-qkd-node).
    """

    name: str
    host: str
    port: int
    host_key: Path
    consumers: tuple[SaeId, ...] = ()

    def __post_init__(self) -> None:
        if not self.name or not self.host:
            raise ValueError("an agent needs a name and a host")
        if not 1 <= self.port <= 65535:
            raise ValueError(f"port of {self.name} must be 1..65535, not {self.port}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerSettings:
    """The whole file."""

    grpc: GrpcSettings
    southbound: SouthboundSettings
    controller: StateSettings = field(default_factory=StateSettings)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    policy: Policy = field(default_factory=Policy)
    accounting: AccountingSettings = field(default_factory=AccountingSettings)
    log: LogSettings = field(default_factory=LogSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    netconf: NetconfSettings | None = None
    agents: tuple[AgentSettings, ...] = ()

    def __post_init__(self) -> None:
        _refuse_repeats("agents: name", [agent.name for agent in self.agents])
        _refuse_repeats("agents: host and port", [f"{agent.host}:{agent.port}" for agent in self.agents])
        _refuse_repeats("agents: consumer", [sae for agent in self.agents for sae in agent.consumers])

    @property
    def inventory(self) -> tuple[InventoryNode, ...]:
        """The agents as the deciding code knows them."""
        return tuple(InventoryNode(name=agent.name, consumers=agent.consumers) for agent in self.agents)

    @property
    def database_url(self) -> str:
        """The database to open: the one named, or SQLite inside `state_dir`."""
        return self.database.url or f"sqlite:///{self.controller.state_dir / 'controller.sqlite'}"

    def tariff(self) -> Tariff:
        """Read the prices; SettingsError as `read_controller_settings`."""
        if self.accounting.tariff is None:
            return Tariff()
        return read_settings(self.accounting.tariff, Tariff)


def read_controller_settings(path: Path) -> ControllerSettings:
    """Read, check and resolve the settings of a controller.

    The files named (certificates, keys, tariff) must exist and the tariff must be readable. Raises
    SettingsError naming the file, the key and the reason.
    """
    raw = read_settings(path, ControllerSettings)
    settings: ControllerSettings = _resolve(raw, path.resolve().parent)
    for where, named in _files(settings):
        if not named.is_file():
            raise SettingsError(f"{path}: {where}: no such file: {named}")
    settings.tariff()
    return settings


def _files(settings: ControllerSettings) -> list[tuple[str, Path]]:
    files = [
        ("grpc.certificate", settings.grpc.certificate),
        ("grpc.private_key", settings.grpc.private_key),
        ("grpc.ca", settings.grpc.ca),
        ("southbound.private_key", settings.southbound.private_key),
    ]
    files += [(f"host_key of agent {agent.name}", agent.host_key) for agent in settings.agents]
    if settings.netconf is not None:
        files += _netconf_files(settings.netconf)
    if settings.accounting.tariff is not None:
        files.append(("accounting.tariff", settings.accounting.tariff))
    return files


def _netconf_files(settings: NetconfSettings) -> list[tuple[str, Path]]:
    files = [("netconf.host_key", settings.host_key)]
    files += [
        (f"netconf.users {user.name}", user.authorized_keys)
        for user in settings.users
        if user.authorized_keys is not None
    ]
    if settings.tls is not None:
        files += [
            (f"netconf.tls.{name}", getattr(settings.tls, name))
            for name in ("certificate", "private_key", "ca")
        ]
    return files


def _resolve(value: Any, folder: Path) -> Any:
    """The same value with every relative path inside it made absolute against `folder`."""
    if isinstance(value, Path):
        return folder / value
    if isinstance(value, tuple):
        return tuple(_resolve(item, folder) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [item.name for item in dataclasses.fields(value)]
        return dataclasses.replace(value, **{name: _resolve(getattr(value, name), folder) for name in names})
    return value


def _refuse_repeats(what: str, names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"{what} given twice: {', '.join(repeated)}")
