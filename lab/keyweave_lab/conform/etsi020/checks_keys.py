"""POST ext_keys (ETSI GS QKD 020 V1.1.1): keys handed over, whole or not at all, once."""

from typing import Any

from keyweave_lab.conform.check import Failed, NotApplicable, Note, check, require
from keyweave_lab.conform.etsi020.bench import ACK, EXT_KEYS, VOID, Bench, HandedKey
from keyweave_lab.conform.etsi020.form import FAILED, NOT_PRESENT, RELAYED, VOIDED, details_of, told
from keyweave_lab.conform.https import Reply

_UNHEARD = {"E32473_keyweave_conform": True}  # an enterprise number for documentation, RFC 5612


@check("B1.async", "020 POST ext_keys", "with ack_callback_url the answer is 202")
async def asynchronous(bench: Bench) -> str:
    """Asynchronous mode is mandatory."""
    reply = await bench.hand(bench.fresh())
    require(reply.status == 202, told(reply))
    return told(reply)


@check("B1.ack", "020 POST ext_keys, ack", "the key is acknowledged as relayed at the callback")
async def acknowledged(bench: Bench) -> str:
    """For the target that the run was told of."""
    key, since = bench.fresh(), len(bench.listener.heard)
    status = await bench.outcome(await bench.hand(key), key, since)
    bench.relays = status == RELAYED
    require(bench.relays, f"{status} for a known target")
    return status


@check("B1.parties", "020 ack_container", "the acknowledgement names the applications of the request")
async def parties(bench: Bench) -> str:
    """initiator_sae_id and target_sae_ids."""
    since = len(bench.listener.heard)
    key = await bench.handed()
    ack = await bench.acked(key, since, 0.0)
    if ack is None:
        raise NotApplicable("it was acknowledged at once")
    require(ack.initiator == bench.options.initiator, f"initiator {ack.initiator[:64]!r}")
    require(ack.targets == (bench.options.target,), f"targets {ack.targets!r}"[:200])
    return f"{ack.initiator}, {', '.join(ack.targets)}"


@check("B1.several", "020 POST ext_keys", "three keys of one request are all acknowledged")
async def several(bench: Bench) -> str:
    """In one acknowledgement or in many."""
    await bench.handed()
    keys, since = [bench.fresh() for _ in range(3)], len(bench.listener.heard)
    reply = await bench.hand(*keys)
    for key in keys:
        status = await bench.outcome(reply, key, since)
        require(status == RELAYED, f"one of them: {status}")
    return "3 relayed"


@check("B1.retry", "020 ack", "an acknowledgement that is not heard (503) comes again, or the key is voided")
async def retried(bench: Bench) -> str:
    """The listener refuses one request."""
    await bench.handed()
    key, since = bench.fresh(), len(bench.listener.heard)
    bench.listener.refuse_next = 1
    try:
        reply = await bench.hand(key)
        if reply.status == 200:
            raise NotApplicable("it was acknowledged at once")
        first = await bench.acked(key, since)
    finally:
        bench.listener.refuse_next = 0
    require(first is not None, "no acknowledgement")

    heard = await bench.listener.wait(
        lambda one: (
            not one.refused and (one.path.endswith("/void") or any(a.key_id == key.id for a in one.acks))
        ),
        bench.options.patience_s,
        since,
    )
    if heard is None:
        raise Failed(f"nothing more within {bench.options.patience_s:g} s")
    return "voided" if heard.path.endswith("/void") else "acknowledged again"


@check("B2.again", "020 rules", "the same request a second time is taken, and acknowledged as before")
async def again(bench: Bench) -> str:
    """What a sender does who did not hear the answer."""
    key = await bench.handed()
    since = len(bench.listener.heard)
    status = await bench.outcome(await bench.hand(key), key, since)
    require(status == RELAYED, status)
    return status


@check("B2.other", "020 rules", "another key under an id that was handed over before is refused")
async def other(bench: Bench) -> str:
    """The first one stays what it was."""
    key = await bench.handed()
    since = len(bench.listener.heard)
    changed = HandedKey(id=key.id, value=bench.fresh().value)
    status = await bench.outcome(await bench.hand(changed), changed, since, limit_s=_short(bench))
    require(status not in (RELAYED, "status 202", "nothing"), status)
    return status


@check("B2.atomic", "020 rules", "of a request that is refused with 400 no key is kept")
async def atomic(bench: Bench) -> str:
    """A good new key beside a changed one; voiding the new one then finds nothing."""
    key, extra = await bench.handed(), bench.fresh()
    reply = await bench.hand(HandedKey(id=key.id, value=bench.fresh().value), extra)
    if reply.status not in (400, 401):
        raise NotApplicable(f"{told(reply)}: only 400 and 401 promise that")
    since = len(bench.listener.heard)
    status = await bench.outcome(await bench.void([extra.id]), extra, since)
    require(status != VOIDED, "the new key was there")
    return status


