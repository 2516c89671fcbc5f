"""The demo as a program: deploy, play, tell the outcome, leave nothing behind.

Rule of this file: whatever happens (a step that does not hold, Ctrl-C at any moment), the processes that were
started here have ended when it returns, unless they were asked to stay and every step held.
"""

import asyncio
import shutil
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path

from rich.console import Console

from keyweave_core.errors import KeyweaveError
from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.demo_story import Demo, Outcome
from keyweave_lab.deploy import deploy, destroy, in_any_case
from keyweave_lab.dial import Controller, ControllerAddress
from keyweave_lab.inventory import read_inventory
from keyweave_lab.settings_tables import Tuning
from keyweave_lab.topology import Topology


async def _play(topology: Topology, directory: Path, *, keep: bool, tuning: Tuning) -> list[Outcome]:
    clock = SystemClock()
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"[bold]Keyweave demo[/bold]: {topology.name}, {len(topology.nodes)} sites,"
        f" {len(topology.links)} fibres; every site in its own process, everything in {directory}"
    )
    lab = await deploy(
        topology,
        directory,
        clock,
        keep=keep,
        tuning=tuning,
        told=lambda line: console.print(f"   {line}"),
    )
    held = False
    try:
        with Controller(ControllerAddress(address=lab.controller_address, tls=lab.operator)) as controller:
            demo = Demo(topology, lab, controller, clock, tuning.southbound)
            await demo.play()
        held = True
        return demo.outcomes
    finally:
        if not (keep and held):
            await in_any_case(lambda: destroy(directory, clock))


def run_demo(topology: Topology, directory: Path, *, keep: bool, tuning: Tuning | None = None) -> int:
    """Play the demo. Exit status: 0 every step held, 1 one did not or the network did not start, 130 Ctrl-C.

    Without `keep`, or when a step did not hold, every process has ended on return; the directory keeps the
    settings and logs.
    """
    console = Console(highlight=False, soft_wrap=True)
    try:
        outcomes = _run_until_signal(_play(topology, directory, keep=keep, tuning=tuning or Tuning()))
    except KeyboardInterrupt:
        console.print("\nstopped; every process has ended")
        return 130
    except (KeyweaveError, ExceptionGroup) as error:
        console.print(f"\n[red]The demo failed[/red]: {error}", markup=True)
        console.print(f"logs: {directory / 'log'}")
        return 1
    console.print("\n[bold]Summary[/bold]")
    for outcome in outcomes:
        console.print(f"   {outcome.step:<12}{outcome.fact}", markup=False)
    if keep:
        _tell_how_to_look(console, directory)
    else:
        console.print(f"   all steps held; every process has ended; logs in {directory / 'log'}")
    return 0


def _run_until_signal(work: Coroutine[None, None, list[Outcome]]) -> list[Outcome]:
    """Run `work`; Ctrl-C and TERM cancel it, and it cleans up before this returns or raises."""

    async def main() -> list[Outcome]:
        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(main())
    except asyncio.CancelledError as stopped:
        raise KeyboardInterrupt from stopped


def _tell_how_to_look(console: Console, directory: Path) -> None:
    lab = read_inventory(directory)
    node = lab.nodes[0]
    keyweave, named = _command(), f" --lab {directory}"
    ssh = f"ssh -s -i {directory / lab.netconf_key.relative_to(lab.directory)}"
    login = f"{lab.netconf_user}@127.0.0.1 netconf"
    certificate = directory / lab.operator.certificate.relative_to(lab.directory)
    shown = ("nodes", "links", "associations", "alarms --all", "usage", "bill")
    others = ", ".join(f"{other.name} {other.netconf_port}" for other in lab.nodes[1:])
    told = [f"{keyweave} get {what}{named}" for what in shown]
    told += [
        f"{keyweave} watch{named}",
        f"{keyweave} lab cut{named} {lab.links[0].name}",
        f"NETCONF of the controller: {ssh} -p {lab.controller_netconf_port} {login}",
        f"NETCONF of {node.name}: {ssh} -p {node.netconf_port} {login}",
        f"   ports of the others: {others}",
        f"gRPC keyweave.v1, mutual TLS: {lab.controller_address}, with the certificate {certificate}",
        f"stop it: {keyweave} lab destroy{named}",
    ]
    console.print("\n[bold]The network runs on[/bold]")
    for row in told:
        console.print(f"   {row}", markup=False)


def _command() -> str:
    """How to call the `keyweave` command from here."""
    beside = Path(sys.executable).with_name("keyweave")
    if shutil.which("keyweave") == str(beside):
        return "keyweave"
    here = Path.cwd()
    return str(beside.relative_to(here) if beside.is_relative_to(here) else beside)
