"""ML-DSA identities of a laboratory are such as its agents accept."""

import datetime as dt
from pathlib import Path

import pytest

from keyweave_agents.keys.pqc.files import read_identity
from keyweave_agents.keys.pqc.identity import Untrusted
from keyweave_agents.keys.pqc.settings import PqcSettings
from keyweave_core.errors import InvalidInput, SettingsError
from keyweave_core.model.ids import NodeId
from keyweave_lab.pqc_pki import LabPqcPki, PqcFiles

NOW = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
A, B = NodeId("00000000-0000-4000-8000-00000000000a"), NodeId("00000000-0000-4000-8000-00000000000b")


def settings(files: PqcFiles) -> PqcSettings:
    return PqcSettings(private_key=files.private_key, certificate=files.certificate, ca=files.ca)


def test_two_nodes_believe_each_other(tmp_path: Path) -> None:
    pki = LabPqcPki(tmp_path, now=NOW)
    a = read_identity(settings(pki.node("A", A)), A, NOW.timestamp())
    b = read_identity(settings(LabPqcPki(tmp_path, now=NOW).node("B", B)), B, NOW.timestamp())
    signature = a.sign(b"message", b"context")
    b.check(A, a.credential, b"message", signature, b"context", NOW.timestamp())
    for node_id, message, context in (
        (B, b"message", b"context"),
        (A, b"another", b"context"),
        (A, b"message", b"another"),
    ):
        with pytest.raises(Untrusted):
            b.check(node_id, a.credential, message, signature, context, NOW.timestamp())


def test_an_authority_that_is_not_known_or_too_old_is_not_believed(tmp_path: Path) -> None:
    a = read_identity(settings(LabPqcPki(tmp_path / "one", now=NOW).node("A", A)), A, NOW.timestamp())
    b = read_identity(settings(LabPqcPki(tmp_path / "two", now=NOW).node("B", B)), B, NOW.timestamp())
    signature = a.sign(b"message", b"context")
    with pytest.raises(Untrusted, match="no authority"):
        b.check(A, a.credential, b"message", signature, b"context", NOW.timestamp())
    with pytest.raises(Untrusted, match="not valid now"):
        a.check(A, a.credential, b"message", signature, b"context", NOW.timestamp() + 400 * 86_400)


def test_files_are_private_and_of_the_node(tmp_path: Path) -> None:
    files = LabPqcPki(tmp_path, now=NOW).node("A", A)
    for path in (files.private_key, files.certificate, tmp_path / "pqc-ca.key"):
        assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(SettingsError, match="is not of node"):
        read_identity(settings(files), B, NOW.timestamp())


def test_a_key_of_another_kind_is_no_authority(tmp_path: Path) -> None:
    LabPqcPki(tmp_path, now=NOW)
    from keyweave_lab.pki import LabPki

    LabPki(tmp_path, now=NOW)
    (tmp_path / "pqc-ca.key").write_bytes((tmp_path / "ca.key").read_bytes())
    with pytest.raises(InvalidInput, match="not the key of an authority"):
        LabPqcPki(tmp_path, now=NOW)