@check("B3.unknown", "020 rules", "keys for a target that nobody knows do not get through")
async def unknown(bench: Bench) -> str:
    """400 or 503 key-routing-error, or acknowledged as failed later."""
    key, since = bench.fresh(), len(bench.listener.heard)
    reply = await bench.hand(key, target_sae_ids=["keyweave-conform-nobody"])
    status = await bench.outcome(reply, key, since, limit_s=_short(bench))
    require(status != RELAYED, status)
    if status == "nothing":
        raise Note(f"202, and nothing within {_short(bench):g} s")
    return told(reply) if reply.status >= 400 else status


@check("B3.back", "020 rules", "a key whose target is where it came from is refused")
async def back(bench: Bench) -> str:
    """The initiator as its own target."""
    key, since = bench.fresh(), len(bench.listener.heard)
    reply = await bench.hand(key, target_sae_ids=[bench.options.initiator])
    status = await bench.outcome(reply, key, since, limit_s=_short(bench))
    require(status != RELAYED, status)
    return told(reply) if reply.status >= 400 else status


@check("B4.missing", "020 ext_key_container", "without keys, initiator_sae_id or target_sae_ids: 400")
async def missing(bench: Bench) -> str:
    """Each of the three required members."""
    for name in ("keys", "initiator_sae_id", "target_sae_ids"):
        _bad(await bench.hand(bench.fresh(), **{name: None}), f"without {name}")
    return "400 for each"


@check("B4.no-json", "020 POST ext_keys", "a body that is no JSON: 400")
async def no_json(bench: Bench) -> str:
    """Cut in the middle."""
    return _bad(await bench.ask(EXT_KEYS, b'{"keys": ['), "cut")


@check("B4.id", "020 key", "a key_id that is no UUID: 400")
async def no_uuid(bench: Bench) -> str:
    """RFC 9562."""
    return _bad(await bench.hand(HandedKey(id="key-1", value=b"\0" * 32)), "key-1")


@check("B4.value", "020 key", "a value that is no base64: 400")
async def no_base64(bench: Bench) -> str:
    """Not one character of the alphabet."""
    keys = [{"key_id": bench.fresh().id, "value": "*" * 44}]
    return _bad(await bench.hand(keys=keys), "no base64")


@check("B4.long", "020 initiator_sae_id", "an id of more than 64 characters: 400")
async def long(bench: Bench) -> str:
    """65."""
    return _bad(await bench.hand(bench.fresh(), initiator_sae_id="x" * 65), "65 characters")


@check("B4.letters", "020 initiator_sae_id", "an id with characters that no URI has: 400")
async def letters(bench: Bench) -> str:
    """RFC 3986 knows no blanks and no <>."""
    return _bad(await bench.hand(bench.fresh(), initiator_sae_id="<a b>"), "'<a b>'")


@check("B5.mandatory", "020 rules", "an unknown mandatory extension: 503, unsupported_mandatory_extension")
async def mandatory(bench: Bench) -> str:
    """Where 014 answers 400."""
    reply = await bench.hand(bench.fresh(), extension_mandatory=_UNHEARD)
    require(reply.status == 503, told(reply))
    require("unsupported_mandatory_extension" in details_of(reply), told(reply))
    return told(reply)


@check("B5.optional", "020 rules", "an unknown optional extension does no harm")
async def optional(bench: Bench) -> str:
    """It is passed on unchanged."""
    await bench.handed()
    key, since = bench.fresh(), len(bench.listener.heard)
    status = await bench.outcome(await bench.hand(key, extension_optional=_UNHEARD), key, since)
    require(status == RELAYED, status)
    return status


@check("B6.http", "020 ack_callback_url", "a callback that is not https: 400")
async def plain_callback(bench: Bench) -> str:
    """The schema wants an absolute https URL."""
    url = bench.callback.replace("https://", "http://")
    return _bad(await bench.hand(bench.fresh(), ack_callback_url=url), "http")


@check("B6.elsewhere", "020 (practice: SSRF)", "nothing is sent to a callback that is not the peer's own")
async def elsewhere(bench: Bench) -> str:
    """Another port of this machine. A failure only where the peer was told our callback (--pinned)."""
    before = bench.elsewhere.connections
    reply = await bench.hand(bench.fresh(), ack_callback_url=bench.elsewhere_url)
    if reply.status < 400:
        await bench.clock.sleep(min(1.0, _short(bench)))
    called = bench.elsewhere.connections > before
    seen = f"{told(reply)}, {'called there' if called else 'not called'}"
    if not bench.options.pinned and called:
        raise Note(seen)
    require(not called, seen)
    return seen


