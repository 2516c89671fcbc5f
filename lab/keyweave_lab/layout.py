"""From a topology to a directory: ports, PKI, one settings file per program, the inventory.

    lab.json            the inventory          tariff.toml      prices
    plant.toml          the fibres             pki/             certificates and SSH keys
    optical.toml        the fibre plant that the controller reckons with, when there is one
    agents/<name>/      agent.toml, state/, master.key (of the key store)
    controller/         controller.toml, state/
    log/<program>.log   what programs say      ready/           appears when a program serves

Rule of this file: files only, no process. Everything lies inside the directory, and is made anew each time.
"""

import datetime as dt
import secrets
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keyweave_controller.plant_file import plant_text
from keyweave_controller.settings import Protocol
from keyweave_core.errors import InvalidInput
from keyweave_core.runtime.clock import Clock
from keyweave_lab.inventory import (
    FILE_NAME,
    HOST,
    LabApplication,
    LabInventory,
    LabLink,
    LabNode,
    Program,
    ProgramKind,
    write_inventory,
)
from keyweave_lab.optical_lab import check_fits
from keyweave_lab.pki import LabPki, SshKey, file_name, make_private_directory, write_private_file
from keyweave_lab.ports import free_ports
from keyweave_lab.pqc_pki import LabPqcPki
from keyweave_lab.settings_tables import (
    AUDITOR_USER,
    CONTROLLER_USER,
    OPERATOR_USER,
    TARIFF,
    Doors,
    Plan,
    Tuning,
    agent_table,
    controller_table,
    plant_table,
)
from keyweave_lab.toml_text import to_toml
from keyweave_lab.topology import Topology, TopologyApplication, TopologyNode

SOCKET_NAME = "plant.sock"

_TAKEN_NAMES = ("plant", "controller")
_MODULES: dict[ProgramKind, str] = {
    "plant": "keyweave_lab.plant",
    "agent": "keyweave_agents",
    "controller": "keyweave_controller",
}


def lay_out(
    topology: Topology, directory: Path, clock: Clock, *, keep: bool, tuning: Tuning | None = None
) -> LabInventory:
    """Write everything that the programs of a laboratory need into `directory`, and its inventory.

    A former (stopped) laboratory there is replaced. Raises InvalidInput, and changes nothing: a directory
    that holds something else; a node with the name of another program; a fibre plant of another network;
    Exhausted: no free ports.
    """
    directory = directory.absolute()
    _check_place(directory)
    for node in topology.nodes:
        if node.name in _TAKEN_NAMES:
            raise InvalidInput(f"node {node.name}: another program of a laboratory has this name")
    tuning = tuning or Tuning()
    if tuning.fibres is not None:
        check_fits(tuning.fibres, topology)
    doors_each = 6  # at most: NETCONF over SSH and over TLS, keys, service, streams, gNMI
    ports = iter(free_ports(doors_each * len(topology.nodes) + len(topology.links) + 3, host=HOST))
    _clear(directory)
    make_private_directory(directory)
    for name in ("agents", "controller", "log", "ready"):
        make_private_directory(directory / name)
    pki = LabPki(directory / "pki", now=dt.datetime.fromtimestamp(clock.now(), dt.UTC))
    pqc = LabPqcPki(directory / "pki", now=dt.datetime.fromtimestamp(clock.now(), dt.UTC))
    plan = Plan(
        topology=topology,
        tuning=tuning,
        nodes={node.name: _lab_node(node, ports, pki, gnmi=tuning.serves_gnmi) for node in topology.nodes},
        links={
            link.name: LabLink(name=link.name, link_id=link.link_id, a=link.a, b=link.b, port=next(ports))
            for link in topology.links
        },
        tls_ports={node.name: next(ports) for node in topology.nodes}
        if tuning.southbound is Protocol.NETCONF_TLS
        else {},
        calls_port=None if tuning.southbound.dialled else next(ports),
    )
    users = {name: pki.ssh_key(f"user-{name}") for name in (CONTROLLER_USER, OPERATOR_USER)}
    socket = directory / SOCKET_NAME
    operators = {OPERATOR_USER: users[OPERATOR_USER], AUDITOR_USER: pki.ssh_key(f"user-{AUDITOR_USER}")}
    host_key = pki.ssh_key("host-controller")
    doors = Doors(
        grpc_port=next(ports),
        netconf_port=next(ports),
        host_key=host_key.private_key,
        users=_authorized(directory / "controller", operators),
    )
    programs = (
        _program(directory, "plant", "plant", directory / "plant.toml", plant_table(plan, socket)),
        *(_agent(directory, plan, node, pki, pqc, users) for node in topology.nodes),
        _controller(directory, plan, doors, pki, users[CONTROLLER_USER]),
    )
    inventory = LabInventory(
        topology=topology.name,
        directory=directory,
        keep=keep,
        programs=programs,
        nodes=tuple(plan.nodes.values()),
        links=tuple(plan.links.values()),
        applications=tuple(_application(plan, each, pki) for each in topology.applications),
        controller_address=f"localhost:{doors.grpc_port}",
        controller_netconf_port=doors.netconf_port,
        controller_host_key=host_key.public_key,
        operator=pki.operator(),
        netconf_user=OPERATOR_USER,
        netconf_key=users[OPERATOR_USER].private_key,
        plant_socket=socket,
    )
    write_inventory(inventory)
    return inventory


