"""Get key (ETSI GS QKD 014 clauses 5.3, 6.2 and 6.3)."""

from typing import Any

from keyweave_lab.conform.check import NotApplicable, Note, check, require
from keyweave_lab.conform.etsi014.bench import Bench
from keyweave_lab.conform.etsi014.form import (
    MANDATORY_UNKNOWN,
    NOT_BYTES,
    OPTIONAL_UNHANDLED,
    Key,
    message_of,
    told,
)
from keyweave_lab.conform.https import Reply

_EXTENSION = {"keyweave_conform_unheard_of": True}


@check("C1.post", "014 5.3, 6.2", "POST `{}` gives one key of key_size bits")
async def post_nothing(bench: Bench) -> str:
    """Every member of a key request is optional."""
    return _of_size(await bench.keys({}), 1, bench.figure("key_size"))


@check("C1.get", "014 5.3", "GET without parameters gives one key of key_size bits")
async def get_nothing(bench: Bench) -> str:
    """The same by GET."""
    return _of_size(await bench.keys(), 1, bench.figure("key_size"))


@check("C2.post", "014 6.2", "POST number and size gives as many keys of so many bits")
async def post_both(bench: Bench) -> str:
    """Three keys (or as many as one request may) of the default size, asked for by name."""
    number, size = min(3, bench.figure("max_key_per_request")), bench.figure("key_size")
    return _of_size(await bench.keys({"number": number, "size": size}), number, size)


@check("C2.get", "014 5.3", "GET ?number=&size= gives the same as POST")
async def get_both(bench: Bench) -> str:
    """The two parameters that GET has."""
    number, size = min(3, bench.figure("max_key_per_request")), bench.figure("key_size")
    return _of_size(await bench.keys(query=f"?number={number}&size={size}"), number, size)


@check("C3.least", "014 6.1, 6.2", "keys of min_key_size")
async def least_size(bench: Bench) -> str:
    """The lower end of what status promises."""
    size = bench.figure("min_key_size")
    return _of_size(await bench.keys({"size": size}), 1, size)


@check("C3.most", "014 6.1, 6.2", "keys of max_key_size")
async def most_size(bench: Bench) -> str:
    """The upper end of what status promises."""
    size = bench.figure("max_key_size")
    return _of_size(await bench.keys({"size": size}), 1, size)


@check("C3.below", "014 6.1", "a size below min_key_size is refused")
async def below(bench: Bench) -> str:
    """Which status is left open."""
    size = (bench.figure("min_key_size") - 1) // 8 * 8
    if size < 8:
        raise NotApplicable(f"min_key_size {bench.figure('min_key_size')} leaves nothing below it")
    return _refused(await _ask(bench, {"size": size}))


