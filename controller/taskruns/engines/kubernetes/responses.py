"""Translation of apiserver responses into errors (design.md, Errors of create). Pure.

Only the rejection of a create can be caused by the run. The rejection of any other request is
temporary or caused by the cluster: it is retried later and never attributed to the run.
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
from taskruns.engines.quota_queue import parse_quota_error

_QUOTA_RACE_SECONDS = 1.0
"""Retry delay after two creates have conflicted on one quota, in seconds."""

_OWN_RIGHTS = re.compile(r'User ".*" cannot create resource "pods"')
_NO_SERVICE_ACCOUNT = re.compile(r"error looking up service account .*not found", re.DOTALL)
_NOT_YET = ("not yet ready to handle request", "status unknown for quota")
"""Messages of admission that has just started; it returns 403 where 503 would be correct."""

PASSING = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
"""Status codes of an apiserver that has just started, for requests that it allows later."""

_POLICY_DENIAL = re.compile(
    r"ValidatingAdmissionPolicy .* denied request|admission webhook .* denied the request",
    re.DOTALL,
)
_WEBHOOK_FAILURE = re.compile(r"failed calling webhook|admission webhook .* denied", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Response:
    """HTTP response: status code, JSON object (empty if there was none), Retry-After header."""

    code: int
    body: Mapping[str, Any] = field(default_factory=dict)
    retry_after: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the request succeeded."""
        return 200 <= self.code < 300  # noqa: PLR2004 - HTTP's own bounds

    @property
    def message(self) -> str:
        """The apiserver's message, in one line."""
        return " ".join(text(self.body.get("message")).split()) or f"HTTP {self.code}"

    @property
    def reason(self) -> str:
        """The apiserver's reason, such as `AlreadyExists`."""
        return text(self.body.get("reason"))

    @property
    def details(self) -> Mapping[str, Any]:
        """Details of the error: kind and name of the object, causes, retryAfterSeconds."""
        return mapping(self.body.get("details"))

    def has_cause(self, cause: str) -> bool:
        """Whether the details contain this cause."""
        return any(item.get("reason") == cause for item in mappings(self.details.get("causes")))


def error(response: Response) -> EngineError:
    """Return the error of a failed request other than a create of a Pod."""
    if response.code == HTTPStatus.CONFLICT:
        return Conflict(response.message)
    if is_too_large(response.code, response.message):
        return EngineError(f"it is too large to be stored: create it smaller ({response.message})")
    if response.code in PASSING or is_server_failure(response.code):
        return unavailable(response)
    return EngineError(response.message)


def create_error(response: Response) -> EngineError:
    """Return the error of a failed create of a Pod."""
    match response.code:
        case HTTPStatus.CONFLICT if response.reason == "AlreadyExists":
            return AlreadyExists(response.message)
        case HTTPStatus.CONFLICT:
            return Unavailable(response.message, _QUOTA_RACE_SECONDS)
        case HTTPStatus.BAD_REQUEST | HTTPStatus.UNPROCESSABLE_ENTITY:
            return _refused(_invalid_kind(response), response)
        case HTTPStatus.FORBIDDEN:
            return _forbidden(response)
        case HTTPStatus.NOT_FOUND if is_namespace_terminating(response):
            return _refused(RefusalKind.NAMESPACE_TERMINATING, response)
        case code if is_too_large(code, response.message):
            return _refused(RefusalKind.INVALID, response)
        case code if code >= HTTPStatus.INTERNAL_SERVER_ERROR and _WEBHOOK_FAILURE.search(
            response.message
        ):
            return _refused(RefusalKind.WEBHOOK_FAILED, response)
        case _:
            return unavailable(response)


def is_server_failure(code: int) -> bool:
    """Return whether the apiserver is overloaded, starting or broken; a retry may succeed."""
    return code == HTTPStatus.TOO_MANY_REQUESTS or code >= HTTPStatus.INTERNAL_SERVER_ERROR


def is_namespace_terminating(response: Response) -> bool:
    """Whether a create failed because its namespace is being deleted, or is gone."""
    if response.code == HTTPStatus.NOT_FOUND:
        return response.details.get("kind") == "namespaces"
    return response.has_cause("NamespaceTerminating")


def unavailable(response: Response) -> Unavailable:
    """Return an Unavailable with the retry delay of the response, if it has one."""
    return Unavailable(response.message, _seconds_to_wait(response))


def _forbidden(response: Response) -> EngineError:
    message = response.message
    if is_namespace_terminating(response):
        return _refused(RefusalKind.NAMESPACE_TERMINATING, response)
    if _OWN_RIGHTS.search(message) or any(words in message for words in _NOT_YET):
        return unavailable(response)
    if (error := parse_quota_error(message)) is not None:
        kind = RefusalKind.QUOTA_EXCEEDED if error.could_fit else RefusalKind.FORBIDDEN
        return _refused(kind, response)
    if _NO_SERVICE_ACCOUNT.search(message):
        return _refused(RefusalKind.NO_SERVICE_ACCOUNT, response)
    return _refused(RefusalKind.FORBIDDEN, response)


def _invalid_kind(response: Response) -> RefusalKind:
    denied = _POLICY_DENIAL.search(response.message)
    return RefusalKind.FORBIDDEN if denied else RefusalKind.INVALID


def _refused(kind: RefusalKind, response: Response) -> Refused:
    return Refused(Refusal(kind, response.message))


def _seconds_to_wait(response: Response) -> float | None:
    """Return the retry delay of a response in seconds, or None.

    A Retry-After header with a date is ignored, because the apiserver does not use that form.
    """
    header = response.retry_after or ""
    if header.isdecimal():
        return float(header)
    seconds = number(response.details.get("retryAfterSeconds"))
    return float(seconds) if seconds is not None else None
