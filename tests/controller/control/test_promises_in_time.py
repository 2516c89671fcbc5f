"""Whatever is asked for whatever time, no link ever owes more at any moment than it may promise."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.controller.control.plays import ask

from keyweave_controller.control import admission, calendar
from keyweave_controller.control.configuration import Policy
from keyweave_controller.control.events import AssociationClosed
from keyweave_controller.control.network import Network
from keyweave_controller.control.service import Protection, Service, ServiceClass
from keyweave_controller.control.state import AssociationState
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate

SITES = "ABCD"
AHEAD_S = 120


def owed(network: Network, link_id: str, moment: float, *, now: float) -> int:
    """By definition, from the records."""
    state, link, total = network.state, network.links[link_id], 0
    for one in state.associations.values():
        if one.expires_at is None or one.expires_at > moment:
            total += sum(link.reserved_bps.get(path.link_id, 0) for path in (*one.paths, *one.next_paths))
    for booking in link.bookings.values():
        if max(now, booking.starts_at) <= moment < booking.ends_at:
            total += booking.rate_bps
    return total


def check(show: Rehearsal) -> None:
    network = show.network
    for link_id, link in network.links.items():
        usable = admission.usable_bps(link, network.policy)
        for second in range(0, AHEAD_S, 5):
            assert owed(network, link_id, show.now + second + 0.5, now=show.now) <= usable
        # What the calendar says of a time is what the records say of its moments.
        expiry_of = calendar.expiries(network.state, network.mesh.owners)
        said = calendar.room_between(
            network.state, link, show.now + 20, show.now + 60, at=show.now, expiry_of=expiry_of
        )
        assert said <= usable - owed(network, link_id, show.now + 40, now=show.now)
        for booking in link.bookings.values():
            owner = network.associations[booking.app_id]
            assert owner.state is AssociationState.WAITING
            assert any(link_id in links for links in owner.booked)


@given(st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_no_moment_is_promised_twice(seed: int) -> None:
    pick = random.Random(seed)  # noqa: S311 - drawn histories, no secrets
    spans = [Span(a=a, b=b, skr_bps=pick.choice((20_000, 60_000))) for a, b in ("AB", "BC", "CD", "DA", "AC")]
    show = Rehearsal(
        nodes=simulate(spans, {site: tuple(f"sae:{site}{end}" for end in ("", *"23456")) for site in SITES})
    )
    show.start(Policy())
    for _ in range(25):
        a, b = pick.sample(SITES, 2)
        ends = [pick.choice(("", *"23456")) for _ in range(2)]
        begins = show.now + pick.choice((5, 20, 50))
        expires = begins + pick.choice((10, 30, 70))
        kind = pick.choice(("scheduled", "scheduled", "expiring", "lasting", "split", "close", "wait"))
        more = {"priority": pick.randrange(3), "rate_bps": pick.choice((3_000, 9_000, 20_000))}
        names = (a + ends[0], b + ends[1])
        if kind == "scheduled":
            service = Service(service_class=ServiceClass.SCHEDULED, starts_at=begins)
            ask(show, *names, service=service, expires_at=expires, **more)
        elif kind == "expiring":
            ask(show, *names, expires_at=expires, **more)
        elif kind == "lasting":
            ask(show, *names, **more)
        elif kind == "split":
            ask(show, *names, service=Service(protection=Protection.ONE_PLUS_ONE), expires_at=expires, **more)
        elif kind == "close":
            live = [one.app_id for one in show.network.associations.values() if one.live]
            if live:
                show.feed(
                    AssociationClosed(
                        at=show.now, request_id=f"c{len(show.events)}", app_id=pick.choice(live)
                    )
                )
                show.settle()
        else:
            show.advance(pick.choice((1.0, 10.0, 40.0)))
        check(show)
    show.advance(300.0)
    check(show)
    assert not any(link.bookings for link in show.network.links.values())
