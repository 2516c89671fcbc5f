"""The same inputs on every run: the kept corpus, its mutations by fixed seeds, and what hypothesis makes."""

import itertools
import random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from lxml import etree

from keyweave_core.netconf.ports import Schema
from keyweave_yang.schema import load_schema

from . import targets
from .mutation import corpus, inputs, mutate
from .serving import Serving
from .targets import PLAIN, Trees, document, frames, session

SEED = 20261121
_FIXED = settings(
    derandomize=True, max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def schema() -> Schema:
    return load_schema()


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_mutations(name: str) -> None:
    kind, target = PLAIN[name]
    for _, data in corpus():
        target(data)
    for data in itertools.islice(inputs(kind, SEED), 1000):
        target(data)


@pytest.mark.parametrize("name", ["filtered", "edited"])
def test_mutations_of_trees(name: str, schema: Schema) -> None:
    target = getattr(Trees(schema), name)
    for _, data in corpus("rpc"):
        target(data)
    for data in itertools.islice(inputs("rpc", SEED), 1000):
        target(data)


def test_mutations_of_whole_sessions(schema: Schema) -> None:
    target = Serving(schema)
    for _, data in corpus("session"):
        target(data)
    for data in itertools.islice(inputs("session", SEED), 500):
        target(data)


@given(st.binary(max_size=300))
@example(b"\n#4\nabcd\n##\n")
@_FIXED
def test_any_bytes_split(data: bytes) -> None:
    frames(data)
    session(data)


@given(st.lists(st.sampled_from([b"\n#", b"\n", b"#", b"1", b"0", b"4294967295", b"\n##\n", b"]]>", b"a"])))
@_FIXED
def test_pieces_of_framing(parts: list[bytes]) -> None:
    frames(b"".join(parts))


@given(st.text(alphabet="<>/&;!?[]-='\":ax \n", max_size=60))
@_FIXED
def test_any_markup(text: str) -> None:
    document(text.encode())


@given(st.integers(0, 2**32), st.sampled_from([name for name, _ in corpus("rpc")]))
@settings(parent=_FIXED, max_examples=60)
def test_any_seed_for_any_rpc(seed: int, name: str) -> None:
    files = dict(corpus())
    source = random.Random(seed)  # noqa: S311 - repeatable on purpose
    document(mutate(files[name], source, list(files.values())))


def test_a_broken_law_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgiving(data: bytes) -> etree._Element:
        root = etree.fromstring(data.strip() or b"<a/>", etree.XMLParser(recover=True))
        return etree.Element("a") if root is None else root

    monkeypatch.setattr(targets, "parse_xml", forgiving)

    def run() -> None:
        for data in itertools.islice(inputs("rpc", SEED), 100):
            document(data)

    with pytest.raises(AssertionError):
        run()


def test_the_corpus_is_what_real_clients_send() -> None:
    names = {name for name, _ in corpus()}
    for client in ("ncclient", "netconf-client", "scrapli", "scrapli-netconf", "netopeer2", "yangcli"):
        assert f"hello-{client}.xml" in names
    assert len(names) > 40


def test_a_seed_gives_the_same_inputs() -> None:
    once, again = ([*itertools.islice(inputs("rpc", 7), 20)] for _ in range(2))
    assert once == again
    assert once != [*itertools.islice(inputs("rpc", 8), 20)]
