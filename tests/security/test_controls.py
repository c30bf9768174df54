"""The list of what takes each control out fits the threat model and the code, so that it cannot rot."""

from __future__ import annotations

import pytest

from tests.security.controls import Control, controls, threats

CONTROLS = controls()


def test_every_test_of_the_threat_model_has_seen_its_control_taken_out() -> None:
    """Row by row: none without an entry, no entry of a row or a test that has gone."""
    told = {
        threat: {t for one in CONTROLS if one.threat == threat for t in one.tests} for threat in threats()
    }
    assert told == threats()
    assert {one.threat for one in CONTROLS} == set(told)


@pytest.mark.parametrize("control", CONTROLS, ids=lambda one: one.control)
def test_what_is_taken_out_is_there_once(control: Control) -> None:
    """And something else takes its place."""
    assert control.out
    for edit in control.out:
        assert (edit.times(), edit.text != edit.instead) == (1, True), edit
