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

from keyweave_controller.control.configuration import LinkFacts, Policy, Tariff
from keyweave_controller.control.events import InventoryNode
from keyweave_controller.control.optical.plant import Plant
from keyweave_controller.control.strategies import STRATEGIES
from keyweave_controller.link_settings import LinkSettings
from keyweave_controller.plant_file import read_plant
from keyweave_core.errors import SettingsError
from keyweave_core.model.ids import SaeId
from keyweave_core.netconf.server.settings import NetconfSettings
from keyweave_core.runtime.retry import Backoff
from keyweave_core.runtime.settings import read_settings
from keyweave_core.runtime.tls import TlsSettings
from keyweave_gnmi.settings import GnmiSettings

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
class CallDeskSettings:
    """[southbound.calls_ssh] and [southbound.calls_tls]: where agents that call home (RFC 8071) find us.

    The registered ports are 4334 (SSH) and 4335 (TLS); 0 takes a free one.
    """

    listen_port: int
    listen_host: str = "127.0.0.1"

    def __post_init__(self) -> None:
        if self.listen_port not in _PORTS:
            raise ValueError(f"listen_port must be 0..65535, not {self.listen_port}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SouthboundSettings:
    """[southbound]: how agents are reached; all durations in seconds.

    `user` and `private_key` are who we are over SSH, `tls` over TLS and gNMI (needed only for such agents).
    """

    user: str
    private_key: Path
    tls: TlsSettings | None = None
    calls_ssh: CallDeskSettings | None = None
    calls_tls: CallDeskSettings | None = None
    poll_interval_s: float = 5.0
    audit_interval_s: float = 60.0
    connect_timeout_s: float = 5.0
    rpc_timeout_s: float = 10.0
    keepalive_s: float = 30.0
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
class OpticalSettings:
    """[optical]: the file with the fibre plant (`plant_file`); none: links are what their agents say."""

    plant: Path | None = None


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


class Protocol(StrEnum):
    """How an agent is spoken to, and who dials."""

    NETCONF_SSH = "netconf-ssh"
    NETCONF_TLS = "netconf-tls"
    CALL_HOME_SSH = "call-home-ssh"  # the agent dials us
    CALL_HOME_TLS = "call-home-tls"
    GNMI = "gnmi"

    @property
    def dialled(self) -> bool:
        """We dial: host and port are needed."""
        return self not in (Protocol.CALL_HOME_SSH, Protocol.CALL_HOME_TLS)

    @property
    def over_ssh(self) -> bool:
        """The agent proves itself by its host key; otherwise by its certificate."""
        return self in (Protocol.NETCONF_SSH, Protocol.CALL_HOME_SSH)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """[[agents]]: one agent of the inventory.

    Over SSH `host_key` is the file with its public host key; over TLS and gNMI `certificate_name` is a name
    (URI, DNS or common name) that its certificate must carry. `host` and `port` are not given when it calls
    home. `virt_next_hop`: what it wants there, the adjacent node or all that remain on the path. `consumers`
    names applications behind an agent that cannot tell them itself (no keyweave-qkd-node). `trust` (0..100)
    is what the operator thinks of the site, `domain` whose it is, or where: demands may bound both.
    """

    name: str
    host: str = ""
    port: int = 0
    protocol: Protocol = Protocol.NETCONF_SSH
    host_key: Path | None = None
    certificate_name: str = ""
    virt_next_hop: Literal["adjacent", "remaining"] = "adjacent"
    consumers: tuple[SaeId, ...] = ()
    trust: int = 100
    domain: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("an agent needs a name")
        if not 0 <= self.trust <= 100:
            raise ValueError(f"trust of {self.name} must be 0..100, not {self.trust}")
        if self.protocol.dialled:
            if not self.host:
                raise ValueError(f"agent {self.name} needs a host")
            if not 1 <= self.port <= 65535:
                raise ValueError(f"port of {self.name} must be 1..65535, not {self.port}")
        elif self.host or self.port:
            raise ValueError(f"agent {self.name} calls home: it has no host and no port")
        if self.protocol.over_ssh and self.host_key is None:
            raise ValueError(f"agent {self.name} needs host_key: over SSH nobody else proves who it is")
        if not self.protocol.over_ssh and not self.certificate_name:
            raise ValueError(f"agent {self.name} needs certificate_name, which its certificate must carry")


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerSettings:
    """The whole file."""

    grpc: GrpcSettings
    southbound: SouthboundSettings
    controller: StateSettings = field(default_factory=StateSettings)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    policy: Policy = field(default_factory=Policy)
    accounting: AccountingSettings = field(default_factory=AccountingSettings)
    optical: OpticalSettings = field(default_factory=OpticalSettings)
    log: LogSettings = field(default_factory=LogSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    netconf: NetconfSettings | None = None
    gnmi: GnmiSettings | None = None
    agents: tuple[AgentSettings, ...] = ()
    links: tuple[LinkSettings, ...] = ()

    def __post_init__(self) -> None:
        _refuse_repeats("agents: name", [agent.name for agent in self.agents])
        dialled = [agent for agent in self.agents if agent.protocol.dialled]
        _refuse_repeats("agents: host and port", [f"{agent.host}:{agent.port}" for agent in dialled])
        if self.gnmi is not None and self.netconf is None:
            raise ValueError("[gnmi] serves what [netconf] does, to its users: that table is missing")
        self._check_protocols()
        _refuse_repeats("agents: consumer", [sae for agent in self.agents for sae in agent.consumers])
        self._check_strategies()
        names = {agent.name for agent in self.agents}
        _refuse_repeats("links: link", [link.among(names) for link in self.links])

    def _check_protocols(self) -> None:
        """Every agent can be reached the way it asks for, and callers can be told apart."""
        used = {agent.protocol for agent in self.agents}
        needs = {
            Protocol.CALL_HOME_SSH: ("southbound.calls_ssh", self.southbound.calls_ssh),
            Protocol.CALL_HOME_TLS: ("southbound.calls_tls", self.southbound.calls_tls),
        }
        for protocol, (name, table) in needs.items():
            if protocol in used and table is None:
                raise ValueError(f"agents of protocol {protocol} need the table [{name}]")
        if self.southbound.tls is None and any(not protocol.over_ssh for protocol in used):
            raise ValueError("agents over TLS or gNMI need the table [southbound.tls]")
        callers = [agent for agent in self.agents if agent.protocol is Protocol.CALL_HOME_TLS]
        _refuse_repeats("agents: certificate_name", [agent.certificate_name for agent in callers])

    def _check_strategies(self) -> None:
        for name in ("guaranteed_strategy", "best_effort_strategy", "scheduled_strategy"):
            named = getattr(self.policy, name)
            if named not in STRATEGIES:
                known = ", ".join(sorted(STRATEGIES))
                raise ValueError(f"policy.{name}: there is no strategy {named!r}; there are {known}")

    @property
    def inventory(self) -> tuple[InventoryNode, ...]:
        """The agents as the deciding code knows them."""
        return tuple(
            InventoryNode(name=agent.name, consumers=agent.consumers, trust=agent.trust, domain=agent.domain)
            for agent in self.agents
        )

    @property
    def link_facts(self) -> tuple[LinkFacts, ...]:
        """What the operator knows of links, as the deciding code knows it."""
        names = {agent.name for agent in self.agents}
        return tuple(link.facts(names) for link in self.links)

    @property
    def database_url(self) -> str:
        """The database to open: the one named, or SQLite inside `state_dir`."""
        return self.database.url or f"sqlite:///{self.controller.state_dir / 'controller.sqlite'}"

    def tariff(self) -> Tariff:
        """Read the prices; SettingsError as `read_controller_settings`."""
        if self.accounting.tariff is None:
            return Tariff()
        return read_settings(self.accounting.tariff, Tariff)

    def plant(self) -> Plant | None:
        """Read the fibre plant; SettingsError as `read_controller_settings`."""
        return None if self.optical.plant is None else read_plant(self.optical.plant)


def read_controller_settings(path: Path) -> ControllerSettings:
    """Read, check and resolve the settings of a controller.

    The files named (certificates, keys, tariff) must exist; tariff and fibre plant must be readable. Raises
    SettingsError naming the file, the key and the reason.
    """
    raw = read_settings(path, ControllerSettings)
    settings: ControllerSettings = _resolve(raw, path.resolve().parent)
    for where, named in _files(settings):
        if not named.is_file():
            raise SettingsError(f"{path}: {where}: no such file: {named}")
    settings.tariff()
    settings.plant()
    return settings


def _files(settings: ControllerSettings) -> list[tuple[str, Path]]:
    files = [
        ("grpc.certificate", settings.grpc.certificate),
        ("grpc.private_key", settings.grpc.private_key),
        ("grpc.ca", settings.grpc.ca),
        ("southbound.private_key", settings.southbound.private_key),
    ]
    files += [
        (f"host_key of agent {agent.name}", agent.host_key)
        for agent in settings.agents
        if agent.host_key is not None
    ]
    if settings.southbound.tls is not None:
        files += _tls_files("southbound.tls", settings.southbound.tls)
    if settings.netconf is not None:
        files += _netconf_files(settings.netconf)
    if settings.gnmi is not None:
        files += _tls_files("gnmi", settings.gnmi)
    if settings.accounting.tariff is not None:
        files.append(("accounting.tariff", settings.accounting.tariff))
    if settings.optical.plant is not None:
        files.append(("optical.plant", settings.optical.plant))
    return files


def _netconf_files(settings: NetconfSettings) -> list[tuple[str, Path]]:
    files = [("netconf.host_key", settings.host_key)]
    files += [
        (f"netconf.users {user.name}", user.authorized_keys)
        for user in settings.users
        if user.authorized_keys is not None
    ]
    if settings.tls is not None:
        files += _tls_files("netconf.tls", settings.tls)
    return files


def _tls_files(table: str, settings: object) -> list[tuple[str, Path]]:
    return [(f"{table}.{name}", getattr(settings, name)) for name in ("certificate", "private_key", "ca")]


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
