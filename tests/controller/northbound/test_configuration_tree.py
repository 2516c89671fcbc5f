"""The operator's configuration in YANG: what goes out comes back; a commit changes what it says."""

from dataclasses import fields, replace
from decimal import Decimal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from keyweave_controller.control.configuration import (
    ConfiguredAssociation,
    OperatorConfiguration,
    Policy,
    Tariff,
    Tenant,
)
from keyweave_controller.control.service import (
    Constraints,
    Disjointness,
    Protection,
    Service,
    ServiceClass,
)
from keyweave_controller.northbound.configuration_tree import decode, encode, entry_path, merged
from keyweave_core.errors import SchemaViolation
from keyweave_core.model.application import AppQos, KeyMode, RelayMethod
from keyweave_core.model.link import Technology
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


thousandths = st.integers(0, 3_600_000).map(lambda ms: ms / 1000)
ids = st.sets(st.uuids().map(str), max_size=2).map(frozenset)
texts = st.sets(names, max_size=2).map(frozenset)


@st.composite
def services(draw: st.DrawFn, starts_at: float | None = None) -> Service:
    """Any service that makes sense."""
    included = draw(st.booleans())
    constraints = Constraints(
        max_hops=draw(st.none() | st.integers(1, 256)),
        max_latency_ms=draw(st.none() | thousandths),
        min_trust=draw(st.integers(0, 100)),
        exclude_links=draw(ids),
        exclude_nodes=draw(ids),
        include_links=draw(ids) if included else frozenset(),
        include_nodes=draw(ids) if included else frozenset(),
        exclude_risks=draw(texts),
        technologies=draw(st.sets(st.sampled_from(Technology)).map(frozenset)),
        domains=draw(texts),
        min_stored_bits=draw(st.integers(0, 2**64 - 1)),
        max_key_age_s=draw(st.none() | st.integers(0, 2**32 - 1)),
        direct_only=draw(st.booleans()),
    )
    classes = [ServiceClass.SCHEDULED] if starts_at else [ServiceClass.GUARANTEED, ServiceClass.BEST_EFFORT]
    wanted = Service(
        service_class=draw(st.sampled_from(classes)),
        protection=draw(st.just(Protection.RESTORATION) if included else st.sampled_from(Protection)),
        disjointness=draw(st.sampled_from(Disjointness)),
        ways=draw(st.integers(2, 8)),
        preemptible=draw(st.booleans()),
        key_bits=draw(st.integers(8, 8192)) * 8,
        strategy=draw(st.sampled_from(("", "min-hop", "widest"))),
        starts_at=starts_at,
        constraints=constraints,
        key_mode=draw(st.none() | st.sampled_from(KeyMode)),
        relay_method=draw(st.none() | st.sampled_from(RelayMethod)),
    )
    if wanted.protection is Protection.ONE_PLUS_ONE:
        wanted = replace(wanted, share_threshold=draw(st.none() | st.integers(2, wanted.ways)))
    assume(not [*wanted.faults(None if starts_at is None else starts_at + 1)])
    return wanted


policies = st.builds(
    Policy,
    guaranteed_strategy=st.sampled_from(("min-hop", "balanced")),
    best_effort_strategy=st.sampled_from(("widest", "balanced")),
    scheduled_strategy=st.sampled_from(("first-fit", "balanced")),
    guaranteed_key_mode=st.sampled_from(KeyMode),
    best_effort_key_mode=st.sampled_from(KeyMode),
    scheduled_key_mode=st.sampled_from(KeyMode),
    guaranteed_relay_method=st.sampled_from(RelayMethod),
    best_effort_relay_method=st.sampled_from(RelayMethod),
    scheduled_relay_method=st.sampled_from(RelayMethod),
    gcm_key_bits_per_pool_bit=st.integers(1, 1_000_000),
    preemption=st.booleans(),
    most_moves=st.integers(0, 64),
    optimise_every_s=thousandths.filter(lambda s: s == 0 or s >= 1),
    move_budget=st.integers(0, 10_000),
    revert=st.booleans(),
    rate_smoothing_s=thousandths,
    overbooked_hold_s=thousandths,
    damping_half_life_s=thousandths.filter(lambda s: s >= 1),
    damping_suppress=st.integers(500_001, 1_000_000).map(lambda n: n / 1000),
    damping_reuse=st.integers(10, 500_000).map(lambda n: n / 1000),
    keys_per_batch=st.integers(1, 4_096),
    share_spare_rate=st.booleans(),
    path_validity_s=thousandths.filter(lambda s: s >= 1),
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
    hybrid_per_mbit=st.none() | amounts,
    hybrid_per_key=st.none() | amounts,
    pqc_per_mbit=st.none() | amounts,
    pqc_per_key=st.none() | amounts,
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
            key_mode=draw(st.none() | st.sampled_from(KeyMode)),
            relay_method=draw(st.none() | st.sampled_from(RelayMethod)),
        )
        for place, owner in enumerate(owners)
    )
    pairs = draw(
        st.lists(st.tuples(names, names).filter(lambda pair: pair[0] != pair[1]), unique=True, max_size=4)
    )
    entries = draw(st.lists(names, unique=True, min_size=len(pairs), max_size=len(pairs)))
    starts = draw(st.none() | st.integers(10**9, 2 * 10**9).map(float))
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
                service=draw(services(starts)),
                expires_at=draw(
                    st.none() | st.integers(10**9, 4 * 10**9).map(float)
                    if starts is None
                    else st.just(starts + 1)
                ),
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


def test_every_leaf_of_the_policy_has_the_default_of_the_code() -> None:
    policy = load_schema("controller").top(f"{{{KWN}}}policy")
    assert policy is not None
    leaves = [view for view in policy.children() if view.config]
    told = {view.name.replace("-", "_"): view.default for view in leaves}
    usual = Policy()
    assert told.keys() == {one.name for one in fields(usual)}
    for name, default in told.items():
        value = getattr(usual, name)
        text = str(value).lower() if isinstance(value, bool | str) else value
        assert default is not None
        assert (default if isinstance(text, str) else float(default)) == text, name


@pytest.mark.parametrize(
    ("inside", "where"),
    [
        ("<damping-reuse>5</damping-reuse>", "/damping-reuse"),
        ("<damping-half-life-s>0</damping-half-life-s>", "/damping-half-life-s"),
    ],
)
def test_a_policy_that_cannot_be_names_its_leaf(inside: str, where: str) -> None:
    with pytest.raises(SchemaViolation) as caught:
        decode([parse_xml(f'<policy xmlns="{KWN}">{inside}</policy>'.encode())])
    assert caught.value.path == f"/keyweave-qkd-network:policy{where}"


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
