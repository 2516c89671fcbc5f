"""What is asked for, what can be had; and which application a URI names."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_agents.service.settings import ConsumerSettings
from keyweave_agents.service.settings004 import Etsi004Settings, UriName
from keyweave_agents.service.streams.qos import known_mimetype, negotiate
from keyweave_agents.service.streams.uris import UriRule, sae_of_uri
from keyweave_agents.service.streams.values import StreamQos
from keyweave_core.errors import InvalidInput
from keyweave_core.model.ids import SaeId

SETTINGS = Etsi004Settings(listen_port=0, plain=True)
PLAIN = SETTINGS.bounds_of(ConsumerSettings(sae_id=SaeId("a")))


def test_what_is_left_open_is_chosen_and_what_fits_is_granted() -> None:
    assigned, met = negotiate(StreamQos(), PLAIN)
    assert met
    assert assigned == StreamQos(chunk_bytes=32, max_bps=500_000, timeout_ms=5_000, ttl_s=3_600)
    open_client = StreamQos(
        chunk_bytes=512, max_bps=40_000, min_bps=5_000, jitter_bps=10, timeout_ms=5_000, ttl_s=3_600
    )
    assert negotiate(open_client, PLAIN) == (open_client, True)


@pytest.mark.parametrize(
    ("field", "asked", "had"),
    [
        ("chunk_bytes", 513, 512),
        ("chunk_bytes", 7, 8),
        ("max_bps", 1_000_000, 500_000),
        ("min_bps", 5_001, 5_000),
        ("priority", 1, 0),
        ("timeout_ms", 30_001, 30_000),
        ("ttl_s", 7_201, 7_200),
    ],
)
def test_what_does_not_fit_becomes_the_nearest_that_does(field: str, asked: int, had: int) -> None:
    assigned, met = negotiate(replace(StreamQos(), **{field: asked}), PLAIN)
    assert not met
    assert getattr(assigned, field) == had
    assert negotiate(assigned, PLAIN) == (assigned, True), "what is proposed is granted"


def test_the_operator_bounds_and_favours_single_applications() -> None:
    consumer = ConsumerSettings(
        sae_id=SaeId("a"), min_bandwidth_bps=9_000, max_bandwidth_bps=20_000, priority=7, ttl_s=60
    )
    bounds = SETTINGS.bounds_of(consumer)
    assigned, met = negotiate(StreamQos(), bounds)
    assert met
    assert (assigned.min_bps, assigned.max_bps, assigned.priority, assigned.ttl_s) == (9_000, 20_000, 7, 60)
    assigned, met = negotiate(StreamQos(max_bps=30_000, priority=8), bounds)
    assert (met, assigned.max_bps, assigned.priority) == (False, 20_000, 7)


def test_a_minimum_above_the_maximum_cannot_be_had() -> None:
    assigned, met = negotiate(StreamQos(max_bps=1_000, min_bps=2_000), PLAIN)
    assert (met, assigned.min_bps) == (False, 1_000)


def test_media_types() -> None:
    assert known_mimetype("application/json")
    assert known_mimetype("")
    assert not known_mimetype("text/xml")
    assigned, met = negotiate(StreamQos(mimetype="text/xml"), PLAIN)
    assert (met, assigned.mimetype) == (False, "application/json")


numbers = st.integers(0, 2**32 - 1)


@given(st.builds(StreamQos, **{one.name: numbers for one in fields(StreamQos) if one.name != "mimetype"}))
def test_a_proposal_is_always_granted_and_never_above_the_bounds(asked: StreamQos) -> None:
    assigned, met = negotiate(asked, PLAIN)
    assert negotiate(assigned, PLAIN) == (assigned, True)
    assert PLAIN.least_chunk_bytes <= assigned.chunk_bytes <= PLAIN.most.chunk_bytes
    assert assigned.min_bps <= assigned.max_bps <= PLAIN.most.max_bps
    for one in fields(StreamQos):
        if met and getattr(asked, one.name):
            assert getattr(assigned, one.name) == getattr(asked, one.name)


TABLE = {"server://kms-7": SaeId("mapped")}


@pytest.mark.parametrize(
    ("uri", "rule", "sae"),
    [
        ("qkd://alice", "auto", "alice"),
        ("qkd://Alice:7000/path?token=x#y", "auto", "Alice"),
        ("qkd://user:secret@alice:7000", "auto", "alice"),
        (
            "hybrid://SPI_1@0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a01?x=1",
            "auto",
            "0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a01",
        ),
        ("urn:sae:bob", "auto", "urn:sae:bob"),
        ("qkd://sae%20one", "auto", "sae one"),
        ("qkd://alice:7000", "whole", "qkd://alice:7000"),
        ("qkd://alice:7000", "host", "alice"),
        ("server://kms-7", "auto", "mapped"),
        ("server://kms-7", "whole", "mapped"),
    ],
)
def test_the_application_that_a_uri_names(uri: str, rule: UriRule, sae: str) -> None:
    assert sae_of_uri(uri, rule, TABLE) == sae


@pytest.mark.parametrize(
    ("uri", "rule"),
    [
        ("alice", "auto"),
        ("", "auto"),
        ("://alice", "auto"),
        ("1qkd://alice", "auto"),
        ("qkd://", "auto"),
        ("qkd:///path", "auto"),
        ("qkd://:77", "auto"),
        ("qkd://user@", "auto"),
        ("urn:sae:bob", "host"),
        ("qkd://a%00b", "auto"),
        ("urn:a\nb", "auto"),
        ("urn:" + "x" * 300, "auto"),
    ],
)
def test_what_names_no_application(uri: str, rule: UriRule) -> None:
    with pytest.raises(InvalidInput):
        sae_of_uri(uri, rule, TABLE)


def test_tokens_are_not_told() -> None:
    for uri in ("qkd://token@", "token", "qkd://?token"):
        with pytest.raises(InvalidInput) as caught:
            sae_of_uri(uri, "auto", TABLE)
        assert "token" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "what"),
    [
        ({"plain": False}, "tls"),
        ({"listen_port": 70_000}, "port"),
        ({"min_chunk_bytes": 4}, "chunks"),
        ({"default_chunk_bytes": 600}, "chunks"),
        ({"max_chunk_bytes": 10_000}, "max_chunk_bytes"),
        ({"max_bps": 0}, "max_bps"),
        ({"max_min_bps": -1}, "max_min_bps"),
        ({"default_timeout_ms": 60_000}, "timeout_ms"),
        ({"max_streams": 0}, "max_streams"),
        ({"idle_s": 0.0}, "idle_s"),
        ({"uris": (UriName(uri="a:", sae_id=SaeId("a")),) * 2}, "twice"),
    ],
)
def test_settings_that_contradict_themselves(table: dict[str, object], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        Etsi004Settings(**{"listen_port": 0, "plain": True, **table})  # type: ignore[arg-type]  # wrong on purpose
