"""Whether the quantum layer serves an association: the hysteresis between quantum keys and fallback.

Rule of this file: seconds and facts in, one bit out. *Well* is a moment at which quantum keys were
acknowledged, or none were missing.

    quantum    keys missing and not well for `fallback_after_s`, and a secret stands   -> fallback
    fallback   well since a first acknowledgement, without a gap of `fallback_after_s`,
               for `return_after_s`                                                    -> quantum
"""


class QuantumWatch:
    """The state of one association at its source."""

    __slots__ = ("_after_s", "_back_s", "_return_s", "_well_s", "in_fallback")

    def __init__(self, fallback_after_s: float, return_after_s: float, now_s: float) -> None:
        self.in_fallback = False
        self._after_s = fallback_after_s
        self._return_s = return_after_s
        self._well_s = now_s
        self._back_s: float | None = None  # when quantum keys began to come again

    def acknowledged(self, now_s: float) -> None:
        """A batch over the quantum layer is at the destination."""
        self._look(now_s)
        self._well_s = now_s
        if self.in_fallback and self._back_s is None:
            self._back_s = now_s

    def tick(self, now_s: float, *, missing: bool, able: bool) -> bool:
        """Judge; whether it changed. `missing`: quantum keys lack; `able`: a secret stands."""
        if not missing:
            self._well_s = now_s
        self._look(now_s)
        if not self.in_fallback:
            self.in_fallback = able and now_s - self._well_s >= self._after_s
            self._back_s = None
            return self.in_fallback
        if self._back_s is not None and now_s - self._back_s >= self._return_s:
            self.in_fallback, self._back_s = False, None
            return True
        return False

    def _look(self, now_s: float) -> None:
        """A gap begins the return anew."""
        if now_s - self._well_s >= self._after_s:
            self._back_s = None
