"""The Optical service over real calls."""

from dataclasses import replace

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from tests.controller.control.optical.plants import module, square
from tests.controller.northbound.conftest import NAMES, NODES, Bench, link_id

from keyweave_controller.control.optical.equipment import Fibre, QuantumChannel
from keyweave_controller.control.optical.passes import Pass
from keyweave_controller.control.optical.plant import Plant
from keyweave_controller.control.optical.timed import Satellite
from keyweave_controller.plant_file import parse_plant, plant_text
from keyweave_core.model.link import Role
from keyweave_core.runtime.clock import SystemClock
from keyweave_proto.v1 import optical_pb2 as pb
from keyweave_proto.v1 import optical_pb2_grpc as pb_grpc

A, B, C = NAMES


def plant() -> Plant:
    """The first link of the line over a fibre of its own, and a bare fibre beside it."""
    sender, taker = module(A, at="one", role=Role.TRANSMITTER), module(B, at="one", role=Role.RECEIVER)
    return Plant(
        sites=(A, B, C),
        fibres=(
            Fibre(name="one", a=A, b=B, km=10.0, ducts=("street",)),
            Fibre(name="two", a=A, b=B, km=20.0),
        ),
        modules=(sender, taker),
        channels=(
            QuantumChannel(
                link=f"{A}-{B}", transmitter=sender.ref, receiver=taker.ref, fibres=("one",), channel=34
            ),
        ),
    )


@pytest.fixture
def operator(bench: Bench, operator_tls):
    return pb_grpc.OpticalStub(bench.channel(operator_tls))


@pytest.fixture
def viewer(bench: Bench, viewer_tls):
    return pb_grpc.OpticalStub(bench.channel(viewer_tls))


def light(
    name: str = "x", *, channel: int = 45, dbm: float = -3.0, fibre: str = "one"
) -> pb.ClassicalChannel:
    return pb.ClassicalChannel(name=name, source=A, fibres=[fibre], channel=channel, launch_dbm=dbm)


