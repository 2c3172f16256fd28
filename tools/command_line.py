"""Generator of docs/cli.md, from the program's help and its table of exit codes."""

from collections.abc import Iterator
from pathlib import Path

import click

from taskruns.cli.backend import PLACE_VARIABLE
from taskruns.cli.exit_codes import MEANINGS
from taskruns.cli.main import COMMANDS, DEBUG_VARIABLE, program
from taskruns.engines.docker.host import STATE_VARIABLE
from tools.writing import made_from

SOURCE = "controller/taskruns/cli"
_WIDTH = 96

INTRODUCTION = f"""\
# The command line

`taskrun` runs and looks after TaskRuns, on this machine's Docker or on a cluster, by the same
commands. `pip install 'taskruns[cli]'` brings it, as `kubectl taskrun`, too.

## Where the TaskRuns are

| said by | place |
|---|---|
| `--on docker`, `--on kubernetes` | that one |
| the variable `{PLACE_VARIABLE}` | the one it names |
| `--context`, `--kubeconfig`, or the call as `kubectl taskrun` | the cluster |
| nothing | Docker |

On Docker the daemon is the one that `docker` would use (`DOCKER_HOST`, the current context), and
runs are kept in `{STATE_VARIABLE}`, by default a folder of the user's state directory. Somebody has
to follow a run there for its retries and deadlines to be acted upon: `run`, `follow`, `wait`, or
the process that `run --detach` and `cancel` leave behind, which ends with the run.

On a cluster the kubeconfig is kubectl's, and so are `-n`, `-A`, `--context` and `--kubeconfig`; the
controller does the work, whoever looks on. The role `taskruns-client` is all that is needed. Who
may also read Events is told of image pulls, and who may delete Pods ends one by a second Ctrl-C.

## Ctrl-C

The first cancels the run, with its grace period; the second asks for its attempt's end at once. On
a cluster that shortens the grace period only until the kubelet begins to stop the Pod, a second or
two after the first: from then on a kubelet (1.36) keeps to it, whatever it is asked. A program that
is killed leaves the run as it is: `taskrun follow NAME` goes on with it.

The second leaves the program at once where nothing answers (the daemon or the cluster is away), and
the third in any case; a line on standard error has the command that comes back to the run. What was
asked of a Docker run meanwhile is done by the next command that reaches the daemon.

## Exit codes

`run`, `follow`, `rerun` and `wait` exit with the task's own exit code. Beside it there are these,
and a line on standard error, `taskrun: ...`, says why and what to do:

| code | meaning |
|---|---|
"""

CHECKS = f"""
## Logs

A log is followed until its container has ended, across restarts of the Docker daemon, the apiserver
and the kubelet: it goes on after the last line, by position. `run` and `follow` end when all of it
is written, however long its reader takes.

Where a part of a log cannot be read or written, a line on standard error says so, also with
`--quiet`. The exit code is then the task's own or, of a task that succeeded, 74. `head` and others
that have read enough are no loss. A log that has been given up can be read by `taskrun logs NAME`
while its container is there.

## For scripts

Standard output has the task's log or what was asked for, and nothing else; with `-o json`, `yaml`
or `name` it is fit for other programs. Colour and progress are for a terminal only, and `NO_COLOR`
turns colour off there. `{DEBUG_VARIABLE}=1` shows where a bug comes from.

## What `validate` looks at

The schema of the CRD, and its rules in CEL, which CEL itself reads: the very ones that the
apiserver has, with its sentences; and what it asks of every object's metadata. `run` on Docker
looks at them first, too. A template of several containers of which none is the main one is refused,
which a cluster takes and then fails. Only a cluster knows the rest: the fields below `template`,
quantities, whether a Secret, a volume or a service account is there, quotas, policies, and what may
change later.

## Completion

```sh
source <(taskrun completion bash)                 # in ~/.bashrc; or zsh
taskrun completion fish > ~/.config/fish/completions/taskrun.fish
```

Commands, options, and the names of the TaskRuns that are there. kubectl completes `kubectl taskrun`
by itself once its own completion is set up: `kubectl_complete-taskrun`, which it asks, is installed
beside `kubectl-taskrun`.

## Commands

"""


def page(_root: Path) -> str:
    """Return the text of the page."""
    codes = "".join(f"| {code} | {meaning} |\n" for code, meaning in MEANINGS.items())
    return f"<!-- {made_from(SOURCE)} -->\n\n{INTRODUCTION}{codes}{CHECKS}{_commands()}"


def _commands() -> str:
    return "\n".join(_sections())


def _sections() -> Iterator[str]:
    above = click.Context(program, info_name="taskrun", help_option_names=["-h", "--help"])
    for name in COMMANDS:
        command = program.get_command(above, name)
        assert command is not None  # noqa: S101 - COMMANDS contains the name
        context = click.Context(
            command, parent=above, info_name=name, terminal_width=_WIDTH, max_content_width=_WIDTH
        )
        yield f"### {name}\n\n```text\n{command.get_help(context)}\n```\n"
