"""Tables that fit, JSON that keeps everything."""

import io
import json

import pytest
from rich.console import Console

from keyweave_lab import show, watching
from keyweave_proto.v1 import keyweave_pb2 as pb

ID = "0d000000-0000-4000-8000-000000000000"
LONG = ["Quijote", "Quintin", "Norte", "Distrito", "Concepcion"]


def rendered(table) -> str:
    out = io.StringIO()
    Console(file=out, width=show.WIDTH, highlight=False).print(table)
    return out.getvalue()


def a_link() -> pb.Link:
    return pb.Link(
        link_id=ID,
        a_name="Concepcion",
        b_name="Distrito",
        status=pb.LINK_STATUS_PASSIVE,
        distance_km=24.2,
        loss_db=6.7,
        qber=0.0213,
        skr_bps=2_580_000,
        reserved_bps=12_000,
        stored_bits=33_554_432,
        capacity_bits=40_000_000,
        down_reason="dark",
    )


def an_association() -> pb.Association:
    return pb.Association(
        app_id=ID,
        source="urn:bank:branch-1",
        destination="urn:bank:branch-2",
        source_node="Quijote",
        destination_node="Concepcion",
        state=pb.ASSOCIATION_STATE_SUSPENDED,
        reasons=["link Norte-Distrito lacks 500 bit/s: 0 free of 9000"],
        path=pb.Path(node_names=LONG, hops=4, bandwidth_bps=2000),
    )


def an_alarm() -> pb.Alarm:
    alarm = pb.Alarm(
        alarm_id="1",
        type="link-down",
        severity=pb.ALARM_SEVERITY_MAJOR,
        resource=f"link:{ID}",
        resource_name="Norte-Distrito",
        text="link Norte-Distrito makes no key: the connection is closed",
        affected_app_ids=[ID],
    )
    alarm.raised_at.FromSeconds(1_700_000_000)
    return alarm


def a_record() -> pb.UsageRecord:
    return pb.UsageRecord(
        app_id=ID, source="a", destination="b", node_names=LONG, hops=4, delivered_bits=2560
    )


ANSWERS = {
    "nodes": pb.ListNodesResponse(
        nodes=[
            pb.Node(name="Norte", status=pb.NODE_STATUS_OPERATING, connected=True, consumers=["x", "y"]),
            pb.Node(name="Sur", lost_reason="127.0.0.1:1: connection refused"),
            pb.Node(name="Este", faults=["the node has no usable qkdn_id"]),
        ]
    ),
    "links": pb.ListLinksResponse(
        links=[a_link(), pb.Link(a_name="A", b_name="B", faults=["ends disagree"])]
    ),
    "associations": pb.ListAssociationsResponse(associations=[an_association()] * 3),
    "association": an_association(),
    "alarms": pb.ListAlarmsResponse(alarms=[an_alarm()]),
    "usage": pb.ListUsageResponse(records=[a_record()]),
    "bill": pb.Bill(
        currency="EUR", total="12.3400", lines=[pb.BillLine(source="a", destination="b", amount="12.3400")]
    ),
}


@pytest.mark.parametrize("what", sorted(show.TABLES))
def test_every_table_fits_in_100_columns(what):
    text = rendered(show.TABLES[what](ANSWERS[what]))
    assert text.strip()
    assert max(len(line.rstrip()) for line in text.splitlines()) <= show.WIDTH


def test_the_link_table_is_one_line_a_link_with_units():
    text = rendered(show.links(pb.ListLinksResponse(links=[a_link()])))
    assert len(text.splitlines()) == 2
    for fact in (
        "Concepcion - Distrito",
        "passive",
        "24.2",
        "6.7",
        "2.13%",
        "2.58 Mbit/s",
        "33.6 Mbit (84%)",
    ):
        assert fact in text


def test_reasons_and_faults_are_shown_to_people():
    assert "lacks 500 bit/s" in " ".join(rendered(show.association(an_association())).split())
    assert "refused" in rendered(show.nodes(ANSWERS["nodes"]))
    assert "qkdn_id" in rendered(show.nodes(ANSWERS["nodes"]))
    assert "disagree" in rendered(show.links(ANSWERS["links"]))
    assert "12.3400" in rendered(show.bill(ANSWERS["bill"]))


