"""The journal's codec: whatever goes in comes out equal."""

import typing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.controller.control.optical.plants import classical_on, plants, square

from keyweave_controller.control import events
from keyweave_controller.control.configuration import Policy, Tariff
from keyweave_controller.control.optical.equipment import ClassicalChannel
from keyweave_controller.control.optical.plant import Plant
from keyweave_controller.control.optical.windows import Window
from keyweave_controller.engine import codec
from keyweave_core.errors import MalformedMessage
from keyweave_core.model import notifications

finite = st.floats(allow_nan=False, allow_infinity=False)
st.register_type_strategy(float, finite)


amounts = st.decimals(min_value=0, max_value=10**9, allow_nan=False, allow_infinity=False)
st.register_type_strategy(
    Policy, st.builds(Policy, usable_share=st.floats(0.01, 1), max_relay_hops=st.integers(1, 256))
)
st.register_type_strategy(
    Tariff,
    st.builds(
        Tariff,
        currency=st.text(min_size=1, max_size=8),
        per_mbit=amounts,
        per_key=amounts,
        per_further_hop=amounts,
        decimals=st.integers(0, 9),
    ),
)
moments = st.lists(st.floats(0, 1e10), min_size=2, max_size=2, unique=True).map(sorted)
st.register_type_strategy(
    Window,
    st.builds(
        lambda span, rate_bps: Window(starts_at=span[0], ends_at=span[1], rate_bps=rate_bps),
        moments,
        st.integers(0, 2**32 - 1),
    ),
)
st.register_type_strategy(Plant, plants())
st.register_type_strategy(ClassicalChannel, classical_on(square(), "light").filter(bool))


@pytest.mark.parametrize("kind", typing.get_args(events.Event), ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_every_event_comes_back_equal(kind: type, data: st.DataObject) -> None:
    event = data.draw(st.from_type(kind))
    assert codec.decode(*codec.encode(event)) == event


@pytest.mark.parametrize("kind", typing.get_args(notifications.Notification), ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_every_notification_comes_back_equal(kind: type, data: st.DataObject) -> None:
    event = events.Notified(at=1.0, node_id="n", notification=data.draw(st.from_type(kind)), event_time="t")
    name, body = codec.encode(event)
    assert name == "Notified"
    back = codec.decode(name, body)
    assert back == event
    assert type(back.notification) is kind


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("Imagined", "{}", "unknown kind"),
        ("TimerFired", "{", "TimerFired"),
        ("TimerFired", '{"at": 1.0}', "timer_id"),
        ("TimerFired", '{"at": "soon", "timer_id": "t"}', "at"),
        ("Notified", '{"at":1,"node_id":"n","event_time":"","kind":"X","notification":{}}', "unknown kind"),
        ("ControllerStarted", '{"at":1,"policy":{"usable_share":7},"inventory":[]}', "usable_share"),
    ],
)
def test_what_is_no_event_is_refused_by_name(kind: str, body: str, words: str) -> None:
    with pytest.raises(MalformedMessage, match=words):
        codec.decode(kind, body)
