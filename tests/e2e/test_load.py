"""Many at once: nothing is lost, nothing is done twice, and the small ones are not forgotten."""

from collections import Counter

from taskruns.api.conditions import Outcome, Phase, Reason
from tests.support import laws
from tests.support.ending import Ending
from tests.support.ledger import END, START
from tests.support.manifests import shell
from tests.support.run import Run
from tests.support.stage import Stage

MANY = 50
SECONDS = 180


def test_50_runs_at_once_all_succeed_and_each_starts_once(stage: Stage) -> None:
    spec = shell(f"{START}; {END}") | stage.ledger.mount()
    runs = [stage.create(f"many-{number}", spec) for number in range(MANY)]
    for run in runs:
        run.ended(SECONDS)
    ending = Ending(Phase.SUCCEEDED, Reason.COMPLETED, 0, attempts=(Outcome.SUCCEEDED,))
    for run in runs:
        ending.check(run)
        run.pods_gone()
        laws.check(run)
    assert _of(runs, stage.ledger.all_starts()) == {run.uid: 1 for run in runs}


def _of(runs: list[Run], counts: Counter[str]) -> dict[str, int]:
    return {run.uid: counts[run.uid] for run in runs}
