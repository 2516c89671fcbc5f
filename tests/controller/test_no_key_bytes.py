"""Key bytes never reach the controller: nothing it speaks, stores or imports could carry them."""

import ast
import dataclasses
import typing
from pathlib import Path

import pytest
from google.protobuf.descriptor import FieldDescriptor
from sqlalchemy import LargeBinary

import keyweave_controller
from keyweave_controller.control import actions, events, state
from keyweave_controller.engine import schema
from keyweave_controller.management import manager
from keyweave_core.model import application, link, node, notifications
from keyweave_proto.v1 import keyweave_pb2 as pb

PACKAGE = Path(keyweave_controller.__file__).parent
BINARY = (bytes, bytearray, memoryview)


def test_no_message_of_the_northbound_has_a_field_of_bytes():
    messages = list(pb.DESCRIPTOR.message_types_by_name.values())
    assert len(messages) > 30
    for message in messages:
        for field in message.fields:
            assert field.type != FieldDescriptor.TYPE_BYTES, f"{message.full_name}.{field.name}"


def test_no_message_of_the_northbound_names_key_material():
    for message in pb.DESCRIPTOR.message_types_by_name.values():
        for field in message.fields:
            assert field.name not in {"key", "keys", "secret", "material", "pad", "digest"}, message.full_name


def test_no_column_of_the_store_is_binary():
    for table in schema.metadata.tables.values():
        for column in table.columns:
            assert not isinstance(column.type, LargeBinary), f"{table.name}.{column.name}"


def _types(hint: object, seen: set[object]) -> None:
    """Every type that a value of this hint may hold, however deep."""
    if hint in seen:
        return
    seen.add(hint)
    for inner in typing.get_args(hint):
        _types(inner, seen)
    if dataclasses.is_dataclass(hint):
        for inner in typing.get_type_hints(hint).values():
            _types(inner, seen)


@pytest.mark.parametrize(
    "root",
    [events.Event, actions.Action, state.NetworkState, manager.ManagementState],
    ids=["events", "actions", "network", "management"],
)
def test_nothing_that_is_journaled_kept_or_handed_out_can_hold_bytes(root):
    seen: set[object] = set()
    _types(root, seen)
    assert len(seen) > 20
    assert not seen.intersection(BINARY)
    assert typing.Any not in seen
    assert object not in seen


@pytest.mark.parametrize("module", [application, link, node, notifications])
def test_the_model_it_shares_with_the_agents_holds_no_bytes(module):
    for value in vars(module).values():
        if dataclasses.is_dataclass(value):
            seen: set[object] = set()
            _types(value, seen)
            assert not seen.intersection(BINARY), value


def test_the_controller_never_imports_the_agents():
    sources = list(PACKAGE.rglob("*.py"))
    assert len(sources) > 30
    for source in sources:
        for found in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            names = []
            if isinstance(found, ast.Import):
                names = [alias.name for alias in found.names]
            elif isinstance(found, ast.ImportFrom):
                names = [found.module or ""]
            for name in names:
                assert not name.startswith("keyweave_agents"), f"{source}: {name}"
                assert not name.endswith("relay_pb2"), f"{source}: {name}"
