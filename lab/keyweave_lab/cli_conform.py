"""The verbs of `keyweave conform`: what a server does, seen from outside.

Rule of this file: options become the values of a suite; a report becomes a table, a file and an exit status
(0 nothing failed, 1 something did or the server cannot be reached, 2 the command is wrong).
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keyweave_core.errors import InvalidInput
from keyweave_lab import cli_conform_keys
from keyweave_lab.cli_conform_keys import ids, progress, show
from keyweave_lab.cli_frame import group, told

if TYPE_CHECKING:
    import asyncssh

    from keyweave_lab.conform.subject import Subject
    from keyweave_lab.conform.wire import Login

conform_app = group("Check any server against its standards, from outside.")
cli_conform_keys.add_verbs(conform_app)


@conform_app.command()
def netconf(
    host: Annotated[str, typer.Argument(metavar="HOST")],
    port: Annotated[int, typer.Argument(metavar="PORT", min=1, max=65535)] = 830,
    user: Annotated[str, typer.Option(help="Whom to log in as.")] = "admin",
    password: Annotated[str | None, typer.Option(envvar="KEYWEAVE_PASSWORD", help="Its password.")] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key (OpenSSH or PEM).")] = None,
    host_key: Annotated[Path | None, typer.Option(help="The server's public key (OpenSSH).")] = None,
    accept_any_host_key: Annotated[
        bool, typer.Option("--accept-any-host-key", help="Trust whoever answers.")
    ] = False,
    other_user: Annotated[str | None, typer.Option(help="A user without rights, for access control.")] = None,
    other_password: Annotated[
        str | None, typer.Option(envvar="KEYWEAVE_OTHER_PASSWORD", help="The other user's password.")
    ] = None,
    other_key: Annotated[Path | None, typer.Option(help="The other user's private key.")] = None,
    module: Annotated[str | None, typer.Option(help="Edit data of this module instead of choosing.")] = None,
    edit_file: Annotated[
        Path | None, typer.Option(help="Edit what this XML file shows (see docs/conformance.md).")
    ] = None,
    only: Annotated[str, typer.Option(help="Run these checks alone: A, A10, A10.zero; comma between.")] = "",
    skip: Annotated[str, typer.Option(help="Leave these out.")] = "",
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Leave out what edits, locks or ends sessions.")
    ] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report there.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Longest wait for one message, s.")] = 8.0,
    bulk: Annotated[int, typer.Option(min=1, help="List entries of the large edit.")] = 5000,
    hello_timeout: Annotated[
        float | None, typer.Option(min=0.1, help="The server drops a silent client after so many s.")
    ] = None,
    message_limit: Annotated[
        int | None, typer.Option(min=1024, help="The server refuses messages above so many bytes.")
    ] = None,
    session_limit: Annotated[
        int | None, typer.Option(min=1, help="The server grants so many sessions.")
    ] = None,
    failures_only: Annotated[bool, typer.Option("--failures-only", help="Show only what failed.")] = False,
) -> None:
    """Check a NETCONF server over SSH: framing, rpc layer, reading, writing, notifications, access."""
    from keyweave_core.runtime.clock import SystemClock
    from keyweave_lab.conform import netconf as suite
    from keyweave_lab.conform.bench import Options

    with told():
        trusted = _trusted(host_key, accept_any=accept_any_host_key)
        login = _login(host, port, user, password, key, trusted)
        other = None
        if other_user is not None:
            other = _login(host, port, other_user, other_password, other_key, trusted)
        options = Options(
            login=login,
            other=other,
            message_limit_s=timeout,
            bulk=bulk,
            hello_timeout_s=hello_timeout,
            message_limit_bytes=message_limit,
            session_limit=session_limit,
            subject=_subject(module, edit_file),
        )
        choice = suite.Choice(only=ids(only), skip=ids(skip), read_only=read_only)
        report = asyncio.run(suite.run_suite(options, choice, SystemClock(), progress))
        show(report, json_file, failures_only=failures_only)


def _login(
    host: str,
    port: int,
    user: str,
    password: str | None,
    key: Path | None,
    host_key: "asyncssh.SSHKey | None",
) -> "Login":
    from keyweave_lab.conform.wire import Login

    if password is None and key is None:
        raise InvalidInput(f"{user} wants a password or a key")
    if key is not None and not key.is_file():
        raise InvalidInput(f"{key}: no such file")
    keys = () if key is None else (str(key),)
    return Login(host=host, port=port, user=user, password=password, keys=keys, host_key=host_key)


def _trusted(host_key: Path | None, *, accept_any: bool) -> "asyncssh.SSHKey | None":
    import asyncssh

    if (host_key is None) is not accept_any:
        raise InvalidInput("give either --host-key FILE or --accept-any-host-key")
    if host_key is None:
        return None
    try:
        return asyncssh.read_public_key(str(host_key))
    except (OSError, asyncssh.KeyImportError) as error:
        raise InvalidInput(f"{host_key}: {error}") from error


def _subject(module: str | None, edit_file: Path | None) -> "Subject | None":
    from keyweave_lab.conform.subject import named, read_subject

    if module is not None and edit_file is not None:
        raise InvalidInput("--module and --edit-file exclude each other")
    if edit_file is not None:
        return read_subject(edit_file)
    return None if module is None else named(module)
