"""A laboratory as its directory and its plant tell it: programs, fibres, doors.

Rule of this file: nothing is asked of the controller here; this is what is still to be seen when it is down.
"""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from rich.table import Table

from keyweave_core.errors import PeerUnreachable
from keyweave_lab.deploy import ProgramState, inspect
from keyweave_lab.inventory import HOST, LabInventory, read_inventory
from keyweave_lab.plant_control import FibreView, PlantClient
from keyweave_lab.show import WIDTH, print_table


@dataclass(frozen=True, slots=True, kw_only=True)
class LabFacts:
    """What `keyweave lab inspect` shows; `fibres` is empty when no plant answers."""

    inventory: LabInventory
    programs: tuple[ProgramState, ...]
    fibres: tuple[FibreView, ...]


def facts_of(directory: Path) -> LabFacts:
    """Look at the laboratory in `directory`; SettingsError when there is none."""
    inventory = read_inventory(directory)
    try:
        fibres = asyncio.run(PlantClient(inventory.plant_socket).fibres())
    except PeerUnreachable:
        fibres = ()
    return LabFacts(inventory=inventory, programs=inspect(directory), fibres=fibres)


def as_json(facts: LabFacts) -> str:
    """The facts for programs."""
    inventory = facts.inventory
    value: dict[str, Any] = {
        "topology": inventory.topology,
        "directory": str(inventory.directory),
        "controller": {
            "address": inventory.controller_address,
            "ca": str(inventory.operator.ca),
            "certificate": str(inventory.operator.certificate),
            "private_key": str(inventory.operator.private_key),
            "netconf_port": inventory.controller_netconf_port,
            "host_key": str(inventory.controller_host_key),
        },
        "netconf": {"user": inventory.netconf_user, "private_key": str(inventory.netconf_key)},
        "programs": msgspec.to_builtins(facts.programs, enc_hook=str),
        "nodes": msgspec.to_builtins(inventory.nodes, enc_hook=str),
        "applications": msgspec.to_builtins(inventory.applications, enc_hook=str),
        "fibres": msgspec.to_builtins(facts.fibres),
    }
    return json.dumps(value, indent=2, ensure_ascii=False)


def print_facts(facts: LabFacts) -> None:
    """The facts for people."""
    print_table(_programs(facts))
    print_table(_fibres(facts))
    print_table(_doors(facts.inventory))


def _table(title: str, *heads: str) -> Table:
    table = Table(
        title=title, title_justify="left", box=None, pad_edge=False, header_style="bold", width=WIDTH
    )
    for head in heads:
        table.add_column(head, overflow="fold")
    return table


def _programs(facts: LabFacts) -> Table:
    table = _table(
        f"{facts.inventory.topology} in {_short(facts.inventory.directory)}",
        "program",
        "state",
        "pid",
        "memory",
        "log",
    )
    for program in facts.programs:
        memory = "" if program.rss_kb is None else f"{program.rss_kb / 1024:.0f} MiB"
        pid = "" if program.pid is None else str(program.pid)
        table.add_row(program.name, program.state, pid, memory, _short(program.log))
    return table


def _fibres(facts: LabFacts) -> Table:
    table = _table("fibres", "fibre", "state", "added loss dB", "added noise", "ends")
    for fibre in facts.fibres:
        state = "cut" if fibre.cut else "whole"
        loss, noise = f"{fibre.extra_loss_db:g}", f"{fibre.excess_noise:g}"
        table.add_row(fibre.name, state, loss, noise, ", ".join(fibre.ends))
    if not facts.fibres:
        table.add_row("no plant answers", "", "", "", "")
    return table


def _doors(inventory: LabInventory) -> Table:
    table = _table("doors", "where", "how")
    table.add_row("controller (gRPC)", inventory.controller_address)
    table.add_row("controller (NETCONF)", _login(inventory, inventory.controller_netconf_port))
    certificate = f"certificate {_short(inventory.operator.certificate)}"
    for node in inventory.nodes:
        table.add_row(f"{node.name} (NETCONF)", _login(inventory, node.netconf_port))
        if node.gnmi_port is not None:
            table.add_row(f"{node.name} (gNMI)", f"localhost:{node.gnmi_port}, {certificate}")
    for application in inventory.applications:
        table.add_row(f"{application.sae_id} (014)", application.base_url)
        streams_port = inventory.node(application.node).streams_port
        table.add_row(f"{application.sae_id} (004)", f"localhost:{streams_port}, with the same certificate")
    return table


def _login(inventory: LabInventory, port: int) -> str:
    """The command of OpenSSH; what stands after the host names the subsystem, so the port goes first."""
    key = _short(inventory.netconf_key)
    return f"ssh -i {key} -p {port} -s {inventory.netconf_user}@{HOST} netconf"


def _short(path: Path) -> str:
    """The path as seen from the working directory when it lies below it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
