"""What names mean: nodes, applications, links by their ends; what is new and means nothing is refused."""

from dataclasses import replace

import pytest

from keyweave_controller.control.configuration import (
    ConfiguredAssociation,
    LinkFacts,
    OperatorConfiguration,
    Policy,
)
from keyweave_controller.control.service import Constraints, Protection, Service
from keyweave_controller.control.state import NetworkState
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate, simulated_id, simulated_link_id
from keyweave_controller.northbound import naming
from keyweave_core.errors import SchemaViolation
from keyweave_core.model.ids import LinkId

A, B = simulated_id("A"), simulated_id("B")
AB = simulated_link_id("A", "B")


@pytest.fixture(scope="module")
def state() -> NetworkState:
    show = Rehearsal(nodes=simulate([Span(a="A", b="B"), Span(a="B", b="C-D")], {"A": ("sae:a",)}))
    show.start()
    show.network.state.link_facts["A-B"] = LinkFacts(link="A-B", risk_groups=("duct",))
    return show.network.state


def entry(name: str = "one", **bounds: object) -> ConfiguredAssociation:
    return ConfiguredAssociation(
        name=name, source="sae:a", destination="sae:b", service=Service(constraints=Constraints(**bounds))
    )


@pytest.mark.parametrize("text", ["A", A, "sae:a"])
def test_a_node_goes_by_name_id_or_application(state: NetworkState, text: str) -> None:
    assert naming.place(state, "/x", text) == A


@pytest.mark.parametrize("text", ["A-B", "B-A", AB, AB.upper()])
def test_a_link_goes_by_its_ends_or_its_id(state: NetworkState, text: str) -> None:
    assert naming.link(state, "/x", text) == AB
    assert naming.link(state, "/x", "C-D-B") == simulated_link_id("B", "C-D"), "names may hold hyphens"


def test_a_link_that_is_not_the_only_one_is_named_by_its_id(state: NetworkState) -> None:
    twin = LinkId("00000000-0000-4000-8000-000000000001")
    two = replace(state, links={**state.links, twin: replace(state.links[AB], link_id=twin)})
    with pytest.raises(SchemaViolation, match="are 2 links") as caught:
        naming.link(two, "/where", "A-B")
    assert (caught.value.path, caught.value.tag) == ("/where", "invalid-value")
    kept = naming.as_far_as_known(two, OperatorConfiguration(associations=(entry(exclude_links={"A-B"}),)))
    assert kept.associations[0].service.constraints.exclude_links == {"A-B"}
    assert naming.link(two, "/where", twin) == twin


def test_what_is_new_is_looked_up_and_what_was_there_stays(state: NetworkState) -> None:
    gone = entry("gone", exclude_nodes=frozenset({"Z", "B"}))
    before = OperatorConfiguration(associations=(gone,))
    new = entry("new", include_links=frozenset({"B-A"}), exclude_nodes=frozenset({"sae:a"}))
    after = replace(before, associations=(replace(gone, priority=3), new))
    first, second = naming.meant(state, before, after).associations
    assert (first.priority, first.service.constraints.exclude_nodes) == (3, {"Z", B})
    assert second.service.constraints == Constraints(
        include_links=frozenset({AB}), exclude_nodes=frozenset({A})
    )
    with pytest.raises(SchemaViolation, match="Z") as caught:
        naming.meant(state, OperatorConfiguration(), before)
    assert caught.value.path == (
        "/keyweave-qkd-network:key-associations/association[name='gone']/service/constraints/exclude-node"
    )


@pytest.mark.parametrize(
    ("wanted", "where", "words"),
    [
        (Service(strategy="luck"), "/strategy", "there are balanced"),
        (Service(constraints=Constraints(exclude_risks=frozenset({"moon"}))), "/exclude-risk", "moon"),
        (Service(constraints=Constraints(domains=frozenset({"moon"}))), "/domain", "moon"),
        (Service(key_bits=9), "/service", "key_bits"),
        (
            Service(constraints=Constraints(include_nodes=frozenset({"B"}), exclude_nodes=frozenset({B}))),
            "/service",
            "both included and excluded",
        ),
        (
            Service(
                protection=Protection.ONE_TO_ONE, constraints=Constraints(include_links=frozenset({"A-B"}))
            ),
            "/service",
            "disjoint",
        ),
    ],
)
def test_what_cannot_be_is_told_where(state: NetworkState, wanted: Service, where: str, words: str) -> None:
    with pytest.raises(SchemaViolation, match=words) as caught:
        naming.service(state, "/service", wanted, None)
    assert caught.value.path.endswith(where)


def test_risks_that_are_known_may_be_named(state: NetworkState) -> None:
    wanted = Service(strategy="widest", constraints=Constraints(exclude_risks=frozenset({"duct"})))
    assert naming.service(state, "/service", wanted, None) == wanted
    assert naming.risk(state, "/x", "duct") == "duct"


def test_strategies_of_a_policy_are_looked_up_when_they_change(state: NetworkState) -> None:
    unknown = OperatorConfiguration(policy=Policy(scheduled_strategy="luck"))
    assert naming.meant(state, unknown, unknown) == unknown
    with pytest.raises(SchemaViolation, match="luck") as caught:
        naming.meant(state, OperatorConfiguration(), unknown)
    assert caught.value.path == "/keyweave-qkd-network:policy/scheduled-strategy"
