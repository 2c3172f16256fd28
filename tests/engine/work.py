"""What a task does, told once for both runtimes: a line of shell, and a script of the same."""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.simulation import Script
from tests.support.builders.manifests import HEARD

IMAGE = "busybox:1"


@dataclass(frozen=True)
class Work:
    """One task. With several scripts each attempt has its own, by its number."""

    shell: str
    script: Script | Mapping[int, Script]
    program: str = ""
    """A program to run instead of the shell."""

    @property
    def command(self) -> list[str]:
        # Kubernetes reads $$ in arguments as an escaped $.
        return [self.program] if self.program else ["sh", "-c", self.shell.replace("$$", "$$$$")]

    def script_of(self, attempt: int) -> Script:
        if isinstance(self.script, Script):
            return self.script
        return self.script[attempt]


def exits(code: int, last_words: str = "") -> Work:
    said = f"echo {last_words}; {HEARD}; " if last_words else ""
    return Work(f"{said}exit {code}", Script(exit_code=code, log=last_words.encode()))


def writes(shell: str, content: bytes) -> Work:
    """Something that leaves a result."""
    return Work(f"{shell} > /dev/termination-log", Script(termination=content))


def lasts(seconds: float) -> Work:
    """Work that ends well after a while, and does not listen to SIGTERM."""
    return Work(f"trap '' TERM; sleep {seconds}", Script(seconds=seconds))


FOR_EVER = "while :; do sleep 0.1; done"

HELLO = exits(0, "hello")
STUBBORN = Work(f"trap '' TERM; {FOR_EVER}", Script(seconds=10**6))
"""Goes on until it is killed."""
POLITE = Work(
    f"trap 'exit 4' TERM; {FOR_EVER}",
    Script(seconds=10**6, term_seconds=0.1, term_exit_code=4),
)
"""Leaves with an exit code of its own when it is asked to."""
THIRD_TIME_LUCKY = Work(
    '[ "$TASKRUN_ATTEMPT" = 3 ] || exit 7',
    {1: Script(exit_code=7), 2: Script(exit_code=7), 3: Script()},
)
SECOND_TIME_LUCKY = Work(
    f"trap 'exit 4' TERM; [ \"$TASKRUN_ATTEMPT\" = 2 ] || {FOR_EVER}",
    {1: Script(seconds=10**6, term_seconds=0.1, term_exit_code=4), 2: Script()},
)
"""Goes on until it is stopped, and ends well the next time."""
KILLS_ITSELF = Work("kill -9 $$; sleep 5", Script(exit_code=137))
"""A signal from within; it needs a process namespace in which main is not process 1."""
EATS_MEMORY = Work("sleep 1; exec tail /dev/zero", Script(oom=True))
NO_SUCH_PROGRAM = Work("", Script(start_error="no such file or directory"), "/no/such/program")
