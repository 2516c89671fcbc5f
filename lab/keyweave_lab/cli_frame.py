"""What every verb of the `keyweave` command shares: options, exit status, the way to a controller.

Exit status: 0 done; 1 could not be done now (nobody answers, a program failed); 2 the command or a file is
wrong; 3 understood and refused. Every failure is one line on standard error.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keyweave_core.errors import InvalidInput, KeyweaveError, Refused

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from keyweave_lab.dial import Controller

FAILED, WRONG, REFUSED, INTERRUPTED = 1, 2, 3, 130


class Output(StrEnum):
    """Form of an answer."""

    TABLE = "table"
    JSON = "json"


DEFAULT_LAB = Path("run/demo")
"""Where a laboratory is looked for when nobody says."""

LabDir = Annotated[
    Path, typer.Option("--lab", envvar="KEYWEAVE_LAB", help="Directory of a deployed laboratory.")
]
Address = Annotated[
    str, typer.Option("--address", help="host:port of a controller, instead of a laboratory's.")
]
Ca = Annotated[Path | None, typer.Option("--ca", help="Authority of the controller's certificate (PEM).")]
Cert = Annotated[Path | None, typer.Option("--cert", help="Your certificate (PEM).")]
Key = Annotated[Path | None, typer.Option("--key", help="Its private key (PEM).")]
Form = Annotated[Output, typer.Option("--output", "-o", help="For people or for programs.")]


def group(text: str) -> typer.Typer:
    """A verb with verbs of its own."""
    return typer.Typer(
        help=text,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


@contextmanager
def told() -> Iterator[None]:
    """Errors of the project become one line and an exit status."""
    try:
        yield
    except KeyweaveError as error:
        text = " ".join(str(error).split())
        status = (
            REFUSED if isinstance(error, Refused) else WRONG if isinstance(error, InvalidInput) else FAILED
        )
        typer.echo(f"keyweave: {'refused' if status == REFUSED else 'error'}: {text}", err=True)
        raise typer.Exit(status) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(INTERRUPTED) from error
    except BrokenPipeError as error:
        # The reader of a pipe left, as `head` does; nothing may be flushed into it when we end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(FAILED) from error


@contextmanager
def dialled(
    lab: Path, address: str, ca: Path | None, cert: Path | None, key: Path | None
) -> Iterator["Controller"]:
    """A controller to call; every error inside is told and ends the command."""
    from keyweave_lab.dial import Controller, explicit_address, lab_address

    with told():
        if address:
            where = explicit_address(address, ca, cert, key)
        elif ca or cert or key:
            raise InvalidInput("--ca, --cert and --key belong to --address")
        else:
            where = lab_address(lab)
        with Controller(where) as controller, controller.answers():
            yield controller


def show_answer(what: str, answer: "Message", form: Output) -> None:
    """Write an answer on standard output."""
    from keyweave_lab import show, show_plan

    if form is Output.JSON:
        typer.echo(show.as_json(answer))
    else:
        tables = {**show.TABLES, **show_plan.TABLES}
        show.print_table(tables[what](answer))
