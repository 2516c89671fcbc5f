"""A KV secrets engine of version 2 after Vault's public HTTP API, as far as a bridge can tell.

Written from the documentation, not Vault itself: versions, check-and-set, metadata with custom_metadata,
deletion of all versions, namespaces, tokens, and the errors `permission denied` and `Vault is sealed`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.lab.conform.tiny_https import Request, Response

CAS = "check-and-set parameter did not match the current version"


@dataclass
class Path:
    """One path of the engine."""

    versions: list[dict[str, Any]] = field(default_factory=list)
    custom: dict[str, str] = field(default_factory=dict)


@dataclass
class KvServer:
    """Mount `secret`. Tests change `sealed`, `denied` (method, kind), `before_write` (a rival writer)."""

    token: str = "s.token"
    namespace: str = ""
    sealed: bool = False
    denied: tuple[str, str] | None = None
    before_write: Callable[[str], None] | None = None
    paths: dict[str, Path] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)

    async def handle(self, request: Request) -> Response:
        status, said = self._answer(request)
        return Response(status=status, body=b"" if said is None else json.dumps(said).encode())

    def _answer(self, request: Request) -> tuple[int, Any]:
        _, v1, mount, kind, *rest = request.path.split("/")
        path = "/".join(rest)
        if self.sealed:
            return 503, {"errors": ["Vault is sealed"]}
        right = request.headers.get("x-vault-token") == self.token
        if not right or self.denied == (request.method, kind):
            return 403, {"errors": ["1 error occurred:\n\t* permission denied\n\n"]}
        if (v1, mount) != ("v1", "secret") or request.headers.get("x-vault-namespace", "") != self.namespace:
            return 404, {"errors": ["no handler for route"]}
        body = json.loads(request.body) if request.body else {}
        if kind == "data":
            return self._write(path, body) if request.method == "POST" else self._read(path)
        if request.method == "DELETE":
            self.paths.pop(path, None)
            return 204, None
        if request.method == "POST":
            if "custom_metadata" in body:
                self.paths.setdefault(path, Path()).custom = dict(body["custom_metadata"])
            return 204, None
        return self._metadata(path)

    def _write(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if self.before_write is not None:
            rival, self.before_write = self.before_write, None
            rival(path)
        found = self.paths.setdefault(path, Path())
        cas = body.get("options", {}).get("cas")
        if cas is not None and cas != len(found.versions):
            return 400, {"errors": [CAS]}
        found.versions.append(body["data"])
        self.writes.append(path)
        return 200, {"request_id": "x", "data": self._meta(found) | {"custom_metadata": found.custom or None}}

    def _read(self, path: str) -> tuple[int, Any]:
        found = self.paths.get(path)
        if found is None or not found.versions:
            return 404, {"errors": []}
        return 200, {"data": {"data": found.versions[-1], "metadata": self._meta(found)}}

    def _meta(self, found: Path) -> dict[str, Any]:
        return {"created_time": "2026-11-21T10:00:00Z", "deletion_time": "", "destroyed": False} | {
            "version": len(found.versions)
        }

    def _metadata(self, path: str) -> tuple[int, Any]:
        found = self.paths.get(path)
        if found is None:
            return 404, {"errors": []}
        return 200, {
            "data": {
                "cas_required": False,
                "current_version": len(found.versions),
                "custom_metadata": found.custom or None,
                "max_versions": 0,
                "versions": {str(at + 1): {"destroyed": False} for at in range(len(found.versions))},
            }
        }

    def active(self, path: str) -> dict[str, Any] | None:
        """What an application reads."""
        found = self.paths.get(path)
        return found.versions[-1] if found is not None and found.versions else None
