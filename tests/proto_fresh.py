"""Prove that the committed code of every .proto file is what its generator makes today.

Run by `make proto-fresh`: generates into a directory of its own, compares byte by byte with what lies beside
the sources, prints each difference and exits with status 1 when there is one. Changes nothing.
"""

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
_SUFFIXES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py")


def generate(sources: list[Path], into: Path) -> None:
    """Generate the code of `sources` below `into`; RuntimeError when the compiler refuses."""
    import grpc_tools
    from grpc_tools import protoc

    well_known = Path(grpc_tools.__file__).parent / "_proto"
    arguments = ["protoc", f"-I{PROTO}", f"-I{well_known}"]
    arguments += [f"--{kind}_out={into}" for kind in ("python", "pyi", "grpc_python")]
    if protoc.main([*arguments, *(str(source) for source in sources)]) != 0:
        raise RuntimeError("the protocol compiler refused a source")


def differences() -> list[str]:
    """One sentence for each generated file that is missing, stale or left over."""
    sources = sorted(PROTO.rglob("*.proto"))
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        generate(sources, made)
        fresh = {path.relative_to(made): path.read_bytes() for path in made.rglob("*") if path.is_file()}
    held = {
        path.relative_to(PROTO): path.read_bytes()
        for path in PROTO.rglob("*")
        if path.is_file() and path.name.endswith(_SUFFIXES)
    }
    for name in sorted(fresh.keys() | held.keys()):
        if name not in held:
            faults.append(f"proto/{name}: not committed")
        elif name not in fresh:
            faults.append(f"proto/{name}: its source is gone")
        elif fresh[name] != held[name]:
            faults.append(f"proto/{name}: not what its source generates")
    return faults


def main() -> int:
    """Print the differences; 1 when there are any."""
    faults = differences()
    for fault in faults:
        print(fault)
    if faults:
        print("run `make proto` and commit the result")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
