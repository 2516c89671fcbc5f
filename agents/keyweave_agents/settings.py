"""The settings file of an agent: the tables of all its rooms, joined and checked against each other.

Rule of this file: each room defines its own table and the bounds in it; here stands only what no room can
know alone. Relative paths are taken from the folder of the settings file.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from keyweave_agents.control.settings import NodeSettings
from keyweave_agents.keys.settings import KeySettings
from keyweave_agents.quantum.module_settings import ModuleSettings
from keyweave_agents.quicks.settings import QuicksSettings
from keyweave_agents.service.settings import ConsumerSettings, ServiceSettings
from keyweave_agents.service.settings004 import Etsi004Settings
from keyweave_agents.service.settings020 import Etsi020Settings
from keyweave_agents.service.streams.letters import MOST_CHUNKS
from keyweave_core.model.ids import SaeId
from keyweave_core.netconf.server.settings import NetconfSettings
from keyweave_core.runtime.settings import read_settings
from keyweave_core.runtime.tls import TlsSettings
from keyweave_gnmi.settings import GnmiSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """`[log]`: one line per event on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    form: Literal["console", "json"] = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """The whole file. `keys_tls` is what key managers show each other, `service.tls` what applications see.

    Without `gnmi` there is no gNMI server, and nothing of it is loaded; without `etsi004` no server of key
    streams. With `quicks` the process is one half
    of a node and the other half another process: a key manager wants no `netconf`, everybody else does.

    Raises ValueError where two tables contradict each other, naming both.
    """

    node: NodeSettings
    netconf: NetconfSettings | None = None
    keys: KeySettings
    keys_tls: TlsSettings
    service: ServiceSettings
    consumers: tuple[ConsumerSettings, ...] = ()
    modules: tuple[ModuleSettings, ...] = ()
    gnmi: GnmiSettings | None = None
    quicks: QuicksSettings | None = None
    etsi004: Etsi004Settings | None = None
    etsi020: Etsi020Settings | None = None
    log: LogSettings = LogSettings()

    def __post_init__(self) -> None:
        keys_alone = self.quicks is not None and self.quicks.role == "key-manager"
        if self.netconf is None and not keys_alone:
            raise ValueError("netconf: this table is wanted by whoever speaks to controllers")
        if keys_alone and (self.netconf is not None or self.gnmi is not None):
            raise ValueError(
                "netconf and gnmi: a key manager behind an agent (quicks.role) speaks to no controller"
            )
        _unique("consumers", "sae_id", (each.sae_id for each in self.consumers))
        _unique("consumers and etsi020.peers", "sae_id", self.told_consumers)
        _unique("modules", "interface_id", (each.interface_id for each in self.modules))
        _unique("modules", "link_id", (each.link_id for each in self.modules))
        self._check_neighbours()
        self._check_sizes()
        self._check_ports()

    def anchored(self, folder: Path) -> "AgentSettings":
        """The same settings with relative paths taken from `folder`."""
        return replace(
            self,
            node=replace(self.node, state_dir=folder / self.node.state_dir),
            netconf=self.netconf and self.netconf.anchored(folder),
            keys=self.keys.anchored(folder, folder / self.node.state_dir),
            keys_tls=self.keys_tls.relative_to(folder),
            service=self.service.anchored(folder, folder / self.node.state_dir),
            gnmi=self.gnmi and self.gnmi.anchored(folder),
            quicks=self.quicks and self.quicks.anchored(folder),
            etsi004=self.etsi004 and self.etsi004.anchored(folder),
            etsi020=self.etsi020 and self.etsi020.anchored(folder),
        )

    @property
    def told_consumers(self) -> tuple[SaeId, ...]:
        """The applications that a controller finds at this node: its own, and those beyond its border."""
        beyond = self.etsi020.foreign if self.etsi020 is not None else ()
        return (*(consumer.sae_id for consumer in self.consumers), *beyond)

    def _check_neighbours(self) -> None:
        """Every fibre has a module here and a key manager at its far end, and both tables agree on it."""
        far = {each.link_id: each.node_id for each in self.keys.neighbours}
        for module in self.modules:
            where = f"modules: module {module.interface_id}"
            if module.remote_node_id == self.node.node_id:
                raise ValueError(f"{where}: remote_node_id is this node")
            neighbour = far.pop(module.link_id, None)
            if neighbour is None:
                raise ValueError(f"{where}: keys.neighbours has no entry for its link {module.link_id}")
            if neighbour != module.remote_node_id:
                raise ValueError(
                    f"{where}: remote_node_id is {module.remote_node_id}, but keys.neighbours has "
                    f"{neighbour} at the end of link {module.link_id}"
                )
        for link in far:
            raise ValueError(f"keys.neighbours: link {link} has no module in modules")

    def _check_sizes(self) -> None:
        limits = self.keys.limits
        pairs = (
            ("max_key_bits", self.service.max_key_bits, limits.max_key_bits),
            ("max_keys_per_request", self.service.max_keys_per_request, limits.keys_per_request),
        )
        for name, offered, possible in pairs:
            if offered > possible:
                raise ValueError(f"service.{name} {offered} is above the limit {possible} of keys.limits")
        if self.service.min_key_bits < limits.min_key_bits:
            raise ValueError(
                f"service.min_key_bits {self.service.min_key_bits} is below the limit "
                f"{limits.min_key_bits} of keys.limits"
            )
        if self.service.default_key_bits != self.keys.default_key_bits:
            raise ValueError(
                f"service.default_key_bits {self.service.default_key_bits} and keys.default_key_bits "
                f"{self.keys.default_key_bits} differ: the buffer would hold keys that nobody asks for"
            )

        if self.etsi004 is not None:
            self._check_chunks(self.etsi004)

    def _check_chunks(self, streams: Etsi004Settings) -> None:
        """Streams are made of keys, so these must be possible."""
        limits = self.keys.limits
        if (
            8 * streams.max_chunk_bytes > limits.max_key_bits
            or 8 * streams.min_chunk_bytes < limits.min_key_bits
        ):
            raise ValueError(
                f"etsi004 chunks of {streams.min_chunk_bytes}..{streams.max_chunk_bytes} bytes are not "
                f"within {limits.min_key_bits}..{limits.max_key_bits} bits of keys.limits"
            )
        if limits.keys_per_request < MOST_CHUNKS:
            raise ValueError(
                f"keys.limits.keys_per_request {limits.keys_per_request}: etsi004 wants {MOST_CHUNKS} or more"
            )

    def _check_ports(self) -> None:
        places = [
            ("keys", self.keys.listen_host, self.keys.listen_port),
            ("service", self.service.listen_host, self.service.listen_port),
        ]
        if self.quicks is not None:
            places.append(("quicks", self.quicks.listen_host, self.quicks.listen_port))
        netconf = self.netconf
        if netconf is not None and netconf.listen:
            places.append(("netconf", netconf.listen_host, netconf.listen_port))
        if netconf is not None and netconf.tls is not None and netconf.tls.listen:
            places.append(("netconf.tls", netconf.tls.listen_host, netconf.tls.listen_port))
        if self.etsi004 is not None:
            places.append(("etsi004", self.etsi004.listen_host, self.etsi004.listen_port))
        if self.etsi020 is not None:
            places.append(("etsi020", self.etsi020.listen_host, self.etsi020.listen_port))
        if self.gnmi is not None:
            places.append(("gnmi", self.gnmi.listen_host, self.gnmi.listen_port))
        taken: dict[tuple[str, int], str] = {}
        for name, host, port in places:
            if port and (host, port) in taken:
                raise ValueError(f"{name} and {taken[host, port]} both listen on {host} port {port}")
            taken[host, port] = name


def read_agent_settings(path: Path) -> AgentSettings:
    """Read an agent's settings file.

    Raises SettingsError naming the file, the key or line, and the reason.
    """
    return read_settings(path, AgentSettings).anchored(path.resolve().parent)


def _unique(table: str, key: str, values: Iterable[object]) -> None:
    seen: set[object] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{table}: {key} {value} stands there twice")
        seen.add(value)
