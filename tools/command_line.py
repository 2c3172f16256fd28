"""Generator of docs/cli.md, from the program's help and its table of exit codes."""

from collections.abc import Iterator
from pathlib import Path

import click

from taskruns.cli.backend import BACKEND_VARIABLE
from taskruns.cli.exit_status import MEANINGS
from taskruns.cli.main import COMMANDS, DEBUG_VARIABLE, program
from taskruns.engines.docker.host import STATE_VARIABLE
from tools.writing import made_from

SOURCE = "controller/taskruns/cli"
_WIDTH = 96

INTRODUCTION = f"""\
# The command line

`taskrun` runs and manages TaskRuns, with the same commands on this machine's Docker and on a
cluster. `pip install '.[cli]'`, in a checkout, installs it, also as `kubectl taskrun`.

## Choose Docker or a cluster

| setting | place |
|---|---|
| `--on docker`, `--on kubernetes` | the named one |
| the variable `{BACKEND_VARIABLE}` | the named one |
| `--context`, `--kubeconfig`, or the call as `kubectl taskrun` | the cluster |
| none of these | Docker |

On Docker the daemon is found as `docker` finds it (`DOCKER_HOST`, the current context). Runs
are kept in `{STATE_VARIABLE}`, by default a folder of the user's state directory. Retries and
deadlines act only while a process follows the run: `run`, `follow`, `wait`, or the process that
`run --detach` and `cancel` start, which ends with the run.

On a cluster the controller does the work, whether or not a client is connected. The kubeconfig,
`-n`, `-A`, `--context` and `--kubeconfig` are those of kubectl. The role `taskruns-client` is
sufficient. With the right to read Events, image pulls are shown; with the right to delete Pods, a
second Ctrl-C deletes the Pod.

## Ctrl-C

The first Ctrl-C cancels the run, with its grace period. The second requests the end of its attempt
at once. On a cluster this shortens the grace period only until the kubelet begins to stop the Pod,
a second or two after the first Ctrl-C; from then on no request shortens it (kubelet 1.36). If the
program is killed, the run is not affected: `taskrun follow NAME` continues to follow it.

If the daemon or the cluster does not respond, the second Ctrl-C ends the program at once; the third
always does. A line on standard error has the command that returns to the run. Requests for a Docker
run that could not be sent are executed by the next command that reaches the daemon.

## Exit codes

`run`, `follow`, `rerun` and `wait` exit with the task's own exit code. The codes below are
additional; a line on standard error, `taskrun: ...`, gives the cause and what to do:

| code | meaning |
|---|---|
"""

CHECKS = f"""
## Logs

A log is followed until its container has ended, across restarts of the Docker daemon, the apiserver
and the kubelet: it continues after the last line, by position. `run` and `follow` end when the
complete log is written, however slow its reader is.

If a part of a log cannot be read or written, a line on standard error reports it, also with
`--quiet`. The exit code is then the task's own or, for a task that succeeded, 74. A reader that
closes the pipe, such as `head`, is no error. `taskrun logs NAME` reads an incomplete log again
while its container exists.

## Scripts

Standard output contains only the task's log or the requested output; with `-o json`, `yaml` or
`name` it is machine-readable. Colour and progress appear only on a terminal, and `NO_COLOR` turns
colour off. `{DEBUG_VARIABLE}=1` prints the traceback of a bug.

## What `validate` checks

`validate` checks the schema of the CRD and its CEL rules, with the CEL implementation and the
messages of the apiserver, and the apiserver's rules for metadata. `run` on Docker makes the same
checks first. In addition, a template with several containers of which none is main is refused; a
cluster accepts it and then fails the run.

Only a cluster can check the rest: the fields below `template`, quantities, the existence of a
Secret, a volume or a service account, quotas, policies, and changes over time.

## Completion

<!-- not run: it changes a user's shell; tests/unit/cli/test_completion.py calls the completion -->
```sh
source <(taskrun completion bash)                 # in ~/.bashrc; or zsh
taskrun completion fish > ~/.config/fish/completions/taskrun.fish
```

Completion covers commands, options, and the names of existing TaskRuns. kubectl completes
`kubectl taskrun` once its own completion is set up: it calls `kubectl_complete-taskrun`, which is
installed with `kubectl-taskrun`.

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
