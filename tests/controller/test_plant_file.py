"""Plant files: the shipped example, and what the reader says about wrong ones."""

import copy
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.controller.control.optical.plants import plants

from keyweave_controller.control.optical.plant import Plant, risk_groups
from keyweave_controller.control.optical.review import Verdict, review
from keyweave_controller.plant_file import parse_plant, plant_text, read_plant
from keyweave_core.errors import SettingsError
from keyweave_lab.toml_text import to_toml
from keyweave_lab.topology_file import read_topology, shipped_topologies

MADQCI = shipped_topologies() / "madqci-plant.toml"
TABLES = tomllib.loads(MADQCI.read_text(encoding="utf-8"))


def changed(table: str, entry: int, key: str, value: Any) -> dict[str, Any]:
    """The example with one value of one entry changed; None takes the key away."""
    tables = copy.deepcopy(TABLES)
    if value is None:
        del tables[table][entry][key]
    else:
        tables[table][entry][key] = value
    return tables


def refused(tables: dict[str, Any]) -> str:
    with pytest.raises(SettingsError) as caught:
        parse_plant(to_toml(tables), where="plant.toml")
    return str(caught.value)


def test_the_example_fits_its_topology() -> None:
    plant, topology = read_plant(MADQCI), read_topology(shipped_topologies() / "madqci.yaml")
    assert set(plant.sites) == {node.name for node in topology.nodes}
    spans = {frozenset((fibre.a, fibre.b)): fibre for fibre in plant.fibres}
    kinds = {module.ref: module.profile for module in plant.modules}
    by_ends = {frozenset((c.transmitter.site, c.receiver.site)): c for c in plant.channels}
    for link in topology.links:
        fibre = spans[frozenset((link.a, link.b))]
        assert (fibre.km, fibre.loss_db) == (link.length_km, link.loss_db)
        channel = by_ends[frozenset((link.a, link.b))]
        assert channel.transmitter.site == link.a
        assert kinds[channel.transmitter] == link.profile
        # Modules are numbered per site as the laboratory deploys them.
        for ref in (channel.transmitter, channel.receiver):
            own = [each for each in topology.links if ref.site in (each.a, each.b)]
            assert ref.interface_id == own.index(link) + 1


def test_the_example_works_under_its_own_light() -> None:
    plant = read_plant(MADQCI)
    judged = review(plant, plant.channels, ())
    assert {one.verdict for one in judged} == {Verdict.KEEPS}
    assert {one.link for one in judged if one.now.loudest} == {
        "Quijote-Quevedo",
        "Quevedo-Norte",
        "Norte-Distrito",
    }
    assert risk_groups(plant, "Norte-Concepcion") & risk_groups(plant, "Concepcion-Distrito") == {"ring-east"}


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml: cannot read"):
        read_plant(tmp_path / "none.toml")


def test_an_empty_file_is_an_empty_plant() -> None:
    assert parse_plant("", where="plant.toml") == Plant()


@pytest.mark.parametrize(
    ("table", "entry", "key", "value", "words"),
    [
        ("fibres", 3, "km", -1.0, "plant.toml: fibres 'Quevedo~Norte': km: km is above 0"),
        ("fibres", 3, "km", "long", "plant.toml: Expected `float`, got `str` - at `$.fibres[3].km`"),
        ("fibres", 3, "colour", "red", "plant.toml: unknown key fibres.3.colour; known here: a, amplified,"),
        ("fibres", 3, "b", "Sevilla", "plant.toml: fibres 'Quevedo~Norte': b: there is no site 'Sevilla'"),
        ("fibres", 3, "a", None, "plant.toml: Object missing required field `a` - at `$.fibres[3]`"),
        ("modules", 0, "role", "BOTH", "plant.toml: Invalid enum value 'BOTH' - at `$.modules[0].role`"),
        (
            "modules",
            0,
            "at",
            "attic",
            "plant.toml: modules 'Quiron/1': at: no switch or fibre 'attic' at Quiron",
        ),
        ("modules", 0, "interface_id", 2**32, "plant.toml: modules 'Quiron/4294967296': interface_id:"),
        (
            "classical",
            1,
            "channel",
            99,
            "plant.toml: classical 'norte-quijote-data': channel: channel 99 is none",
        ),
        ("channels", 0, "link", "", "plant.toml: channels '': link: a name has 1 to 200"),
        (
            "channels",
            0,
            "channel",
            True,
            "plant.toml: Expected `int`, got `bool` - at `$.channels[0].channel`",
        ),
        ("switches", 0, "ports", 1, "plant.toml: switches 'quiron-switch': ports: 2 are needed"),
    ],
)
def test_what_is_wrong_is_named(table: str, entry: int, key: str, value: Any, words: str) -> None:
    assert refused(changed(table, entry, key, value)).startswith(words)


def test_syntax_has_its_line() -> None:
    with pytest.raises(SettingsError, match=r"plant\.toml: .*line 2"):
        parse_plant("sites = []\nfibres = oops\n", where="plant.toml")


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=8),
    st.sampled_from(("Norte", "norte-switch", "Quevedo~Norte", "TRANSCEIVER", "1-9999", "bb84-gys")),
    st.lists(st.sampled_from(("Norte~Distrito", "Quevedo~Norte", "Norte~Concepcion", "")), max_size=3),
    st.fixed_dictionaries({"site": st.just("Norte"), "interface_id": st.integers(0, 4)}),
)


@given(st.data())
def test_any_change_is_read_or_refused_with_its_file(data: st.DataObject) -> None:
    """Nothing but a plant that holds together, or SettingsError; and a plant can be asked at once."""
    tables = copy.deepcopy(TABLES)
    for _ in range(data.draw(st.integers(1, 3))):
        table = data.draw(st.sampled_from(("fibres", "switches", "modules", "classical", "channels")))
        entry = data.draw(st.sampled_from(tables[table]))
        key = data.draw(st.sampled_from((*sorted(entry), "more")))
        value = data.draw(values)
        if value is None:
            entry.pop(key, None)
        else:
            entry[key] = value
    try:
        plant = parse_plant(to_toml(tables), where="plant.toml")
    except SettingsError as error:
        assert str(error).startswith("plant.toml: ")  # noqa: PT017  # both outcomes are fine
        return
    assert len(review(plant, plant.channels, ())) == len(plant.channels)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_plant(text, where="plant.toml")
    except SettingsError as error:
        assert str(error).startswith("plant.toml: ")  # noqa: PT017


def test_a_plant_written_as_text_is_read_as_the_same_plant() -> None:
    plant = read_plant(MADQCI)
    assert parse_plant(plant_text(plant), where="text") == plant
    named = 'sites = ["a \\"quoted\\" site", "\\u007F"]'
    odd = parse_plant(named, where="text")
    assert parse_plant(plant_text(odd), where="text") == odd


def test_what_only_times_have_is_written_too() -> None:
    text = """
[[satellites]]
link = "A-B"
passes = [{starts_at = 1.0, ends_at = 400.0, losses = [[0.0, 37.5], [200.0, 27.0]]}]

[scattering]
temperature_k = 280.0
"""
    plant = parse_plant(text, where="text")
    assert parse_plant(plant_text(plant), where="text") == plant
    assert "losses = [[0.0, 37.5], [200.0, 27.0]]" in plant_text(plant)


@given(plants())
def test_any_plant_is_read_back(plant: Plant) -> None:
    assert parse_plant(plant_text(plant), where="text") == plant
