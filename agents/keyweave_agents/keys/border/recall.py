"""Taking keys back inside our network: asked at one end of an association, done at the other.

    border node           other end of the association
    ask(key ids)  ----->  those that nobody got are wiped; all are noted, should they come later
                  <-----  answer: which were taken back

Rule of this file: letters may be lost, repeated and late, so a question is repeated until it is answered and
answering twice says the same. A letter can end keys, never supply one. Every node takes part in this, at the
border or not.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from keyweave_agents.keys.abroad import Home
from keyweave_agents.keys.ports import KeyLetters
from keyweave_agents.keys.relaying.frames import LetterKind, uuid_bytes, uuid_text
from keyweave_agents.keys.storage.ledger import Shelf
from keyweave_core.model.ids import AppId
from keyweave_core.runtime.clock import Clock

Done = Callable[[str, bool | None], None]
"""Told of each key: whether it was taken back before anybody got it; None: nobody answered."""

REPEAT_S = 0.5
MOST_IDS = 1024
REMEMBERED_S = 900.0
MOST_REMEMBERED = 100_000


class _Ask(msgspec.Struct, tag="ask", array_like=True):
    key_ids: bytes


class _Answer(msgspec.Struct, tag="answer", array_like=True):
    key_ids: bytes
    gone: bytes  # one byte a key: 1 when it was taken back


_decoder = msgspec.msgpack.Decoder(_Ask | _Answer)
_encoder = msgspec.msgpack.Encoder()


@dataclass(slots=True)
class _Open:
    app_id: AppId
    done: Done
    until_s: float


class Recall:
    """Both sides of it at one node."""

    def __init__(self, home: Home, letters: KeyLetters, shelf: Shelf, clock: Clock) -> None:
        self._home = home
        self._letters = letters
        self._shelf = shelf
        self._clock = clock
        self._open: dict[str, _Open] = {}
        self._again_s = 0.0
        self._noted: dict[str, tuple[bool, float]] = {}  # by key: taken back?, until when
        letters.on_letters(LetterKind.BORDER, self._read)
        for key, value in shelf.items():
            left_s = msgspec.msgpack.decode(value, type=tuple[bool, float])
            self._noted[uuid_text(key)] = (left_s[0], clock.monotonic() + left_s[1] - clock.now())

    def __contains__(self, key_id: str) -> bool:
        """Whether a question about this key is open."""
        return key_id in self._open

    def noted(self, key_ids: bytes) -> frozenset[str]:
        """Those of these keys that were recalled here."""
        if not self._noted:
            return frozenset()
        texts = (uuid_text(key_ids[place : place + 16]) for place in range(0, len(key_ids), 16))
        return frozenset(text for text in texts if text in self._noted)

    def ask(self, app_id: AppId, key_ids: tuple[str, ...], done: Done, for_s: float) -> None:
        """Take keys back; `done` is told of each, at once when both ends are here, None after `for_s`."""
        until_s = self._clock.monotonic() + for_s
        for key_id in key_ids:
            self._open[key_id] = _Open(app_id, done, until_s)
        if self._home.both_here(app_id):
            self._take_here(app_id, key_ids)
        else:
            self._write(app_id, key_ids)

    def tick(self) -> None:
        """Repeat questions, and end those that nobody answered."""
        now_s = self._clock.monotonic()
        for key_id, one in list(self._open.items()):
            if one.until_s <= now_s:
                del self._open[key_id]
                one.done(key_id, None)
        for key_id in [key_id for key_id, (_, until_s) in self._noted.items() if until_s <= now_s]:
            del self._noted[key_id]
            self._shelf.delete(uuid_bytes(key_id), lazy=True)
        if self._open and self._again_s <= now_s:
            asked: dict[AppId, list[str]] = {}
            for key_id, one in self._open.items():
                asked.setdefault(one.app_id, []).append(key_id)
            for app_id, key_ids in asked.items():
                if self._home.both_here(app_id):
                    self._take_here(app_id, tuple(key_ids))
                else:
                    self._write(app_id, tuple(key_ids))

    def _take_here(self, app_id: AppId, key_ids: tuple[str, ...]) -> None:
        gone = self._home.recall(app_id, key_ids)
        for key_id in key_ids:
            self._open.pop(key_id).done(key_id, key_id in gone)

    def _write(self, app_id: AppId, key_ids: tuple[str, ...]) -> None:
        self._again_s = self._clock.monotonic() + REPEAT_S
        for place in range(0, len(key_ids), MOST_IDS):
            ids = b"".join(uuid_bytes(key_id) for key_id in key_ids[place : place + MOST_IDS])
            self._letters.send_letter(app_id, LetterKind.BORDER, _encoder.encode(_Ask(ids)))

    def _read(self, app_id: AppId, body: bytes) -> None:
        try:
            letter = _decoder.decode(body)
        except msgspec.DecodeError:
            return
        raw = letter.key_ids
        if len(raw) % 16 or not raw or len(raw) > 16 * MOST_IDS:
            return
        texts = [uuid_text(raw[place : place + 16]) for place in range(0, len(raw), 16)]
        if isinstance(letter, _Answer):
            for text, gone in zip(texts, letter.gone, strict=False):
                one = self._open.get(text)
                if one is not None and one.app_id == app_id:
                    del self._open[text]
                    one.done(text, gone == 1)
            return
        fresh = tuple(text for text in texts if text not in self._noted)
        if len(self._noted) + len(fresh) > MOST_REMEMBERED:
            return
        taken = self._home.recall(app_id, fresh)
        for text in fresh:
            self._note(text, text in taken)
        answer = _Answer(raw, bytes(self._noted[text][0] for text in texts))
        self._letters.send_letter(app_id, LetterKind.BORDER, _encoder.encode(answer))

    def _note(self, key_id: str, gone: bool) -> None:
        self._noted[key_id] = (gone, self._clock.monotonic() + REMEMBERED_S)
        record = msgspec.msgpack.encode((gone, self._clock.now() + REMEMBERED_S))
        self._shelf.put(uuid_bytes(key_id), record)
