"""The operator's configuration in YANG: what goes out comes back; a commit changes what it says."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyweave_controller.control.configuration import (
    ConfiguredAssociation,
    OperatorConfiguration,
    Policy,
    Tariff,
    Tenant,
)
from keyweave_controller.northbound.configuration_tree import decode, encode, entry_path, merged
from keyweave_core.errors import SchemaViolation
from keyweave_core.model.application import AppQos
from keyweave_core.netconf.protocol.messages import parse_xml
from keyweave_yang.schema import load_schema

KWN = "urn:keyweave:yang:keyweave-qkd-network"
NACM = '<nacm xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-acm"><enable-nacm>true</enable-nacm></nacm>'

names = st.text(st.characters(categories=("L", "N", "P", "S"), max_codepoint=0x2FFF), min_size=1, max_size=40)
rates = st.none() | st.integers(1, 2**32 - 1)


@st.composite
def qualities(draw: st.DrawFn) -> AppQos:
    low, high = draw(rates), draw(rates)
    if low is not None and high is not None and high < low:
        low, high = high, low
    return AppQos(
        min_bandwidth_bps=low,
        max_bandwidth_bps=high,
        jitter_ms=draw(rates),
        ttl_s=draw(rates),
        clients_shared_path_enable=draw(st.booleans()),
        clients_shared_keys_required=draw(st.booleans()),
    )


policies = st.builds(
    Policy,
    default_min_bandwidth_bps=st.integers(0, 2**32 - 1),
    max_relay_hops=st.integers(1, 256),
    usable_share=st.integers(1, 10**6).map(lambda millionths: millionths / 10**6),
    wait_to_restore_s=st.integers(0, 10**7).map(lambda ms: ms / 1000),
    closed_kept=st.integers(0, 10**6),
)
amounts = st.decimals(0, 10**6, places=4)
tariffs = st.builds(
    Tariff,
    currency=st.sampled_from(("EUR", "CHF", "XBT0")),
    per_mbit=amounts,
    per_key=amounts,
    per_further_hop=amounts,
    decimals=st.integers(0, 9),
)


@st.composite
def configurations(draw: st.DrawFn) -> OperatorConfiguration:
    owners = draw(st.lists(names, unique=True, max_size=3))
    applications = draw(st.lists(names, unique=True, max_size=6))
    tenants = tuple(
        Tenant(
            name=owner,
            description=draw(st.just("") | names),
            applications=tuple(applications[place :: len(owners)]),
            max_associations=draw(rates),
            max_bandwidth_bps=draw(st.none() | st.integers(0, 2**64 - 1)),
        )
        for place, owner in enumerate(owners)
    )
    pairs = draw(
        st.lists(st.tuples(names, names).filter(lambda pair: pair[0] != pair[1]), unique=True, max_size=4)
    )
    entries = draw(st.lists(names, unique=True, min_size=len(pairs), max_size=len(pairs)))
    return OperatorConfiguration(
        policy=draw(policies),
        tariff=draw(tariffs),
        tenants=tenants,
        associations=tuple(
            ConfiguredAssociation(
                name=name,
                source=source,
                destination=destination,
                qos=draw(qualities()),
                priority=draw(st.integers(0, 2**32 - 1)),
                expires_at=draw(st.none() | st.integers(10**9, 4 * 10**9).map(float)),
                tenant=draw(st.sampled_from(("", *owners))),
            )
            for name, (source, destination) in zip(entries, pairs, strict=True)
        ),
        others=draw(st.sampled_from(("", NACM))),
    )


@given(configurations())
@settings(max_examples=80, deadline=None)
def test_what_is_configured_is_valid_and_comes_back(configuration: OperatorConfiguration) -> None:
    assert configuration.policy is not None
    assert configuration.tariff is not None
    elements = encode(configuration, configuration.policy, configuration.tariff)
    load_schema("controller").validate(elements)
    assert decode(elements) == configuration


@given(configurations(), configurations())
@settings(max_examples=60, deadline=None)
def test_a_commit_on_what_is_configured_is_what_it_says(
    before: OperatorConfiguration, after: OperatorConfiguration
) -> None:
    result = merged(before, before, after)
    assert (result.policy, result.tariff, result.others) == (after.policy, after.tariff, after.others)
    assert {one.name: one for one in result.tenants} == {one.name: one for one in after.tenants}
    assert {one.name: one for one in result.associations} == {one.name: one for one in after.associations}
    assert merged(before, after, after) == before


def test_a_commit_leaves_alone_what_others_changed_meanwhile() -> None:
    one = ConfiguredAssociation(name="one", source="a", destination="b")
    two = replace(one, name="two", destination="c")
    old = OperatorConfiguration(policy=Policy(), tariff=Tariff(), associations=(one,), others="")
    new = replace(old, associations=(replace(one, priority=3),))
    base = OperatorConfiguration(tenants=(Tenant(name="t"),), associations=(one, two))
    assert merged(base, old, new) == OperatorConfiguration(
        tenants=(Tenant(name="t"),), associations=(replace(one, priority=3), two)
    )
    assert merged(base, old, replace(old, associations=())).associations == (two,)


def test_leaves_that_are_missing_have_the_defaults_of_the_module() -> None:
    empty = decode(
        [parse_xml(f'<policy xmlns="{KWN}"/>'.encode()), parse_xml(f'<tariff xmlns="{KWN}"/>'.encode())]
    )
    assert (empty.policy, empty.tariff) == (Policy(), Tariff())
    assert decode([]) == OperatorConfiguration(policy=Policy(), tariff=Tariff(), others="")
    assert encode(OperatorConfiguration(), Policy(), Tariff()) == []
    given = decode([parse_xml(f'<tariff xmlns="{KWN}"><per-key>0.10</per-key></tariff>'.encode())])
    assert given.tariff == Tariff(per_key=Decimal("0.10"))


def test_a_moment_that_is_none_is_refused_with_its_path() -> None:
    text = (
        f'<key-associations xmlns="{KWN}"><association><name>x</name><source>a</source>'
        "<destination>b</destination><expires-at>2026-02-30T00:00:00Z</expires-at></association>"
        "</key-associations>"
    )
    with pytest.raises(SchemaViolation) as caught:
        decode([parse_xml(text.encode())])
    assert caught.value.path == "/keyweave-qkd-network:key-associations/association[name='x']/expires-at"


@pytest.mark.parametrize(
    ("about", "path"),
    [
        ("association/x", "/keyweave-qkd-network:key-associations/association[name='x']"),
        ("association/it's", '/keyweave-qkd-network:key-associations/association[name="it\'s"]'),
        ("tenant/t", "/keyweave-qkd-network:tenants/tenant[name='t']"),
        ("", ""),
    ],
)
def test_what_an_answer_is_about_has_a_path(about: str, path: str) -> None:
    assert entry_path(about) == path
