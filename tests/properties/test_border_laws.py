"""Laws of handing keys over between two networks, under drawn histories of faults and crashes.

never before          a key is supplied in X only when its slave in Y can get the same one
never again           a key that was voided is never supplied in Y, whatever comes late
both or neither       with faults over, every key that was offered is either at both ends or at none
never other           one id, one value, at every end
"""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.agents.keys.border_pair import MASTER, SLAVE, Pair

from keyweave_agents.keys.border.values import AckStatus, BorderRules, Parties, Post, VoidOrder
from keyweave_agents.keys.failures import KeysNotFound
from keyweave_agents.keys.plan import SuppliedKey

PARTIES = Parties(initiator=MASTER, targets=(SLAVE,))
RULES = BorderRules(relay_s=6.0, ack_wait_s=3.0, forsaken_s=45.0, recall_s=4.0, retry_most_s=1.0)

FATES = st.lists(st.sampled_from(["ok", "ok", "ok", "lost", "deaf", "busy"]), max_size=8)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(1, 12)),
        st.tuples(st.just("repeat"), st.integers(0, 40)),
        st.tuples(st.just("crash"), st.sampled_from(["x", "y"])),
        st.tuples(st.just("crash far"), st.sampled_from(["x", "y"])),
        st.tuples(st.just("disk"), st.sampled_from(["x", "y"]), st.booleans()),
        st.tuples(st.just("void"), st.integers(0, 40)),
        st.tuples(st.just("void back"), st.integers(0, 40)),
        st.tuples(st.just("draw"), st.integers(1, 3)),
        st.tuples(st.just("grants"), st.booleans()),
    ),
    max_size=14,
)


class History:
    """A pair of networks, and what must be remembered of it to judge it."""

    def __init__(self, seed: int, fates: list[str]) -> None:
        self.pair = Pair(rules=RULES, seed=seed).begin()
        self.fates = iter(fates)
        self.pair.fault = self._fate
        self.drawn: dict[str, SuppliedKey] = {}
        self.voided: set[str] = set()
        self.asked: set[str] = set()  # voided at Y by somebody who did not tell X

    def _fate(self, _post: Post) -> str:
        return next(self.fates, "ok")

    def do(self, step: tuple[object, ...]) -> None:
        pair = self.pair
        match step:
            case ("wait", int(quarters)):
                pair.wait(quarters * 0.25)
            case ("repeat", int(number)):
                pair.repeat(number)
            case ("crash", "x"):
                pair.x.crash()
            case ("crash", _):
                pair.y.crash()
            case ("crash far", str(name)):
                side, number = (pair.x, 1) if name == "x" else (pair.y, 2)
                side.crash(number)
            case ("disk", str(name), bool(full)):
                side = pair.x if name == "x" else pair.y
                side.disks[side.border_node].full = full
            case ("void", int(number)) if pair.key_ids():
                self._void("y", number)
            case ("void back", int(number)) if pair.key_ids():
                self._void("x", number)
            case ("draw", int(number)):
                for key in pair.draw(number):
                    assert key.key_id not in self.drawn, "a key was supplied twice"
                    self.drawn[key.key_id] = key
            case ("grants", bool(grants)):
                pair.grants = grants
            case _:
                pass

    def _void(self, where: str, number: int) -> None:
        ids = self.pair.key_ids()
        order = VoidOrder(key_ids=(ids[number % len(ids)],), parties=PARTIES, callback=None)
        side, peer = (self.pair.y, "x") if where == "y" else (self.pair.x, "y")
        if where == "y":
            self.asked.update(order.key_ids)
        job = side.border.void(peer, order)
        for _ in range(8):
            if job.done:
                break
            self.pair.wait(0.5)
        side.kept()
        if job.done and any(acked.status is AckStatus.VOIDED for acked in job.acks()):
            self.voided.add(order.key_ids[0])

    def fetched(self, key_id: str) -> SuppliedKey | None:
        try:
            (key,) = self.pair.y.planes[2].serving.fetch(SLAVE, MASTER, (key_id,))
        except KeysNotFound:
            return None
        return key


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), fates=FATES, steps=STEPS)
def test_a_key_that_was_supplied_is_there_for_its_slave(
    seed: int, fates: list[str], steps: list[tuple[object, ...]]
) -> None:
    history = History(seed, fates)
    for step in steps:
        before = set(history.drawn)
        history.do(step)
        for key_id in set(history.drawn) - before - history.asked:
            far = history.fetched(key_id)
            assert far is not None, "a key was supplied that its slave cannot get"
            assert far.key.same_as(history.drawn[key_id].key)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), fates=FATES, steps=STEPS)
def test_a_key_that_was_voided_in_its_network_never_comes_back(
    seed: int, fates: list[str], steps: list[tuple[object, ...]]
) -> None:
    history = History(seed, fates)
    for step in steps:
        history.do(step)
    for side in (history.pair.x, history.pair.y):
        side.disks[side.border_node].full = False
    for number in range(len(history.pair.seen)):
        history.pair.repeat(number)
    history.pair.wait(3)
    for key_id in history.voided:
        in_y = history.fetched(key_id) is not None
        in_x = key_id in history.drawn
        assert not (in_x and in_y), "a voided key is supplied at both ends"


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), fates=FATES, steps=STEPS)
def test_when_faults_are_over_keys_flow_and_every_key_is_at_both_ends_or_at_none(
    seed: int, fates: list[str], steps: list[tuple[object, ...]]
) -> None:
    history = History(seed, fates)
    for step in steps:
        history.do(step)
    pair = history.pair
    history.fates = iter(())
    for side in (pair.x, pair.y):
        side.disks[side.border_node].full = False
    pair.grants = True
    pair.wait(75, step_s=0.5)  # longer than anything is waited for
    ready: dict[str, SuppliedKey] = {}
    while keys := pair.draw(1):
        ready[keys[0].key_id] = keys[0]
        pair.wait(0.5)
        if len(ready) == 6:
            break
    assert len(ready) == 6, "no keys come any more"
    for key_id, key in ready.items():
        if key_id in history.asked:
            continue
        far = history.fetched(key_id)
        assert far is not None
        assert far.key.same_as(key.key)