def _check_place(directory: Path) -> None:
    if directory.exists() and not directory.is_dir():
        raise InvalidInput(f"{directory}: not a directory")
    if directory.is_dir() and any(directory.iterdir()) and not (directory / FILE_NAME).exists():
        raise InvalidInput(f"{directory}: holds something that is no laboratory; choose an empty directory")


def _clear(directory: Path) -> None:
    """Take a former laboratory away. Its mark goes last, so that an interrupted clearing can be repeated."""
    if not directory.is_dir():
        return
    mark = directory / FILE_NAME
    for entry in directory.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry != mark:
            entry.unlink()
    mark.unlink(missing_ok=True)


def _lab_node(node: TopologyNode, ports: Iterator[int], pki: LabPki, *, gnmi: bool) -> LabNode:
    return LabNode(
        name=node.name,
        node_id=node.node_id,
        netconf_port=next(ports),
        keys_port=next(ports),
        service_port=next(ports),
        streams_port=next(ports),
        host_key=pki.ssh_key(f"host-{node.name}").public_key,
        gnmi_port=next(ports) if gnmi else None,
    )


def _application(plan: Plan, application: TopologyApplication, pki: LabPki) -> LabApplication:
    return LabApplication(
        sae_id=application.sae_id,
        node=application.node,
        base_url=f"https://localhost:{plan.nodes[application.node].service_port}",
        tls=pki.application(application.sae_id),
    )


def _agent(
    directory: Path,
    plan: Plan,
    node: TopologyNode,
    pki: LabPki,
    pqc: LabPqcPki,
    users: Mapping[str, SshKey],
) -> Program:
    folder = directory / "agents" / file_name(node.name)
    make_private_directory(folder)
    master_key = folder / "master.key"
    write_private_file(master_key, secrets.token_bytes(32))
    table = agent_table(
        plan,
        node,
        master_key=master_key,
        tls=pki.node(node.name, node.node_id),
        pqc=pqc.node(node.name, node.node_id),
        host_key=plan.nodes[node.name].host_key.with_suffix(""),
        users=_authorized(folder, users),
    )
    return _program(directory, node.name, "agent", folder / "agent.toml", table)


def _authorized(folder: Path, users: Mapping[str, SshKey]) -> dict[str, Path]:
    """Write a file of authorized keys for each user; the files by user."""
    files = {}
    for name, key in users.items():
        files[name] = folder / f"authorized_keys.{name}"
        write_private_file(files[name], f"{key.public_line}\n".encode())
    return files


def _controller(directory: Path, plan: Plan, doors: Doors, pki: LabPki, ssh_key: SshKey) -> Program:
    tariff = directory / "tariff.toml"
    write_private_file(tariff, to_toml(TARIFF).encode())
    fibres = None if plan.tuning.fibres is None else directory / "optical.toml"
    if fibres is not None and plan.tuning.fibres is not None:
        write_private_file(fibres, plant_text(plan.tuning.fibres).encode())
    table = controller_table(plan, doors, pki.controller(), ssh_key.private_key, tariff, fibres)
    path = directory / "controller" / "controller.toml"
    return _program(directory, "controller", "controller", path, table)


def _program(directory: Path, name: str, kind: ProgramKind, config: Path, table: dict[str, Any]) -> Program:
    """Write one program's settings and say how it is started. The plant is ready when its socket is there."""
    write_private_file(config, to_toml(table).encode())
    command = [sys.executable, "-m", _MODULES[kind], "--config", str(config)]
    ready = directory / SOCKET_NAME
    if kind != "plant":
        ready = directory / "ready" / file_name(name)
        command += ["--ready-file", str(ready)]
    return Program(
        name=name,
        kind=kind,
        command=tuple(command),
        config=config,
        log=directory / "log" / f"{file_name(name)}.log",
        ready=ready,
    )
