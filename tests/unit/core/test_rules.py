"""Rules: their order in the file, their names in plans, and `decide` as the docs show it."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from taskruns.core.decide import decide
from taskruns.core.rules import deleting, due, ended, no_attempt, underway
from tests.support.builders.objects import a_claimed_status, a_pod, a_record, a_run, running
from tests.support.decision import Raw, plan_for

ROOT = Path(__file__).parents[3]
MODULES = (deleting, due, ended, no_attempt, underway)
LEFT_BY_A_CRASH = a_pod(gated=True, metadata={"name": "other"})
GATED = a_pod(gated=True)
FINISHED = a_claimed_status("Failed", attempts=[a_record(outcome="Failed")])


def rules_of(module: ModuleType) -> Iterator[tuple[str, list[int]]]:
    for name, rules in vars(module).items():
        if name.endswith("RULES"):
            yield name, [rule.__code__.co_firstlineno for rule in rules]


@pytest.mark.parametrize("module", MODULES)
def test_rules_are_defined_in_the_order_of_evaluation(module: ModuleType) -> None:
    assert list(rules_of(module))
    for name, lines in rules_of(module):
        assert lines == sorted(lines), name


@pytest.mark.parametrize(
    ("run", "pods", "situation", "rule"),
    [
        (None, [], "Ownerless", ""),
        (a_run(), [], "Due", "create"),
        (a_run(cancel=True), [], "Due", "cancel"),
        (a_run(cancel=True), [LEFT_BY_A_CRASH], "Due", "cancel+collect_pods"),
        (a_run(suspend=True, status={"phase": "Suspended"}), [], "Due", "hold"),
        (a_run(status=a_claimed_status("Pending")), [GATED], "Underway", "release_gate"),
        (a_run(status=FINISHED), [], "Finished", "expire"),
        (a_run(status=FINISHED), [a_pod(main=running())], "Finished", "collect_pods"),
        (
            a_run(status=FINISHED | {"observedGeneration": 1}, metadata={"generation": 2}),
            [],
            "Finished",
            "observe_generation",
        ),
    ],
)
def test_a_plan_names_the_situation_and_the_rule(
    run: Raw | None, pods: list[Raw], situation: str, rule: str
) -> None:
    plan = plan_for(run, *pods)
    assert (plan.situation, plan.rule) == (situation, rule)


@pytest.mark.parametrize("page", ["docs/architecture.md", "docs/design.md"])
def test_the_documents_show_the_signature_of_decide(page: str) -> None:
    parameters = ", ".join(inspect.signature(decide).parameters)
    shown = re.findall(r"\bdecide\((.*?)\)", (ROOT / page).read_text())
    assert set(shown) == {parameters}
