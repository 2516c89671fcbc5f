"""A session's way out for notifications, and actions that wait for their time."""

import asyncio

from keyweave_core.netconf.server.events.outlet import Outlet
from keyweave_core.netconf.server.timers import after
from keyweave_core.runtime.clock import ManualClock


class Reader:
    def __init__(self, name: str, outlet: Outlet, heard: list[str]) -> None:
        self.name, self.outlet, self.heard = name, outlet, heard

    def resume(self) -> None:
        self.heard.append(self.name)
        self.outlet.send(self.name.encode())

    def close(self) -> None:
        self.heard.append(f"{self.name} closed")


def test_readers_are_served_in_turn_and_only_while_there_is_room() -> None:
    written: list[bytes] = []

    def write(message: bytes) -> None:
        written.append(message)
        outlet.pause()

    heard: list[str] = []
    outlet = Outlet(write, lambda _reason: None)
    for name in "abc":
        outlet.attach(Reader(name, outlet, heard))
    for _ in range(6):
        outlet.resume()
    assert sorted(heard) == ["a", "a", "b", "b", "c", "c"]
    assert len(written) == 6
    assert outlet.send(b"x") is False


def test_the_end_is_told_once_and_nothing_is_written_behind_it() -> None:
    written: list[bytes] = []
    heard: list[str] = []
    outlet = Outlet(written.append, lambda _reason: None)
    gone, there = Reader("gone", outlet, heard), Reader("there", outlet, heard)
    outlet.attach(gone)
    outlet.attach(there)
    outlet.detach(gone)
    outlet.detach(gone)
    outlet.close()
    outlet.close()
    assert heard == ["there closed"]
    assert outlet.send(b"late") is False
    outlet.resume()
    assert (written, outlet.readers) == ([], ())


async def test_an_action_comes_at_its_time_unless_called_off() -> None:
    clock = ManualClock()
    done: list[str] = []
    after(clock, 5, lambda: done.append("five"))
    cancel = after(clock, 6, lambda: done.append("six"))
    await clock.advance(4.9)
    assert done == []
    await clock.advance(0.2)
    cancel()
    await clock.advance(10)
    assert done == ["five"]
    cancel()


async def test_an_action_may_call_itself_off() -> None:
    clock = ManualClock()
    done: list[str] = []

    def action() -> None:
        cancel()
        done.append("done")

    cancel = after(clock, 1, action)
    await asyncio.sleep(0)
    await clock.advance(2)
    assert done == ["done"]
