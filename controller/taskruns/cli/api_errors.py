"""What an apiserver's no means to a person, and what to do about it."""

from taskruns.api import names
from taskruns.cli.exit_codes import CommandError, ExitCode
from taskruns.core.unstructured import text
from taskruns.engines.kubernetes.endpoints import Call
from taskruns.engines.kubernetes.responses import Answer


def refusal(call: Call, answer: Answer, namespace: str) -> CommandError:
    """Say in one sentence why a request was refused, and what to do."""
    what = f"{call.verb} {call.resource}"
    match answer.code:
        case 401:
            return CommandError(
                "the cluster does not know you (401): log in again, or choose another user with "
                "--context",
                ExitCode.NOT_RUN,
            )
        case 403 if "forbidden: User" in answer.message or "cannot" in answer.message:
            return CommandError(_without_right(what, answer, namespace), ExitCode.NOT_RUN)
        case 404 if answer.details.get("kind") == "namespaces":
            return CommandError(
                f"there is no namespace {namespace}: create it, or choose another with --namespace",
                ExitCode.NOT_RUN,
            )
        case 404 if not answer.details.get("name"):
            return CommandError(
                f"the cluster does not know {names.PLURAL}.{names.GROUP}: install taskruns there "
                "with Helm, or choose another cluster with --context",
                ExitCode.NOT_RUN,
            )
        case 404 if call.resource == "pods/log":
            return CommandError(
                f"Pod {text(answer.details.get('name'))} is gone, and its log with it: podGC says "
                "how long finished Pods are kept"
            )
        case 409 if answer.reason == "AlreadyExists":
            name = text(answer.details.get("name"))
            return CommandError(
                f"there is a TaskRun {name} already: delete it, or choose another with --name"
            )
    return CommandError(f"the cluster says no: {answer.message}")


def _without_right(what: str, answer: Answer, namespace: str) -> str:
    if "at the cluster scope" in answer.message:
        return (
            f"you may not {what} of all namespaces: name one with --namespace in place of "
            f"--all-namespaces ({answer.message})"
        )
    return (
        f"you may not {what} in namespace {namespace}: have the ClusterRole {names.CLIENT_ROLE} "
        f"bound to you there ({answer.message})"
    )
