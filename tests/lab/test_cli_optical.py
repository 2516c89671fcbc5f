"""The verbs of the optical layer: what is asked of the controller, and how its answers look."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from typer.testing import CliRunner

from keyweave_core.errors import Refused
from keyweave_lab import cli_optical, show_optical
from keyweave_lab.cli import app
from keyweave_lab.cli_frame import told
from keyweave_lab.topology_file import shipped_topologies
from keyweave_proto.v1 import optical_pb2 as pb

CANDIDATE = pb.ChannelCandidate(
    transmitter=pb.ModuleRef(site="A", interface_id=1),
    receiver=pb.ModuleRef(site="C", interface_id=2),
    fibres=["AB", "BC"],
    channel=36,
    wavelength_nm=1548.51,
    loss_db=7.0,
    skr_bps=2_000_000,
    qber=0.03,
    loudest="data",
)
JUDGED = pb.ChannelJudgement(
    link="A-C", verdict=pb.VERDICT_MOVES, channel=34, fibres=["AB"], move=CANDIDATE, reasons=["taken by x"]
)
PLANT = pb.PlantReply(
    toml="sites = []\n",
    configured=True,
    fibres=4,
    modules=2,
    classical=[pb.ClassicalChannel(name="x", source="A", fibres=["AB"], channel=34, launch_dbm=-3.0)],
    channels=[JUDGED],
)


class Controller:
    """Answers every call with what is set, and remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.answer: Any = None
        self.optical = self

    def __getattr__(self, name: str) -> Any:
        def call(request: Any, timeout: float) -> Any:
            assert timeout > 0
            self.asked.append((name, request))
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

        return call


@pytest.fixture
def controller(monkeypatch: pytest.MonkeyPatch) -> Controller:
    found = Controller()

    @contextmanager
    def dialled(*_where: Any) -> Iterator[Controller]:
        with told():
            yield found

    monkeypatch.setattr(cli_optical, "dialled", dialled)
    return found


def run(*words: str) -> tuple[int, str]:
    outcome = CliRunner().invoke(app, ["optical", *words])
    return outcome.exit_code, outcome.output


def test_candidates_are_asked_for_and_shown(controller: Controller) -> None:
    controller.answer = pb.ComputeChannelsResponse(candidates=[CANDIDATE])
    code, shown = run("compute", "A", "C", "--rate", "1000", "--k", "2", "--without-duct", "west")
    assert code == 0
    assert controller.asked == [
        (
            "ComputeChannels",
            pb.ComputeChannelsRequest(a="A", b="C", demand_bps=1000, number=2, without_ducts=["west"]),
        )
    ]
    assert "36 (1548.51" in shown
    assert "3.00%" in shown
    controller.answer = pb.ComputeChannelsResponse(reasons=["no module is free at A"])
    assert "no module is free at A" in run("compute", "A", "C")[1]
    assert json.loads(run("compute", "A", "C", "--json")[1])["reasons"] == ["no module is free at A"]


LIGHT = ("--from", "A", "--fibre", "AB", "--fibre", "BC", "--channel", "45", "--dbm", "-3")
ASKED = pb.ClassicalChannel(name="x", source="A", fibres=["AB", "BC"], channel=45, launch_dbm=-3.0)


def test_light_is_asked_for_and_switched(controller: Controller) -> None:
    controller.answer = pb.PermitClassicalResponse(granted=True, channels=[JUDGED])
    assert "1 quantum channels would move" in run("classical", "ask", "x", *LIGHT)[1]
    controller.answer = pb.PermitClassicalResponse(reasons=["link A-C: too loud"], most_dbm=-7.5)
    shown = run("classical", "ask", "x", *LIGHT)[1]
    assert "refused: link A-C: too loud" in shown
    assert "would be granted at -7.5 dBm or less" in shown
    controller.answer = PLANT
    assert run("classical", "add", "x", *LIGHT, "--request-id", "1")[0] == 0
    assert run("classical", "remove", "x")[0] == 0
    assert [request for _, request in controller.asked[2:]] == [
        pb.AddClassicalRequest(channel=ASKED, request_id="1"),
        pb.RemoveClassicalRequest(name="x"),
    ]
    controller.answer = Refused("link A-C: too loud")
    code, shown = run("classical", "add", "x", *LIGHT)
    assert (code, "refused: link A-C: too loud" in shown) == (3, True)
    assert run("classical", "ask", "x", *LIGHT[:-3], "-1", "--dbm", "0")[0] == 2


def test_a_plant_is_checked_without_a_controller(tmp_path: Path) -> None:
    code, shown = run("plant", "check", str(shipped_topologies() / "madqci-plant.toml"))
    assert (code, "correct; 9 fibres, 18 modules, 9 quantum and 3 classical channels" in shown) == (0, True)
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("colour = 1\n")
    code, shown = run("plant", "check", str(wrong))
    assert (code, "unknown key colour" in shown) == (2, True)


def test_a_plant_is_shown_and_set(controller: Controller, tmp_path: Path) -> None:
    controller.answer = PLANT
    code, shown = run("plant", "show")
    assert code == 0
    assert "4 fibres, 2 modules, configured over the northbound" in shown
    assert "A-C: taken by x" in shown
    assert run("plant", "show", "--toml")[1] == "sites = []\n"
    file = tmp_path / "plant.toml"
    file.write_text('sites = ["A"]\n')
    assert run("plant", "set", str(file))[0] == 0
    assert controller.asked[-1] == ("SetPlant", pb.SetPlantRequest(toml='sites = ["A"]\n'))
    assert run("plant", "set", "--settings")[0] == 0
    assert controller.asked[-1] == ("SetPlant", pb.SetPlantRequest())
    controller.answer = pb.PlantReply()
    assert "no fibre plant is configured" in run("plant", "show")[1]


@pytest.mark.parametrize("words", [(), ("nowhere.toml",), ("x.toml", "--settings")])
def test_a_plant_must_be_named_once(controller: Controller, words: tuple[str, ...]) -> None:
    assert run("plant", "set", *words)[0] == 2
    assert not controller.asked


def test_windows_and_reviews(controller: Controller) -> None:
    controller.answer = pb.AvailabilityResponse()
    assert "every link makes key at any time" in run("windows")[1]
    one = pb.KeyWindow(starts_at=Timestamp(seconds=0), ends_at=Timestamp(seconds=60), rate_bps=5_000)
    controller.answer = pb.AvailabilityResponse(
        links=[
            pb.LinkAvailability(link="A-B", link_id="1", windows=[one] * (show_optical.WINDOWS_SHOWN + 2)),
            pb.LinkAvailability(link="Moon"),
            pb.LinkAvailability(link="B-C", link_id="2", always=True),
        ]
    )
    shown = run("windows", "A-B")[1]
    for words in ("5 kbit/s", "and 2 more", "Moon (no agent has it)", "no more windows", "at any time"):
        assert words in shown
    assert controller.asked[-1] == ("Availability", pb.AvailabilityRequest(links=["A-B"]))
    controller.answer = pb.ReviewChannelsResponse(channels=[JUDGED])
    assert "moves to 36" in run("review")[1]
