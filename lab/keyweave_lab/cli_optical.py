"""The verbs of the optical layer: compute, review, plant, classical, windows.

Rule of this file: a verb makes one message out of what was typed, and shows the answer. `plant check` reads a
file and asks nobody; `plant set`, `classical add` and `classical remove` change the controller's plant.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from keyweave_core.errors import InvalidInput
from keyweave_lab.cli_ask import CALL_TIMEOUT_S
from keyweave_lab.cli_frame import Output, dialled, group, told
from keyweave_lab.cli_options import MOST_BPS, Door, grouped

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from rich.console import RenderableType

    from keyweave_proto.v1 import optical_pb2 as pb

MessageT = TypeVar("MessageT", bound="Message")

optical_app = group("Quantum light among classical light: fibres, wavelengths, windows.")
plant_app = group("The fibre plant that the controller reckons with.")
classical_app = group("Classical channels on the fibres of quantum channels.")
optical_app.add_typer(plant_app, name="plant")
optical_app.add_typer(classical_app, name="classical")

PlantFile = Annotated[Path, typer.Argument(metavar="FILE", help="A plant file (TOML).")]
Site = Annotated[str, typer.Argument(help="A site of the plant.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="What the classical channel is called.")]
Source = Annotated[str, typer.Option("--from", help="The site where the light enters.")]
Fibres = Annotated[list[str], typer.Option("--fibre", help="In the order of the light. Repeat.")]
Channel = Annotated[int, typer.Option("--channel", help="1..72 (DWDM) or 1260..1360 (nm).")]
Level = Annotated[float, typer.Option("--dbm", help="Level where it enters the first fibre.")]
RequestId = Annotated[
    str, typer.Option("--request-id", help="The same id again asks for the same thing once.")
]


@optical_app.command()
@grouped
def compute(
    a: Site,
    b: Site,
    door: Door,
    rate: Annotated[int, typer.Option("--rate", min=0, max=MOST_BPS, help="Key rate to reach, bit/s.")] = 0,
    k: Annotated[int, typer.Option("--k", min=1, max=64, help="At most so many.")] = 8,
    link: Annotated[
        str, typer.Option("--link", help="Link that is there and is to move: what it has is free.")
    ] = "",
    without_fibre: Annotated[
        list[str] | None, typer.Option("--without-fibre", help="Not over this fibre. Repeat.")
    ] = None,
    without_duct: Annotated[
        list[str] | None, typer.Option("--without-duct", help="Not through this duct. Repeat.")
    ] = None,
) -> None:
    """How a physical link between two sites could be made: modules, fibres, wavelength, key rate."""
    from keyweave_lab import show_optical
    from keyweave_proto.v1 import optical_pb2 as pb

    request = pb.ComputeChannelsRequest(
        a=a,
        b=b,
        demand_bps=rate,
        number=k,
        link=link,
        without_fibres=without_fibre or (),
        without_ducts=without_duct or (),
    )
    with dialled(*door.where) as controller:
        answer = controller.optical.ComputeChannels(request, timeout=CALL_TIMEOUT_S)
    _show(answer, show_optical.candidates, door.form)


@optical_app.command()
@grouped
def review(door: Door) -> None:
    """Whether each quantum channel makes what its link promises, and where it would move if not."""
    from keyweave_lab import show_optical
    from keyweave_proto.v1 import optical_pb2 as pb

    with dialled(*door.where) as controller:
        answer = controller.optical.ReviewChannels(pb.ReviewChannelsRequest(), timeout=CALL_TIMEOUT_S)
    _show(answer, lambda told: show_optical.channels(told.channels), door.form)


@optical_app.command()
@grouped
def windows(
    door: Door,
    link: Annotated[
        list[str] | None, typer.Argument(help="Links; none: all that are not always there.")
    ] = None,
) -> None:
    """When links make key: satellite passes, and modules that serve several partners in turn."""
    from keyweave_lab import show_optical
    from keyweave_proto.v1 import optical_pb2 as pb

    with dialled(*door.where) as controller:
        request = pb.AvailabilityRequest(links=link or ())
        answer = controller.optical.Availability(request, timeout=CALL_TIMEOUT_S)
    _show(answer, show_optical.windows, door.form)


@plant_app.command()
def check(file: PlantFile) -> None:
    """Read a plant file and say what is wrong with it, with table, entry and key."""
    from keyweave_controller.plant_file import read_plant

    with told():
        plant = read_plant(file)
        typer.echo(
            f"{file}: correct; {len(plant.fibres)} fibres, {len(plant.modules)} modules, "
            f"{len(plant.channels)} quantum and {len(plant.classical)} classical channels"
        )


@plant_app.command()
@grouped
def show(door: Door, toml: Annotated[bool, typer.Option("--toml", help="As a plant file.")] = False) -> None:
    """The plant as it is now, with what was granted and what has moved."""
    from keyweave_proto.v1 import optical_pb2 as pb

    with dialled(*door.where) as controller:
        answer = controller.optical.GetPlant(pb.GetPlantRequest(), timeout=CALL_TIMEOUT_S)
    if toml:
        typer.echo(answer.toml, nl=False)
    else:
        _show_plant(answer, door.form)


@plant_app.command("set")
@grouped
def set_plant(
    door: Door,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A plant file (TOML).")] = None,
    settings: Annotated[
        bool, typer.Option("--settings", help="That of the controller's settings again.")
    ] = False,
    request_id: RequestId = "",
) -> None:
    """Replace the plant; channels that no longer do move where they can, else there is an alarm."""
    from keyweave_proto.v1 import optical_pb2 as pb

    with told():
        if (file is None) is not settings:
            raise InvalidInput("give a plant file, or --settings")
        try:
            text = "" if file is None else file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"{file}: cannot read: {error}") from error
        if file is not None and not text.strip():
            raise InvalidInput(f"{file}: is empty")
    with dialled(*door.where) as controller:
        request = pb.SetPlantRequest(toml=text, request_id=request_id)
        answer = controller.optical.SetPlant(request, timeout=CALL_TIMEOUT_S)
    _show_plant(answer, door.form)


@classical_app.command()
@grouped
def ask(name: Name, source: Source, fibre: Fibres, channel: Channel, dbm: Level, door: Door) -> None:
    """May this light be switched on? Nothing changes."""
    from keyweave_lab import show_optical
    from keyweave_proto.v1 import optical_pb2 as pb

    light = _light(name, source, fibre, channel, dbm)
    with dialled(*door.where) as controller:
        request = pb.PermitClassicalRequest(channel=light)
        answer = controller.optical.PermitClassical(request, timeout=CALL_TIMEOUT_S)
    _show(answer, show_optical.permit, door.form)


@classical_app.command()
@grouped
def add(
    name: Name,
    source: Source,
    fibre: Fibres,
    channel: Channel,
    dbm: Level,
    door: Door,
    request_id: RequestId = "",
) -> None:
    """Switch light on, if it may be; waits until every quantum channel that has to move has moved."""
    from keyweave_proto.v1 import optical_pb2 as pb

    light = _light(name, source, fibre, channel, dbm)
    with dialled(*door.where) as controller:
        request = pb.AddClassicalRequest(channel=light, request_id=request_id)
        answer = controller.optical.AddClassical(request, timeout=CALL_TIMEOUT_S)
    _show_plant(answer, door.form)


@classical_app.command()
@grouped
def remove(name: Name, door: Door, request_id: RequestId = "") -> None:
    """Switch light off."""
    from keyweave_proto.v1 import optical_pb2 as pb

    with dialled(*door.where) as controller:
        request = pb.RemoveClassicalRequest(name=name, request_id=request_id)
        answer = controller.optical.RemoveClassical(request, timeout=CALL_TIMEOUT_S)
    _show_plant(answer, door.form)


def _light(name: str, source: str, fibres: list[str], channel: int, dbm: float) -> "pb.ClassicalChannel":
    from keyweave_proto.v1 import optical_pb2 as pb

    with told():
        if channel not in range(10_000):
            raise InvalidInput(f"--channel: there is no channel {channel}")
    return pb.ClassicalChannel(name=name, source=source, fibres=fibres, channel=channel, launch_dbm=dbm)


def _show_plant(answer: "pb.PlantReply", form: Output) -> None:
    from keyweave_lab import show_optical

    _show(answer, show_optical.plant, form)


def _show(answer: MessageT, table: Callable[[MessageT], "RenderableType"], form: Output) -> None:
    from keyweave_lab import show as showing

    if form is Output.JSON:
        typer.echo(showing.as_json(answer))
    else:
        showing.print_table(table(answer))


def add_verbs(app: typer.Typer) -> None:
    """Give the root command the verbs of this file."""
    app.add_typer(optical_app, name="optical")
