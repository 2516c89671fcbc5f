"""The verb that asks for keys between applications."""

from typing import Annotated

import typer

from keyweave_lab.cli_ask import CALL_TIMEOUT_S
from keyweave_lab.cli_frame import dialled, show_answer
from keyweave_lab.cli_options import MOST_BPS, Bounds, Door, Serving, grouped


@grouped
def open_association(
    source: Annotated[str, typer.Argument(metavar="SRC", help="Application (SAE id) that asks for keys.")],
    destination: Annotated[str, typer.Argument(metavar="DST", help="Application that fetches them by id.")],
    bounds: Bounds,
    serving: Serving,
    door: Door,
    also: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DST",
            help="Another application that gets the very same keys, at another node; repeatable.",
        ),
    ] = None,
    min_bandwidth_bps: Annotated[
        int | None,
        typer.Option(
            "--min-bandwidth-bps", "--rate", min=0, max=MOST_BPS, help="Reserved on every hop, bit/s."
        ),
    ] = None,
    max_bandwidth_bps: Annotated[
        int | None,
        typer.Option(
            "--max-bandwidth-bps", "--max-rate", min=1, max=MOST_BPS, help="Above it requests are refused."
        ),
    ] = None,
    jitter_ms: Annotated[int | None, typer.Option(min=0, max=MOST_BPS)] = None,
    ttl_s: Annotated[
        int | None, typer.Option(min=1, max=MOST_BPS, help="Longest stay of an unused key, s.")
    ] = None,
    priority: Annotated[int, typer.Option(min=0, max=MOST_BPS, help="Larger goes first.")] = 0,
    lifetime_s: Annotated[
        float | None, typer.Option(min=1, help="Close it by itself so long after its start, s.")
    ] = None,
    request_id: Annotated[str, typer.Option(help="The same id again asks for the same thing once.")] = "",
) -> None:
    """Ask for keys between two applications, or for one and several; waits until all hold the path."""
    with dialled(*door.where) as controller:
        from keyweave_core.runtime.clock import SystemClock
        from keyweave_proto.v1 import keyweave_pb2 as pb

        now = SystemClock().now()
        end = serving.end(lifetime_s, now)
        request = pb.OpenAssociationRequest(
            request_id=request_id,
            source=source,
            destination=destination,
            further_destinations=also or (),
            qos=pb.Qos(
                min_bandwidth_bps=min_bandwidth_bps,
                max_bandwidth_bps=max_bandwidth_bps,
                jitter_ms=jitter_ms,
                ttl_s=ttl_s,
            ),
            priority=priority,
            service=serving.message(bounds.message(controller), now),
        )
        if end is not None:
            request.expires_at.FromMilliseconds(end)
        answer = controller.associations.Open(request, timeout=CALL_TIMEOUT_S)
    show_answer("association", answer.association, door.form)


def add_verbs(app: typer.Typer) -> None:
    """Give the root command the verb of this file."""
    app.command("open")(open_association)
