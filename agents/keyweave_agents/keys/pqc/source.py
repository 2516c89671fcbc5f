"""The source's end of the agreements of one association.

Rule of this file: letters and time in, letters out; nothing is used before both ends have shown that they
hold the same secret.

    proposal    what comes                     what happens                                    then
    none        a secret is wanted (tick)      new encapsulation key, signed, sent             open
    open        time                           the same letter again; after 30 s: forgotten    open, none
    open        Answer, signed by the peer     decapsulate, Confirm under the new secret       answered
    answered    time                           Confirm again; after 30 s: forgotten            answered, none
    answered    Confirmed under it             it is the secret; the one before retires        none
    any         Answer names not held secrets  these are dropped, and what was made of them
    any         Lost                           agree anew (at most every two seconds)

A secret is wanted when there is none, or it made enough keys, is old enough, or the destination lost it.
"""

from dataclasses import dataclass

from keyweave_agents.keys.pqc.identity import Untrusted
from keyweave_agents.keys.pqc.kem import CIPHERTEXT_BYTES, Ephemeral
from keyweave_agents.keys.pqc.letters import (
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
    decode_said,
    encode_letter,
    encode_said,
)
from keyweave_agents.keys.pqc.ports import (
    AGREEMENT_LIFE_S,
    RETIRED_S,
    RETRY_FIRST_S,
    RETRY_MOST_S,
    Ends,
    Party,
    PqcHost,
)
from keyweave_agents.keys.pqc.secret import ANSWERING, PROPOSING, SessionSecret, answer, proposal
from keyweave_agents.keys.relaying.frames import Batch
from keyweave_agents.material import Secret
from keyweave_core.model.ids import SaeId

ANEW_AFTER_S = 2.0
"""Between two agreements that hints of a loss ask for: anybody on the way can write such a hint."""

OVERDUE_S = 10.0
"""An operator hears of an association that has no secret for so long."""


@dataclass(slots=True)
class _Repeated:
    """A letter that is sent until it is answered."""

    body: bytes
    retry_s: float
    delay_s: float = RETRY_FIRST_S

    def due(self, now_s: float) -> bool:
        if now_s < self.retry_s:
            return False
        self.retry_s = now_s + self.delay_s
        self.delay_s = min(RETRY_MOST_S, 2 * self.delay_s)
        return True


@dataclass(slots=True)
class _Proposal:
    letter: _Repeated
    nonce: bytes
    signed: bytes
    ephemeral: Ephemeral
    until_s: float
    answered: SessionSecret | None = None

    def wipe(self) -> None:
        self.ephemeral.wipe()
        if self.answered is not None:
            self.answered.wipe()


@dataclass(slots=True)
class _Agreed:
    secret: SessionSecret
    since_s: float
    until_s: float
    keys: int = 0
    counter: int = 0


@dataclass(slots=True)
class _Offered:
    letter: _Repeated
    name: bytes


