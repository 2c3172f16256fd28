"""Classification of apiserver errors that several clients share."""

from http import HTTPStatus

_TOO_LARGE = (
    "etcdserver: request is too large",
    "trying to send message larger than max",
)
"""Error messages of etcd (`--max-request-bytes`, 1.5 MiB) and of its gRPC client (2 MiB).

The apiserver returns both with code 500. Objects above 3 MiB it refuses itself, with code 413.
"""


def is_too_large(code: int, message: str) -> bool:
    """Return whether a request failed because its object is too large to be stored.

    Args:
        code: HTTP status code of the response.
        message: message in the response.
    """
    if code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return True
    return code >= HTTPStatus.INTERNAL_SERVER_ERROR and any(text in message for text in _TOO_LARGE)
