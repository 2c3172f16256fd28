"""Expected end of a run: one comparison of everything that a client may rely on."""

import re
from dataclasses import dataclass, field

from taskruns.api.conditions import ConditionType, FailureKind, Outcome, Phase
from taskruns.api.reasons import Reason
from tests.support.cluster.client import Object
from tests.support.cluster.run import Run


@dataclass(frozen=True, slots=True)
class Ending:
    """The expected end of a run in its status; the message must match every pattern."""

    phase: Phase
    reason: Reason
    exit_code: int | None = None
    message: tuple[str, ...] = ()
    attempts: tuple[Outcome, ...] = ()
    result: str | None = None
    conditions: dict[str, str] = field(default_factory=dict)

    def check(self, run: Run) -> Object:
        """Wait for the end, compare all of it, and return the status.

        Raises:
            AssertionError: the end differs from the expected one.
        """
        status = run.ended()
        actual = (status["phase"], status["reason"], status.get("exitCode"))
        assert actual == (self.phase, self.reason, self.exit_code), status
        assert status.get("failureKind") == self._failure_kind(), status
        assert status.get("result") == self.result, status
        self._check_message(status)
        self._check_attempts(run, status)
        self._check_conditions(status)
        assert status["observedGeneration"] == run.seen()["metadata"]["generation"]
        assert status["startTime"] <= status["completionTime"]
        return status

    def _failure_kind(self) -> FailureKind | None:
        return None if self.phase is Phase.SUCCEEDED else self.reason.kind

    def _check_message(self, status: Object) -> None:
        message = status["message"]
        assert message.strip(), "a message for a person"
        assert "\n" not in message, f"not one line: {message!r}"
        for pattern in self.message:
            assert re.search(pattern, message), f"no {pattern!r} in {message!r}"

    def _check_attempts(self, run: Run, status: Object) -> None:
        attempts = status.get("attempts") or []
        assert tuple(attempt["outcome"] for attempt in attempts) == self.attempts, attempts
        numbers = list(range(1, len(self.attempts) + 1))
        assert [attempt["number"] for attempt in attempts] == numbers
        assert [attempt["podName"] for attempt in attempts] == [run.pod_name(n) for n in numbers]
        assert (status.get("failed") or 0) == self.attempts.count(Outcome.FAILED)
        if attempts:
            last = attempts[-1]
            assert status["attempt"] == last["number"]
            assert (status["podName"], status["podUID"]) == (last["podName"], last["podUID"])
            assert last.get("exitCode") == self.exit_code

    def _check_conditions(self, status: Object) -> None:
        actual = {condition["type"]: condition["status"] for condition in status["conditions"]}
        won = self.phase is Phase.SUCCEEDED
        expected = {
            ConditionType.FINISHED: "True",
            ConditionType.COMPLETE: str(won),
            ConditionType.FAILED: str(not won),
            ConditionType.RECONCILING: "False",
            ConditionType.STALLED: str(not won),
            **self.conditions,
        }
        for kind, value in expected.items():
            # Clients wait for True only, so an absent condition equals False.
            assert actual.get(kind, "False") == value, (kind, status["conditions"])


def disrupted(reason: Reason, exit_code: int | None, *message: str) -> Ending:
    """Return the end of a run whose only attempt the cluster ended after main may have started."""
    return Ending(Phase.FAILED, reason, exit_code, message, (Outcome.DISRUPTED,))


def succeeded_after(*before: Outcome) -> Ending:
    """Return the end of a run whose last attempt succeeded after attempts with these outcomes."""
    outcomes = (*before, Outcome.SUCCEEDED)
    return Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=outcomes)
