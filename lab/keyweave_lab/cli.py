"""The `keyweave` command.

Rule of this file: verbs only. What a verb needs is imported when it is called, so that `keyweave --help` is
quick; what it does lives in the module it calls. Exit status: `cli_frame`.
"""

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from keyweave_lab import cli_ask, cli_conform, cli_open, cli_optical, cli_plan
from keyweave_lab.cli_frame import DEFAULT_LAB, FAILED, Form, LabDir, Output, group, told

if TYPE_CHECKING:
    from keyweave_lab.plant_control import FibreView

T = TypeVar("T")

app = group("A QKD network under one controller: run it, look at it, ask it for keys.")
lab_app = group("A whole network on this machine.")
controller_app = group("The SDN controller.")
agent_app = group("The agent of one site.")
app.add_typer(lab_app, name="lab")
app.add_typer(controller_app, name="controller")
app.add_typer(agent_app, name="agent")
app.add_typer(cli_conform.conform_app, name="conform")
cli_ask.add_verbs(app)
cli_open.add_verbs(app)
cli_plan.add_verbs(app)
cli_optical.add_verbs(app)

Topology = Annotated[
    str, typer.Argument(metavar="TOPOLOGY", help="A topology file, or the name of a shipped one.")
]
Southbound = Annotated[
    str,
    typer.Option(
        "--southbound",
        metavar="PROTOCOL",
        help="The controller meets agents by netconf-ssh, netconf-tls, call-home-ssh, call-home-tls or gnmi.",
    ),
]
Config = Annotated[Path, typer.Option("--config", help="Settings file (TOML).")]
ConfigFile = Annotated[Path, typer.Argument(metavar="FILE", help="Settings file (TOML).")]
ReadyFile = Annotated[Path | None, typer.Option("--ready-file", help="Written once everything answers.")]
Link = Annotated[str, typer.Argument(metavar="LINK", help="A fibre by its ends (Norte~Distrito) or id.")]


@lab_app.command()
def deploy(
    topology: Topology,
    lab: LabDir = DEFAULT_LAB,
    gnmi: Annotated[bool, typer.Option("--gnmi", help="Agents serve gNMI beside NETCONF.")] = False,
    southbound: Southbound = "netconf-ssh",
    plant: Annotated[
        str, typer.Option("--plant", metavar="FILE", help="A plant file, or the name of a shipped one.")
    ] = "",
) -> None:
    """Start every program of a topology in a directory, and leave them running."""
    from keyweave_core.runtime.clock import SystemClock
    from keyweave_lab import deploy as deployment
    from keyweave_lab.optical_lab import plant_named
    from keyweave_lab.settings_tables import Tuning, protocol_named
    from keyweave_lab.topology_file import read_topology, topology_path

    with told():
        network = read_topology(topology_path(topology))
        fibres = plant_named(plant) if plant else None
        tuning = Tuning(gnmi=gnmi, southbound=protocol_named(southbound), fibres=fibres)
        inventory = _run(
            deployment.deploy(network, lab, SystemClock(), keep=True, tuning=tuning, told=typer.echo)
        )
        typer.echo(
            f"{inventory.topology} runs in {lab}; its controller answers at {inventory.controller_address}"
        )


@lab_app.command()
def destroy(lab: LabDir = DEFAULT_LAB) -> None:
    """Stop every program of a laboratory; its files stay."""
    from keyweave_core.runtime.clock import SystemClock
    from keyweave_lab import deploy as deployment

    with told():
        ran = _run(deployment.destroy(lab, SystemClock()))
        typer.echo(f"{lab}: stopped" if ran else f"{lab}: nothing ran")


@lab_app.command()
def start(lab: LabDir = DEFAULT_LAB) -> None:
    """Start those programs of a laboratory that do not run, and leave them running."""
    from keyweave_core.runtime.clock import SystemClock
    from keyweave_lab import deploy as deployment

    with told():
        inventory = _run(deployment.start(lab, SystemClock(), told=typer.echo))
        typer.echo(f"{inventory.topology} runs in {lab}")


@lab_app.command()
def inspect(lab: LabDir = DEFAULT_LAB, output: Form = Output.TABLE) -> None:
    """The programs of a laboratory, its fibres, and how to reach each site by hand."""
    from keyweave_lab import lab_show

    with told():
        facts = lab_show.facts_of(lab)
        if output is Output.JSON:
            typer.echo(lab_show.as_json(facts))
        else:
            lab_show.print_facts(facts)


@lab_app.command()
def join(
    node: Annotated[str, typer.Argument(metavar="NODE", help="The border node of the laboratory.")],
    other_lab: Annotated[Path, typer.Argument(metavar="OTHER_LAB", help="Directory of the other one.")],
    other_node: Annotated[str, typer.Argument(metavar="OTHER_NODE", help="Its border node.")],
    lab: LabDir = DEFAULT_LAB,
) -> None:
    """Join two laboratories at a border (ETSI GS QKD 020); the two agents are started again."""
    from keyweave_core.runtime.clock import SystemClock
    from keyweave_lab import borders

    with told():
        one, other = borders.side_of(lab, node), borders.side_of(other_lab, other_node)
        _run(borders.join(one, other, SystemClock()))
        typer.echo(f"{one.network} and {other.network} are joined at {node} and {other_node}")


@lab_app.command()
def cut(link: Link, lab: LabDir = DEFAULT_LAB) -> None:
    """Cut a fibre: no light, no key, at both ends."""
    _fibre(lab, "cut", link)


