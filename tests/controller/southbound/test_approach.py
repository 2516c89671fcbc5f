"""Which way an agent is worked with, from what it announces."""

import pytest

from keyweave_controller.southbound.approach import choose
from keyweave_core.errors import PeerUnreachable
from keyweave_core.netconf.protocol.peer import Capabilities

C = "urn:ietf:params:netconf:capability:"
BASE_1_0 = "urn:ietf:params:netconf:base:1.0"
ETSI = "urn:etsi:qkd:yang:etsi-qkd-node?module=etsi-qkd-sdn-node&revision=2022-01-30"


def of(*uris: str) -> Capabilities:
    return Capabilities((BASE_1_0, *uris))


def test_the_least_server_is_worked_with() -> None:
    chosen = choose("a", of(f"{C}writable-running:1.0"))
    assert chosen.target == "running"
    assert not any((chosen.events, chosen.rollback, chosen.listed, chosen.ours))
    assert chosen.library == "hello"
    assert "base:1.0, end-of-message framing" in chosen.ways
    assert "no notifications: what happens shows at polls" in chosen.ways


def test_running_is_preferred_to_a_candidate() -> None:
    both = of(f"{C}candidate:1.0", f"{C}writable-running:1.0", f"{C}rollback-on-error:1.0")
    assert choose("a", both).target == "running"
    assert choose("a", of(f"{C}candidate:1.0", f"{C}validate:1.1")).ways[1] == (
        "edits the candidate under its lock, commits"
    )


def test_the_word_among_features_is_no_capability() -> None:
    netconf = (
        "urn:ietf:params:xml:ns:netconf:base:1.0?module=ietf-netconf&features=writable-running,candidate"
    )
    with pytest.raises(PeerUnreachable, match="neither writable-running nor candidate"):
        choose("a", of(netconf))
    assert choose("a", of(netconf, f"{C}candidate:1.0")).target == "candidate"


@pytest.mark.parametrize(
    ("uri", "library"),
    [
        (f"{C}yang-library:1.1?revision=2019-01-04&content-id=x", "rfc8525"),
        (f"{C}yang-library:1.0?revision=2016-06-21&module-set-id=y", "rfc7895"),
        (ETSI, "hello"),
    ],
)
def test_where_modules_are_looked_up(uri: str, library: str) -> None:
    assert choose("a", of(f"{C}writable-running:1.0", uri)).library == library
