"""Inputs for the fuzz targets: what real clients send, and changes to it from a seeded source.

Rule of this file: the same seed gives the same inputs. The corpus holds hellos and rpcs in the forms of
ncclient, netconf-client, scrapli, netopeer2 and yangcli, whole sessions of them, and what was found before.
"""

import random
from collections.abc import Iterator
from pathlib import Path

from .trees import mutate_tree

CORPUS = Path(__file__).parent / "corpus"
_TOKENS = (
    b"\n##\n", b"\n#", b"\n#1\n", b"\n#0\n", b"\n#4294967295\n", b"]]>]]>", b"]]>", b"<![CDATA[",
    b"<!--", b"-->", b"<!DOCTYPE r>", b"<?p?>", b"&#0;", b"&#x41;", b"&lt;", b"&e;", b'xmlns=""',
    b' xmlns:x="urn:x"', b"x:", b"<x>", b"</x>", b"<x/>", b"\x00", b"\xff", "鍵".encode(),
    b"\xef\xbb\xbf", b" " * 64, b"9" * 20, b"-1", b"''", b' nc:operation="delete"',
    b' nc:operation="remove"', b' nc:operation="replace"', b' operation="create"', b"<running/>",
    b"<candidate/>", b"<startup/>", b"<filter/>", b'<filter type="xpath" select="//*"/>',
    b"<config/>", b"<get/>", b"<close-session/>", b' message-id="1"', b' type="xpath" select="',
    b"/..", b"[1]", b' yang:insert="first"', b' xmlns:yang="urn:ietf:params:xml:ns:yang:1"',
    b"PHYS", b"t:CLIENT", b"true",
)  # fmt: skip
_HELLO_FILE = "hello-netopeer2.xml"
_LONGEST = 20_000


def corpus(kind: str = "") -> list[tuple[str, bytes]]:
    """Name and content of the kept files whose name begins with `kind`, in a fixed order."""
    return [(path.name, path.read_bytes()) for path in sorted(CORPUS.glob(f"{kind}*"))]


def mutate(data: bytes, source: random.Random, others: list[bytes]) -> bytes:
    """A few random changes of `data`; pieces of `others` may come in."""
    changed = bytearray(data)
    for _ in range(1 + min(7, int(source.expovariate(0.6)))):
        at = source.randrange(len(changed) + 1)
        end = min(len(changed), at + 1 + int(source.expovariate(0.08)))
        match source.randrange(8):
            case 0 if changed:
                changed[at - 1] ^= 1 << source.randrange(8)
            case 1:
                del changed[at:end]
            case 2:
                changed[at:at] = source.choice(_TOKENS)
            case 3:
                changed[at:end] = source.choice(_TOKENS)
            case 4:
                changed[at:at] = changed[at:end] * source.randrange(1, 4)
            case 5:
                other = source.choice(others)
                begin = source.randrange(len(other) + 1)
                changed[at:end] = other[begin : begin + 1 + int(source.expovariate(0.02))]
            case 6:
                _swap_names(changed, source)
            case _:
                changed[at:at] = bytes(source.randrange(256) for _ in range(source.randrange(1, 5)))
    return bytes(changed[:_LONGEST])


def _swap_names(changed: bytearray, source: random.Random) -> None:
    """Put one XML name of the document in the place of another."""
    words = [word for word in bytes(changed).replace(b"<", b" ").replace(b">", b" ").split() if len(word) > 2]
    if len(words) > 1:
        one, other = source.sample(words, 2)
        at = changed.find(one)
        changed[at : at + len(one)] = other


def inputs(kind: str, seed: int) -> Iterator[bytes]:
    """Endless mutations of the corpus files of a kind, chosen by `seed`; of sessions, every other keeps its
    framing, so that the changed rpcs come through to the operations."""
    source = random.Random(seed)  # noqa: S311 - repeatable on purpose
    files = [data for _, data in corpus(kind)]
    everything = [data for _, data in corpus()]
    while True:
        yield mutate(source.choice(files), source, everything)
        if kind != "session":
            yield mutate_tree(source.choice(files), source)
        if kind == "session":
            yield _framed(source, everything)


def _framed(source: random.Random, everything: list[bytes]) -> bytes:
    """A right hello, and a few rpcs in right chunks, most of them changed."""
    rpcs = [data for _, data in corpus("rpc")]
    parts = [(CORPUS / _HELLO_FILE).read_bytes() + b"]]>]]>"]
    for _ in range(source.randrange(1, 6)):
        chosen = source.choice(rpcs)
        style = source.random()
        if style < 0.25:
            message = mutate(chosen, source, everything)
        else:
            message = mutate_tree(chosen, source) if style < 0.85 else chosen
        if message:
            parts.append(b"\n#%d\n%b\n##\n" % (len(message), message))
    return b"".join(parts)


def steady(data: bytes) -> random.Random:
    """A source that depends on the input alone."""
    return random.Random(len(data))  # noqa: S311 - repeatable on purpose


def pieces(data: bytes, source: random.Random) -> list[bytes]:
    """The same bytes cut at random places, as a network may deliver them."""
    style = source.randrange(4)
    if style == 0:
        return [data]
    longest = (1, 7, 400)[style - 1]
    if style == 1:
        data_start, rest = data[:300], data[300:]
        return [data_start[i : i + 1] for i in range(len(data_start))] + ([rest] if rest else [])
    found, at = [], 0
    while at < len(data):
        size = source.randrange(1, longest + 1)
        found.append(data[at : at + size])
        at += size
    return found