@lab_app.command()
def repair(link: Link, lab: LabDir = DEFAULT_LAB) -> None:
    """Repair a fibre, and take away what `degrade` added."""
    _fibre(lab, "repair", link)


@lab_app.command()
def degrade(
    link: Link,
    extra_loss_db: Annotated[float, typer.Option(min=0, max=200, help="Additional loss, dB.")] = 0.0,
    excess_noise: Annotated[float, typer.Option(min=0, max=10, help="Additional excess noise.")] = 0.0,
    lab: LabDir = DEFAULT_LAB,
) -> None:
    """Disturb a fibre: more loss, more noise; the key rate falls or ends."""
    _fibre(lab, "degrade", link, extra_loss_db=extra_loss_db, excess_noise=excess_noise)


@lab_app.command()
def validate(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A topology file, or a shipped name.")],
) -> None:
    """Read a topology file and say what is wrong with it, with the line."""
    from keyweave_lab.topology_file import read_topology, topology_path

    with told():
        network = read_topology(topology_path(file))
        found = f"{len(network.nodes)} nodes, {len(network.links)} links"
        typer.echo(f"{file}: correct; {found}, {len(network.applications)} applications")


@lab_app.command()
def convert(
    source: Annotated[
        str, typer.Argument(metavar="FROM", help="A topology or graph file, or a shipped name.")
    ],
    destination: Annotated[Path, typer.Argument(metavar="TO", help="Its ending says the format.")],
    length_attribute: Annotated[
        str, typer.Option(help="Where a graph file keeps the length of an edge.")
    ] = "length_km",
    length_scale: Annotated[float, typer.Option(min=1e-6, help="What makes kilometres of it.")] = 1.0,
) -> None:
    """Turn a topology into a graph file (.graphml, .gml, .json) or a graph file into a topology (.yaml)."""
    from keyweave_lab.graphs import Lengths, read_any, write_any
    from keyweave_lab.topology_file import topology_path

    with told():
        lengths = Lengths(attribute=length_attribute, scale=length_scale)
        network = read_any(topology_path(source), lengths=lengths)
        write_any(network, destination)
        typer.echo(f"{destination}: {len(network.nodes)} nodes, {len(network.links)} links")


@controller_app.command("run")
def controller_run(config: Config, ready_file: ReadyFile = None) -> None:
    """Run a controller until SIGTERM or Ctrl-C."""
    from keyweave_controller.__main__ import main as run

    raise typer.Exit(run(_arguments(config, ready_file)))


@controller_app.command("check-config")
def controller_check(file: ConfigFile) -> None:
    """Read a controller's settings and say what is wrong with them."""
    from keyweave_controller.settings import read_controller_settings

    with told():
        settings = read_controller_settings(file)
        typer.echo(f"{file}: correct; {len(settings.agents)} agents")


@agent_app.command("run")
def agent_run(config: Config, ready_file: ReadyFile = None) -> None:
    """Run the agent of one site until SIGTERM or Ctrl-C."""
    from keyweave_agents.__main__ import main as run

    raise typer.Exit(run(_arguments(config, ready_file)))


@agent_app.command("check-config")
def agent_check(file: ConfigFile) -> None:
    """Read an agent's settings and say what is wrong with them."""
    from keyweave_agents.__main__ import main as run

    raise typer.Exit(run(["--config", str(file), "--check-config"]))


@app.command()
def password() -> None:
    """Ask for a password and print its hash, for `password_hash` of a NETCONF user."""
    import secrets

    from keyweave_core.netconf.ssh.passwords import SALT_BYTES, hash_password

    if sys.stdin.isatty():
        given = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        given = sys.stdin.readline().rstrip("\n")
    if not given:
        raise typer.BadParameter("an empty password lets everybody in")
    typer.echo(hash_password(given, secrets.token_bytes(SALT_BYTES)))


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the network running at the end.")] = False,
    directory: Annotated[Path, typer.Option("--dir", help="Where everything is put.")] = DEFAULT_LAB,
    topology: Annotated[str, typer.Option("--topology", help="A file or a shipped name.")] = "madqci",
    southbound: Southbound = "netconf-ssh",
) -> None:
    """Play the whole network: discover, share keys, cut, repair, refuse, bill."""
    from keyweave_lab.demo import run_demo
    from keyweave_lab.settings_tables import Tuning, protocol_named
    from keyweave_lab.topology_file import read_topology, topology_path

    with told():
        tuning = Tuning(southbound=protocol_named(southbound))
        network = read_topology(topology_path(topology))
        raise typer.Exit(run_demo(network, directory, keep=keep, tuning=tuning))


def _arguments(config: Path, ready_file: Path | None) -> list[str]:
    arguments = ["--config", str(config)]
    return arguments if ready_file is None else [*arguments, "--ready-file", str(ready_file)]


def _fibre(lab: Path, verb: str, link: str, **how: float) -> None:
    from keyweave_lab.inventory import read_inventory
    from keyweave_lab.plant_control import PlantClient

    with told():
        inventory = read_inventory(lab)
        plant = PlantClient(inventory.plant_socket)
        view: FibreView = _run(getattr(plant, verb)(inventory.link(link).link_id, **how))
        typer.echo(f"{view.name}: {'cut' if view.cut else 'whole'}")


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def main() -> None:
    """Entry point of the `keyweave` command."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
