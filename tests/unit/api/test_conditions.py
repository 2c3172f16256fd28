"""Conditions and reasons: every reason explains its meaning and the next step."""

import re

import pytest

from taskruns.api.conditions import TERMINAL_PHASES, ConditionType, FailureKind, Phase
from taskruns.api.reasons import Reason

KUBERNETES_REASON = re.compile(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?")
"""Pattern of metav1.Condition for a reason."""

SENTENCE = re.compile(r"[A-Za-z].*[.]", re.DOTALL)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_meaning_and_advice(reason: Reason) -> None:
    assert SENTENCE.fullmatch(reason.meaning)
    assert SENTENCE.fullmatch(reason.advice)
    assert "\n" not in reason.meaning + reason.advice
    assert "|" not in reason.meaning + reason.advice, "they stand in a table"


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_is_one_word_named_like_its_member(reason: Reason) -> None:
    assert KUBERNETES_REASON.fullmatch(reason)
    assert reason.lower() == reason.name.replace("_", "").lower()


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_is_found_by_its_name(reason: Reason) -> None:
    assert Reason.named(str(reason)) is reason


@pytest.mark.parametrize("word", [None, "", "Unheard", "completed"])
def test_an_unknown_reason_is_not_found(word: str | None) -> None:
    assert Reason.named(word) is None


def test_every_kind_of_failure_has_a_reason() -> None:
    assert {reason.kind for reason in Reason} == {None, *FailureKind}


def test_reasons_have_distinct_meanings() -> None:
    assert len({reason.meaning for reason in Reason}) == len(Reason)


def test_three_phases_are_terminal() -> None:
    assert {phase for phase in Phase if phase.terminal} == TERMINAL_PHASES
    assert sorted(TERMINAL_PHASES) == ["Cancelled", "Failed", "Succeeded"]


def test_conditions_have_the_names_that_jobs_and_kstatus_use() -> None:
    assert {"Complete", "Failed", "Reconciling", "Stalled", "Finished"} <= set(ConditionType)
