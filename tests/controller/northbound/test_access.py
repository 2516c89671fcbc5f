"""Callers are who their certificate says, and may what their role says."""

import pytest

from keyweave_controller.northbound.access import Access, Caller, may_change
from keyweave_controller.northbound.refusals import status_of
from keyweave_controller.settings import CallerRole, CallerSettings
from keyweave_core.errors import (
    DeadlineExceeded,
    Exhausted,
    InternalFault,
    InvalidInput,
    PeerUnreachable,
    Refused,
)


def test_without_rules_every_proved_name_is_an_operator():
    caller = Access().identify({"x509_common_name": [b"alice"]})
    assert caller == Caller(name="alice", role=CallerRole.OPERATOR)
    may_change(caller)


def test_a_certificate_without_common_name_goes_by_its_first_alternative():
    caller = Access().identify({"x509_common_name": [b""], "x509_subject_alternative_name": [b"urn:x", b"y"]})
    assert caller.name == "urn:x"


@pytest.mark.parametrize("properties", [{}, {"x509_common_name": [b" "]}])
def test_a_nameless_certificate_is_refused(properties):
    with pytest.raises(Refused, match="carries no name"):
        Access().identify(properties)


def test_rules_let_in_the_listed_only_each_in_its_role():
    access = Access([CallerSettings(name="bob", role=CallerRole.VIEWER)])
    with pytest.raises(Refused, match="'alice' is not on"):
        access.identify({"x509_common_name": [b"alice"]})
    bob = access.identify({"x509_common_name": [b"bob"]})
    with pytest.raises(Refused, match="may look, not change"):
        may_change(bob)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInput("x"), 3),
        (DeadlineExceeded("x"), 4),
        (Refused("x"), 9),
        (Exhausted("x"), 8),
        (PeerUnreachable("x"), 14),
        (InternalFault("x"), 13),
    ],
)
def test_each_branch_of_the_tree_has_its_code_and_our_faults_stay_inside(error, code):
    status = status_of(error)
    assert status.code == code
    assert (status.message == "x") is not isinstance(error, InternalFault)
    assert status.details
