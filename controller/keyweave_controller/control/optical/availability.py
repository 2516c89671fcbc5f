"""When the links that are not always there make key.

Rule of this file: pure; one question about every shared module and every satellite of a plant. A link that is
in no answer makes key whenever it is up.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from keyweave_controller.control.optical.passes import windows_of
from keyweave_controller.control.optical.plant import Plant
from keyweave_controller.control.optical.switched import Partner, switch_schedule
from keyweave_controller.control.optical.timed import partners_of
from keyweave_controller.control.optical.windows import Window
from keyweave_core.physics.finite import DOWNLINKS


def availability(
    plant: Plant,
    partners: Iterable[Partner],
    *,
    starts_at: float,
    horizon_s: float,
    connected: Iterable[str] = (),
) -> Mapping[str, tuple[Window, ...]]:
    """Windows by link, from `starts_at` for `horizon_s` (above 0) seconds.

    `partners` tell rate, buffer and consumption of the links of shared modules; one that is not told of is
    served for its bound alone and counted with rate 0. `connected` are the links that switches hold now.
    Windows of passes are cut to the horizon. Links that are always there are not in the answer. ValueError as
    `switch_schedule`.
    """
    told = {partner.link: partner for partner in partners}
    held = frozenset(connected)
    answer: dict[str, tuple[Window, ...]] = {}
    for sharing in plant.shared:
        links = partners_of(plant.channels, sharing.module)
        unknown = Partner(link="", rate_bps=0, stored_bits=0, capacity_bits=0, consumption_bps=0)
        schedule = switch_schedule(
            [told.get(link, replace(unknown, link=link)) for link in links],
            sharing.policy,
            starts_at=starts_at,
            horizon_s=horizon_s,
            connected=next((link for link in links if link in held), ""),
        )
        answer.update(schedule.windows)
    for satellite in plant.satellites:
        windows = windows_of(satellite.passes, DOWNLINKS[satellite.device])
        answer[satellite.link] = tuple(_cut(windows, starts_at, starts_at + horizon_s))
    return dict(sorted(answer.items()))


def _cut(windows: Iterable[Window], starts_at: float, ends_at: float) -> Iterator[Window]:
    for window in windows:
        first, last = max(window.starts_at, starts_at), min(window.ends_at, ends_at)
        if first < last:
            yield replace(window, starts_at=first, ends_at=last)
