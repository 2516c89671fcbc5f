"""The verbs that ask before they wish: path compute, path deploy, why, whatif.

Rule of this file: a verb makes one message out of what was typed, and shows the answer. Nothing but `path
deploy` changes anything.
"""

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from keyweave_core.errors import InvalidInput
from keyweave_lab.cli_ask import CALL_TIMEOUT_S
from keyweave_lab.cli_frame import dialled, group, show_answer, told
from keyweave_lab.cli_options import (
    MOST_BPS,
    Bounds,
    Door,
    Protection,
    ServiceClass,
    Serving,
    grouped,
    nodes_among,
)

if TYPE_CHECKING:
    from keyweave_proto.v1 import keyweave_pb2 as pb

path_app = group("Which paths there are, and keys over one of them.")

Source = Annotated[str, typer.Argument(metavar="SRC", help="An application or a node.")]
Destination = Annotated[str, typer.Argument(metavar="DST", help="An application or a node.")]
Rate = Annotated[
    int | None, typer.Option("--rate", min=0, max=MOST_BPS, help="Key rate, bit/s; else the policy's.")
]


@path_app.command()
@grouped
def compute(
    source: Source,
    destination: Destination,
    bounds: Bounds,
    serving: Serving,
    door: Door,
    rate: Rate = None,
    disjoint: Annotated[
        int, typer.Option("--disjoint", min=1, max=8, help="Groups of so many disjoint paths.")
    ] = 1,
    also: Annotated[
        list[str] | None, typer.Option("--also", help="A further destination: one tree to all. Repeat.")
    ] = None,
    number: Annotated[int, typer.Option("--number", min=1, max=16, help="At most so many.")] = 4,
    lifetime_s: Annotated[float | None, typer.Option(min=1, help="For so long from its start, s.")] = None,
) -> None:
    """The best paths between two places, with ids to deploy."""
    with dialled(*door.where) as controller:
        from keyweave_core.runtime.clock import SystemClock
        from keyweave_proto.v1 import keyweave_pb2 as pb

        now = SystemClock().now()
        service, end = serving.message(bounds.message(controller), now), serving.end(lifetime_s, now)
        if disjoint > 1:
            if serving.protection is not Protection.RESTORATION:
                raise InvalidInput("--disjoint and --protection say the same in two ways: give one of them")
            service.protection, service.ways = pb.PROTECTION_ONE_PLUS_ONE, disjoint
        request = pb.ComputePathsRequest(
            source=source,
            destination=destination,
            min_bandwidth_bps=rate,
            number=number,
            service=service,
            more_destinations=also or (),
        )
        if end is not None:
            request.expires_at.FromMilliseconds(end)
        answer = controller.planning.ComputePaths(request, timeout=CALL_TIMEOUT_S)
    show_answer("paths", answer, door.form)


@path_app.command()
@grouped
def deploy(
    path_id: Annotated[str, typer.Argument(metavar="ID", help="Of a path that `path compute` told.")],
    source: Annotated[str, typer.Argument(metavar="SRC", help="Application (SAE id) that asks for keys.")],
    destination: Annotated[str, typer.Argument(metavar="DST", help="Application that fetches them by id.")],
    bounds: Bounds,
    serving: Serving,
    door: Door,
    rate: Rate = None,
    max_rate: Annotated[
        int | None, typer.Option("--max-rate", min=1, max=MOST_BPS, help="Above it requests are refused.")
    ] = None,
    disjoint: Annotated[
        int, typer.Option("--disjoint", min=1, max=8, help="The path is a group of so many.")
    ] = 1,
    priority: Annotated[int, typer.Option(min=0, max=MOST_BPS, help="Larger goes first.")] = 0,
    lifetime_s: Annotated[
        float | None, typer.Option(min=1, help="Close it by itself so long after its start, s.")
    ] = None,
    request_id: Annotated[str, typer.Option(help="The same id again asks for the same thing once.")] = "",
) -> None:
    """Ask for keys over a computed path and no other; say again what it was computed for."""
    with dialled(*door.where) as controller:
        from keyweave_core.runtime.clock import SystemClock
        from keyweave_proto.v1 import keyweave_pb2 as pb

        now = SystemClock().now()
        service, end = serving.message(bounds.message(controller), now), serving.end(lifetime_s, now)
        if disjoint > 1:
            service.protection, service.ways = pb.PROTECTION_ONE_PLUS_ONE, disjoint
        wish = pb.OpenAssociationRequest(
            request_id=request_id,
            source=source,
            destination=destination,
            qos=pb.Qos(min_bandwidth_bps=rate, max_bandwidth_bps=max_rate),
            priority=priority,
            service=service,
        )
        if end is not None:
            wish.expires_at.FromMilliseconds(end)
        request = pb.DeployPathRequest(path_id=path_id, association=wish)
        answer = controller.associations.DeployPath(request, timeout=CALL_TIMEOUT_S)
    show_answer("association", answer.association, door.form)


