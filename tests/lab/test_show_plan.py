"""Plans for people: everything that matters within 100 columns."""

import io

import pytest
from rich.console import Console

from keyweave_lab import show, show_plan
from keyweave_lab.show_words import service_text
from keyweave_proto.v1 import keyweave_pb2 as pb

ID = "0d000000-0000-4000-8000-000000000000"
LONG = ["Quijote", "Quintin", "Norte", "Distrito", "Concepcion"]


def rendered(what: str, answer) -> str:
    out = io.StringIO()
    Console(file=out, width=show.WIDTH, highlight=False).print(show_plan.TABLES[what](answer))
    return out.getvalue()


def paths() -> pb.ComputePathsResponse:
    first = pb.PathCandidate(
        path_id="0" * 16,
        node_names=LONG,
        hops=4,
        cost=4.2,
        bottleneck_bps=18_000,
        latency_ms=1.25,
        total_cost=6.3,
        others=[pb.CandidateWay(node_names=LONG[:2], hops=1, distance_km=12.5)],
        shared_risks=["duct7"],
    )
    first.expires_at.FromSeconds(1_700_000_000)
    return pb.ComputePathsResponse(paths=[first], reasons=["there are no more"], strategy="balanced")


def explanation() -> pb.Explanation:
    return pb.Explanation(
        association=pb.Association(app_id=ID, source="urn:bank:branch-1", destination="urn:bank:branch-2"),
        summary="it is suspended: link Norte-Distrito lacks 500 bit/s",
        strategy="widest",
        paths=[pb.PricedPath(node_names=LONG, verdict="its path, broken at Norte-Distrito")],
        alternatives=[pb.PricedPath(node_names=LONG[:2], cost=1.5, bottleneck_bps=9_000, verdict="free")],
        bottlenecks=[
            pb.LinkLoad(
                a_name="Norte",
                b_name="Distrito",
                usable_bps=9_000,
                reserved_bps=8_500,
                holders=[
                    pb.LinkHolder(app_id=ID, source="a", destination="b", priority=9, reserved_bps=8_500)
                ],
            )
        ],
        reasons=["link Norte-Distrito lacks 500 bit/s: 0 free of 9000"],
        waiting_for=["link Norte-Distrito makes key again"],
        would_fit=[pb.Alternative(note="fits at 500 bit/s")],
    )


def outcomes() -> pb.WhatIfResponse:
    def one(name: str, fate: "pb.Fate", **more) -> pb.Outcome:
        return pb.Outcome(id=name * 9, source="a", destination="b", fate=fate, **more)

    return pb.WhatIfResponse(
        outcomes=[
            one("c", pb.FATE_CARRIED),
            one("p", pb.FATE_PREEMPTED, preempted_by="d1", before_bps=9_000),
            one(
                "l",
                pb.FATE_LOST,
                demand=True,
                reasons=["no way"],
                alternatives=[pb.Alternative(note="fits at 5 bit/s")],
            ),
        ],
        links=[pb.LinkImpact(a_name="Norte", b_name="Sur", reserved_before_bps=1, reserved_bps=2)],
    )


ANSWERS = {"paths": paths(), "why": explanation(), "whatif": outcomes(), "whatif-all": outcomes()}


@pytest.mark.parametrize("what", sorted(show_plan.TABLES))
def test_every_plan_fits_in_100_columns_also_an_empty_one(what):
    answer = ANSWERS[what]
    text = rendered(what, answer)
    assert text.strip()
    assert max(len(line.rstrip()) for line in text.splitlines()) <= show.WIDTH
    rendered(what, type(answer)())


def test_groups_stand_together_with_what_they_share():
    lines = rendered("paths", paths()).splitlines()
    assert lines[1].startswith("0" * 16)
    assert lines[3].strip().startswith("Quijote > Quintin")  # behind the fold of the first
    assert "18 kbit/s" in lines[1]
    assert "there are no more" in lines
    assert any("share risk duct7" in line for line in lines)
    assert any("keyweave path deploy" in line for line in lines)


def test_an_explanation_names_holders_and_what_to_wait_for():
    text = " ".join(rendered("why", explanation()).split())
    for fact in (
        "tightest link Norte - Distrito: 8.5 kbit/s of 9 kbit/s promised",
        "0d000000 a b 9 8.5 kbit/s no",
        "waits for link Norte-Distrito makes key again",
        "it fits at 500 bit/s",
        "strategy widest",
    ):
        assert fact in text


def test_what_stays_is_told_only_when_asked():
    assert "ccc" not in rendered("whatif", outcomes())
    assert "ccc" in rendered("whatif-all", outcomes())
    text = " ".join(rendered("whatif", outcomes()).split())
    assert "preempted 9 kbit/s 0 bit/s by d1" in text
    assert "no way; fits at 5 bit/s" in text
    assert "1 carried, 1 preempted, 1 lost" in text
    assert "fails" in text


def test_a_service_tells_what_differs():
    assert (
        service_text(pb.Service(service_class=pb.SERVICE_CLASS_BEST_EFFORT, preemptible=True))
        == "best effort"
    )
    service = pb.Service(
        service_class=pb.SERVICE_CLASS_GUARANTEED,
        protection=pb.PROTECTION_ONE_PLUS_ONE,
        disjointness=pb.DISJOINTNESS_RISKS,
        ways=3,
        constraints=pb.Constraints(max_hops=4, direct_only=True, exclude_nodes=["a", "b"]),
    )
    text = service_text(service)
    assert text.startswith("guaranteed, 1+1 over 3 ways apart in risks, not preemptible")
    for fact in ("max hops 4", "exclude nodes: 2", "direct only"):
        assert fact in text
