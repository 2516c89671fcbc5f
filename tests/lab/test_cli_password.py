"""The verb that makes hashes of passwords."""

from typer.testing import CliRunner

from keyweave_core.netconf.ssh.passwords import password_fits
from keyweave_lab.cli import app


def test_a_password_comes_out_as_its_hash() -> None:
    first = CliRunner().invoke(app, ["password"], input="correct horse\n")
    again = CliRunner().invoke(app, ["password"], input="correct horse\n")
    assert first.exit_code == 0
    assert password_fits(first.stdout.strip(), "correct horse")
    assert first.stdout != again.stdout


def test_an_empty_password_is_none() -> None:
    assert CliRunner().invoke(app, ["password"], input="\n").exit_code == 2