@check("C3.above", "014 6.1", "a size above max_key_size is refused")
async def above(bench: Bench) -> str:
    """Which status is left open."""
    return _refused(await _ask(bench, {"size": bench.figure("max_key_size") // 8 * 8 + 8}))


@check("C3.odd", "014 5.3", f"a size that is no multiple of 8 is served, or refused with {NOT_BYTES!r}")
async def odd(bench: Bench) -> str:
    """One bit less than the largest size."""
    size = bench.figure("max_key_size") // 8 * 8 - 1
    if size < bench.figure("min_key_size"):
        raise NotApplicable("there is but one size")
    reply = await bench.try_keys({"size": size})
    if reply.status == 200:
        return _of_size(bench.taken(reply), 1, size)
    require(reply.status == 400 and message_of(reply) == NOT_BYTES, told(reply))
    return told(reply)


@check("C4.most", "014 6.1", "max_key_per_request keys in one request")
async def most_keys(bench: Bench) -> str:
    """As many as status promises."""
    number, size = bench.figure("max_key_per_request"), bench.figure("key_size")
    if number > bench.options.bulk:
        raise NotApplicable(f"max_key_per_request {number} is above --bulk {bench.options.bulk}")
    return _of_size(await bench.keys({"number": number}), number, size)


@check("C4.above", "014 6.1", "one key more than max_key_per_request is refused")
async def too_many(bench: Bench) -> str:
    """Which status is left open; 400 is what most answer."""
    return _refused(await _ask(bench, {"number": bench.figure("max_key_per_request") + 1}))


@check("C5.negative", "014 5.3, 6.5", "number -1 is answered with 400")
async def negative(bench: Bench) -> str:
    """A request of the wrong form."""
    return _bad(await bench.try_keys({"number": -1}))


@check("C5.word", "014 5.3, 6.5", "a number that is a word is answered with 400")
async def word(bench: Bench) -> str:
    """The member is an integer."""
    return _bad(await bench.try_keys({"number": "three"}))


@check("C5.size-word", "014 5.3, 6.5", "a size that is an object is answered with 400")
async def size_word(bench: Bench) -> str:
    """The member is an integer."""
    return _bad(await bench.try_keys({"size": {"bits": 256}}))


@check("C5.zero", "014 6.2", "what number 0 gives (left open)")
async def zero(bench: Bench) -> str:
    """No keys, or a refusal; keys would be an invention."""
    reply = await bench.try_keys({"number": 0})
    if reply.status == 200:
        require(not bench.taken(reply), "keys came")
        raise Note("200 with no keys")
    return told(reply)


@check("C5.size-zero", "014 6.1", "size 0 is refused")
async def size_zero(bench: Bench) -> str:
    """Below every min_key_size."""
    return _refused(await _ask(bench, {"size": 0}))


@check(
    "C6.mandatory", "014 5.3", f"an unknown mandatory extension is answered with 400 {MANDATORY_UNKNOWN!r}"
)
async def mandatory(bench: Bench) -> str:
    """The name has a vendor prefix that no vendor has."""
    reply = await bench.try_keys({"extension_mandatory": [_EXTENSION]})
    require(reply.status == 400, told(reply))
    require(message_of(reply) == MANDATORY_UNKNOWN, told(reply))
    return told(reply)


@check("C6.optional", "014 5.3", f"an unknown optional extension is ignored, or 400 {OPTIONAL_UNHANDLED!r}")
async def optional(bench: Bench) -> str:
    """Both ways are allowed."""
    reply = await bench.try_keys({"extension_optional": [_EXTENSION]})
    if reply.status == 200:
        bench.taken(reply)
        return "ignored"
    require(reply.status == 400 and message_of(reply) == OPTIONAL_UNHANDLED, told(reply))
    return told(reply)


@check("C7.no-json", "014 5.3, 6.5", "a body that is no JSON is answered with 400")
async def no_json(bench: Bench) -> str:
    """Cut in the middle."""
    return _bad(await bench.try_keys(b'{"number": 1'))


@check("C7.array", "014 5.3, 6.5", "a body that is a JSON array is answered with 400")
async def array(bench: Bench) -> str:
    """A key request is an object."""
    return _bad(await bench.try_keys([]))


@check("C7.no-text", "014 5.1 (RFC 8259 8.1)", "a body that is no UTF-8 is answered with 400")
async def no_text(bench: Bench) -> str:
    """JSON between systems is UTF-8."""
    return _bad(await bench.try_keys(b'{"extension_optional": [{"x_y": "\xff\xfe"}]}'))


@check("C7.member", "014 6.2", "what an unknown member of the request does (left open)")
async def member(bench: Bench) -> str:
    """Ignored by some, refused by others."""
    reply = await bench.try_keys({"number": 1, "colour": "red"})
    if reply.status == 200:
        bench.taken(reply)
    raise Note("ignored" if reply.status == 200 else told(reply))


@check("C8.get-more", "014 5.3", "what GET with another parameter gives (the standard sends it by POST)")
async def get_more(bench: Bench) -> str:
    """A rule for clients; servers may be strict."""
    reply = await bench.try_keys(query="?number=1&colour=red")
    if reply.status == 200:
        bench.taken(reply)
    raise Note("ignored" if reply.status == 200 else told(reply))


@check("C8.get-body", "014 5.3", "what GET with a body gives (left open)")
async def get_body(bench: Bench) -> str:
    """HTTP gives such a body no meaning (RFC 7231 4.3.1)."""
    path = bench.path(bench.options.slave.id, "enc_keys")
    reply = await bench.ask(bench.options.master, path, {"number": 2}, method="GET")
    if reply.status == 200:
        raise Note(f"the body is {'heeded' if len(bench.taken(reply)) == 2 else 'ignored'}")
    raise Note(told(reply))


@check("C8.put", "014 5.3 (RFC 7231 6.5.5)", "PUT gives no keys")
async def put(bench: Bench) -> str:
    """Methods of the table alone."""
    path = bench.path(bench.options.slave.id, "enc_keys")
    return _refused(await bench.ask(bench.options.master, path, {}, method="PUT"))


@check(
    "C9.below", "014 6.1, 6.2", "additional_slave_SAE_IDs: all slaves get identical keys", needs=("third",)
)
async def multicast(bench: Bench) -> str:
    """Only where max_SAE_ID_count allows it."""
    third = bench.options.third
    if third is None or bench.figure("max_SAE_ID_count") == 0:
        raise NotApplicable("max_SAE_ID_count is 0: no multicast")
    made = await bench.keys({"additional_slave_SAE_IDs": [third.id]})
    wanted = {key.id.casefold(): key.digest for key in made}
    ids = tuple(key.id for key in made)
    for sae in (bench.options.slave, third):
        require(await bench.fetch(ids, sae=sae) == wanted, f"{sae.id} got another key")
    return f"{len(ids)} key for two slaves"


@check(
    "C9.alone", "014 5.4", "keys for the slave alone stay its own after some for several", needs=("third",)
)
async def alone(bench: Bench) -> str:
    """The third application was named in another request, not in this one."""
    third = bench.options.third
    if third is None or bench.figure("max_SAE_ID_count") == 0:
        raise NotApplicable("max_SAE_ID_count is 0: no multicast")
    await bench.keys({"additional_slave_SAE_IDs": [third.id]})
    made = await bench.keys({})
    wanted = {key.id.casefold(): key.digest for key in made}
    ids = tuple(key.id for key in made)
    reply = await bench.try_fetch(ids, sae=third)
    require(reply.status != 200, "the key was delivered to who was not named")
    require(await bench.fetch(ids) == wanted, "the slave got another key")
    return told(reply)


@check("C9.above", "014 6.1, 6.2", "more additional slaves than max_SAE_ID_count are refused")
async def too_many_slaves(bench: Bench) -> str:
    """One more than status allows; where that is 0, there is no multicast at all."""
    most = bench.figure("max_SAE_ID_count")
    if most > 10_000:
        raise NotApplicable(f"max_SAE_ID_count {most}")
    ids = [f"keyweave-conform-{number}" for number in range(most + 1)]
    return _refused(await _ask(bench, {"additional_slave_SAE_IDs": ids}))


@check("C10", "014 5.3", "what asking for keys with oneself gives (left open)")
async def oneself(bench: Bench) -> str:
    """Master and slave are the same application."""
    master = bench.options.master
    raise Note(told(await bench.ask(master, bench.path(master.id, "enc_keys"), {})))


@check("C11", "014 5.3, 6.3", "eight requests at once get eight different keys")
async def at_once(bench: Bench) -> str:
    """Ids and keys of all of them."""
    found = await bench.together(*(bench.keys({}) for _ in range(8)))
    keys = [key for one in found for key in one]
    require(len({key.id.casefold() for key in keys}) == 8, "an id came twice")
    require(len({key.digest for key in keys}) == 8, "a key came twice")
    return "8 keys, all different"


async def _ask(bench: Bench, body: Any) -> Reply:
    """A POST that is to be refused, so that 503 is an answer too."""
    return await bench.ask(bench.options.master, bench.path(bench.options.slave.id, "enc_keys"), body)


def _of_size(keys: tuple[Key, ...], number: int, bits: int) -> str:
    require(len(keys) == number, f"{len(keys)} keys instead of {number}")
    wanted = (bits + 7) // 8 * 8
    other = sorted({key.bits for key in keys} - {wanted})
    require(not other, f"keys of {', '.join(map(str, other))} bits instead of {bits}")
    return f"{number} of {bits} bits"


def _refused(reply: Reply) -> str:
    require(reply.status >= 400, told(reply))
    return told(reply)


def _bad(reply: Reply) -> str:
    require(reply.status == 400, told(reply))
    return told(reply)
