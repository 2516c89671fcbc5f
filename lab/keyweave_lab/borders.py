"""Two laboratories joined at a border: two networks with a controller and an authority each.

    laboratory X   ... - node -- ETSI GS QKD 020 -- node - ...   laboratory Y

Rule of this file: each side is told of the other what two operators would tell each other: where its border
node is, what its certificate says, who signed it, and which applications are behind it. Nothing else is
shared. The two agents are started again, because an agent reads its settings when it starts.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keyweave_agents.service.settings020 import MOST_SAE_ID_CHARS
from keyweave_core.errors import InvalidInput
from keyweave_core.runtime.clock import Clock
from keyweave_lab.deploy import inspect, start_program, stop_program
from keyweave_lab.inventory import HOST, LabInventory, LabNode, read_inventory
from keyweave_lab.pki import write_private_file
from keyweave_lab.ports import free_ports
from keyweave_lab.toml_text import to_toml

AUTHORITIES = "border-ca.pem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side of a border: a laboratory and its border node."""

    lab: LabInventory
    node: LabNode
    config: Path
    settings: dict[str, Any]

    @property
    def network(self) -> str:
        """What the other side calls this network."""
        return self.lab.topology

    @property
    def authority(self) -> Path:
        """The certificate of the laboratory's authority."""
        return self.lab.operator.ca

    @property
    def applications(self) -> list[str]:
        """The applications that the other side can reach."""
        return [each.sae_id for each in self.lab.applications if len(each.sae_id) <= MOST_SAE_ID_CHARS]


def side_of(directory: Path, node: str) -> Side:
    """The side of a border at a node of the laboratory in `directory`.

    Raises SettingsError (no laboratory) or InvalidInput (no such node).
    """
    lab = read_inventory(directory)
    try:
        found = lab.node(node)
    except KeyError as error:
        raise InvalidInput(str(error.args[0])) from error
    program = next(each for each in lab.programs if each.kind == "agent" and each.name == node)
    settings = tomllib.loads(program.config.read_text(encoding="utf-8"))
    return Side(lab=lab, node=found, config=program.config, settings=settings)


async def join(one: Side, other: Side, clock: Clock) -> None:
    """Tell two border nodes of each other, and start those again that run.

    Raises InvalidInput, and changes nothing, when the two networks cannot be told apart: one name, or an
    application in both. Errors of starting as `deploy.start_program`.
    """
    if one.network == other.network:
        raise InvalidInput(f"both networks are called {one.network}; a border joins two")
    both = sorted(set(one.applications) & set(other.applications))
    if both:
        raise InvalidInput(f"an application of both networks: {both[0]}; ids must differ over all networks")
    ports = free_ports(2, host=HOST)
    for side, far, port in ((one, other, ports[1]), (other, one, ports[0])):
        own = ports[0] if side is one else ports[1]
        _write(side, _border(side, far, own, port), far)
    for side in (one, other):
        await _restart(side, clock)


def _border(side: Side, far: Side, own_port: int, far_port: int) -> dict[str, Any]:
    """The table [etsi020] of a side; what it says of further networks stays."""
    before = side.settings.get("etsi020", {})
    peers = [peer for peer in before.get("peers", []) if peer["name"] != far.network]
    if before:
        own_port = before["listen_port"]
    return {
        "listen_host": HOST,
        "listen_port": own_port,
        **{name: value for name, value in before.items() if name not in ("listen_host", "listen_port")},
        "tls": {**side.settings["keys_tls"], "ca": str(side.config.parent / AUTHORITIES)},
        "peers": [
            *peers,
            {
                "name": far.network,
                "url": f"https://{HOST}:{_port_of(far, far_port)}",
                "certificate_name": f"urn:uuid:{far.node.node_id}",
                "ca": str(far.authority),
                "sae_ids": far.applications,
            },
        ],
    }


def _port_of(side: Side, fresh: int) -> int:
    """Where a side listens: where it did before, if it stood at a border already."""
    port: int = side.settings.get("etsi020", {}).get("listen_port", fresh)
    return port


def _write(side: Side, border: dict[str, Any], far: Side) -> None:
    authorities = [Path(peer["ca"]) for peer in border["peers"]]
    text = b"".join(path.read_bytes() for path in dict.fromkeys([*authorities, far.authority]))
    write_private_file(side.config.parent / AUTHORITIES, text)
    write_private_file(side.config, to_toml({**side.settings, "etsi020": border}).encode())


async def _restart(side: Side, clock: Clock) -> None:
    directory, name = side.lab.directory, side.node.name
    state = next(each.state for each in inspect(directory) if each.name == name)
    if state == "running":
        await stop_program(directory, name, clock)
        await start_program(directory, name, clock)
