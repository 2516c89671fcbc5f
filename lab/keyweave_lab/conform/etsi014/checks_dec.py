"""Get key with key IDs (ETSI GS QKD 014 clauses 5.4 and 6.4): who gets which key, and how often."""

from typing import Any

from keyweave_lab.conform.check import Failed, NotApplicable, Note, check, require
from keyweave_lab.conform.etsi014.bench import Bench
from keyweave_lab.conform.etsi014.form import NOT_FOUND, Key, message_of, told
from keyweave_lab.conform.https import Reply


@check("D1.post", "014 5.4", "the slave gets the same keys by their ids")
async def post(bench: Bench) -> str:
    """Two keys in one request, compared by digest."""
    made = await bench.keys({"number": min(2, bench.figure("max_key_per_request"))})
    return _equal(await bench.fetch(_ids(made)), made)


@check("D1.get", "014 5.4", "GET ?key_ID= gives the one key")
async def get(bench: Bench) -> str:
    """The short form."""
    made = await bench.keys({})
    return _equal(await bench.fetch(_ids(made), get=True), made)


@check("D1.at-once", "014 5.4", "keys can be fetched the moment the master has them")
async def at_once(bench: Bench) -> str:
    """No key manager may hand out what the other end does not have."""
    for _ in range(5):
        made = await bench.keys({})
        reply = await bench.try_fetch(_ids(made))
        require(reply.status == 200, told(reply))
        bench.fetched(reply)
    return "5 of 5"


@check("D1.reverse", "014 5.4", "of several keys each can be fetched by itself, in any order")
async def reverse(bench: Bench) -> str:
    """The last first."""
    made = await bench.keys({"number": min(3, bench.figure("max_key_per_request"))})
    for key in reversed(made):
        _equal(await bench.fetch((key.id,)), (key,))
    return f"{len(made)} one by one"


@check("D2.again", "014 5.4", "a key that was fetched is gone")
async def again(bench: Bench) -> str:
    """The same request a second time."""
    made = await bench.keys({})
    await bench.fetch(_ids(made))
    reply = await bench.try_fetch(_ids(made))
    require(reply.status != 200, "the key was delivered twice")
    return told(reply)


@check("D2.race", "014 5.4", "of two fetches at once one gets the key")
async def race(bench: Bench) -> str:
    """Six pairs; whoever looks and takes in two steps shows it here."""
    for _ in range(6):
        ids = _ids(await bench.keys({}))
        replies: list[Reply] = await bench.together(*(bench.try_fetch(ids) for _ in range(2)))
        got = [reply.status for reply in replies].count(200)
        require(got <= 1, "the key was delivered twice")
    return "6 times one"


@check("D3.unknown", "014 5.4, 6.5", f"an id that no key has: 400 {NOT_FOUND!r}")
async def unknown(bench: Bench) -> str:
    """A random UUID."""
    reply = await bench.try_fetch((bench.unknown_id(),))
    require(reply.status == 400 and message_of(reply) == NOT_FOUND, told(reply))
    return told(reply)


@check("D3.atomic", "014 5.4", "one unknown id fails the whole request and takes nothing")
async def atomic(bench: Bench) -> str:
    """A good id and an unknown one, in both orders; then the good one alone."""
    for good_first in (True, False):
        made = await bench.keys({})
        ids = _ids(made)
        await _settled(bench)
        mixed = (*ids, bench.unknown_id()) if good_first else (bench.unknown_id(), *ids)
        reply = await bench.try_fetch(mixed)
        require(reply.status == 400, told(reply))
        after = await bench.try_fetch(ids)
        require(after.status == 200, f"the good key is lost: {told(after)}")
        _equal(bench.fetched(after), made)
    return "400, and the key was still there"


@check("D4.third", "014 5.4", "an application that was not named does not get the key", needs=("third",))
async def third(bench: Bench) -> str:
    """It knows the ids and the master; afterwards the slave gets what is its own."""
    made = await bench.keys({})
    reply = await bench.try_fetch(_ids(made), sae=bench.options.third)
    require(reply.status != 200, "the key was delivered to it")
    _equal(await bench.fetch(_ids(made)), made)
    return told(reply)


