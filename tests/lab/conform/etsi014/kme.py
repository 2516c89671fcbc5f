"""Two key managers of 014 in one object, right in everything but the defects they are told to have."""

import asyncio
import base64
import json
import os
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

from tests.lab.conform.tiny_https import Request, Response

NOT_FOUND = "one or more keys specified are not found on KME"
SIZES = (64, 256, 1024)
MOST_KEYS = 4
MOST_SLAVES = 2


class Answer(Exception):
    """Leave with this answer."""

    def __init__(self, status: int, message: str = "", details: Any = None) -> None:
        self.status, self.message, self.details = status, message, details


@dataclass
class Stored:
    """One key and who may still fetch it."""

    master: str
    slaves: list[str]
    content: bytes
    made_at: float
    gone: list[str] = field(default_factory=list)


class Kme:
    """What both sites know; `site(name)` is the handler of one."""

    def __init__(self, defect: str = "") -> None:
        self.defect = defect
        self.keys: dict[str, Stored] = {}
        self.first: tuple[str, bytes] | None = None
        self.busy = 0
        self.group: list[str] = []
        self.shared: dict[str, Any] | None = None

    def has(self, *names: str) -> bool:
        return self.defect in names

    def site(self, name: str) -> Any:
        async def handle(request: Request) -> Response:
            response = Response(version="1.0" if self.has("http-1.0") else "1.1")
            if self.has("text/html"):
                response.type = "text/html"
            try:
                response.body = json.dumps(await self._answer(name, request)).encode()
            except Answer as answer:
                response.status = answer.status
                said = {"message": answer.message, "details": answer.details or []}
                if self.has("details-object"):
                    said["details"] = {"reason": "x"}
                if answer.status != 401 or self.has("401-body"):
                    response.body = json.dumps(said).encode()
            response.hang = self.has("hang") and request.path.endswith("all_keys")
            return response

        return handle

    async def _answer(self, site: str, request: Request) -> dict[str, Any]:
        parts = request.path.split("/")
        if len(parts) != 6 or parts[:4] != ["", "api", "v1", "keys"]:
            raise Answer(404, "no such path")
        caller, method = request.caller or "alice", parts[5]
        other = parts[4] if self.has("not-decoded") else unquote(parts[4])
        if other not in ("alice", "bob", "carol") and not other.startswith("keyweave-conform"):
            raise Answer(400, "unknown SAE")
        wanted = ("GET",) if method == "status" else ("GET", "POST", *(["PUT"] if self.has("put") else []))
        if request.method not in wanted:
            raise Answer(405, "no such verb")
        if method == "status":
            return self._status(site, caller, other)
        said = self._body(request)
        if method == "enc_keys":
            return await self._enc(caller, other, said, request)
        if method == "dec_keys":
            return await self._dec(caller, other, said)
        raise Answer(404, "no such method")

    def _status(self, site: str, caller: str, other: str) -> dict[str, Any]:
        there = {"west": "east", "east": "west"}[site]
        return {
            "source_KME_ID": site,
            "target_KME_ID": "nowhere" if self.has("target") else there,
            "master_SAE_ID": "bob" if self.has("caller") else caller,
            "slave_SAE_ID": caller if self.has("slave") else other,
            "key_size": "256" if self.has("size-text") else SIZES[1],
            "stored_key_count": 99 if self.has("stored") else 10,
            "max_key_count": 10,
            "max_key_per_request": MOST_KEYS,
            "max_key_size": SIZES[2],
            "min_key_size": SIZES[0],
            "max_SAE_ID_count": MOST_SLAVES,
        } | ({} if self.has("no-extension") else {"status_extension": {}})

    def _body(self, request: Request) -> dict[str, Any]:
        if request.method == "GET":
            said: dict[str, Any] = {name: values[0] for name, values in parse_qs(request.query).items()}
            if "key_ID" in said:
                said["key_IDs"] = [{"key_ID": said.pop("key_ID")}]
            return {name: int(v) if name in ("number", "size") else v for name, v in said.items()}
        try:
            said = json.loads(request.body)
        except (ValueError, UnicodeDecodeError):
            raise Answer(500 if self.has("500") else 400, "no JSON") from None
        if not isinstance(said, dict):
            raise Answer(400, "no object")
        return said

    async def _enc(self, caller: str, other: str, said: dict[str, Any], request: Request) -> dict[str, Any]:
        number, size = said.get("number", 1), said.get("size", SIZES[1])
        if (self.has("word") and isinstance(number, str)) or (self.has("negative") and number == -1):
            number = 1
        if type(number) is not int or type(size) is not int or number < 1:
            raise Answer(400, "number or size")
        if number > MOST_KEYS and not self.has("too-many"):
            raise Answer(400, "too many")
        if (size < SIZES[0] and not (self.has("below") and size)) or (
            size > SIZES[2] and not self.has("above")
        ):
            raise Answer(400, "size out of range")
        if self.has("bytes") and "size" in said:
            size *= 8
        if size % 8:
            text = "no such size" if self.has("odd-text") else "size shall be a multiple of 8"
            raise Answer(400, text)
        if said.get("extension_mandatory") and not self.has("mandatory-ignored"):
            text = "not all extension_mandatory parameters are supported"
            raise Answer(400, "no" if self.has("mandatory-text") else text)
        also = said.get("additional_slave_SAE_IDs", [])
        if 0 < len(also) <= MOST_SLAVES:
            self.group = also
        elif self.has("group") and said == {}:
            also = self.group
        if len(also) > MOST_SLAVES and not self.has("slaves"):
            raise Answer(400, "too many slaves")
        if self.has("shared") and not said:
            return await self._shared(caller, other, size)
        keys = [self._make(caller, [other, *also], size, request) for _ in range(number)]
        return {"keys": keys}

    async def _shared(self, caller: str, other: str, size: int) -> dict[str, Any]:
        """Requests at the same time get one key."""
        self.busy += 1
        await asyncio.sleep(0.03)
        answer, self.shared = self.shared, None
        self.busy -= 1
        if answer is None:
            answer = {"keys": [self._make(caller, [other], size, None)]}
            self.shared = answer if self.busy else None
        return answer

    def _make(self, master: str, slaves: list[str], size: int, request: Request | None) -> dict[str, Any]:
        ident, content = str(uuid.uuid4()), os.urandom(size // 8)
        if self.has("no-uuid"):
            ident = f"key-{len(self.keys)}"
        plain = request is not None and request.method == "GET" and not request.query
        if plain and self.first is not None:
            if self.has("repeated-id"):
                ident = self.first[0]
            if self.has("repeated-key"):
                content = self.first[1]
        self.keys[ident] = Stored(master, list(slaves), content, asyncio.get_running_loop().time())
        self.first = self.first or (ident, content)
        return self._entry(ident, content)

    def _entry(self, ident: str, content: bytes) -> dict[str, Any]:
        text = base64.b64encode(content).decode()
        if self.has("urlsafe"):
            text = base64.urlsafe_b64encode(content).decode().rstrip("=")
        entry = {"key_ID": ident, "key": text}
        return entry | ({"colour": "red"} if self.has("member") else {})

    async def _dec(self, caller: str, master: str, said: dict[str, Any]) -> dict[str, Any]:
        entries = said.get("key_IDs")
        if not isinstance(entries, list) or not all(isinstance(e, dict) and "key_ID" in e for e in entries):
            raise Answer(400, "key_IDs")
        found = []
        for ident in dict.fromkeys(entry["key_ID"] for entry in entries):
            stored = self._entitled(ident, caller, master)
            if self.has("race"):
                await asyncio.sleep(0.03)
            if self.has("not-atomic"):
                self._take(stored, caller)
            found.append((ident, stored))
        for _, stored in found:
            self._take(stored, caller)
        return {"keys": [self._entry(ident, self._content(stored, caller)) for ident, stored in found]}

    def _entitled(self, ident: str, caller: str, master: str) -> Stored:
        stored = self.keys.get(ident)
        missing = Answer(400, "gone" if self.has("message") else NOT_FOUND, [{"key_ID": "x"}])
        if stored is None or (stored.master != master and not self.has("any-master")):
            raise missing
        if self.has("late") and asyncio.get_running_loop().time() < stored.made_at + 0.1:
            raise missing
        if caller not in stored.slaves and not self.has("third"):
            raise missing if self.has("400-for-401") else Answer(401)
        if caller in stored.gone and not self.has("again"):
            raise missing
        return stored

    def _take(self, stored: Stored, caller: str) -> None:
        stored.gone.append(caller)

    def _content(self, stored: Stored, caller: str) -> bytes:
        other = self.has("different") or (self.has("multicast") and caller == "carol")
        return os.urandom(len(stored.content)) if other else stored.content
