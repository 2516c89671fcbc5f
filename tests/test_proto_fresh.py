"""The proof of freshness finds what is stale, missing and left over."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def proto_fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The script, pointed at a folder of its own with one good source."""
    spec = importlib.util.spec_from_file_location("proto_fresh", Path(__file__).with_name("proto_fresh.py"))
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    source = tmp_path / "thing.proto"
    source.write_text('syntax = "proto3";\npackage thing;\nmessage Thing { string name = 1; }\n')
    monkeypatch.setattr(script, "PROTO", tmp_path)
    script.generate([source], tmp_path)
    return script


def test_fresh_code_is_no_difference(proto_fresh, capsys):
    assert proto_fresh.main() == 0
    assert capsys.readouterr().out == ""


def test_each_kind_of_difference_is_named(proto_fresh, tmp_path, capsys):
    (tmp_path / "thing_pb2.pyi").write_text("stale")
    (tmp_path / "thing_pb2_grpc.py").unlink()
    (tmp_path / "gone_pb2.py").touch()
    assert proto_fresh.main() == 1
    assert capsys.readouterr().out.splitlines() == [
        "proto/gone_pb2.py: its source is gone",
        "proto/thing_pb2.pyi: not what its source generates",
        "proto/thing_pb2_grpc.py: not committed",
        "run `make proto` and commit the result",
    ]


def test_a_source_that_is_none_is_told(proto_fresh, tmp_path):
    (tmp_path / "bad.proto").write_text("message {")
    with pytest.raises(RuntimeError, match="refused"):
        proto_fresh.differences()
