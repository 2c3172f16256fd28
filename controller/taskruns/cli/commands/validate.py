"""Commands that read TaskRun files: validate, render."""

from typing import TYPE_CHECKING, Any

import click

from taskruns.cli.backend import BACKEND_VARIABLE, DOCKER, KUBERNETES
from taskruns.cli.exit_status import CommandError, ExitCode

if TYPE_CHECKING:
    from taskruns.cli.yaml_source import Document


@click.command("validate")
@click.argument("files", nargs=-1, required=True)
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def validate_command(files: tuple[str, ...], *, quiet: bool) -> int:
    """Validate TaskRuns by the rules of the CRD, without a cluster; print errors with their lines.

    Properties that only a cluster can check are skipped: the fields below template, quantities, and
    the existence of Secrets, volumes and service accounts.

    \b
    Examples:
      taskrun validate hello.yaml
      kubectl kustomize . | taskrun validate -
    """  # noqa: D301 - as above
    from taskruns.cli.validation import problems
    from taskruns.cli.yaml_source import read_documents

    wrong = 0
    for file in files:
        documents = read_documents(file)
        if not documents:
            raise CommandError(f"{file} contains no TaskRun", ExitCode.USAGE)
        for document in documents:
            invalid = problems(document)
            wrong += len(invalid)
            for problem in invalid:
                line = document.line(problem.path)
                click.echo(f"{document.where}:{line}: {problem}", err=True)
            if not invalid and not quiet:
                click.echo(f"{document.where}: {document.content['metadata'].get('name')} is valid")
    return ExitCode.FAILURE if wrong else ExitCode.SUCCESS


@click.command("render")
@click.argument("file")
@click.option(
    "--on", type=click.Choice([DOCKER, KUBERNETES]), default=KUBERNETES, envvar=BACKEND_VARIABLE,
    show_default=True, help="Show the Pod, or the container.",
)  # fmt: skip
@click.option("-o", "--output", "form", type=click.Choice(["yaml", "json"]), default="yaml")
def render_command(file: str, on: str, form: str) -> None:
    """Print the Pod of a TaskRun's first attempt or, with --on docker, its container.

    The uid is a placeholder, and the site's defaults for all Pods are not included.
    """
    from taskruns.cli.output import show_object
    from taskruns.cli.yaml_source import read_documents

    for document in read_documents(file):
        show_object(_rendered(document, on), form)


def _rendered(document: "Document", on: str) -> dict[str, Any]:
    from taskruns.cli.validation import pod_of, refuse_invalid
    from taskruns.engines.docker.container import NO_SECRETS, container_of
    from taskruns.engines.docker.fields import Unsupported

    pod = pod_of(refuse_invalid(document))
    try:
        return container_of(pod, NO_SECRETS) if on == DOCKER else pod
    except Unsupported as error:
        raise CommandError(str(error)) from error
