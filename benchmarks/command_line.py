"""Time that `taskrun` takes on Docker, beside the docker command.

    python -m benchmarks.command_line [--times 20] [--json]

It needs root, and starts a Docker daemon of its own. `taskrun run` and `docker run --rm` take turns
with a program that ends at once and with one that fails after a second; the network of all
containers is `none`. Then come commands that need no daemon, `list` with 200 ended runs.

Each figure is the minimum and the median, in milliseconds, from the start of the process to its
exit. The first turn is not counted: it compiles the modules.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.cluster import image
from tests.cluster.docker_engine import DockerEngine
from tests.cluster.progress import Progress

TASKRUN = (sys.executable, "-m", "taskruns.cli")
IMAGE = "busybox:1"
RUNS = 200
NETWORK = ("--network", "none")
PROGRAMS: Mapping[str, Sequence[str]] = {
    "true": ("true",),
    "sleep 1; exit 3": ("sh", "-c", "sleep 1; echo done; exit 3"),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """Duration of a command, in milliseconds."""

    command: str
    minimum: float
    median: float


@contextmanager
def daemon() -> Iterator[str]:
    """Run a Docker daemon that has the image; yield its address."""
    engine, progress = DockerEngine.for_containers("benchmark"), Progress(lambda _: None)
    with engine.running(progress):
        engine.load(image.BUSYBOX_IMAGE, image.busybox(progress), progress)
        yield engine.address
        if containers := engine.docker("ps", "--all", "--quiet").stdout.split():
            engine.docker("rm", "--force", *containers)


def milliseconds(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Return the duration of a command, whose exit code does not matter."""
    began = time.perf_counter()
    subprocess.run(command, env=environment, capture_output=True, check=False)  # noqa: S603
    return (time.perf_counter() - began) * 1000


def measure(
    commands: Mapping[str, Sequence[str]], times: int, environment: Mapping[str, str]
) -> list[Figure]:
    """Run each command `times` times, in turns."""
    durations: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(times + 1):
        for name, command in commands.items():
            taken = milliseconds(command, environment)
            if turn:
                durations[name].append(taken)
    return [
        Figure(name, round(min(taken), 1), round(statistics.median(taken), 1))
        for name, taken in durations.items()
    ]


def write_ended_runs(state: Path) -> None:
    """Fill a state directory with copies of the run that is in it."""
    (original,) = (state / "default").glob("*.json")
    record = original.read_text()
    for number in range(RUNS - 1):
        name = f"run-{number:05}"
        (state / "default" / f"{name}.json").write_text(record.replace(original.stem, name))


def main(argv: Sequence[str]) -> int:
    """Run the benchmark and print the figures."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.command_line",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--times", type=int, default=20, metavar="N", help="turns (20)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(argv)
    # With PYTHONDONTWRITEBYTECODE from a shell, every process would compile all modules again.
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder, daemon() as address:
        state = Path(folder)
        environment = clean | {"DOCKER_HOST": address, "TASKRUNS_STATE_DIR": folder}
        run = (*TASKRUN, "run", "--quiet", "--image", IMAGE, "--")
        figures = []
        for title, program in PROGRAMS.items():
            commands = {
                f"docker run --rm: {title}": ("docker", "run", "--rm", *NETWORK, IMAGE, *program),
                f"taskrun run: {title}": (*run, *program),
            }
            figures += measure(commands, args.times, environment)
        for path in sorted((state / "default").glob("*.json"))[1:]:
            path.unlink()
        write_ended_runs(state)
        light = {"--help": "--help", f"list ({RUNS} runs)": "list", "version": "version --client"}
        commands = {f"taskrun {name}": (*TASKRUN, *line.split()) for name, line in light.items()}
        figures += measure(commands, args.times, environment)
    print(json.dumps([asdict(each) for each in figures], indent=2) if args.json else table(figures))
    return 0


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a table for readers."""
    lines = [f"{'command':40}{'minimum':>12}{'median':>12}"]
    lines += [f"{f.command:40}{f.minimum:>9.0f} ms{f.median:>9.0f} ms" for f in figures]
    by_name = {figure.command: figure for figure in figures}
    for title in PROGRAMS:
        ours, theirs = by_name[f"taskrun run: {title}"], by_name[f"docker run --rm: {title}"]
        lines.append(
            f"taskrun run beside docker run, {title}: {ours.minimum - theirs.minimum:+.0f} ms "
            f"at the minimum, {ours.median - theirs.median:+.0f} ms at the median"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
