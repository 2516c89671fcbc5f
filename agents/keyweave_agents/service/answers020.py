"""Paths of ETSI GS QKD 020, and the answers that are no success.

Rule of this file: pure.
"""

from uvicorn._types import HTTPScope

from keyweave_agents.keys.border.failures import Problem
from keyweave_agents.service import write020 as write

_VERBS = {
    b"/kmapi/versions": ("versions", "GET"),
    b"/kmapi/v1/ext_keys": ("ext_keys", "POST"),
    b"/kmapi/v1/ext_keys/ack": ("ack", "POST"),
    b"/kmapi/v1/ext_keys/void": ("void", "POST"),
}


class Plain(Exception):
    """An answer that is no problem type of the standard."""

    def __init__(self, status: int, title: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.headers = headers


def method_of(scope: HTTPScope) -> str:
    """What a request asks for; Plain for anything else."""
    found = _VERBS.get(scope["raw_path"])
    if found is None:
        raise Plain(404, "no such path; this is ETSI GS QKD 020 at /kmapi")
    method, verb = found
    if scope["method"] != verb:
        raise Plain(405, f"{method} takes {verb}", (b"allow", verb.encode("ascii")))
    return method


def problem_answer(problem: Problem, title: str, details: dict[str, str] | None = None) -> tuple[int, bytes]:
    """Status and body of a problem of the standard."""
    return problem.status, write.problem_body(problem.ending, problem.status, title, details or {})
