"""External programs: all have a time limit, and long ones report progress."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.cluster.error import ClusterError
from tests.cluster.progress import Progress

HEARTBEAT = 20.0
TAIL_LINES = 25


def run(
    argv: Sequence[str | Path], *, within: float = 60, stdin: str | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a short command; raise ClusterError with its output if it fails."""
    text = [str(arg) for arg in argv]
    try:
        done = subprocess.run(
            text, input=stdin, capture_output=True, text=True, timeout=within, check=False
        )
    except FileNotFoundError as error:
        raise ClusterError(f"{text[0]} is not installed or not on the PATH") from error
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"`{' '.join(text)}` did not end within {within:.0f} s") from error
    if check and done.returncode:
        printed = (done.stderr or done.stdout).strip()
        raise ClusterError(f"`{' '.join(text)}` failed ({done.returncode}):\n{printed}")
    return done


def run_long(
    argv: Sequence[str | Path],
    *,
    task: str,
    log: Path,
    progress: Progress,
    within: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    note: Callable[[], str] = str,
) -> None:
    """Run a command that takes minutes, with its output in a log and regular progress lines."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(arg) for arg in argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
        )
        try:
            _follow(process, task, progress, within, note)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
    if process.returncode:
        raise ClusterError(f"{task} failed ({process.returncode}). {tail(log)}")


def _follow(
    process: "subprocess.Popen[bytes]",
    task: str,
    progress: Progress,
    within: float,
    note: Callable[[], str],
) -> None:
    began = time.monotonic()
    while True:
        left = began + within - time.monotonic()
        if left <= 0:
            raise ClusterError(f"{task} did not end within {within / 60:.0f} minutes")
        try:
            process.wait(timeout=min(HEARTBEAT, left))
        except subprocess.TimeoutExpired:
            progress.say(f"... still {task}{note()}")
        else:
            return


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """Return the last lines of a log, or the message that it does not exist."""
    if not log.exists():
        return f"Its log {log} does not exist."
    last = log.read_text(errors="replace").splitlines()[-lines:]
    return "\n".join([f"The end of {log}:", *(f"  | {line}" for line in last)])