class SourceEnd:
    """Agrees, offers batches, hears that they are stored. `trouble` says why there is no secret."""

    def __init__(self, ends: Ends, party: Party, host: PqcHost) -> None:
        self.ends = ends
        self.trouble = "no answer of the other key manager to proposals of ML-KEM"
        self._party = party
        self._host = host
        self._proposal: _Proposal | None = None
        self._current: _Agreed | None = None
        self._former: _Agreed | None = None
        self._offers: dict[bytes, _Offered] = {}
        self._lost = False
        self._without_s = party.clock.monotonic()

    # --- using a secret --------------------------------------------------------------------------

    @property
    def secret(self) -> SessionSecret | None:
        """The secret of which keys may be made now."""
        current, settings = self._current, self._party.settings
        if current is None or current.keys >= 2 * settings.renew_after_keys:
            return None
        return current.secret

    def count(self, keys: int) -> None:
        """So many keys more are made of the secret."""
        if self._current is not None:
            self._current.keys += keys

    def offer(self, batch: Batch, clients: tuple[SaeId, ...], now_s: float) -> Secret:
        """Make the keys of a batch, and tell the destination to make them; repeats by itself."""
        current = self._current
        if current is None or current.secret.name != batch.secret_id:
            raise ValueError("a batch of a secret that is not the one agreed")
        current.counter += 1
        self.count(batch.count)
        body = encode_said(Offer(batch=batch, clients=clients))
        letter = _Repeated(_under(current.secret, current.counter, body), now_s)
        self._offers[batch.batch_id] = _Offered(letter, batch.secret_id)
        self._send(letter, now_s)
        return current.secret.keys_of(batch)

    def withdraw(self, batch_id: bytes) -> None:
        """Stop repeating an offer."""
        self._offers.pop(batch_id, None)

    # --- time ------------------------------------------------------------------------------------

    def overdue(self, now_s: float) -> bool:
        """Whether there is no secret for so long that somebody should look."""
        return self._current is None and now_s - self._without_s >= OVERDUE_S

    def tick(self, now_s: float, *, may_propose: bool = True) -> bool:
        """Propose when a secret is wanted, repeat what is not answered, forget what is old.

        Whether a proposal was made, which costs a signature.
        """
        if self._former is not None and self._former.until_s <= now_s:
            self._former.secret.wipe()
            self._former = None
        if self._current is not None and self._current.until_s <= now_s:
            self._current.secret.wipe()
            self._current = None
            self._without_s = now_s
            self.trouble = "the secret is too old, and no other is agreed"
        if self._proposal is not None and self._proposal.until_s <= now_s:
            self._proposal.wipe()
            self._proposal = None
        proposes = may_propose and self._proposal is None and self._wanted(now_s)
        if proposes:
            self._propose(now_s)
        if self._proposal is not None:
            self._send(self._proposal.letter, now_s)
        for offered in self._offers.values():
            self._send(offered.letter, now_s)
        return proposes

    def _wanted(self, now_s: float) -> bool:
        current, settings = self._current, self._party.settings
        if current is None:
            return True
        age_s = now_s - current.since_s
        if self._lost and age_s >= ANEW_AFTER_S:
            return True
        return age_s >= settings.renew_after_s or current.keys >= settings.renew_after_keys

    def _propose(self, now_s: float) -> None:
        party, ends = self._party, self.ends
        kem, nonce = party.settings.kem, party.random_bytes(NONCE_BYTES)
        ephemeral = Ephemeral(kem, party.random_bytes)
        signed = proposal(ends.source, ends.destination, ends.app_id, kem, nonce, ephemeral.public)
        letter = Propose(
            kem=kem,
            nonce=nonce,
            public_key=ephemeral.public,
            credential=party.identity.credential,
            signature=party.identity.sign(signed, PROPOSING),
        )
        repeated = _Repeated(encode_letter(letter), now_s)
        self._proposal = _Proposal(repeated, nonce, signed, ephemeral, now_s + AGREEMENT_LIFE_S)

    def _send(self, letter: _Repeated, now_s: float) -> None:
        if letter.due(now_s):
            self._host.write(self.ends.app_id, letter.body)

    # --- letters ---------------------------------------------------------------------------------

    def handle(self, letter: PqcLetter, now_s: float) -> None:
        """A letter of the destination came, or one that says so. Untrusted, MalformedMessage: it is not."""
        match letter:
            case Answer():
                self._on_answer(letter, now_s)
            case Proved():
                self._on_proved(letter, now_s)
            case Lost():
                self._on_lost(letter, now_s)
            case Declined():
                self._on_declined(letter)
            case Propose():
                raise Untrusted("a proposal came to the end that proposes")

    def _on_answer(self, letter: Answer, now_s: float) -> None:
        open_, party = self._proposal, self._party
        if open_ is None or open_.answered is not None or letter.nonce != open_.nonce:
            return  # of an agreement that is over, or a repetition
        if len(letter.ciphertext) != CIPHERTEXT_BYTES[party.settings.kem]:
            raise Untrusted("an answer with another KEM")
        transcript = answer(open_.signed, letter.own_nonce, letter.ciphertext, letter.keeper, letter.held)
        try:
            party.identity.check(
                self.ends.destination,
                letter.credential,
                transcript,
                letter.signature,
                ANSWERING,
                party.clock.now(),
            )
        except Untrusted as error:
            self.trouble = f"an answer is not of the other key manager: {error}"
            raise
        self._proposal = None  # the encapsulation key opens once, whatever comes of it
        shared = open_.ephemeral.open(letter.ciphertext)
        secret = SessionSecret(shared, open_.nonce + letter.own_nonce, transcript)
        if not secret.proves_made(letter.proof):
            raise Untrusted("an answer does not prove its secret")
        self._proposal = open_
        open_.answered = secret
        open_.letter = _Repeated(_under(secret, 0, encode_said(Confirm())), now_s)
        open_.until_s = now_s + AGREEMENT_LIFE_S
        self._forget_lost(letter, now_s)
        self._send(open_.letter, now_s)

    def _forget_lost(self, letter: Answer, now_s: float) -> None:
        """What the destination does not hold makes no keys any more, and those under way come to nothing."""
        gone = set()
        for agreed in (self._current, self._former):
            if agreed is not None and agreed.secret.name not in letter.held:
                gone.add(agreed.secret.name)
                agreed.secret.wipe()
                if self._current is agreed:
                    self._current, self._without_s = None, now_s
                self._former = None if self._former is agreed else self._former
        self._host.forgotten(self.ends.app_id, frozenset(gone), letter.keeper)

    def _on_proved(self, letter: Proved, now_s: float) -> None:
        waits = self._proposal.answered if self._proposal is not None else None
        known = [one.secret for one in (self._current, self._former) if one is not None]
        secret = next(
            (one for one in (waits, *known) if one is not None and one.name == letter.secret_id), None
        )
        if secret is None:
            return
        if not secret.proves(letter.counter, letter.body, letter.mac, of_source=False):
            raise Untrusted("a letter has a wrong mac")
        self._host.authentic(self.ends.app_id)
        said = decode_said(letter.body, self.ends.app_id, letter.secret_id)
        if isinstance(said, Confirmed) and secret is waits:
            self._take(secret, now_s)
        elif isinstance(said, Stored) and secret is not waits:
            offered = self._offers.get(said.batch_id)
            if offered is not None and offered.name == letter.secret_id:
                del self._offers[said.batch_id]
                self._host.stored(said.batch_id, said.keeper)

    def _take(self, secret: SessionSecret, now_s: float) -> None:
        """Both ends hold a new secret."""
        self._proposal = None
        if self._former is not None:
            self._former.secret.wipe()
        self._former = self._current
        if self._former is not None:
            self._former.until_s = min(self._former.until_s, now_s + RETIRED_S)
        self._current = _Agreed(secret, now_s, now_s + 2 * self._party.settings.renew_after_s)
        self._lost = False
        self.trouble = ""
        self._host.agreed(self.ends.app_id)

    def _on_lost(self, letter: Lost, now_s: float) -> None:
        names = {one.secret.name for one in (self._current, self._former) if one is not None}
        self._lost = self._lost or letter.secret_id in names
        open_ = self._proposal
        if open_ is not None and open_.answered is not None and open_.answered.name == letter.secret_id:
            open_.until_s = min(open_.until_s, now_s + ANEW_AFTER_S)  # it restarted before it confirmed

    def _on_declined(self, letter: Declined) -> None:
        reason = f"the other key manager declined: {letter.why.value}"
        if self._proposal is not None and letter.about == self._proposal.nonce:
            self.trouble = reason
        elif letter.about in self._offers:
            self._host.declined(letter.about, reason)

    def wipe(self) -> None:
        """Forget every secret."""
        for agreed in (self._current, self._former):
            if agreed is not None:
                agreed.secret.wipe()
        if self._proposal is not None:
            self._proposal.wipe()
        self._current = self._former = self._proposal = None
        self._offers.clear()


def _under(secret: SessionSecret, counter: int, body: bytes) -> bytes:
    mac = secret.mac(counter, body, of_source=True)
    return encode_letter(Proved(secret_id=secret.name, counter=counter, body=body, mac=mac))