def test_json_keeps_names_numbers_and_what_was_not_said():
    value = json.loads(show.as_json(pb.ListLinksResponse(links=[a_link(), pb.Link(link_id=ID)])))
    full, bare = value["links"]
    assert full["skr_bps"] == 2_580_000
    assert full["stored_bits"] == 33_554_432
    assert full["status"] == "LINK_STATUS_PASSIVE"
    assert bare["skr_bps"] == 0
    assert bare["faults"] == []
    assert "qber" not in bare
    assert "stored_bits" not in bare
    moments = {"down_since", "shy_until", "overbooked_since"}  # absent while nothing is wrong
    assert set(full) >= {field.name for field in pb.Link.DESCRIPTOR.fields} - moments


def test_json_numbers_reach_into_nested_and_repeated_messages():
    link = pb.Link(
        reservations=[pb.Reservation(virtual_link_id=ID, bandwidth_bps=2**53)],
        ends=[pb.LinkEnd(node_id=ID, skr_bps=7)],
    )
    value = show.plain(pb.TopologyUpdate(links=[link]))
    assert value["links"][0]["reservations"][0]["bandwidth_bps"] == 2**53
    assert value["links"][0]["ends"][0]["skr_bps"] == 7
    assert "\n" not in show.json_line(pb.TopologyUpdate(links=[link]))


def test_moments_are_rfc_3339_text():
    assert show.plain(an_alarm())["raised_at"] == "2023-11-14T22:13:20Z"


def test_updates_as_sentences():
    update = pb.TopologyUpdate(
        nodes=[pb.Node(name="A", lost_reason="gone")], links=[a_link()], removed_link_ids=[ID]
    )
    assert watching.sentences(update) == [
        "node A: lost: gone",
        "link Concepcion - Distrito: passive, 2.58 Mbit/s, 12 kbit/s promised, 33.6 Mbit stored, dark",
        f"link {ID} removed",
    ]
    (line,) = watching.sentences(pb.AssociationUpdate(associations=[an_association()]))
    assert "suspended over Quijote > Quintin" in line
    (line,) = watching.sentences(pb.AlarmUpdate(alarms=[an_alarm()]))
    assert line.startswith("alarm raised: link-down at Norte-Distrito: ")


def test_what_was_said_last_of_a_thing_is_not_said_again():
    fresh = watching.Fresh()
    lines = ["link A - B: active", "link A - C: active", "link A - B: active", "link A - B: off"]
    assert list(fresh(lines)) == ["link A - B: active", "link A - C: active", "link A - B: off"]
    assert list(fresh(["link A - B: active", "link A - C: active"])) == ["link A - B: active"]


@pytest.mark.parametrize("width", [80, 100])
def test_an_id_stays_in_one_piece(width):
    out = io.StringIO()
    table = show.associations(pb.ListAssociationsResponse(associations=[an_association()]))
    Console(file=out, width=width, highlight=False).print(table)
    assert ID in out.getvalue()


def test_a_tree_shows_every_branch_and_all_who_get_its_keys():
    item = an_association()
    item.further_destinations.extend(["urn:bank:branch-3"])
    item.further_nodes.extend(["Norte"])
    item.path.CopyFrom(pb.Path(node_ids=list("ahbc"), node_names=["A", "Hub", "B", "C"]))
    for here, there in ("ah", "hb", "hc"):
        item.path.steps.add(from_node_id=here, to_node_id=there)
    assert show.way_text(item.path, " and ") == "A > Hub > B and A > Hub > C"
    told = rendered(show.association(item))
    assert "branch-3 at Norte" in told
    assert "A > Hub > C" in told
    assert "A > Hub > B" in rendered(show.associations(pb.ListAssociationsResponse(associations=[item])))


def test_names_are_shown_as_they_are(capsys):
    item = an_association()
    item.requested_by = "[red]operator"
    show.print_table(show.association(item))
    told = capsys.readouterr().out
    assert "urn:bank:branch-1 at Quijote" in told
    assert "[red]operator" in told