@grouped
def why(
    association: Annotated[
        str,
        typer.Argument(
            metavar="ASSOCIATION", help="Its id, the beginning of it, its configured name, or SRC."
        ),
    ],
    door: Door,
    destination: Annotated[
        str, typer.Argument(metavar="[DST]", help="Then ASSOCIATION is the application SRC.")
    ] = "",
) -> None:
    """Why an association has its path, or none: prices, the bottleneck and who holds it, what would fit."""
    with dialled(*door.where) as controller:
        from keyweave_proto.v1 import keyweave_pb2 as pb

        words = [association, destination] if destination else association.split()
        if len(words) == 2:
            request = pb.ExplainRequest(source=words[0], destination=words[1])
        else:
            request = pb.ExplainRequest(association=association)
        answer = controller.planning.Explain(request, timeout=CALL_TIMEOUT_S)
    show_answer("why", answer, door.form)


@grouped
def whatif(
    door: Door,
    cut: Annotated[
        list[str] | None, typer.Option("--cut", help="A link (A-B, or its id) or a node that fails. Repeat.")
    ] = None,
    cut_risk: Annotated[
        list[str] | None, typer.Option("--cut-risk", help="A shared-risk group that fails. Repeat.")
    ] = None,
    set_rate: Annotated[
        list[str] | None,
        typer.Option("--set-rate", help='A link with another key rate, or a new one: "A-B 50000". Repeat.'),
    ] = None,
    demand: Annotated[
        list[str] | None,
        typer.Option(
            "--demand",
            help='Keys asked for as well: "SRC DST [RATE] [priority N] [class C] [protection P] [hops N]".'
            " Repeat.",
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also tell what stays as it is.")] = False,
) -> None:
    """What would be carried, moved, preempted, degraded or lost; nothing is changed."""
    with told():
        demands = [demand_of(number, text) for number, text in enumerate(demand or (), start=1)]
        rates = [_rate_of(text) for text in set_rate or ()]
        if not (cut or cut_risk or demands or rates):
            raise InvalidInput("nothing is asked: give --cut, --cut-risk, --set-rate or --demand")
    with dialled(*door.where) as controller:
        from keyweave_proto.v1 import keyweave_pb2 as pb

        nodes = nodes_among(controller, cut or [])
        request = pb.WhatIfRequest(
            fail_link_ids=[one for one in cut or () if one not in nodes],
            fail_nodes=[one for one in cut or () if one in nodes],
            fail_risks=cut_risk or (),
            link_rates=rates,
            add_demands=demands,
        )
        answer = controller.planning.WhatIf(request, timeout=CALL_TIMEOUT_S)
    show_answer("whatif-all" if everything else "whatif", answer, door.form)


def demand_of(number: int, text: str) -> "pb.Demand":
    """A demand as it is typed; InvalidInput says what it may look like. Its id is `d` and its number."""
    from keyweave_proto.v1 import keyweave_pb2 as pb

    def wrong(reason: str) -> InvalidInput:
        return InvalidInput(
            f"--demand {text[:80]!r}: {reason}; write SRC DST [RATE] [priority N] [class C] ..."
        )

    try:
        words = shlex.split(text)
    except ValueError as error:
        raise wrong(str(error)) from error
    if len(words) < 2:
        raise wrong("two applications are needed")
    found = pb.Demand(id=f"d{number}", source=words[0], destination=words[1])
    rest = words[2:]
    if rest and rest[0].isdecimal():
        found.min_bandwidth_bps = _whole(rest.pop(0), wrong)
    if len(rest) % 2:
        raise wrong(f"{rest[-1]} has no value")
    for name, value in zip(rest[::2], rest[1::2], strict=True):
        match name:
            case "priority":
                found.priority = _whole(value, wrong)
            case "max":
                found.max_bandwidth_bps = _whole(value, wrong)
            case "hops":
                found.service.constraints.max_hops = _whole(value, wrong)
            case "class" if value in tuple(ServiceClass):
                found.service.MergeFrom(pb.Service(service_class=f"SERVICE_CLASS_{ServiceClass(value).name}"))
            case "protection" if value in tuple(Protection):
                found.service.MergeFrom(pb.Service(protection=f"PROTECTION_{Protection(value).name}"))
            case "strategy":
                found.service.strategy = value
            case _:
                raise wrong(f"{name} {value} means nothing here")
    return found


def _rate_of(text: str) -> "pb.LinkRate":
    from keyweave_proto.v1 import keyweave_pb2 as pb

    words = text.split()
    if len(words) != 2:
        raise InvalidInput(f'--set-rate {text[:80]!r}: write a link and a rate in bit/s, "A-B 50000"')
    return pb.LinkRate(
        link=words[0],
        rate_bps=_whole(words[1], lambda reason: InvalidInput(f"--set-rate {text[:80]!r}: {reason}")),
    )


def _whole(text: str, wrong: Callable[[str], InvalidInput]) -> int:
    if not text.isdecimal() or int(text) > MOST_BPS:
        raise wrong(f"{text[:20]} is no number of 0..{MOST_BPS}")
    return int(text)


def add_verbs(app: typer.Typer) -> None:
    """Give the root command the verbs of this file."""
    app.add_typer(path_app, name="path")
    app.command("why")(why)
    app.command("whatif")(whatif)
