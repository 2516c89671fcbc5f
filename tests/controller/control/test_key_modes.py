"""Key mode, relay method and share threshold: settled, granted, written to nodes, understood there."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_agents.control import apply
from keyweave_agents.keys.plan import KeyPlan
from keyweave_controller.control import admission
from keyweave_controller.control.configuration import (
    ConfiguredAssociation,
    OperatorConfiguration,
    Policy,
    Tenant,
)
from keyweave_controller.control.events import AssociationRequested, Notified, OperatorConfigured
from keyweave_controller.control.service import DEFAULT_SERVICE, Protection, Service, ServiceClass
from keyweave_controller.control.state import Association, AssociationState
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate, simulated_id
from keyweave_controller.northbound import wishes
from keyweave_core.model.application import Application, AppQos, KeyMode, RelayMethod
from keyweave_core.model.ids import SaeId
from keyweave_core.model.link import Link
from keyweave_core.model.notifications import ApplicationNew
from keyweave_proto.v1 import keyweave_pb2 as pb
from keyweave_yang.decode import decode_configuration
from keyweave_yang.encode import encode_configuration
from keyweave_yang.schema import load_schema

SPANS = [
    Span(a=a, b=b, skr_bps=10_000)
    for a, b in (("A", "B"), ("B", "D"), ("A", "C"), ("C", "D"), ("A", "E"), ("E", "D"))
]
A, D = SaeId("sae:A"), SaeId("sae:D")


def started(policy: Policy | None = None) -> Rehearsal:
    show = Rehearsal(nodes=simulate(SPANS, {site: (f"sae:{site}",) for site in "ABCDE"}))
    show.start(policy)
    return show


def ask(show: Rehearsal, service: Service = DEFAULT_SERVICE, rate: int = 1_000) -> Association:
    show.now += 1
    request_id = f"r{len(show.events)}"
    show.feed(
        AssociationRequested(
            at=show.now,
            request_id=request_id,
            source=A,
            destination=D,
            qos=AppQos(min_bandwidth_bps=rate),
            service=service,
        )
    )
    show.settle()
    answer = show.answers()[request_id]
    assert not answer.reasons, answer.reasons
    assert answer.app_id is not None
    return show.network.associations[answer.app_id]


def refused(show: Rehearsal, service: Service, rate: int = 1_000) -> tuple[str, ...]:
    with pytest.raises(AssertionError) as caught:
        ask(show, service, rate)
    reasons: tuple[str, ...] = caught.value.args[0] if caught.value.args else ()
    return tuple(str(reasons).splitlines()[:1])


def plan_of(show: Rehearsal, site: str) -> KeyPlan:
    """What the agent of a site makes of what it was written, over the wire's form and back."""
    node = show.nodes[simulated_id(site)]
    element = encode_configuration(node.tree())
    load_schema("agent").validate([element])
    wanted = decode_configuration(element)
    own = decode_configuration(encode_configuration(node.fixed))
    return apply.decide(wanted, own).plan


def test_from_grpc_to_the_plan_of_every_node() -> None:
    show = started()
    wish = pb.Service(
        protection=pb.PROTECTION_ONE_PLUS_ONE,
        ways=3,
        key_mode=pb.KEY_MODE_PQC_FALLBACK,
        relay_method=pb.RELAY_METHOD_AES_256_GCM,
        share_threshold=2,
    )
    one = ask(show, wishes.service(show.network.state, "service", wish, expires_at=None))
    assert one.state is AssociationState.ACTIVE
    for site in "AD":
        plan = plan_of(show, site)
        (association,) = plan.associations
        assert (association.mode, association.threshold) == (KeyMode.PQC_FALLBACK, 2)
        assert len(association.links) == 3
        assert {route.method for route in plan.routes} == {RelayMethod.AES_256_GCM}
    for site in "BCE":
        (route,) = plan_of(show, site).routes
        assert route.method is RelayMethod.AES_256_GCM


def test_who_says_nothing_gets_quantum_keys_by_one_time_pad() -> None:
    show = started()
    one = ask(show)
    assert one.service == DEFAULT_SERVICE
    (association,) = plan_of(show, "A").associations
    assert (association.mode, association.threshold) == (KeyMode.QKD_ONLY, None)


@pytest.mark.parametrize(
    ("service", "words"),
    [
        (Service(share_threshold=2), "only keys that are split"),
        (Service(protection=Protection.ONE_PLUS_ONE, share_threshold=3), "must be 2..2"),
        (Service(protection=Protection.ONE_PLUS_ONE, ways=3, share_threshold=1), "must be 2..3"),
    ],
)
def test_a_threshold_that_cannot_be_is_refused(service: Service, words: str) -> None:
    assert any(words in fault for fault in service.faults(None))


def test_the_tenant_says_and_else_the_policy_for_the_class() -> None:
    policy = Policy(guaranteed_key_mode=KeyMode.HYBRID, best_effort_relay_method=RelayMethod.AES_256_GCM)
    show = started(policy)
    assert ask(show).service.mode is KeyMode.HYBRID
    show = started(policy)
    best_effort = ask(show, Service(service_class=ServiceClass.BEST_EFFORT)).service
    assert (best_effort.mode, best_effort.method) == (KeyMode.QKD_ONLY, RelayMethod.AES_256_GCM)
    show = started(policy)
    assert ask(show, Service(key_mode=KeyMode.QKD_ONLY)).service.mode is KeyMode.QKD_ONLY
    show = started(policy)
    tenant = Tenant(name="bank", applications=(A,), key_mode=KeyMode.PQC_FALLBACK)
    configure(show, OperatorConfiguration(tenants=(tenant,)))
    assert ask(show).service.mode is KeyMode.PQC_FALLBACK


