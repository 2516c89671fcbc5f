"""Asking, deploying and explaining by real calls: services, groups of paths, stale paths, what-if, why."""

import dataclasses
import math

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from keyweave_controller.control.candidates import Candidate
from keyweave_controller.control.configuration import Policy
from keyweave_controller.northbound import policy_views
from keyweave_controller.northbound.path_book import PathBook
from keyweave_controller.northbound.refusals import MOST_DETAIL_BYTES, Stale, status_of
from keyweave_core.model.ids import LinkId
from keyweave_core.runtime.clock import SystemClock
from keyweave_proto.v1 import keyweave_pb2 as pb


def details(error: grpc.aio.AioRpcError, kind):
    status = rpc_status.from_call(error)
    assert status is not None
    for packed in status.details:
        found = kind()
        if packed.Unpack(found):
            return found
    raise AssertionError(f"no {kind.__name__} in {status}")


async def refused(call, code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is code, caught.value.details()
    return caught.value


def service(**what) -> pb.Service:
    bounds = {name: what.pop(name) for name in list(what) if name in pb.Constraints.DESCRIPTOR.fields_by_name}
    return pb.Service(constraints=pb.Constraints(**bounds), **what)


def ask(**what) -> pb.ComputePathsRequest:
    return pb.ComputePathsRequest(source="Norte", destination="sae-sur", number=4, **what)


def wish(**what) -> pb.OpenAssociationRequest:
    return pb.OpenAssociationRequest(**{"source": "sae-norte", "destination": "sae-sur", **what})


OVER_OESTE = service(exclude_nodes=["Este"])


class TestServices:
    async def test_an_association_shows_what_it_was_asked_for(self, planner):
        wanted = service(
            protection=pb.PROTECTION_ONE_PLUS_ONE,
            key_bits=512,
            preemptible=False,
            strategy="min-hop",
            max_latency_ms=9.0,
            domains=["east", "west"],
            min_trust=10,
        )
        opened = (await planner.associations.Open(wish(service=wanted))).association
        assert opened.service.protection == pb.PROTECTION_ONE_PLUS_ONE
        assert (opened.service.key_bits, opened.service.preemptible, opened.service.ways) == (512, False, 2)
        assert opened.service.constraints.domains == ["east", "west"]
        assert opened.service.constraints.max_latency_ms == 9.0
        over = [path.node_names[1] for path in (opened.path, *opened.others)]
        assert sorted(over) == ["Este", "Oeste"]
        assert opened.path.hop_bps > opened.path.bandwidth_bps
        assert not opened.degraded

    @pytest.mark.parametrize(
        ("wanted", "field", "text"),
        [
            (service(strategy="best"), "service.strategy", "no strategy 'best'; there are"),
            (service(key_bits=7), "service", "key_bits must be whole bytes"),
            (service(ways=9), "service", "ways must be 2..8"),
            (pb.Service(service_class=77), "service.service_class", "none of its members"),
            (service(service_class=pb.SERVICE_CLASS_SCHEDULED), "service", "needs a start and an expiry"),
            (service(technologies=[77]), "service.constraints.technologies", "no technology"),
            (service(max_latency_ms=math.nan), "service", "max_latency_ms must be 0..1000000, not nan"),
            (service(max_latency_ms=math.inf), "service", "max_latency_ms must be 0..1000000, not inf"),
            (service(starts_at=Timestamp(seconds=-5)), "service", "the start must lie in the years 1970"),
            (
                service(protection=pb.PROTECTION_ONE_TO_ONE, include_nodes=["Este"]),
                "service",
                "disjoint paths cannot all",
            ),
        ],
    )
    async def test_what_makes_no_sense_is_told_with_its_field(self, planner, wanted, field, text):
        error = await refused(
            planner.associations.Open(wish(service=wanted)), grpc.StatusCode.INVALID_ARGUMENT
        )
        (violation,) = details(error, error_details_pb2.BadRequest).field_violations
        assert violation.field == field
        assert text in violation.description

    async def test_moments_that_have_no_date_are_refused_by_every_question(self, planner):
        never = Timestamp(seconds=2**62)
        demand = pb.Demand(source="sae-norte", destination="sae-sur", expires_at=never)
        for call in (
            planner.associations.Open(wish(expires_at=never)),
            planner.planning.ComputePaths(ask(expires_at=never)),
            planner.planning.WhatIf(pb.WhatIfRequest(add_demands=[demand])),
        ):
            error = await refused(call, grpc.StatusCode.INVALID_ARGUMENT)
            assert "the expiry must lie in the years 1970 to 9999" in error.details()

    async def test_a_name_that_is_not_known_is_told_in_short(self, planner):
        call = planner.associations.Open(wish(service=service(exclude_links=["-" * 5_000])))
        error = await refused(call, grpc.StatusCode.NOT_FOUND)
        assert len(error.details()) < 200

    @pytest.mark.parametrize(
        ("wanted", "field", "kind"),
        [
            (service(domains=["weast"]), "service.constraints.domains", "domain"),
            (service(exclude_nodes=["Ovidio"]), "service.constraints.exclude_nodes", "application or node"),
            (service(include_links=["Norte-Sur"]), "service.constraints.include_links", "link"),
            (service(exclude_risks=["duct8"]), "service.constraints.exclude_risks", "shared-risk group"),
        ],
    )
    async def test_what_is_not_known_is_told_with_its_field(self, planner, wanted, field, kind):
        error = await refused(planner.associations.Open(wish(service=wanted)), grpc.StatusCode.NOT_FOUND)
        assert details(error, error_details_pb2.ResourceInfo).resource_type == kind
        assert details(error, error_details_pb2.BadRequest).field_violations[0].field == field

    async def test_a_refusal_says_what_would_fit_and_that_is_granted(self, planner):
        wanted = wish(qos=pb.Qos(min_bandwidth_bps=500_000))
        error = await refused(planner.associations.Open(wanted), grpc.StatusCode.RESOURCE_EXHAUSTED)
        assert details(error, error_details_pb2.PreconditionFailure).violations
        offers = details(error, pb.Alternatives).alternatives
        assert all(offer.note for offer in offers)
        slower = next(offer for offer in offers if offer.HasField("rate_bps"))
        wanted.qos.min_bandwidth_bps = slower.rate_bps
        assert (await planner.associations.Open(wanted)).association.state == pb.ASSOCIATION_STATE_ACTIVE

    async def test_a_configured_association_has_a_service(self, planner):
        entry = pb.ConfiguredAssociation(
            name="one", source="sae-norte", destination="sae-sur", service=service(exclude_nodes=["Este"])
        )
        made = await planner.configuration.PutAssociation(pb.PutConfiguredRequest(association=entry))
        assert len(made.service.constraints.exclude_nodes) == 1
        (shown,) = (await planner.associations.List(pb.ListAssociationsRequest())).associations
        assert shown.path.node_names == ["Norte", "Oeste", "Sur"]

    async def test_nodes_and_links_show_what_the_operator_knows(self, planner):
        nodes = (await planner.topology.ListNodes(pb.ListNodesRequest())).nodes
        assert {node.name: (node.trust, node.domain) for node in nodes}["Oeste"] == (40, "west")
        links = (await planner.topology.ListLinks(pb.ListLinksRequest())).links
        found = {frozenset((link.a_name, link.b_name)): link for link in links}
        link = found[frozenset(("Este", "Sur"))]
        assert (list(link.risk_groups), link.latency_ms, link.limited_in_time) == (["duct7"], 2.0, False)


class TestPaths:
    async def test_ranked_with_everything_that_matters(self, planner):
        reply = await planner.planning.ComputePaths(ask(min_bandwidth_bps=1_000))
        assert [path.node_names[1] for path in reply.paths] == ["Este", "Oeste"]
        assert reply.strategy == "balanced"
        first = reply.paths[0]
        assert first.latency_ms == 2.0
        assert first.total_cost == first.cost
        assert first.HasField("expires_at")
        assert len({path.path_id for path in reply.paths}) == 2

    @pytest.mark.parametrize(
        ("wanted", "over"),
        [
            (service(min_trust=50), ["Este"]),
            (service(domains=["west"]), ["Oeste"]),
            (service(exclude_risks=["duct7"]), []),
            (service(exclude_links=["Sur~Este"]), ["Oeste"]),
            (service(include_links=["Oeste-Norte"]), ["Oeste"]),
            (service(max_latency_ms=1.0), ["Oeste"]),
            (service(max_hops=1), []),
            (service(direct_only=True), []),
            (service(min_stored_bits=2_000_000), []),
        ],
    )
    async def test_constraints(self, planner, wanted, over):
        reply = await planner.planning.ComputePaths(ask(service=wanted))
        assert [path.node_names[1] for path in reply.paths] == over
        assert reply.reasons

    async def test_a_strategy_by_name(self, planner):
        reply = await planner.planning.ComputePaths(ask(service=service(strategy="widest")))
        assert reply.strategy == "widest"

    async def test_protected_candidates_are_groups(self, planner):
        pair = service(protection=pb.PROTECTION_ONE_PLUS_ONE)
        (only,) = (await planner.planning.ComputePaths(ask(service=pair))).paths
        assert sorted([only.node_names[1], *(way.node_names[1] for way in only.others)]) == ["Este", "Oeste"]
        assert only.total_cost == pytest.approx(only.cost + only.others[0].cost)
        assert only.shared_risks == ["duct7"]
        apart = service(protection=pb.PROTECTION_ONE_TO_ONE, disjointness=pb.DISJOINTNESS_RISKS)
        reply = await planner.planning.ComputePaths(ask(service=apart))
        assert not reply.paths
        assert "share" in reply.reasons[0]

    async def test_a_tree_to_several(self, planner):
        reply = await planner.planning.ComputePaths(
            pb.ComputePathsRequest(source="Norte", destination="Sur", more_destinations=["Este"])
        )
        (tree,) = reply.paths
        assert tree.node_names == ["Norte", "Este", "Sur"]
        assert [way.node_names for way in tree.others] == [["Norte", "Este"]]
        assert tree.total_cost == pytest.approx(tree.cost)  # the branch lies inside
        assert not tree.HasField("expires_at")
        request = ask(more_destinations=["Norte"])
        await refused(planner.planning.ComputePaths(request), grpc.StatusCode.INVALID_ARGUMENT)

    async def test_who_may_only_look_gets_nothing_to_deploy(self, square, planner, viewer_tls):
        looking = type(planner)(square.channel(viewer_tls))
        (first, _) = (await looking.planning.ComputePaths(ask())).paths
        assert not first.HasField("expires_at")
        request = pb.DeployPathRequest(path_id=first.path_id, association=wish())
        await refused(looking.associations.DeployPath(request), grpc.StatusCode.PERMISSION_DENIED)
        await refused(planner.associations.DeployPath(request), grpc.StatusCode.ABORTED)


class TestTimes:
    """A demand for a time to come asks for the room of that time."""

    def scheduled(self, start: float, end: float) -> tuple[pb.Service, dict]:
        wanted = service(service_class=pb.SERVICE_CLASS_SCHEDULED)
        wanted.starts_at.FromSeconds(round(start))
        expires_at = Timestamp()
        expires_at.FromSeconds(round(end))
        return wanted, {"expires_at": expires_at}

    async def test_what_is_booked_is_shown_and_counts_for_its_time_only(self, planner):
        now = SystemClock().now()
        wanted, until = self.scheduled(now + 600, now + 1_200)
        qos = pb.Qos(min_bandwidth_bps=80_000)
        booked = (await planner.associations.Open(wish(qos=qos, service=wanted, **until))).association
        assert booked.state == pb.ASSOCIATION_STATE_WAITING
        assert [len(path.link_ids) for path in booked.booked] == [2]
        told = await planner.planning.Explain(pb.ExplainRequest(association=booked.app_id))
        assert any("booked over Norte-Este-Sur" in text for text in told.waiting_for)
        links = (await planner.topology.ListLinks(pb.ListLinksRequest())).links
        assert sorted(len(link.bookings) for link in links) == [0, 0, 1, 1]
        same, end = self.scheduled(now + 700, now + 800)
        later, far = self.scheduled(now + 1_300, now + 1_400)
        for wanted, until, found in ((same, end, 0), (later, far, 1)):
            request = ask(min_bandwidth_bps=50_000, service=wanted, **until)
            assert len((await planner.planning.ComputePaths(request)).paths) == found

    async def test_a_scheduled_path_is_deployed(self, planner):
        now = SystemClock().now()
        wanted, until = self.scheduled(now + 600, now + 1_200)
        reply = await planner.planning.ComputePaths(ask(min_bandwidth_bps=1_000, service=wanted, **until))
        association = wish(qos=pb.Qos(min_bandwidth_bps=1_000), service=wanted, **until)
        request = pb.DeployPathRequest(path_id=reply.paths[1].path_id, association=association)
        made = (await planner.associations.DeployPath(request)).association
        assert [path.link_ids for path in made.booked] == [reply.paths[1].link_ids]


class TestDeploying:
    async def second(self, planner) -> pb.PathCandidate:
        return (await planner.planning.ComputePaths(ask(min_bandwidth_bps=1_000))).paths[1]

    async def test_the_path_that_was_chosen_and_no_other(self, planner, square):
        path = await self.second(planner)
        request = pb.DeployPathRequest(path_id=path.path_id, association=wish(request_id="mine"))
        made = (await planner.associations.DeployPath(request)).association
        assert made.path.link_ids == path.link_ids
        policy = pb.Policy(
            default_min_bandwidth_bps=2_000, max_relay_hops=16, usable_share=0.9, closed_kept=9
        )
        policy.path_validity_s = 1
        await planner.configuration.SetPolicy(pb.SetPolicyRequest(policy=policy))
        again = (await planner.associations.DeployPath(request)).association
        assert again.app_id == made.app_id
        assert len(square.engine.network.associations) == 1

    async def test_a_group_is_deployed_as_it_was_computed(self, planner):
        pair = service(protection=pb.PROTECTION_ONE_TO_ONE, exclude_risks=[])
        (group,) = (await planner.planning.ComputePaths(ask(service=pair))).paths
        wanted = wish(service=pair)
        request = pb.DeployPathRequest(path_id=group.path_id, association=wanted)
        made = (await planner.associations.DeployPath(request)).association
        assert made.path.link_ids == group.link_ids
        assert [path.link_ids for path in made.others] == [way.link_ids for way in group.others]

    async def test_an_unknown_path_conflicts_and_brings_fresh_ones(self, planner):
        request = pb.DeployPathRequest(path_id="0" * 16, association=wish())
        error = await refused(planner.associations.DeployPath(request), grpc.StatusCode.ABORTED)
        assert details(error, error_details_pb2.ErrorInfo).reason == "PATH_STALE"
        fresh = details(error, pb.ComputePathsResponse)
        assert [path.node_names[1] for path in fresh.paths] == ["Este", "Oeste"]
        request.path_id = fresh.paths[0].path_id
        made = (await planner.associations.DeployPath(request)).association
        assert made.path.link_ids == fresh.paths[0].link_ids

    async def test_one_that_no_longer_fits_conflicts_and_changes_nothing(self, planner, square):
        path = await self.second(planner)
        filling = wish(
            source="sae-oeste",
            destination="sae-norte",
            qos=pb.Qos(min_bandwidth_bps=16_500),
            service=service(),
        )
        await planner.associations.Open(filling)
        wanted = wish(qos=pb.Qos(min_bandwidth_bps=5_000))
        request = pb.DeployPathRequest(path_id=path.path_id, association=wanted)
        error = await refused(planner.associations.DeployPath(request), grpc.StatusCode.ABORTED)
        assert "cannot carry it any more" in (error.details() or "")
        assert [one.node_names[1] for one in details(error, pb.ComputePathsResponse).paths] == ["Este"]
        assert len(square.engine.network.associations) == 1

    async def test_what_is_wrong_is_told(self, planner):
        for request, code in (
            (pb.DeployPathRequest(path_id="x", association=wish()), grpc.StatusCode.INVALID_ARGUMENT),
            (
                pb.DeployPathRequest(path_id="0" * 16, association=wish(source="sae-x")),
                grpc.StatusCode.NOT_FOUND,
            ),
        ):
            await refused(planner.associations.DeployPath(request), code)
        path = await self.second(planner)
        await planner.associations.Open(wish())
        request = pb.DeployPathRequest(path_id=path.path_id, association=wish())
        error = await refused(planner.associations.DeployPath(request), grpc.StatusCode.FAILED_PRECONDITION)
        assert "over another path; close that first" in (error.details() or "")

    def test_a_status_stays_small(self):
        path = pb.PathCandidate(path_id="0" * 16, link_ids=["0" * 36] * 16, node_ids=["0" * 36] * 17)
        fresh = pb.ComputePathsResponse(paths=[path] * 16)
        status = status_of(Stale("gone", fresh=fresh))
        assert status.ByteSize() < MOST_DETAIL_BYTES + 1_000
        found = pb.ComputePathsResponse()
        assert status.details[2].Unpack(found)
        assert len(found.paths) == 3


class TestWhatIf:
    async def test_risks_rates_and_demands(self, planner):
        opened = (await planner.associations.Open(wish(qos=pb.Qos(min_bandwidth_bps=10_000)))).association
        both = await planner.planning.WhatIf(pb.WhatIfRequest(fail_risks=["duct7"]))
        assert [(one.id, one.fate) for one in both.outcomes] == [(opened.app_id, pb.FATE_LOST)]
        assert (both.outcomes[0].before_bps, both.outcomes[0].after_bps) == (10_000, 0)
        moved = (await planner.planning.WhatIf(pb.WhatIfRequest(fail_link_ids=["Norte-Este"]))).outcomes[0]
        assert (moved.fate, moved.hops_before, moved.hops) == (pb.FATE_MOVED, 2, 2)
        assert moved.node_names == ["Norte", "Oeste", "Sur"]
        direct = pb.WhatIfRequest(
            fail_risks=["duct7"], link_rates=[pb.LinkRate(link="Norte-Sur", rate_bps=50_000)]
        )
        saved = await planner.planning.WhatIf(direct)
        assert saved.outcomes[0].node_names == ["Norte", "Sur"]
        assert {(link.a_name, link.b_name) for link in saved.links} >= {("Norte", "Sur")} or {
            (link.b_name, link.a_name) for link in saved.links
        } >= {("Norte", "Sur")}

    async def test_a_demand_has_a_service_and_is_answered_by_its_id(self, planner):
        demand = pb.Demand(
            id="d",
            source="sae-norte",
            destination="sae-sur",
            min_bandwidth_bps=1_000,
            service=service(protection=pb.PROTECTION_ONE_PLUS_ONE),
        )
        big = pb.Demand(id="big", source="sae-sur", destination="sae-norte", min_bandwidth_bps=500_000)
        reply = await planner.planning.WhatIf(pb.WhatIfRequest(add_demands=[demand, big]))
        assert [(one.id, one.fate, one.demand) for one in reply.outcomes] == [
            ("d", pb.FATE_CARRIED, True),
            ("big", pb.FATE_LOST, True),
        ]
        assert any("lacks" in reason for reason in reply.outcomes[1].reasons)
        assert {link.reserved_before_bps for link in reply.links} == {0}
        error = await refused(
            planner.planning.WhatIf(pb.WhatIfRequest(add_demands=[pb.Demand(id="e", source="sae-norte")])),
            grpc.StatusCode.INVALID_ARGUMENT,
        )
        assert "add_demands[0].destination" in (error.details() or "")
        wrong = pb.WhatIfRequest(link_rates=[pb.LinkRate(link="Norte-Ovidio", rate_bps=1)])
        await refused(planner.planning.WhatIf(wrong), grpc.StatusCode.NOT_FOUND)


class TestExplaining:
    async def test_by_id_prefix_name_and_pair(self, planner):
        opened = (await planner.associations.Open(wish(priority=3))).association
        for request in (
            pb.ExplainRequest(association=opened.app_id.upper()),
            pb.ExplainRequest(association=opened.app_id[:8]),
            pb.ExplainRequest(source="sae-norte", destination="sae-sur"),
        ):
            told = await planner.planning.Explain(request)
            assert told.association.app_id == opened.app_id
        assert told.strategy == "balanced"
        (path,) = told.paths
        assert (path.node_names, path.verdict) == (["Norte", "Este", "Sur"], "its path")
        assert path.bottleneck_bps == 90_000  # its own promise counted as free
        (other,) = told.alternatives
        assert (other.node_names[1], other.verdict[:4]) == ("Oeste", "free") or other.verdict == "as cheap"
        (tight,) = told.bottlenecks
        assert [(one.app_id, one.priority) for one in tight.holders] == [(opened.app_id, 3)]
        assert "active over Norte > Este > Sur" in told.summary

    async def test_why_the_other_way_is_not_taken(self, planner):
        wanted = wish(qos=pb.Qos(min_bandwidth_bps=50_000))
        opened = (await planner.associations.Open(wanted)).association
        told = await planner.planning.Explain(pb.ExplainRequest(association=opened.app_id))
        assert [path.node_names[1] for path in told.alternatives] == ["Oeste"]
        assert "lacks" in told.alternatives[0].verdict

    async def test_what_does_not_exist(self, planner):
        for request, code in (
            (pb.ExplainRequest(), grpc.StatusCode.INVALID_ARGUMENT),
            (pb.ExplainRequest(association="nobody"), grpc.StatusCode.NOT_FOUND),
            (pb.ExplainRequest(source="a", destination="b"), grpc.StatusCode.NOT_FOUND),
            (pb.ExplainRequest(association="x", source="a"), grpc.StatusCode.INVALID_ARGUMENT),
        ):
            await refused(planner.planning.Explain(request), code)


class TestPolicy:
    def test_every_field_of_the_policy_can_be_told_and_set(self):
        assert set(policy_views.NAMES) == {field.name for field in dataclasses.fields(Policy)}
        policy = Policy(most_moves=7, guaranteed_strategy="widest", preemption=False, path_validity_s=5.0)
        assert policy_views.read(policy_views.shown(policy), Policy()) == policy

    async def test_what_an_older_caller_does_not_know_stays(self, planner):
        reply = await planner.configuration.GetPolicy(pb.GetPolicyRequest())
        assert "balanced" in reply.strategies
        policy = reply.policy
        policy.most_moves = 9
        await planner.configuration.SetPolicy(pb.SetPolicyRequest(policy=policy))
        policy.ClearField("most_moves")
        reply = await planner.configuration.SetPolicy(pb.SetPolicyRequest(policy=policy))
        assert reply.policy.most_moves == 9

    @pytest.mark.parametrize(
        ("name", "value", "text"),
        [
            ("scheduled_strategy", "best", "no strategy 'best'; there are balanced"),
            ("guaranteed_strategy", "", "must name a strategy"),
            ("most_moves", 65, "most_moves must be 0..64"),
            ("wait_to_restore_s", math.nan, "wait_to_restore_s must be 0..86400, not nan"),
            ("wait_to_restore_s", -1.0, "wait_to_restore_s must be 0..86400"),
            ("optimise_every_s", 0.001, "optimise_every_s must be 0, or at least 1"),
            ("damping_reuse", 5.0, "damping_reuse must be below damping_suppress"),
        ],
    )
    async def test_wrong_values_name_their_field(self, planner, name, value, text):
        policy = (await planner.configuration.GetPolicy(pb.GetPolicyRequest())).policy
        setattr(policy, name, value)
        call = planner.configuration.SetPolicy(pb.SetPolicyRequest(policy=policy))
        error = await refused(call, grpc.StatusCode.INVALID_ARGUMENT)
        (violation,) = details(error, error_details_pb2.BadRequest).field_violations
        assert (violation.field, text in violation.description) == (f"policy.{name}", True)


def test_the_book_forgets_the_oldest_and_the_expired():
    def one(name: str) -> Candidate:
        return Candidate(
            id=name,
            nodes=(),
            links=(LinkId(name),),
            cost=0.0,
            bottleneck_bps=0,
            latency_ms=0.0,
            distance_km=None,
        )

    book = PathBook(most=2)
    book.note([one("a"), one("b"), one("c")], expires_at=10.0)
    assert [book.ways(name, 9.9) for name in "abc"] == [None, (("b",),), (("c",),)]
    assert book.ways("b", 10.0) is None
