"""What is typed becomes one message; what makes no sense is told before anybody is called."""

import pytest
from typer.testing import CliRunner

from keyweave_core.errors import InvalidInput
from keyweave_lab.cli import app
from keyweave_lab.cli_options import Bounds, ServiceClass, Serving, Technology, moment
from keyweave_lab.cli_plan import demand_of
from keyweave_proto.v1 import keyweave_pb2 as pb


class Nodes:
    """A controller that knows two nodes."""

    def __init__(self) -> None:
        self.asked = 0
        self.topology = self

    def ListNodes(self, _request: pb.ListNodesRequest, timeout: float) -> pb.ListNodesResponse:  # noqa: N802
        self.asked += 1
        assert timeout > 0
        return pb.ListNodesResponse(nodes=[pb.Node(name="North-1", consumers=["sae-a"]), pb.Node(name="Sur")])


def bounds(controller: Nodes, **given) -> pb.Constraints:
    return Bounds(**given).message(controller)  # type: ignore[arg-type]  # a stand-in for Controller


def test_nodes_and_links_are_told_apart_by_what_the_controller_knows():
    nodes = Nodes()
    found = bounds(nodes, exclude=["North-1", "North-1-Sur"], include=["sae-a"], hops=3, latency=2.5)
    assert (list(found.exclude_nodes), list(found.exclude_links)) == (["North-1"], ["North-1-Sur"])
    assert (list(found.include_nodes), found.max_hops, found.max_latency_ms) == (["sae-a"], 3, 2.5)
    assert nodes.asked == 1
    found = bounds(nodes, technology=[Technology.DV_QKD_2WS], key_age=0)
    assert list(found.technologies) == [pb.TECHNOLOGY_DV_QKD_2WS]
    assert found.HasField("max_key_age_s")
    assert not found.HasField("max_latency_ms")
    assert nodes.asked == 1  # nobody is asked when nothing is named


def test_a_start_is_relative_or_has_an_offset():
    assert moment("+90", 10.0) == 100.0
    assert moment("1970-01-01T01:00:00+01:00", 5.0) == 0.0
    for wrong in ("90", "+x", "+inf", "+nan", "+1e300", "-5", "2030-01-01T00:00:00", ""):
        with pytest.raises(InvalidInput, match="is no time"):
            moment(wrong, 0.0)
    service = Serving(start="+1").message(pb.Constraints(), 10.0)
    assert service.starts_at.seconds == 11
    assert service.preemptible


def test_a_lifetime_counts_from_the_start():
    assert Serving().end(None, 100.0) is None
    assert Serving().end(60.0, 100.0) == 160_000
    scheduled = Serving(service_class=ServiceClass.SCHEDULED, start="+30")
    assert scheduled.end(60.0, 100.0) == 190_000
    for serving, lifetime_s in ((scheduled, None), (Serving(service_class=ServiceClass.SCHEDULED), 60.0)):
        with pytest.raises(InvalidInput, match="--class scheduled needs --start, and --lifetime-s"):
            serving.end(lifetime_s, 100.0)
    for endless in (float("inf"), float("nan"), 1e300):
        with pytest.raises(InvalidInput, match="leave it out for ever"):
            Serving().end(endless, 100.0)


def test_a_demand_as_it_is_typed():
    plain = demand_of(1, "a b")
    assert (plain.id, plain.source, plain.destination) == ("d1", "a", "b")
    assert not plain.HasField("min_bandwidth_bps")
    full = demand_of(2, "a b 10000 priority 3 class best-effort protection 1+1 hops 4 max 20000")
    assert (full.min_bandwidth_bps, full.priority, full.max_bandwidth_bps) == (10_000, 3, 20_000)
    assert full.service.service_class == pb.SERVICE_CLASS_BEST_EFFORT
    assert full.service.protection == pb.PROTECTION_ONE_PLUS_ONE
    assert full.service.constraints.max_hops == 4


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a", "two applications are needed"),
        ("a b x", "x has no value"),
        ("a b 10 priority", "priority has no value"),
        ("a b 10 priority high", "high is no number"),
        ("a b 10 colour red", "colour red means nothing here"),
        ("a b 10 class gold", "class gold means nothing here"),
        ("a b 99999999999", "is no number of 0"),
        ('a "b', "No closing quotation"),
    ],
)
def test_a_wrong_demand_says_how_to_write_one(text, reason):
    with pytest.raises(InvalidInput, match=reason) as caught:
        demand_of(1, text)
    assert "write SRC DST [RATE]" in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("whatif",), "nothing is asked: give --cut"),
        (("whatif", "--set-rate", "A-B"), "write a link and a rate"),
        (("whatif", "--set-rate", "A-B -5"), "-5 is no number"),
        (("why", "x", "--lab", "/nowhere"), "no laboratory is deployed there"),
        (("path", "deploy", "0", "a", "b", "--lab", "/nowhere"), "no laboratory is deployed there"),
    ],
)
def test_one_line_and_a_status(arguments, text):
    result = CliRunner().invoke(app, list(arguments))
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert text in result.stderr


@pytest.mark.parametrize("verb", [("open",), ("path", "compute"), ("path", "deploy"), ("why",), ("whatif",)])
def test_every_verb_has_help_and_json(verb):
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*verb, "--help"])
    assert result.exit_code == 0
    assert "--json" in result.stdout
