"""The optical layer as messages of keyweave.v1, and back.

Rule of this file: pure functions; what a request says wrongly is an InvalidField that names where.
"""

from collections.abc import Iterable, Mapping

from keyweave_controller.control.optical.compute import Candidate
from keyweave_controller.control.optical.equipment import ClassicalChannel, ModuleRef
from keyweave_controller.control.optical.grid import wavelength_nm
from keyweave_controller.control.optical.plant import Plant
from keyweave_controller.control.optical.review import Judgement
from keyweave_controller.control.optical.windows import Window
from keyweave_controller.northbound.refusals import InvalidField
from keyweave_controller.northbound.views import timestamp
from keyweave_core.model.ids import LinkId
from keyweave_proto.v1 import optical_pb2 as pb


def candidate(found: Candidate) -> pb.ChannelCandidate:
    """One way to make a link."""
    return pb.ChannelCandidate(
        transmitter=_module(found.transmitter),
        receiver=_module(found.receiver),
        fibres=found.fibres,
        channel=found.channel,
        wavelength_nm=round(wavelength_nm(found.channel), 2),
        loss_db=round(found.loss_db, 3),
        distance_km=round(found.km, 3),
        skr_bps=found.figures.skr_bps,
        qber=found.figures.qber,
        noise_w_per_nm=found.noise_w_per_nm,
        loudest=found.loudest,
        ducts=sorted(found.ducts),
    )


def judgements(
    plant: Plant, judged: Iterable[Judgement], link_ids: Mapping[str, LinkId]
) -> list[pb.ChannelJudgement]:
    """What becomes of each quantum channel of a plant."""
    channels = {channel.link: channel for channel in plant.channels}
    return [
        pb.ChannelJudgement(
            link=one.link,
            link_id=link_ids.get(one.link, ""),
            verdict=f"VERDICT_{one.verdict.name}",
            demand_bps=one.demand_bps,
            channel=channels[one.link].channel,
            fibres=channels[one.link].fibres,
            skr_bps=one.now.figures.skr_bps,
            qber=one.now.figures.qber,
            loss_db=round(one.now.loss_db, 3),
            loudest=one.now.loudest,
            move=None if one.move is None else candidate(one.move),
            reasons=one.reasons,
        )
        for one in judged
    ]


def classical(light: ClassicalChannel) -> pb.ClassicalChannel:
    """A classical channel."""
    return pb.ClassicalChannel(
        name=light.name,
        source=light.source,
        fibres=light.fibres,
        channel=light.channel,
        launch_dbm=light.launch_dbm,
    )


def read_classical(field: str, wish: pb.ClassicalChannel) -> ClassicalChannel:
    """A classical channel of a request; InvalidField for what can be none."""
    try:
        return ClassicalChannel(
            name=wish.name,
            source=wish.source,
            fibres=tuple(wish.fibres),
            channel=wish.channel,
            launch_dbm=wish.launch_dbm,
        )
    except ValueError as error:
        raise InvalidField(field, str(error)) from error


def availability(
    link: str, link_id: str, windows: Iterable[Window] | None, now: float
) -> pb.LinkAvailability:
    """When a link makes key from now on; None: at any time."""
    return pb.LinkAvailability(
        link=link,
        link_id=link_id,
        always=windows is None,
        windows=[
            pb.KeyWindow(
                starts_at=timestamp(window.starts_at),
                ends_at=timestamp(window.ends_at),
                rate_bps=window.rate_bps,
            )
            for window in windows or ()
            if window.ends_at > now
        ],
    )


def _module(ref: ModuleRef) -> pb.ModuleRef:
    return pb.ModuleRef(site=ref.site, interface_id=ref.interface_id)
