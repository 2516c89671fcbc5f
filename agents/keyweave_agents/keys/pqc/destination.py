"""The destination's end of the agreements of one association.

Rule of this file: it only answers. A proposal makes a secret that *pends*; the source's Confirm under it,
which nobody else can make, makes it one of which keys are taken. So a proposal that is recorded and sent
again costs some work (which is bounded) and leads to nothing.

    what comes                      what happens
    Propose, signed by the source   encapsulate, sign, Answer; the secret pends (four at most, 30 s)
    Propose again                   the same Answer again
    Confirm under a pending secret  it is known from now on, the one before retires; Confirmed
    Confirm again                   Confirmed again
    Offer under a known secret      keys are made and stored once; Stored, as often as it is repeated
    anything under another one      Lost
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from keyweave_agents.keys.buffers import TokenBucket
from keyweave_agents.keys.pqc.identity import Untrusted
from keyweave_agents.keys.pqc.kem import encapsulate
from keyweave_agents.keys.pqc.letters import (
    MOST_HELD,
    NONCE_BYTES,
    Answer,
    Confirm,
    Confirmed,
    Declined,
    Lost,
    Offer,
    PqcLetter,
    Propose,
    Proved,
    Stored,
    Why,
    decode_said,
    encode_letter,
    encode_said,
)
from keyweave_agents.keys.pqc.ports import AGREEMENT_LIFE_S, RETIRED_S, Ends, Party, PqcHost
from keyweave_agents.keys.pqc.secret import ANSWERING, PROPOSING, SessionSecret, answer, proposal

MOST_PENDING = 4
WINDOW = 512
"""Counters that are remembered below the highest one: what is older than these is refused."""

WORK_PER_S, WORK_AT_ONCE = 4.0, 8.0
"""Agreements a second and at once: each costs a signature and its check, some 2 ms."""


@dataclass(slots=True)
class _Pending:
    secret: SessionSecret
    answer: bytes
    until_s: float


@dataclass(slots=True)
class _Known:
    secret: SessionSecret
    nonce: bytes
    until_s: float
    highest: int = 0
    taken: dict[int, bytes] = field(default_factory=dict)  # batch by counter

    def take(self, counter: int, batch_id: bytes) -> None:
        """Remember what came under a counter."""
        self.taken[counter] = batch_id
        self.highest = max(self.highest, counter)
        if len(self.taken) > 2 * WINDOW:
            for old in [one for one in self.taken if one <= self.highest - WINDOW]:
                del self.taken[old]


class DestinationEnd:
    """Answers proposals, makes and stores the keys that are offered."""

    def __init__(self, ends: Ends, party: Party, host: PqcHost) -> None:
        self.ends = ends
        self._party = party
        self._host = host
        self._pending: OrderedDict[bytes, _Pending] = OrderedDict()  # by nonce
        self._known: list[_Known] = []  # newest first
        self._work = TokenBucket(WORK_PER_S, WORK_AT_ONCE, party.clock.monotonic())
        self._hints = TokenBucket(WORK_PER_S, WORK_AT_ONCE, party.clock.monotonic())

    def known(self, name: bytes) -> SessionSecret | None:
        """A secret that both ends hold, by its name."""
        return next((one.secret for one in self._known if one.secret.name == name), None)

    def missed(self, name: bytes) -> None:
        """Keys came that belong to a secret which is not known here: tell the source."""
        if self._hints.take(1, self._party.clock.monotonic()):
            self._send(Lost(secret_id=name))

    def tick(self, now_s: float) -> None:
        """Forget what is old."""
        for nonce in [nonce for nonce, one in self._pending.items() if one.until_s <= now_s]:
            self._pending.pop(nonce).secret.wipe()
        for one in [one for one in self._known if one.until_s <= now_s]:
            self._known.remove(one)
            one.secret.wipe()

    def handle(self, letter: PqcLetter, now_s: float) -> None:
        """A letter of the source came, or one that says so. Untrusted, MalformedMessage: it is not."""
        match letter:
            case Propose():
                self._on_propose(letter, now_s)
            case Proved():
                self._on_proved(letter, now_s)
            case Answer() | Lost() | Declined():
                raise Untrusted("an answer came to the end that answers")

    def _on_propose(self, letter: Propose, now_s: float) -> None:
        pending = self._pending.get(letter.nonce)
        if pending is not None:
            self._host.write(self.ends.app_id, pending.answer)
            return
        if any(one.nonce == letter.nonce for one in self._known) or not self._work.take(1, now_s):
            return
        party, ends = self._party, self.ends
        if letter.kem.strength < party.settings.kem.strength:
            self._send(Declined(about=letter.nonce, why=Why.OTHER_KEM))
            return
        signed = proposal(
            ends.source, ends.destination, ends.app_id, letter.kem, letter.nonce, letter.public_key
        )
        try:
            party.identity.check(
                ends.source, letter.credential, signed, letter.signature, PROPOSING, party.clock.now()
            )
        except Untrusted:
            self._send(Declined(about=letter.nonce, why=Why.UNTRUSTED))
            raise
        self._host.authentic(ends.app_id)
        shared, ciphertext = encapsulate(letter.kem, letter.public_key)
        own_nonce, held = party.random_bytes(NONCE_BYTES), tuple(one.secret.name for one in self._known)
        keeper = self._host.keeper
        transcript = answer(signed, own_nonce, ciphertext, keeper, held[:MOST_HELD])
        secret = SessionSecret(shared, letter.nonce + own_nonce, transcript)
        written = Answer(
            nonce=letter.nonce,
            own_nonce=own_nonce,
            ciphertext=ciphertext,
            keeper=keeper,
            held=held[:MOST_HELD],
            credential=party.identity.credential,
            signature=party.identity.sign(transcript, ANSWERING),
            proof=secret.proof(),
        )
        body = encode_letter(written)
        self._pending[letter.nonce] = _Pending(secret, body, now_s + AGREEMENT_LIFE_S)
        if len(self._pending) > MOST_PENDING:
            self._pending.popitem(last=False)[1].secret.wipe()
        self._host.write(ends.app_id, body)

    def _on_proved(self, letter: Proved, now_s: float) -> None:
        known = next((one for one in self._known if one.secret.name == letter.secret_id), None)
        nonce = next((n for n, one in self._pending.items() if one.secret.name == letter.secret_id), None)
        if known is not None:
            secret = known.secret
        elif nonce is not None:
            secret = self._pending[nonce].secret
        else:
            self.missed(letter.secret_id)
            return
        if not secret.proves(letter.counter, letter.body, letter.mac, of_source=True):
            raise Untrusted("a letter has a wrong mac")
        self._host.authentic(self.ends.app_id)
        said = decode_said(letter.body, self.ends.app_id, letter.secret_id)
        if isinstance(said, Confirm):
            if known is None and nonce is not None:
                self._confirm(nonce, now_s)
            self._say(secret, letter.counter, encode_said(Confirmed()))
        elif isinstance(said, Offer) and known is not None:
            self._on_offer(known, letter.counter, said)

    def _confirm(self, nonce: bytes, now_s: float) -> None:
        """The source showed that it holds a pending secret: it is known, the one before retires."""
        pending = self._pending.pop(nonce)
        for old in self._known[1:]:
            old.secret.wipe()
        self._known = self._known[:1]
        for one in self._known:
            one.until_s = min(one.until_s, now_s + RETIRED_S)
        lives_s = 2 * self._party.settings.renew_after_s + RETIRED_S
        self._known.insert(0, _Known(pending.secret, nonce, now_s + lives_s))
        self._host.agreed(self.ends.app_id)

    def _on_offer(self, known: _Known, counter: int, said: Offer) -> None:
        batch = said.batch
        before = known.taken.get(counter)
        if before is None:
            if counter <= known.highest - WINDOW:
                return
            why = self._host.offered(batch, said.clients, lambda: known.secret.keys_of(batch))
            if why is not None:
                self._send(Declined(about=batch.batch_id, why=why))
                return
            known.take(counter, batch.batch_id)
        elif before != batch.batch_id:
            raise Untrusted("two batches under one counter")
        stored = Stored(batch_id=batch.batch_id, keeper=self._host.keeper)
        self._say(known.secret, counter, encode_said(stored))

    def _say(self, secret: SessionSecret, counter: int, body: bytes) -> None:
        mac = secret.mac(counter, body, of_source=False)
        self._send(Proved(secret_id=secret.name, counter=counter, body=body, mac=mac))

    def _send(self, letter: PqcLetter) -> None:
        self._host.write(self.ends.app_id, encode_letter(letter))

    def wipe(self) -> None:
        """Forget every secret."""
        for secret in (*(one.secret for one in self._pending.values()), *(one.secret for one in self._known)):
            secret.wipe()
        self._pending.clear()
        self._known.clear()
