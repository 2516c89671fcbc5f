"""The verbs that look at a controller, and close: get, close, watch."""

from typing import Annotated

import typer

from keyweave_lab.cli_frame import (
    DEFAULT_LAB,
    Address,
    Ca,
    Cert,
    Form,
    Key,
    LabDir,
    Output,
    dialled,
    group,
    show_answer,
)

CALL_TIMEOUT_S = 35.0
"""Longest wait for one answer: a little more than the controller itself gives an opening."""

get_app = group("What the controller knows.")

All = Annotated[bool, typer.Option("--all", help="Also those that have ended.")]
OnlyApp = Annotated[str, typer.Option("--association", help="Only this association (its id).")]
AppId = Annotated[str, typer.Argument(metavar="ID", help="The association's id.")]


@get_app.command()
def nodes(
    lab: LabDir = DEFAULT_LAB,
    address: Address = "",
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    output: Form = Output.TABLE,
) -> None:
    """The sites, whether they are connected, and which applications they serve."""
    with dialled(lab, address, ca, cert, key) as controller:
        from keyweave_proto.v1 import keyweave_pb2 as pb

        answer = controller.topology.ListNodes(pb.ListNodesRequest(), timeout=CALL_TIMEOUT_S)
    show_answer("nodes", answer, output)


@get_app.command()
def links(
    lab: LabDir = DEFAULT_LAB,
    address: Address = "",
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    output: Form = Output.TABLE,
) -> None:
    """The fibres: length, loss, QBER, key rate, what is reserved and stored."""
    with dialled(lab, address, ca, cert, key) as controller:
        from keyweave_proto.v1 import keyweave_pb2 as pb

        answer = controller.topology.ListLinks(pb.ListLinksRequest(), timeout=CALL_TIMEOUT_S)
    show_answer("links", answer, output)


@get_app.command()
def associations(
    include_ended: All = False,
    lab: LabDir = DEFAULT_LAB,
    address: Address = "",
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    output: Form = Output.TABLE,
) -> None:
    """Who shares keys with whom, over which path."""
    with dialled(lab, address, ca, cert, key) as controller:
        from keyweave_proto.v1 import keyweave_pb2 as pb

        request = pb.ListAssociationsRequest(include_ended=include_ended)
        answer = controller.associations.List(request, timeout=CALL_TIMEOUT_S)
    show_answer("associations", answer, output)


@get_app.command()
def alarms(
    include_cleared: All = False,
    lab: LabDir = DEFAULT_LAB,
    address: Address = "",
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    output: Form = Output.TABLE,
) -> None:
    """What is wrong now, and which associations suffer from it."""
    with dialled(lab, address, ca, cert, key) as controller:
        from keyweave_proto.v1 import keyweave_pb2 as pb

        request = pb.ListAlarmsRequest(include_cleared=include_cleared)
        answer = controller.alarms.List(request, timeout=CALL_TIMEOUT_S)
    show_answer("alarms", answer, output)


@get_app.command()
def usage(
    association: OnlyApp = "",
    lab: LabDir = DEFAULT_LAB,
    address: Address = "",
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    output: Form = Output.TABLE,
) -> None:
    """Bits and keys delivered, by association and path."""
    with dialled(lab, address, ca, cert, key) as controller:
        from keyweave_proto.v1 import keyweave_pb2 as pb

        request = pb.ListUsageRequest(app_id=association)
        answer = controller.accounting.ListUsage(request, timeout=CALL_TIMEOUT_S)
    show_answer("usage", answer, output)


@get_app.command()
def bill(
    association: OnlyApp = "",
    lab: LabDir = DEFAULT_LAB,
    address: Address = "",
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    output: Form = Output.TABLE,
) -> None:
    """What was delivered, priced by the controller's tariff."""
    with dialled(lab, address, ca, cert, key) as controller:
        from keyweave_proto.v1 import keyweave_pb2 as pb

        request = pb.GetBillRequest(app_ids=[association] if association else [])
        answer = controller.accounting.GetBill(request, timeout=CALL_TIMEOUT_S)
    show_answer("bill", answer, output)


def close_association(
    app_id: AppId,
    lab: LabDir = DEFAULT_LAB,
    address: Address = "",
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    output: Form = Output.TABLE,
) -> None:
    """Give an association back."""
    with dialled(lab, address, ca, cert, key) as controller:
        from keyweave_proto.v1 import keyweave_pb2 as pb

        request = pb.CloseAssociationRequest(app_id=app_id)
        answer = controller.associations.Close(request, timeout=CALL_TIMEOUT_S)
    show_answer("association", answer.association, output)


def release_link(
    link: Annotated[str, typer.Argument(metavar="A-B", help="The link, by the names of its ends or its id.")],
    lab: LabDir = DEFAULT_LAB,
    address: Address = "",
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    output: Form = Output.TABLE,
) -> None:
    """Trust a link in quarantine again; its ends look once more whether somebody listens."""
    with dialled(lab, address, ca, cert, key) as controller:
        from keyweave_proto.v1 import keyweave_pb2 as pb

        answer = controller.topology.ReleaseLink(pb.ReleaseLinkRequest(link=link), timeout=CALL_TIMEOUT_S)
    show_answer("links", pb.ListLinksResponse(links=[answer.link]), output)


def watch(
    lab: LabDir = DEFAULT_LAB,
    address: Address = "",
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    output: Form = Output.TABLE,
) -> None:
    """Tell every change of nodes, links, associations and alarms, a line each, until Ctrl-C."""
    from keyweave_lab.watching import follow

    with dialled(lab, address, ca, cert, key) as controller:
        follow(controller, as_json=output is Output.JSON, write=typer.echo)


def add_verbs(app: typer.Typer) -> None:
    """Give the root command the verbs of this file."""
    app.add_typer(get_app, name="get")
    app.command("close")(close_association)
    app.command("release")(release_link)
    app.command("watch")(watch)
