"""Command that prints a commented TaskRun to start from."""

import re

import click

from taskruns.api import names

_TEMPLATE = f"""\
apiVersion: {names.API_VERSION}
kind: {names.KIND}
metadata:
  name: NAME
spec:
  image: IMAGE
  # The program and its arguments, one item each; without them, the image's own.
  command: [sh, -c]
  args: ["echo hello from $TASKRUN_NAME"]

  # Variables; TASKRUN_NAME, TASKRUN_NAMESPACE, TASKRUN_UID and TASKRUN_ATTEMPT are always set.
  # env:
  #   - {{name: GREETING, value: hello}}
  #   - name: PASSWORD
  #     valueFrom: {{secretKeyRef: {{name: db, key: password}}}}

  # resources:
  #   limits: {{cpu: "1", memory: 512Mi}}

  # Number of retries after failures, and the delay before each.
  # backoffLimit: 3
  # backoff: {{duration: 10s, factor: 2, cap: 10m}}

  # Seconds after which the run, and each attempt, is stopped.
  # activeDeadlineSeconds: 3600
  # attemptDeadlineSeconds: 1800

  # File whose content becomes status.result if the program exits with 0.
  # resultPath: /dev/termination-log

  # Seconds after its end until the TaskRun is deleted.
  # ttlSecondsAfterFinished: 86400

  # Everything else of a Pod; `kubectl explain taskrun.spec` and docs/fields.md have every field.
  # template:
  #   spec:
  #     terminationGracePeriodSeconds: 60
"""


def template(name: str, image: str) -> str:
    """Return a commented TaskRun with a name and an image."""
    return _TEMPLATE.replace("NAME\n", f"{_word(name)}\n", 1).replace("IMAGE", _word(image), 1)


def _word(words: str) -> str:
    """Format a text as a YAML scalar, with quotes if it could be read as another type."""
    if re.fullmatch(r"[a-z][a-z0-9./:@_-]*", words):
        return words
    import json

    return json.dumps(words)


@click.command("new")
@click.argument("name", default="hello")
@click.option("--image", default="busybox:1", show_default=True, help="Image of the task.")
def new_command(name: str, image: str) -> None:
    """Print a TaskRun to start from, with the most common fields as comments.

    \b
    Examples:
      taskrun new etl --image python:3.13-slim > etl.yaml
    """  # noqa: D301 - click's mark of a paragraph that is not wrapped
    from taskruns.cli.target import NAME_HINT, is_name, suggested

    if not is_name(name):
        like = suggested(name)
        hint = f", such as {like}" if like else ""
        raise click.UsageError(f"invalid name {name!r}: {NAME_HINT}{hint}")
    click.echo(template(name, image), nl=False)
