"""The table of one session."""

from collections import Counter

from tests.chaos.schedule import Kind
from tests.chaos.session import Outcome

MOST_SHOWN = 20


def table(outcome: Outcome) -> str:
    """Return the counts of a session as aligned lines, and then what went wrong."""
    plan, truth, verdicts = outcome.plan, outcome.truth, outcome.verdicts
    released = [pod for pod in truth.pods.values() if pod.started]
    ends = Counter(str(run.last.get("phase")) for run in truth.runs.values())
    rows: list[tuple[str, object]] = [
        ("seed", plan.seed),
        ("seconds of faults", round(plan.seconds)),
        ("runs", len(truth.runs)),
        *((f"  {phase}", number) for phase, number in sorted(ends.items())),
        ("attempts recorded", sum(len(run.records) for run in truth.runs.values())),
        ("Pods created", len(truth.pods)),
        ("Pods whose work started", len(released)),
        ("lines that containers wrote", sum(map(len, truth.lines.values()))),
        ("requests of controllers", truth.requests.total()),
        *((str(kind), outcome.faults[kind]) for kind in Kind if kind in plan.kinds),
        ("controllers ended by themselves", outcome.exits),
        ("seconds until all was at rest", round(outcome.settled)),
        ("lost", len(verdicts.lost)),
        ("repeated", len(verdicts.repeated)),
        ("stuck", len(verdicts.stuck)),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:{width}}  {value:>8}" for name, value in rows]
    for kind in ("lost", "repeated", "stuck"):
        lines += [f"{kind}: {text}" for text in getattr(verdicts, kind)[:MOST_SHOWN]]
    return "\n".join(lines)
