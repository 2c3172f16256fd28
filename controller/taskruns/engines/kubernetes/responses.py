"""The meaning of an apiserver's response (design.md, Errors of create). Pure.

Only a create is answered with a no that belongs to the run. For every other request a no is the
moment's or the cluster's: try again later, but never blame the run.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from taskruns.api.errors import is_too_large
from taskruns.core.plan import Refusal, RefusalKind
from taskruns.core.unstructured import mapping, mappings, number, text
from taskruns.engines.engine import AlreadyExists, Conflict, EngineError, Refused, Unavailable
from taskruns.engines.quota_error import read_shortage

_QUOTA_RACE_SECONDS = 1.0
"""After two creates raced for one quota: the apiserver asks for another try."""

_OWN_RIGHTS = re.compile(r'User ".*" cannot create resource "pods"')
_NO_SERVICE_ACCOUNT = re.compile(r"error looking up service account .*not found", re.DOTALL)
_NOT_YET = ("not yet ready to handle request", "status unknown for quota")
"""Admission that has only just started says 403, though it means 503."""

_NOT_THE_REQUESTS_FAULT = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.TOO_MANY_REQUESTS,
)

_POLICY_DENIAL = re.compile(
    r"ValidatingAdmissionPolicy .* denied request|admission webhook .* denied the request",
    re.DOTALL,
)
_WEBHOOK_FAILURE = re.compile(r"failed calling webhook|admission webhook .* denied", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP answer: its code, its JSON (empty when it had none), its Retry-After header."""

    code: int
    body: Mapping[str, Any] = field(default_factory=dict)
    retry_after: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the request did what it asked for."""
        return 200 <= self.code < 300  # noqa: PLR2004 - HTTP's own bounds

    @property
    def message(self) -> str:
        """The apiserver's sentence, in one line."""
        return " ".join(text(self.body.get("message")).split()) or f"HTTP {self.code}"

    @property
    def reason(self) -> str:
        """The apiserver's word for it, such as `AlreadyExists`."""
        return text(self.body.get("reason"))

    @property
    def details(self) -> Mapping[str, Any]:
        """Kind and name of what it is about, causes, seconds to wait."""
        return mapping(self.body.get("details"))

    def has_cause(self, cause: str) -> bool:
        """Whether the details name this cause."""
        return any(found.get("reason") == cause for found in mappings(self.details.get("causes")))


def error(answer: Response) -> EngineError:
    """Say what a failed request other than a create means."""
    if answer.code == HTTPStatus.CONFLICT:
        return Conflict(answer.message)
    if is_too_large(answer.code, answer.message):
        return EngineError(f"it is too large to be stored: create it smaller ({answer.message})")
    if answer.code in _NOT_THE_REQUESTS_FAULT or _is_servers_fault(answer.code):
        return unavailable(answer)
    return EngineError(answer.message)


def create_error(answer: Response) -> EngineError:
    """Say what a failed create of a Pod means."""
    match answer.code:
        case HTTPStatus.CONFLICT if answer.reason == "AlreadyExists":
            return AlreadyExists(answer.message)
        case HTTPStatus.CONFLICT:
            return Unavailable(answer.message, _QUOTA_RACE_SECONDS)
        case HTTPStatus.BAD_REQUEST | HTTPStatus.UNPROCESSABLE_ENTITY:
            return _refused(_invalid_kind(answer), answer)
        case HTTPStatus.FORBIDDEN:
            return _forbidden(answer)
        case HTTPStatus.NOT_FOUND if is_namespace_going(answer):
            return _refused(RefusalKind.NAMESPACE_GOING, answer)
        case code if is_too_large(code, answer.message):
            return _refused(RefusalKind.INVALID, answer)
        case code if _is_servers_fault(code) and _WEBHOOK_FAILURE.search(answer.message):
            return _refused(RefusalKind.WEBHOOK_FAILED, answer)
        case _:
            return unavailable(answer)


def _is_servers_fault(code: int) -> bool:
    return code >= HTTPStatus.INTERNAL_SERVER_ERROR


def is_namespace_going(answer: Response) -> bool:
    """Whether a create failed because its namespace is being deleted, or is gone."""
    if answer.code == HTTPStatus.NOT_FOUND:
        return answer.details.get("kind") == "namespaces"
    return answer.has_cause("NamespaceTerminating")


def unavailable(answer: Response) -> Unavailable:
    """Ask for another try, when the apiserver says so if it does."""
    return Unavailable(answer.message, _seconds_to_wait(answer))


def _forbidden(answer: Response) -> EngineError:
    message = answer.message
    if is_namespace_going(answer):
        return _refused(RefusalKind.NAMESPACE_GOING, answer)
    if _OWN_RIGHTS.search(message) or any(words in message for words in _NOT_YET):
        return unavailable(answer)
    if (shortage := read_shortage(message)) is not None:
        kind = RefusalKind.NO_ROOM if shortage.could_fit else RefusalKind.FORBIDDEN
        return _refused(kind, answer)
    if _NO_SERVICE_ACCOUNT.search(message):
        return _refused(RefusalKind.NO_SERVICE_ACCOUNT, answer)
    return _refused(RefusalKind.FORBIDDEN, answer)


def _invalid_kind(answer: Response) -> RefusalKind:
    denied = _POLICY_DENIAL.search(answer.message)
    return RefusalKind.FORBIDDEN if denied else RefusalKind.INVALID


def _refused(kind: RefusalKind, answer: Response) -> Refused:
    return Refused(Refusal(kind, answer.message))


def _seconds_to_wait(answer: Response) -> float | None:
    """Read Retry-After; its form as a date is not used by the apiserver and counts as nothing."""
    header = answer.retry_after or ""
    if header.isdecimal():
        return float(header)
    seconds = number(answer.details.get("retryAfterSeconds"))
    return float(seconds) if seconds is not None else None
