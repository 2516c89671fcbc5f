"""One turn of the machine: the state, the moment, and what has been asked for so far.

Rule of this file: whoever changes the state says so here (`touch_*`), and asks the rim only through here.
A turn lives for one event.
"""

from collections.abc import Iterable

from keyweave_controller.control.actions import (
    Action,
    Alternative,
    Answer,
    CancelTimer,
    Changed,
    Configure,
    NodeEdit,
    Optimise,
    ReadNode,
    RefuseApplication,
    ReleaseLink,
    SetTimer,
)
from keyweave_controller.control.crossings import Crossings
from keyweave_controller.control.lookups import Lookups
from keyweave_controller.control.mesh import Mesh
from keyweave_controller.control.problem import PlacementProblem
from keyweave_controller.control.state import NetworkState, Phase, RequestRecord, Step
from keyweave_core.model.ids import AppId, LinkId, NodeId, SaeId

_ANSWERS_KEPT = 1_000


class Turn:
    """What handlers work with. `at` is seconds since 1970, from the event; `lookups` are of this state."""

    def __init__(self, state: NetworkState, lookups: Lookups, at: float) -> None:
        self.state = state
        self.lookups = lookups
        self.at = at
        self.capacity_grew = False  # set when a stranded association may fit now
        self.displaced: list[AppId] = []  # WAITING, and what they waited for will not come: to be placed anew
        self.shares_reckoned = False  # the shares of this moment are known
        self._actions: list[Action] = []
        self._nodes: set[NodeId] = set()
        self._links: set[LinkId] = set()
        self._promised: set[LinkId] = set()  # touched, but only in what is promised on them
        self._apps: set[AppId] = set()
        self._unnoted: set[AppId] = set()  # touched since the lookups last heard of them
        self._configuration = False

    def touch_node(self, node_id: NodeId) -> None:
        """This node looks different now."""
        self._nodes.add(node_id)

    def touch_link(self, *link_ids: LinkId) -> None:
        """These links look different now."""
        self._links.update(link_ids)

    def touch_promises(self, *link_ids: LinkId) -> None:
        """What is promised on these links is different now, and nothing else of them."""
        self._promised.update(link_ids)
        self.lookups.note_promises(self.state, link_ids)

    @property
    def mesh(self) -> Mesh:
        """The network as the searches see it, current to this moment."""
        self._note()
        return self.lookups.mesh(self.state)

    def _note(self) -> None:
        """Sorted, because the order of a set is not the same in every process."""
        self.lookups.note(self.state, sorted(self._nodes), sorted(self._links))

    def demanded(self, rate_bps: int) -> None:
        """Somebody asks for this rate over the network: what strategies price by is learnt from it."""
        self.state.estimates.demanded(rate_bps, self.at)
        self.mesh.watch(self.at)

    def touch_app(self, app_id: AppId) -> None:
        """This association looks different now."""
        self._apps.add(app_id)
        self._unnoted.add(app_id)

    def renote_app(self, app_id: AppId) -> None:
        """This association looks the same, but means something else to the lookups."""
        self._unnoted.add(app_id)

    def touch_configuration(self) -> None:
        """What the operator configured looks different now."""
        self._configuration = True

    @property
    def shares_stale(self) -> bool:
        """Links, promises, associations or the policy look different so far, so shares may."""
        return bool(self._links or self._promised or self._apps or self._configuration)

    @property
    def touched_links(self) -> frozenset[LinkId]:
        """Links of which more than the promises looks different so far."""
        return frozenset(self._links)

    @property
    def crossings(self) -> Crossings:
        """Which associations a link concerns, current to this moment."""
        found = self.lookups.crossings
        for app_id in self._unnoted:
            found.note(app_id, self.state.associations.get(app_id))
        self._unnoted.clear()
        return found

    @property
    def widely_changed(self) -> bool:
        """More than single links looks different so far: nodes, or what the operator configured."""
        return bool(self._nodes) or self._configuration

    @property
    def changed_links(self) -> list[LinkId]:
        """Links that look different so far, or promise something else; by id."""
        return sorted(self._links | self._promised)

    @property
    def touched_apps(self) -> frozenset[AppId]:
        """Associations that look different so far."""
        return frozenset(self._apps)

    def configure(self, node_id: NodeId, phase: Phase, edit: NodeEdit, app_id: AppId | None = None) -> str:
        """Hand out a new step; returns its id."""
        self.state.serial += 1
        step_id = f"{self.state.serial}/{phase}/{node_id}"
        self.state.steps[step_id] = Step(
            step_id=step_id, node_id=node_id, phase=phase, edit=edit, app_id=app_id
        )
        self._actions.append(Configure(step_id=step_id, node_id=node_id, edit=edit))
        return step_id

    def repeat(self, step: Step) -> None:
        """Hand out a step again, under the same id."""
        step.waiting = False
        self._actions.append(Configure(step_id=step.step_id, node_id=step.node_id, edit=step.edit))

    def forget_steps(self, step_ids: Iterable[str]) -> None:
        """Nobody waits for these any more; their late outcomes will mean nothing."""
        for step_id in sorted(step_ids):
            if self.state.steps.pop(step_id, None) is not None:
                self.cancel_timer(f"step:{step_id}")

    def refuse_application(
        self, node_id: NodeId, server: SaeId, clients: tuple[SaeId, ...], reasons: tuple[str, ...]
    ) -> None:
        """Tell the agent that asked."""
        self._actions.append(
            RefuseApplication(node_id=node_id, server_app_id=server, client_app_ids=clients, reasons=reasons)
        )

    def release_link(self, node_id: NodeId, link_id: LinkId) -> None:
        """Tell one end of a link that the operator trusts it."""
        self._actions.append(ReleaseLink(node_id=node_id, link_id=link_id))

    def answer(
        self,
        request_id: str,
        app_id: AppId | None = None,
        reasons: tuple[str, ...] = (),
        about: tuple[str, ...] = (),
        alternatives: tuple[Alternative, ...] = (),
    ) -> None:
        """Answer a northbound request, and remember the answer for a repetition."""
        record = RequestRecord(app_id=app_id, reasons=reasons, about=about, alternatives=alternatives)
        self.state.requests[request_id] = record
        while len(self.state.requests) > _ANSWERS_KEPT:
            del self.state.requests[next(iter(self.state.requests))]
        self._actions.append(
            Answer(
                request_id=request_id,
                app_id=app_id,
                reasons=reasons,
                about=about,
                alternatives=alternatives,
            )
        )

    def read_node(self, node_id: NodeId) -> None:
        """Have the node's tree read again."""
        self._actions.append(ReadNode(node_id=node_id))

    def set_timer(self, timer_id: str, due_at: float) -> None:
        """Fire `timer_id` at `due_at`; setting it again moves it."""
        self.state.timers[timer_id] = due_at
        self._actions.append(SetTimer(timer_id=timer_id, due_at=due_at))

    def cancel_timer(self, timer_id: str) -> None:
        """Forget a timer, when it is set."""
        if self.state.timers.pop(timer_id, None) is not None:
            self._actions.append(CancelTimer(timer_id=timer_id))

    def optimise(self, problem_id: str, problem: PlacementProblem) -> None:
        """Have a better placement sought."""
        self._actions.append(Optimise(problem_id=problem_id, problem=problem))

    def finish(self) -> list[Action]:
        """All actions in order, closed by one `Changed` when anything looks different."""
        self._note()
        _ = self.crossings
        self._links |= self._promised
        if self._nodes or self._links or self._apps or self._configuration:
            self._actions.append(
                Changed(
                    node_ids=frozenset(self._nodes),
                    link_ids=frozenset(self._links),
                    app_ids=frozenset(self._apps),
                    configuration=self._configuration,
                )
            )
        return self._actions
