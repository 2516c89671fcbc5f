"""Links that are not expected to make key just now, so that nobody calls them broken.

Rule of this file: a link rests between its windows (a satellite between passes, a shared module that serves
another partner) and while its quantum channel moves. It lives on its pool then: while that holds key the link
is not down, and no alarm is raised for it even when the pool is empty.
"""

from bisect import bisect_right
from collections.abc import Sequence

from keyweave_controller.control import facts
from keyweave_controller.control.optical.windows import Window
from keyweave_controller.control.state import LinkRecord
from keyweave_controller.control.turn import Turn

SLACK_S = 10.0
"""A pass may begin so much late and end so much early: clocks differ, and light has to be found first. Never
more than a quarter of the window."""

SETTLES_WITHIN_S = 10.0
"""A link whose channel has moved makes key again within this time."""


def look(turn: Turn, link: LinkRecord) -> None:
    """Note whether a link rests now, and look again when that may change."""
    state = turn.state
    windows = facts.windows_of(state, link)
    moving = state.retuning is not None and link.link_id in state.retuning.links
    link.resting = moving or turn.at < link.settles_at or not _expected(windows, turn.at)
    changes = [] if windows is None else [_next_change(windows, turn.at)]
    if link.settles_at > turn.at:
        changes.append(link.settles_at)
    due_at = min((moment for moment in changes if moment is not None), default=None)
    timer_id = f"rest:{link.link_id}"
    if due_at is None:
        turn.cancel_timer(timer_id)
    elif state.timers.get(timer_id) != due_at:
        turn.set_timer(timer_id, due_at)


def _expected(windows: Sequence[Window] | None, at: float) -> bool:
    """The link should make key at this moment."""
    if windows is None:
        return True
    place = bisect_right(windows, at, key=lambda window: window.starts_at) - 1
    return place >= 0 and _from(windows, place) <= at < _until(windows, place)


def _next_change(windows: Sequence[Window], at: float) -> float | None:
    """The next moment after `at` at which `_expected` may change."""
    first = max(0, bisect_right(windows, at, key=lambda window: window.starts_at) - 1)
    for place in range(first, len(windows)):
        for moment in (_from(windows, place), _until(windows, place)):
            if moment > at:
                return moment
    return None


def _from(windows: Sequence[Window], place: int) -> float:
    """From when a window counts; one that follows another without a gap counts at once."""
    window = windows[place]
    if place and windows[place - 1].ends_at == window.starts_at:
        return window.starts_at
    return window.starts_at + min(SLACK_S, window.duration_s / 4)


def _until(windows: Sequence[Window], place: int) -> float:
    window = windows[place]
    if place + 1 < len(windows) and windows[place + 1].starts_at == window.ends_at:
        return window.ends_at
    return window.ends_at - min(SLACK_S, window.duration_s / 4)
