"""The verbs of `keyweave conform` for key managers: 014, 004, 020.

Rule of this file: as in `cli_conform`: options become the values of a suite, a report becomes a table, a file
and an exit status.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keyweave_core.errors import InvalidInput
from keyweave_core.runtime.tls import TlsSettings
from keyweave_lab.cli_frame import FAILED, told

if TYPE_CHECKING:
    from keyweave_lab.conform.report import Report, Result

Only = Annotated[str, typer.Option(help="Run these checks alone: A, C3, C3.odd; comma between.")]
Skip = Annotated[str, typer.Option(help="Leave these out.")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Write the report there.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Longest wait for one answer, s.")]
FailuresOnly = Annotated[bool, typer.Option("--failures-only", help="Show only what failed.")]
AnyName = Annotated[
    bool, typer.Option("--any-server-name", help="Do not compare host names with certificates.")
]


def ids(text: str) -> list[str]:
    """The ids of a list with commas."""
    return [one.strip() for one in text.split(",") if one.strip()]


def progress(result: "Result") -> None:
    """One line a check on standard error, so that a long run shows where it is."""
    typer.echo(f"{result.id:<22} {result.result.value:<14} {result.duration_s:7.2f} s", err=True)


def show(report: "Report", json_file: Path | None, *, failures_only: bool) -> None:
    """Write the report where it is wanted, and end the command with its exit status."""
    from keyweave_lab.conform.report import print_report

    if json_file is not None:
        try:
            json_file.write_text(report.to_json(), encoding="utf-8")
        except OSError as error:
            raise InvalidInput(f"--json {json_file}: {error}") from error
    print_report(report, everything=not failures_only)
    raise typer.Exit(0 if report.passed else FAILED)


def etsi014(
    master_url: Annotated[
        str, typer.Argument(metavar="MASTER_URL", help="https://host:port of the master's key manager.")
    ],
    slave_url: Annotated[
        str, typer.Argument(metavar="SLAVE_URL", help="https://host:port of the slave's key manager.")
    ],
    master_sae: Annotated[str, typer.Option(help="Id of the application that asks for keys.")],
    master_cert: Annotated[Path, typer.Option(help="Its certificate (PEM).")],
    master_key: Annotated[Path, typer.Option(help="Its private key (PEM).")],
    slave_sae: Annotated[str, typer.Option(help="Id of the application that fetches them by id.")],
    slave_cert: Annotated[Path, typer.Option(help="Its certificate.")],
    slave_key: Annotated[Path, typer.Option(help="Its private key.")],
    ca: Annotated[Path, typer.Option(help="Authority of the key managers' certificates.")],
    slave_ca: Annotated[
        Path | None, typer.Option(help="The same for the slave's one, if it is another.")
    ] = None,
    third_sae: Annotated[
        str | None, typer.Option(help="An application that no request names, for entitlement.")
    ] = None,
    third_cert: Annotated[Path | None, typer.Option(help="Its certificate.")] = None,
    third_key: Annotated[Path | None, typer.Option(help="Its private key.")] = None,
    third_url: Annotated[str | None, typer.Option(help="Its key manager, if it is not the slave's.")] = None,
    foreign_cert: Annotated[
        Path | None, typer.Option(help="A certificate of an authority that is not accepted.")
    ] = None,
    foreign_key: Annotated[Path | None, typer.Option(help="Its private key.")] = None,
    any_server_name: AnyName = False,
    only: Only = "",
    skip: Skip = "",
    json_file: JsonFile = None,
    timeout: Timeout = 10.0,
    patience: Annotated[float, typer.Option(min=0.0, help="Longest wait until there is a key, s.")] = 20.0,
    bulk: Annotated[int, typer.Option(min=1, help="Most keys to ask for at once.")] = 1024,
    failures_only: FailuresOnly = False,
) -> None:
    """Check the key delivery of two key managers, ETSI GS QKD 014: TLS, status, enc_keys, dec_keys."""
    import asyncio

    from keyweave_core.runtime.clock import SystemClock
    from keyweave_lab.conform.etsi014.lines import Options, Sae
    from keyweave_lab.conform.etsi014.suite import run_suite
    from keyweave_lab.conform.https import place_of

    with told():
        there = slave_ca or ca
        slave_place = place_of(slave_url)
        third = None
        if third_sae is not None:
            if third_cert is None or third_key is None:
                raise InvalidInput("--third-sae wants --third-cert and --third-key")
            place = place_of(third_url) if third_url is not None else slave_place
            third = Sae(id=third_sae, place=place, tls=tls_of(third_cert, third_key, there))
        foreign = None
        if foreign_cert is not None:
            if foreign_key is None:
                raise InvalidInput("--foreign-cert wants --foreign-key")
            foreign = tls_of(foreign_cert, foreign_key, ca)
        options = Options(
            master=Sae(id=master_sae, place=place_of(master_url), tls=tls_of(master_cert, master_key, ca)),
            slave=Sae(id=slave_sae, place=slave_place, tls=tls_of(slave_cert, slave_key, there)),
            third=third,
            foreign=foreign,
            check_name=not any_server_name,
            message_limit_s=timeout,
            patience_s=patience,
            bulk=bulk,
        )
        report = asyncio.run(run_suite(options, SystemClock(), progress, only=ids(only), skip=ids(skip)))
        show(report, json_file, failures_only=failures_only)


def etsi004(
    first: Annotated[str, typer.Argument(metavar="HOST:PORT", help="Key manager that allocates streams.")],
    second: Annotated[str, typer.Argument(metavar="PEER_HOST:PORT", help="Key manager of the peer.")],
    source: Annotated[str, typer.Option(help="URI of the application at the first.")],
    destination: Annotated[str, typer.Option(help="URI of the application at the second.")],
    peer_source: Annotated[
        str | None, typer.Option(help="Source as the peer gives it (else DESTINATION).")
    ] = None,
    peer_destination: Annotated[
        str | None, typer.Option(help="Destination as the peer gives it (else SOURCE).")
    ] = None,
    cert: Annotated[Path | None, typer.Option(help="Certificate of the first application (PEM).")] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key (PEM).")] = None,
    peer_cert: Annotated[Path | None, typer.Option(help="Certificate of the peer.")] = None,
    peer_key: Annotated[Path | None, typer.Option(help="Its private key.")] = None,
    ca: Annotated[Path | None, typer.Option(help="Authority of the key managers' certificates.")] = None,
    peer_ca: Annotated[Path | None, typer.Option(help="The same for the second, if it is another.")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Plain TCP, without certificates.")] = False,
    any_server_name: AnyName = False,
    chunk_bytes: Annotated[int, typer.Option(min=16, max=65536, help="Key_chunk_size to ask for.")] = 32,
    call_timeout: Annotated[int, typer.Option(min=100, help="QoS.Timeout of calls, ms.")] = 2000,
    only: Only = "",
    skip: Skip = "",
    json_file: JsonFile = None,
    timeout: Timeout = 10.0,
    patience: Annotated[float, typer.Option(min=0.0, help="Longest wait until there is a key, s.")] = 10.0,
    failures_only: FailuresOnly = False,
) -> None:
    """Check the key streams of two key managers, ETSI GS QKD 004: OPEN_CONNECT, GET_KEY, CLOSE."""
    import asyncio

    from keyweave_core.runtime.clock import SystemClock
    from keyweave_lab.conform.etsi004.bench import Options, Side
    from keyweave_lab.conform.etsi004.suite import run_suite
    from keyweave_lab.conform.etsi004.wire import Qos

    with told():
        sides = []
        for where, files, uris in (
            (first, (cert, key, ca), (source, destination)),
            (
                second,
                (peer_cert, peer_key, peer_ca or ca),
                (peer_source or destination, peer_destination or source),
            ),
        ):
            host, port = address_of(where)
            tls = None
            if not plain:
                if None in files:
                    raise InvalidInput("give --cert, --key, --peer-cert, --peer-key and --ca, or --plain")
                tls = tls_of(*(path for path in files if path is not None))
            sides.append(Side(host=host, port=port, tls=tls, source=uris[0], destination=uris[1]))
        options = Options(
            first=sides[0],
            second=sides[1],
            check_name=not any_server_name,
            qos=Qos(chunk_bytes=chunk_bytes, timeout_ms=call_timeout),
            message_limit_s=timeout,
            patience_s=patience,
        )
        report = asyncio.run(run_suite(options, SystemClock(), progress, only=ids(only), skip=ids(skip)))
        show(report, json_file, failures_only=failures_only)


def etsi020(
    url: Annotated[str, typer.Argument(metavar="URL", help="https://host:port of the peer key manager.")],
    initiator_sae: Annotated[str, typer.Option(help="Id of an application on our side.")],
    target_sae: Annotated[str, typer.Option(help="Id of an application that the peer can reach.")],
    cert: Annotated[Path, typer.Option(help="Our key manager's certificate (PEM), as client and server.")],
    key: Annotated[Path, typer.Option(help="Its private key (PEM).")],
    ca: Annotated[Path, typer.Option(help="Authority of the peer's certificate.")],
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where acknowledgements are taken; port 0: any.")
    ] = "127.0.0.1:0",
    callback_url: Annotated[
        str | None, typer.Option(help="Where the peer is told to acknowledge (else the listener).")
    ] = None,
    pinned: Annotated[
        bool, typer.Option("--pinned", help="The peer is to acknowledge to our callback and nowhere else.")
    ] = False,
    foreign_cert: Annotated[
        Path | None, typer.Option(help="A certificate of an authority that is not accepted.")
    ] = None,
    foreign_key: Annotated[Path | None, typer.Option(help="Its private key.")] = None,
    any_server_name: AnyName = False,
    key_bits: Annotated[int, typer.Option(min=8, max=65536, help="Size of the keys to hand over.")] = 256,
    only: Only = "",
    skip: Skip = "",
    json_file: JsonFile = None,
    timeout: Timeout = 15.0,
    patience: Annotated[float, typer.Option(min=0.0, help="Longest wait for an acknowledgement, s.")] = 20.0,
    failures_only: FailuresOnly = False,
) -> None:
    """Check a key manager's door to other networks, ETSI GS QKD 020: ext_keys, ack, void."""
    import asyncio

    from keyweave_core.runtime.clock import SystemClock
    from keyweave_lab.conform.etsi020.bench import Options
    from keyweave_lab.conform.etsi020.suite import run_suite
    from keyweave_lab.conform.https import place_of

    with told():
        host, port = address_of(listen, least=0)
        foreign = None
        if foreign_cert is not None:
            if foreign_key is None:
                raise InvalidInput("--foreign-cert wants --foreign-key")
            foreign = tls_of(foreign_cert, foreign_key, ca)
        if callback_url is not None:
            place_of(callback_url)
        options = Options(
            peer=place_of(url),
            tls=tls_of(cert, key, ca),
            initiator=initiator_sae,
            target=target_sae,
            listen_host=host,
            listen_port=port,
            callback_url=callback_url,
            pinned=pinned,
            foreign=foreign,
            check_name=not any_server_name,
            key_bytes=key_bits // 8,
            message_limit_s=timeout,
            patience_s=patience,
        )
        report = asyncio.run(run_suite(options, SystemClock(), progress, only=ids(only), skip=ids(skip)))
        show(report, json_file, failures_only=failures_only)


def address_of(text: str, *, least: int = 1) -> tuple[str, int]:
    """Host and port of `host:port` or `[address]:port`; InvalidInput when it is none."""
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not least <= int(port) < 65536:
        raise InvalidInput(f"{text[:80]!r}: want host:port")
    return host.strip("[]"), int(port)


def tls_of(certificate: Path, private_key: Path, ca: Path) -> TlsSettings:
    """The three files of one end; InvalidInput names one that is not there."""
    for path in (certificate, private_key, ca):
        if not path.is_file():
            raise InvalidInput(f"{path}: no such file")
    return TlsSettings(certificate=certificate, private_key=private_key, ca=ca)


def add_verbs(app: typer.Typer) -> None:
    """Give `keyweave conform` the verbs of this file."""
    app.command("014")(etsi014)
    app.command("004")(etsi004)
    app.command("020")(etsi020)
