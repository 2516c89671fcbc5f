"""The rpcs of `keyweave-qkd-network` that ask for paths: compute-paths, deploy-path, what-if, explain.

Rule of this file: input was validated against the module before it comes here; `asked` reads it. Only
deploy-path changes anything.
"""

from collections.abc import Callable

from lxml import etree

from keyweave_controller.control import admission, candidates, placement, routing, what_if
from keyweave_controller.control.actions import Answer
from keyweave_controller.control.candidates import PathWish, compute_paths
from keyweave_controller.control.events import AssociationRequested
from keyweave_controller.control.placement import Placement, Wanted
from keyweave_controller.control.state import NetworkState, parties
from keyweave_controller.control.why import why
from keyweave_controller.engine.ports import Engine
from keyweave_controller.northbound import answer_tree, asked, markup, naming, service_tree
from keyweave_controller.northbound.markup import found, found_all, found_number, kwn
from keyweave_controller.northbound.path_book import PathBook
from keyweave_core.errors import SchemaViolation
from keyweave_core.model.application import AppQos
from keyweave_core.netconf.protocol.rpc_errors import RpcError
from keyweave_core.runtime.clock import Clock

FRESH_PATHS = 4
"""Most candidates that the refusal of a stale path tells."""


class PlanningCalls:
    """Questions about paths, and the one that opens one. `new_id` gives text that never repeats."""

    def __init__(self, engine: Engine, clock: Clock, new_id: Callable[[], str]) -> None:
        self._engine = engine
        self._clock = clock
        self._new_id = new_id
        self._book = PathBook()

    async def compute_paths(self, operation: etree._Element, _user: str) -> list[etree._Element]:
        """The best paths between two places, or the tree to several."""
        wish, now = asked.path_wish(self._state, operation), self._clock.now()
        output = markup.qkd_tree("output")
        paths, reasons, expires_at = self._candidates(wish, now)
        answer_tree.put_candidates(output, paths, answer_tree.names_of(self._state), expires_at)
        markup.texts(output, kwn("reason"), reasons)
        strategy = routing.strategy_of(candidates.route_wish(self._state, wish)).name
        markup.text(output, kwn("strategy"), strategy)
        return list(output)

    async def deploy_path(self, operation: etree._Element, user: str) -> list[etree._Element]:
        """Open an association over a computed path, or over named links."""
        event, path_id = self._deployment(operation, user)
        unknown = f"path {path_id} is not known, or older than {self._state.policy.path_validity_s:g} s"
        reasons: tuple[str, ...] = () if event.path_links else (unknown,)
        joined = self._joined(event)
        if not joined:
            reasons = reasons or self._unfit(event)
        if reasons:
            raise self._stale(event, reasons)
        answer = await self._engine.ask(event)
        if answer.reasons or answer.app_id is None:
            reasons = () if joined else self._unfit(event)
            raise self._stale(event, reasons) if reasons else refusal(answer)
        record = self._state.associations[answer.app_id]
        output = markup.qkd_tree("output")
        markup.text(output, kwn("app-id"), record.app_id)
        markup.member(output, kwn("status"), record.state)
        return list(output)

    async def what_if(self, operation: etree._Element, _user: str) -> list[etree._Element]:
        """What would become of every association, and of the demands."""
        state, path = self._state, asked.path_of(operation)

        def texts(leaf: str) -> tuple[str, ...]:
            return found_all(operation, kwn(leaf))

        question = what_if.Question(
            fail_links=tuple(naming.link(state, f"{path}/fail-link", one) for one in texts("fail-link")),
            fail_nodes=tuple(naming.place(state, f"{path}/fail-node", one) for one in texts("fail-node")),
            fail_risks=tuple(naming.risk(state, f"{path}/fail-risk", one) for one in texts("fail-risk")),
            link_rates=tuple(
                asked.link_rate(state, path, entry) for entry in operation.iterchildren(kwn("link-rate"))
            ),
            demands=tuple(
                asked.demand_of(state, path, one) for one in operation.iterchildren(kwn("add-demand"))
            ),
        )
        told = what_if.told(state, question, at=self._clock.now())
        output = markup.qkd_tree("output")
        answer_tree.put_told(output, told, answer_tree.names_of(state))
        return list(output)

    async def explain(self, operation: etree._Element, _user: str) -> list[etree._Element]:
        """Why an association has what it has, or has nothing."""
        state, app_id = self._state, asked.association_meant(self._state, operation)
        output = markup.qkd_tree("output")
        markup.text(output, kwn("app-id"), app_id)
        markup.member(output, kwn("status"), state.associations[app_id].state)
        answer = why(state, self._engine.network.mesh, app_id, at=self._clock.now())
        answer_tree.put_why(output, answer, state)
        return list(output)

    @property
    def _state(self) -> NetworkState:
        return self._engine.network.state

    def _candidates(
        self, wish: PathWish, now: float
    ) -> tuple[tuple[candidates.Candidate, ...], tuple[str, ...], float | None]:
        """Candidates, why there are no more, and until when they may be deployed, which is noted."""
        state = self._state
        paths, reasons = compute_paths(state, self._engine.network.mesh, wish, at=now)
        expires_at = None if wish.others else now + state.policy.path_validity_s
        if expires_at is not None:
            self._book.note(paths, expires_at)
        return paths, reasons, expires_at

    def _deployment(self, operation: etree._Element, user: str) -> tuple[AssociationRequested, str]:
        """The wish, and the id of its path; without links when the path is not known any more."""
        state, path, now = self._state, asked.path_of(operation), self._clock.now()
        source, destination = asked.applications(operation)
        for leaf, sae in (("source", source), ("destination", destination)):
            if sae not in state.consumers:
                raise asked.wrong(f"{path}/{leaf}", f"no node serves application {sae}")
        if source == destination:
            raise asked.wrong(f"{path}/destination", "must be another application than the source")
        expires_at = service_tree.read_moment(operation, "expires-at", path)
        if expires_at is not None and expires_at <= now:
            raise asked.wrong(f"{path}/expires-at", "must lie in the future")
        path_id = found(operation, kwn("path-id")) or ""
        if not path_id and not found_all(operation, kwn("link")):
            raise SchemaViolation(
                "path-id or link is missing", path=path, tag="data-missing", app_tag="missing-choice"
            )
        ways = (self._book.ways(path_id, now) or ()) if path_id else asked.named_ways(state, path, operation)
        event = AssociationRequested(
            at=now,
            request_id=f"deploy/netconf/{self._new_id()}",
            source=source,
            destination=destination,
            qos=AppQos(
                min_bandwidth_bps=found_number(operation, kwn("min-bandwidth-bps")),
                max_bandwidth_bps=found_number(operation, kwn("max-bandwidth-bps")),
            ),
            priority=found_number(operation, kwn("priority")) or 0,
            expires_at=expires_at,
            requester=user,
            service=asked.service_of(state, path, operation, expires_at),
            path_links=ways[0] if ways else (),
            other_links=ways[1:],
        )
        return event, path_id

    def _joined(self, event: AssociationRequested) -> bool:
        """The pair has an association already: what becomes of the wish is not a question of paths."""
        pair = parties(event.source, event.destination)
        return any(one.live and one.parties == pair for one in self._state.associations.values())

    def _unfit(self, event: AssociationRequested) -> tuple[str, ...]:
        """Why the named paths cannot be had now."""
        state, network = self._state, self._engine.network
        wanted = Wanted(
            source=state.consumers[event.source],
            destination=state.consumers[event.destination],
            qos=event.qos,
            priority=event.priority,
            service=event.service,
            path_links=event.path_links,
            other_links=event.other_links,
            expires_at=event.expires_at,
        )
        found = placement.pinned(
            state, network.mesh, wanted, placement.wish_of(state, wanted), at=self._clock.now()
        )
        return () if isinstance(found, Placement) else found

    def _stale(self, event: AssociationRequested, reasons: tuple[str, ...]) -> RpcError:
        """A conflict that tells which paths can be had instead."""
        state = self._state
        wish = PathWish(
            source=state.consumers[event.source],
            destination=state.consumers[event.destination],
            rate_bps=admission.wanted_bps(event.qos, state.policy),
            service=event.service,
            number=FRESH_PATHS,
        )
        paths, none, expires_at = self._candidates(wish, self._clock.now())
        if not paths:
            reasons = tuple(dict.fromkeys((*reasons, *none)))
        return RpcError(
            "operation-failed",
            "; ".join(reasons),
            app_tag="stale-path",
            structures=answer_tree.candidates_told(paths, answer_tree.names_of(state), expires_at),
        )


def refusal(answer: Answer) -> RpcError:
    """The error that tells of a wish that was not granted, and of what would be."""
    reasons = answer.reasons or ("refused without a reason",)
    return RpcError(
        # The deciding code names bandwidth in bit/s exactly when it is that what lacks.
        "resource-denied" if any("bit/s" in reason for reason in reasons) else "operation-failed",
        "; ".join(reasons),
        structures=answer_tree.alternatives_told(answer.alternatives),
    )