@check("D4.401", "014 5.4", "the status of that is 401", needs=("third",))
async def third_status(bench: Bench) -> str:
    """Not 400: the key is there, the caller is not entitled. So it must be asked where the key is."""
    if bench.options.third is not None and bench.options.third.place != bench.options.slave.place:
        raise NotApplicable("the third application is at another key manager, which has no such key")
    made = await bench.keys({})
    await _settled(bench)
    reply = await bench.try_fetch(_ids(made), sae=bench.options.third)
    if reply.status == 200:
        raise NotApplicable("the key was delivered (see D4.third)")
    require(reply.status == 401, told(reply))
    return "401"


@check("D4.master", "014 5.4", "the master itself is not entitled to its keys by dec_keys")
async def master(bench: Bench) -> str:
    """It was not named as a slave."""
    options = bench.options
    made = await bench.keys({})
    reply = await bench.try_fetch(_ids(made), sae=options.master, master=options.slave.id)
    require(reply.status != 200, "the key was delivered to it")
    return told(reply)


@check("D4.other-master", "014 5.4", "keys of one master are not found under the name of another")
async def other_master(bench: Bench) -> str:
    """The slave names a master that never asked for them."""
    made = await bench.keys({})
    other = bench.options.third.id if bench.options.third else "keyweave-conform-nobody"
    reply = await bench.try_fetch(_ids(made), master=other)
    require(reply.status != 200, "the key was delivered")
    return told(reply)


@check("D5.empty", "014 5.4, 6.5", "a body without key_IDs is answered with 400")
async def empty(bench: Bench) -> str:
    """The one member that is not optional."""
    return _bad(await _say(bench, {}))


@check("D5.no-json", "014 5.4, 6.5", "a body that is no JSON is answered with 400")
async def no_json(bench: Bench) -> str:
    """Cut in the middle."""
    return _bad(await _say(bench, b'{"key_IDs": ['))


@check("D5.strings", "014 6.4, 6.5", "key_IDs as an array of strings is answered with 400")
async def strings(bench: Bench) -> str:
    """The members are objects with `key_ID`."""
    return _bad(await _say(bench, {"key_IDs": [bench.unknown_id()]}))


@check("D5.no-uuid", "014 6.4, 6.5", "an id that is no UUID is answered with 400")
async def no_uuid(bench: Bench) -> str:
    """No key can have it."""
    return _bad(await bench.try_fetch(("../../etc",)))


@check("D5.none", "014 6.4", "what an empty key_IDs gives (left open)")
async def none(bench: Bench) -> str:
    """Nothing asked for."""
    reply = await bench.try_fetch(())
    if reply.status == 200:
        require(not bench.fetched(reply), "keys came")
    raise Note(told(reply))


@check("D6.twice", "014 6.4", "what the same id twice in one request gives (left open)")
async def twice(bench: Bench) -> str:
    """Served once, or refused."""
    made = await bench.keys({})
    reply = await bench.try_fetch(_ids(made) * 2)
    raise Note(told(reply))


@check("D6.case", "014 6.4", "what an id in the other case of its letters gives (left open)")
async def case(bench: Bench) -> str:
    """Equal as a UUID, not as text."""
    made = await bench.keys({})
    raise Note(told(await bench.try_fetch((made[0].id.swapcase(),))))


@check("D6.extension", "014 6.4", "what extensions beside the ids do (reserved)")
async def extension(bench: Bench) -> str:
    """key_ID_extension and key_IDs_extension are optional objects."""
    made = await bench.keys({})
    entry: dict[str, Any] = {"key_ID": made[0].id, "key_ID_extension": {}}
    raise Note(told(await _say(bench, {"key_IDs": [entry], "key_IDs_extension": {}})))


async def _say(bench: Bench, body: Any) -> Reply:
    options = bench.options
    return await bench.ask(options.slave, bench.path(options.master.id, "dec_keys"), body)


async def _settled(bench: Bench) -> None:
    """Another key is made and fetched, so the network is done with what came before it."""
    await bench.fetch(_ids(await bench.keys({})))


def _ids(made: tuple[Key, ...]) -> tuple[str, ...]:
    if not made:
        raise Failed("enc_keys gave no key")
    return tuple(key.id for key in made)


def _equal(got: dict[str, bytes], made: tuple[Key, ...]) -> str:
    wanted = {key.id.casefold(): key.digest for key in made}
    require(got.keys() == wanted.keys(), f"{len(got)} keys with other ids than the {len(wanted)} asked for")
    require(got == wanted, "master and slave hold different keys under one id")
    return f"{len(got)} equal"


def _bad(reply: Reply) -> str:
    require(reply.status == 400, told(reply))
    return told(reply)