@check("B7.sync", "020 capabilities", "without a callback: 200 if synchronous_mode is told, else a refusal")
async def synchronous(bench: Bench) -> str:
    """Synchronous mode is optional."""
    reply = await bench.hand(bench.fresh(), ack_callback_url=None)
    if "synchronous_mode" in bench.capabilities:
        require(reply.status in (200, 408), told(reply))
        if reply.status == 408:
            raise Note("408: not done in time")
    else:
        require(reply.status >= 400, f"{told(reply)} without synchronous_mode among the capabilities")
    return told(reply)


@check("C1.void", "020 POST void", "a key that was handed over is voided, and that is acknowledged")
async def void(bench: Bench) -> str:
    """Nobody has fetched it."""
    key = await bench.handed()
    status = await _voided(bench, key)
    require(status == VOIDED, status)
    return status


@check("C1.again", "020 POST void", "voiding a second time is answered alike")
async def void_again(bench: Bench) -> str:
    """voided, or key not present."""
    key = await bench.handed()
    await _gone(bench, key)
    status = await _voided(bench, key)
    require(status in (VOIDED, NOT_PRESENT, "status 400"), status)
    return status


@check("C1.stays", "020 rules", "a key that was voided does not come back by a late request")
async def stays(bench: Bench) -> str:
    """The same ext_keys once more, afterwards."""
    key = await bench.handed()
    await _gone(bench, key)
    since = len(bench.listener.heard)
    status = await bench.outcome(await bench.hand(key), key, since, limit_s=_short(bench))
    require(status != RELAYED, "it was relayed")
    return status


@check("C2.unknown", "020 ack_status", "voiding an id that never came: 'key not present' (or 400)")
async def void_unknown(bench: Bench) -> str:
    """A random id."""
    key, since = bench.fresh(), len(bench.listener.heard)
    status = await bench.outcome(await bench.void([key.id]), key, since)
    if status == VOIDED:
        raise Note("voided: it is kept from coming later")
    require(status in (NOT_PRESENT, "status 400"), status)
    return status


@check("C3.none", "020 void_container", "no key_ids without all_confirmation: 400")
async def void_nothing(bench: Bench) -> str:
    """That would be all keys of these applications."""
    reply = await bench.void([])
    _bad(reply, "no key_ids")
    return told(reply)


@check("C4.missing", "020 void_container", "without initiator_sae_id, target_sae_ids or key_ids: 400")
async def void_missing(bench: Bench) -> str:
    """Each of the three required members."""
    ids = [bench.fresh().id]
    for name in ("initiator_sae_id", "target_sae_ids", "key_ids"):
        _bad(await bench.void(ids, **{name: None}), f"without {name}")
    return "400 for each"


@check("C4.no-json", "020 POST void", "a body that is no JSON: 400")
async def void_no_json(bench: Bench) -> str:
    """Cut in the middle."""
    return _bad(await bench.ask(VOID, b'{"key_ids": ['), "cut")


@check("D1.object", "020 POST ack", "an acknowledgement that is an object, not an array: 400")
async def ack_object(bench: Bench) -> str:
    """ack_containers is an array at the top."""
    return _bad(await bench.ask(ACK, _ack(bench, RELAYED)), "an object")


@check("D1.status", "020 ack_status", "an ack_status that is none of the five: 400")
async def ack_status(bench: Bench) -> str:
    """'perhaps'."""
    return _bad(await bench.ask(ACK, [_ack(bench, "perhaps")]), "'perhaps'")


@check("D1.no-json", "020 POST ack", "a body that is no JSON: 400")
async def ack_no_json(bench: Bench) -> str:
    """Cut in the middle."""
    return _bad(await bench.ask(ACK, b"[{"), "cut")


@check("D2.unknown", "020 POST ack", "what an acknowledgement of a key that was never sent gives (left open)")
async def ack_unknown(bench: Bench) -> str:
    """A random id."""
    raise Note(told(await bench.ask(ACK, [_ack(bench, FAILED)])))


def _ack(bench: Bench, status: str) -> dict[str, Any]:
    return {
        "key_id_container": [{"key_id": bench.fresh().id}],
        "ack_status": status,
        "initiator_sae_id": bench.options.target,
        "target_sae_ids": [bench.options.initiator],
    }


async def _voided(bench: Bench, key: HandedKey) -> str:
    since = len(bench.listener.heard)
    return await bench.outcome(await bench.void([key.id]), key, since)


async def _gone(bench: Bench, key: HandedKey) -> None:
    status = await _voided(bench, key)
    if status != VOIDED:
        raise NotApplicable(f"the key was not voided: {status} (see C1.void)")


def _short(bench: Bench) -> float:
    """Time for what should not happen."""
    return min(5.0, bench.options.patience_s)


def _bad(reply: Reply, what: str) -> str:
    require(reply.status == 400, f"{what}: {told(reply)}")
    return told(reply)
