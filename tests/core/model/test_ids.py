"""Ids are canonical or they do not exist."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_core.model.ids import app_id, link_id, node_id, parse_uuid


@given(st.uuids())
def test_every_spelling_of_one_id_is_one_id(value: uuid.UUID) -> None:
    text = str(value)
    assert parse_uuid(text) == parse_uuid(text.upper()) == parse_uuid(f" {text}\n") == text
    assert node_id(text) == link_id(text) == app_id(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "0b9e2c1d5a534a048a8f6d2f2b1f9a01",
        "{0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a01}",
        "urn:uuid:0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a01",
        "0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a0",
        "0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a011",
        "0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a01\n0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a01",
        "gb9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a01",
        "٠b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a01",
    ],
)
def test_what_is_no_uuid_is_refused_and_named(text: str) -> None:
    with pytest.raises(ValueError, match="not a UUID"):
        parse_uuid(text)


def test_an_endless_text_is_cut_in_the_complaint() -> None:
    with pytest.raises(ValueError, match="not a UUID") as caught:
        parse_uuid("x" * 10_000)
    assert len(str(caught.value)) < 100


@given(st.text())
def test_a_text_is_a_canonical_id_or_an_error(text: str) -> None:
    try:
        canonical = parse_uuid(text)
    except ValueError:
        return
    assert canonical == str(uuid.UUID(canonical))