def info_of(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    found = error_details_pb2.ErrorInfo()
    status = rpc_status.from_call(error)
    assert status is not None
    assert any(detail.Unpack(found) for detail in status.details)
    return found


async def test_a_plant_is_set_shown_and_given_back(operator, bench: Bench) -> None:
    assert not (await operator.GetPlant(pb.GetPlantRequest())).toml
    reply = await operator.SetPlant(pb.SetPlantRequest(toml=plant_text(plant())))
    assert parse_plant(reply.toml, where="answer") == plant()
    assert (reply.configured, reply.fibres, reply.modules) == (True, 2, 2)
    (channel,) = reply.channels
    assert (channel.link, channel.link_id) == (f"{A}-{B}", link_id(A, B))
    assert (channel.verdict, channel.channel) == (pb.VERDICT_KEEPS, 34)
    assert channel.skr_bps > 1_000_000
    assert bench.engine.network.state.plant == plant()
    reply = await operator.SetPlant(pb.SetPlantRequest())
    assert (reply.toml, reply.configured) == ("", False)


async def test_a_plant_that_does_not_hold_together_changes_nothing(operator) -> None:
    await operator.SetPlant(pb.SetPlantRequest(toml=plant_text(plant())))
    for text, words in (
        ("sites = [", "plant: "),
        ('sites = ["X"]\ncolour = 1', "unknown key colour"),
        (
            'sites = ["X"]\n[[fibres]]\nname = "f"\na = "X"\nb = "Y"\nkm = 1.0',
            "fibres 'f': b: there is no site",
        ),
    ):
        with pytest.raises(grpc.aio.AioRpcError, match=words) as raised:
            await operator.SetPlant(pb.SetPlantRequest(toml=text))
        assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (await operator.GetPlant(pb.GetPlantRequest())).fibres == 2


async def test_viewers_look_and_ask_and_change_nothing(viewer, operator) -> None:
    await operator.SetPlant(pb.SetPlantRequest(toml=plant_text(plant())))
    assert (await viewer.GetPlant(pb.GetPlantRequest())).fibres == 2
    assert (await viewer.PermitClassical(pb.PermitClassicalRequest(channel=light()))).granted
    for call in (
        viewer.SetPlant(pb.SetPlantRequest()),
        viewer.AddClassical(pb.AddClassicalRequest(channel=light())),
        viewer.RemoveClassical(pb.RemoveClassicalRequest(name="x")),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call
        assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_without_a_plant_every_question_says_so(operator) -> None:
    for call in (
        operator.ComputeChannels(pb.ComputeChannelsRequest(a=A, b=B)),
        operator.ReviewChannels(pb.ReviewChannelsRequest()),
        operator.PermitClassical(pb.PermitClassicalRequest(channel=light())),
        operator.AddClassical(pb.AddClassicalRequest(channel=light())),
        operator.RemoveClassical(pb.RemoveClassicalRequest(name="x")),
    ):
        with pytest.raises(grpc.aio.AioRpcError, match="no fibre plant is configured") as raised:
            await call
        assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_candidates_come_with_what_they_would_give(operator) -> None:
    await operator.SetPlant(pb.SetPlantRequest(toml=plant_text(square())))
    answer = await operator.ComputeChannels(
        pb.ComputeChannelsRequest(a="A", b="C", demand_bps=1000, number=2)
    )
    best, other = answer.candidates
    assert list(best.fibres) == ["AB", "BC"]
    assert best.skr_bps >= other.skr_bps > 1000
    assert (best.transmitter.site, best.receiver.site, best.wavelength_nm) == ("A", "C", 1553.33)
    assert list(best.ducts) == ["duct-AB", "duct-BC"]
    far = pb.ComputeChannelsRequest(a="A", b="C", demand_bps=2**31)
    answer = await operator.ComputeChannels(far)
    assert not answer.candidates
    assert "below the demand" in answer.reasons[0]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.ComputeChannelsRequest(a="A", b="Z"), "b: site of the plant not known: Z"),
        (pb.ComputeChannelsRequest(a="A", b="A"), "b: a link joins two sites"),
        (pb.ComputeChannelsRequest(a="A", b="C", number=65), "number: at most 64"),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(operator, request_, field: str) -> None:
    await operator.SetPlant(pb.SetPlantRequest(toml=plant_text(square())))
    with pytest.raises(grpc.aio.AioRpcError, match=field):
        await operator.ComputeChannels(request_)


async def test_light_is_asked_for_switched_on_and_off(operator, bench: Bench) -> None:
    await operator.SetPlant(pb.SetPlantRequest(toml=plant_text(plant())))
    granted = await operator.PermitClassical(pb.PermitClassicalRequest(channel=light()))
    assert granted.granted
    assert not bench.engine.network.state.plant.classical
    reply = await operator.AddClassical(pb.AddClassicalRequest(channel=light(), request_id="1"))
    assert [one.name for one in reply.classical] == ["x"]
    again = await operator.AddClassical(pb.AddClassicalRequest(channel=light(), request_id="1"))
    assert again.classical == reply.classical
    reply = await operator.RemoveClassical(pb.RemoveClassicalRequest(name="x", request_id="2"))
    assert not reply.classical
    await operator.RemoveClassical(pb.RemoveClassicalRequest(name="x", request_id="2"))
    with pytest.raises(grpc.aio.AioRpcError, match="classical channel not known: x"):
        await operator.RemoveClassical(pb.RemoveClassicalRequest(name="x"))


async def test_light_that_is_too_loud_is_refused_with_the_level_that_would_do(operator) -> None:
    await operator.SetPlant(pb.SetPlantRequest(toml=plant_text(plant())))
    loud = light(dbm=30, channel=37)
    answer = await operator.PermitClassical(pb.PermitClassicalRequest(channel=loud))
    assert not answer.granted
    assert answer.HasField("most_dbm")
    with pytest.raises(grpc.aio.AioRpcError, match="classical channel x") as raised:
        await operator.AddClassical(pb.AddClassicalRequest(channel=loud))
    assert info_of(raised.value).reason == "REFUSED"
    quiet = light(dbm=answer.most_dbm, channel=37)
    assert (await operator.AddClassical(pb.AddClassicalRequest(channel=quiet))).classical


async def test_light_that_cannot_be_names_the_field(operator) -> None:
    await operator.SetPlant(pb.SetPlantRequest(toml=plant_text(plant())))
    with pytest.raises(grpc.aio.AioRpcError, match=r"launch_dbm is -60\.\.30"):
        await operator.AddClassical(pb.AddClassicalRequest(channel=light(dbm=99)))
    with pytest.raises(grpc.aio.AioRpcError, match="there is no fibre 'three'"):
        await operator.PermitClassical(pb.PermitClassicalRequest(channel=light(fibre="three")))


async def test_light_on_the_channel_of_a_link_has_its_modules_written(operator, bench: Bench) -> None:
    await operator.SetPlant(pb.SetPlantRequest(toml=plant_text(plant())))
    reply = await operator.AddClassical(pb.AddClassicalRequest(channel=light(channel=34, dbm=-30)))
    (channel,) = reply.channels
    assert channel.channel != 34
    assert not reply.moving
    written = [(node_id, one) for node_id, edit in bench.agents.edits for one in edit.tune_links]
    assert [(node_id, one.wavelength) for node_id, one in written] == [
        (NODES[B], channel.channel),  # the receiver first
        (NODES[A], channel.channel),
    ]


async def test_windows_of_links_that_are_not_always_there(operator, bench: Bench) -> None:
    now = SystemClock().now()
    passes = tuple(
        Pass(starts_at=now + start, ends_at=now + start + 100, rates=((0.0, 5_000),))
        for start in (-500, 50, 900)
    )
    links = (Satellite(link=f"{B}-{C}", passes=passes), Satellite(link="Moon", passes=passes))
    await operator.SetPlant(pb.SetPlantRequest(toml=plant_text(replace(plant(), satellites=links))))
    answer = await operator.Availability(pb.AvailabilityRequest())
    assert [(one.link, bool(one.link_id), len(one.windows)) for one in answer.links] == [
        (bench.engine.network.state.link_name(link_id(B, C)), True, 2),
        ("Moon", False, 2),
    ]
    asked = await operator.Availability(pb.AvailabilityRequest(links=[f"{B}-{A}"]))
    assert [(one.always, len(one.windows)) for one in asked.links] == [(True, 0)]
    with pytest.raises(grpc.aio.AioRpcError, match="link not known: Mars"):
        await operator.Availability(pb.AvailabilityRequest(links=["Mars"]))