def configure(show: Rehearsal, configuration: OperatorConfiguration) -> None:
    show.now += 1
    show.feed(OperatorConfigured(at=show.now, request_id=f"c{show.now}", configuration=configuration))
    show.settle()
    assert not show.answers()[f"c{show.now}"].reasons


def test_what_is_configured_follows_the_policy_and_what_was_asked_for_stays() -> None:
    show = started()
    entry = ConfiguredAssociation(name="one", source=A, destination=D, qos=AppQos(min_bandwidth_bps=1_000))
    configure(show, OperatorConfiguration(associations=(entry,)))
    (one,) = show.network.associations.values()
    path = one.path
    assert one.service.mode is KeyMode.QKD_ONLY
    policy = Policy(guaranteed_key_mode=KeyMode.PQC_FALLBACK)
    configure(show, OperatorConfiguration(policy=policy, associations=(entry,)))
    show.advance(60)
    assert one.service.mode is KeyMode.PQC_FALLBACK
    assert one.path == path  # the same virtual link: only the entries at its ends changed
    assert plan_of(show, "D").associations[0].mode is KeyMode.PQC_FALLBACK


def test_an_application_may_say_what_its_keys_are_made_of() -> None:
    show = started()
    wish = ApplicationNew(server_app_id=A, client_app_ids=(D,), key_mode=KeyMode.PQC_FALLBACK)
    show.feed(Notified(at=show.now, node_id=simulated_id("A"), notification=wish))
    show.settle()
    (one,) = show.network.associations.values()
    assert one.service.mode is KeyMode.PQC_FALLBACK


def test_a_way_by_aes_takes_a_part_of_the_rate_and_another_method_makes_another_link() -> None:
    show = started()
    policy = show.network.policy
    service = Service(relay_method=RelayMethod.AES_256_GCM)
    one = ask(show, service, rate=100_000)  # ten times what a link makes
    assert one.path is not None
    assert one.path.hop_bps == admission.hop_bps(100_000, service, policy) == -(-100_000 // 256)
    assert admission.keys_bps(one.path.hop_bps, service, policy) >= 100_000
    assert show.nodes[simulated_id("B")].applications or one.path.nodes[1] != simulated_id("B")
    reserved = [
        entry.qos.min_bandwidth_bps
        for node in show.nodes.values()
        for entry in node.applications.values()
        if entry.qos.min_bandwidth_bps and entry.app_id != one.app_id
    ]
    assert set(reserved) == {one.path.hop_bps}  # what the node counts as expected consumption


def test_a_node_that_holds_another_method_or_mode_is_put_right() -> None:
    show = started()
    one = ask(show, Service(key_mode=KeyMode.HYBRID, relay_method=RelayMethod.XOR_ANNOUNCE))
    node = show.nodes[simulated_id("A")]
    link, entry = dict(node.links), dict(node.applications)
    node.links = {key: _without_method(value) for key, value in link.items()}
    node.applications = {key: _qkd_only(value) for key, value in entry.items()}
    show.disconnect(simulated_id("A"))
    show.connect(simulated_id("A"))
    show.settle()
    assert (node.links, node.applications) == (link, entry)
    assert one.state is AssociationState.ACTIVE


def _without_method(link: Link) -> Link:
    return replace(link, relay_method=None)


def _qkd_only(application: Application) -> Application:
    return replace(application, key_mode=KeyMode.QKD_ONLY)


def test_several_destinations_get_plain_quantum_keys() -> None:
    show = started(Policy(guaranteed_key_mode=KeyMode.HYBRID))

    def several(service: Service) -> tuple[str, ...]:
        show.now += 1
        request_id = f"s{len(show.events)}"
        show.feed(
            AssociationRequested(
                at=show.now,
                request_id=request_id,
                source=A,
                destination=D,
                further=(SaeId("sae:E"),),
                qos=AppQos(min_bandwidth_bps=1_000),
                service=service,
            )
        )
        show.settle()
        return show.answers()[request_id].reasons

    assert any("agreed upon by two" in one for one in several(Service(key_mode=KeyMode.HYBRID)))
    assert any("xor-announce" in one for one in several(Service(relay_method=RelayMethod.XOR_ANNOUNCE)))
    assert several(DEFAULT_SERVICE) == ()
    assert plan_of(show, "A").associations[0].mode is KeyMode.QKD_ONLY


@given(
    st.sampled_from(RelayMethod),
    st.integers(1, 10**9),
    st.integers(8, 8192).map(lambda octets: 8 * octets),
    st.integers(1, 4096),
    st.integers(1, 10**6),
)
def test_what_fits_into_a_link_is_no_more_than_it_has(
    method: RelayMethod, room: int, key_bits: int, batch: int, gain: int
) -> None:
    service = Service(relay_method=method, key_bits=key_bits)
    policy = Policy(keys_per_batch=batch, gcm_key_bits_per_pool_bit=gain)
    rate = admission.keys_bps(room, service, policy)
    assert admission.hop_bps(rate, service, policy) <= room
    assert admission.hop_bps(rate + 2, service, policy) >= room
