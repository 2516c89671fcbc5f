"""What a deployment is made of: the file `lab.json` in its directory.

Rule of this file: values and their file. Whoever wants to look at a laboratory (the command line, the demo,
a test) reads it here and nowhere else; nothing in it is secret, secrets lie in the files it names.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from keyweave_core.errors import InvalidInput, SettingsError
from keyweave_core.runtime.tls import TlsSettings
from keyweave_lab.pki import write_private_file
from keyweave_lab.processes import ProcessIdentity

FILE_NAME = "lab.json"
HOST = "127.0.0.1"

ProgramKind = Literal["plant", "agent", "controller"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program of the laboratory; `process` is None before its first start.

    `command` follows the interpreter. `ready` is the file (or socket) that appears when the program serves.
    """

    name: str
    kind: ProgramKind
    command: tuple[str, ...]
    config: Path
    log: Path
    ready: Path
    process: ProcessIdentity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabNode:
    """One agent: its id and ports on loopback, and its public SSH host key (a file).

    `gnmi_port` is None where the laboratory was laid out without gNMI. `streams_port` is that of key streams
    (ETSI GS QKD 004).
    """

    name: str
    node_id: str
    netconf_port: int
    keys_port: int
    service_port: int
    streams_port: int
    host_key: Path
    gnmi_port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabLink:
    """One fibre: its name and ends, and its port at the plant."""

    name: str
    link_id: str
    a: str
    b: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LabApplication:
    """One application: the site it belongs to, where it fetches keys, and its certificate."""

    sae_id: str
    node: str
    base_url: str
    tls: TlsSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class LabInventory:
    """The whole laboratory. `controller_address` is the gRPC northbound, `operator` who may ask it.

    `netconf_user` with `netconf_key` (an SSH private key) is let in by every agent and by the controller,
    whose NETCONF port and public host key (a file) are `controller_netconf_port` and `controller_host_key`.
    `keep`: the processes outlive the program that started them.
    """

    topology: str
    directory: Path
    keep: bool
    programs: tuple[Program, ...]
    nodes: tuple[LabNode, ...]
    links: tuple[LabLink, ...]
    applications: tuple[LabApplication, ...]
    controller_address: str
    operator: TlsSettings
    netconf_user: str
    netconf_key: Path
    plant_socket: Path
    controller_netconf_port: int
    controller_host_key: Path

    def node(self, name: str) -> LabNode:
        """The agent of this name; KeyError naming it when there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(f"no node {name!r} in the laboratory {self.directory}")

    def link(self, called: str) -> LabLink:
        """The fibre called so: its id, or its two ends in any order, joined by `~` or `-`.

        InvalidInput naming the fibres there are when it is none of them.
        """
        for link in self.links:
            ends = ((link.a, link.b), (link.b, link.a))
            if called in (link.link_id, link.name, *(f"{a}{mark}{b}" for a, b in ends for mark in "~-")):
                return link
        known = ", ".join(link.name for link in self.links)
        raise InvalidInput(f"there is no fibre {called[:100]!r}; there are {known}")

    def application(self, sae_id: str) -> LabApplication:
        """The application of this id; KeyError naming it when there is none."""
        for application in self.applications:
            if application.sae_id == sae_id:
                return application
        raise KeyError(f"no application {sae_id!r} in the laboratory {self.directory}")


def read_inventory(directory: Path) -> LabInventory:
    """The laboratory in `directory`. Raises SettingsError: none there, or its file is damaged."""
    path = directory / FILE_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=LabInventory, dec_hook=_to_path)
    except FileNotFoundError as error:
        raise SettingsError(f"{directory}: no laboratory is deployed there (no {FILE_NAME})") from error
    except (OSError, msgspec.DecodeError) as error:
        raise SettingsError(f"{path}: cannot read: {error}") from error


def write_inventory(inventory: LabInventory) -> None:
    """Write the file whole or not at all."""
    path = inventory.directory / FILE_NAME
    fresh = path.with_suffix(".new")
    content = msgspec.json.encode(inventory, enc_hook=str)
    write_private_file(fresh, msgspec.json.format(content, indent=2) + b"\n")
    fresh.replace(path)


def _to_path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(f"an inventory holds no {kind}")
