"""Work of tasks, each defined as a shell command and as an equivalent simulation script."""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.simulation import Script
from tests.support.builders.manifests import HEARD

IMAGE = "busybox:1"


@dataclass(frozen=True)
class Work:
    """Work of one task. A mapping of scripts has one per attempt number."""

    shell: str
    script: Script | Mapping[int, Script]
    program: str = ""
    """Program to run instead of the shell."""

    @property
    def command(self) -> list[str]:
        # Kubernetes reads $$ in arguments as an escaped $.
        return [self.program] if self.program else ["sh", "-c", self.shell.replace("$$", "$$$$")]

    def script_of(self, attempt: int) -> Script:
        if isinstance(self.script, Script):
            return self.script
        return self.script[attempt]


def exits(code: int, last_words: str = "") -> Work:
    output = f"echo {last_words}; {HEARD}; " if last_words else ""
    return Work(f"{output}exit {code}", Script(exit_code=code, log=last_words.encode()))


def writes(shell: str, content: bytes) -> Work:
    """Return work that writes a result."""
    return Work(f"{shell} > /dev/termination-log", Script(termination=content))


def lasts(seconds: float) -> Work:
    """Return work that succeeds after some seconds and ignores SIGTERM."""
    return Work(f"trap '' TERM; sleep {seconds}", Script(seconds=seconds))


FOR_EVER = "while :; do sleep 600 & wait; done"

HELLO = exits(0, "hello")
STUBBORN = Work(f"trap '' TERM; {FOR_EVER}", Script(seconds=10**6))
"""Work that runs until it is killed."""
POLITE = Work(
    f"trap 'exit 4' TERM; {FOR_EVER}",
    Script(seconds=10**6, term_seconds=0.1, term_exit_code=4),
)
"""Work that exits with its own exit code on SIGTERM."""
THIRD_TIME_LUCKY = Work(
    '[ "$TASKRUN_ATTEMPT" = 3 ] || exit 7',
    {1: Script(exit_code=7), 2: Script(exit_code=7), 3: Script()},
)
SECOND_TIME_LUCKY = Work(
    f"trap 'exit 4' TERM; [ \"$TASKRUN_ATTEMPT\" = 2 ] || {FOR_EVER}",
    {1: Script(seconds=10**6, term_seconds=0.1, term_exit_code=4), 2: Script()},
)
"""Work that runs until it is stopped, and succeeds at the second attempt."""
KILLS_ITSELF = Work("kill -9 $$; sleep 5", Script(exit_code=137))
"""Work that kills itself; needs a process namespace in which main is not process 1."""
EATS_MEMORY = Work("sleep 1; exec tail /dev/zero", Script(oom=True))
NO_SUCH_PROGRAM = Work("", Script(start_error="no such file or directory"), "/no/such/program")
