"""What an agent leaves out of memory is left out, and what it needs of it still works."""

import subprocess
import sys
from types import ModuleType

import pytest

from keyweave_agents.lean import leave_out_what_is_not_used

PROGRAM = """
import sys
from keyweave_agents.lean import leave_out_what_is_not_used
leave_out_what_is_not_used()
import keyweave_agents.app
from keyweave_core.errors import SchemaViolation
from keyweave_yang.encode import encode_refusal
from keyweave_yang.namespaces import etsi, new_tree, QKD_NODE
from keyweave_yang.schema import load_schema
schema = load_schema("agent")
node = new_tree(QKD_NODE)
leaf = node.makeelement(etsi("qkdn_id"))
node.append(leaf)
leaf.text = "aaaaaaaa-0000-4000-8000-000000000000"
schema.validate([node])
leaf.text = "not that"
try:
    schema.validate([node])
except SchemaViolation:
    pass  # the pattern of yang:uuid was looked at
else:
    raise SystemExit("a pattern was not checked")
for name in ("rich.console", "elementpath.xpath2", "grpc", "numpy", "sqlalchemy"):
    if sys.modules.get(name) is not None:
        raise SystemExit(f"{name} is loaded")
"""


def test_an_agent_loads_without_what_it_does_not_use_and_patterns_are_still_checked() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_is_loaded_already_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {name: ModuleType(name) for name in ("rich", "elementpath")}
    for name, module in there.items():
        monkeypatch.setitem(sys.modules, name, module)
    leave_out_what_is_not_used()
    assert {name: sys.modules[name] for name in there} == there


def test_a_package_that_is_laid_out_otherwise_is_loaded_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich", ModuleType("rich"))
    monkeypatch.delitem(sys.modules, "elementpath", raising=False)
    monkeypatch.setitem(sys.modules, "elementpath.regex", ModuleType("elementpath.regex"))
    leave_out_what_is_not_used()
    assert "elementpath" not in sys.modules
