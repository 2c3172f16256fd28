"""Errors of an apiserver that every client has to recognise."""

from http import HTTPStatus

_TOO_LARGE = (
    "etcdserver: request is too large",
    "trying to send message larger than max",
)
"""Messages of etcd (`--max-request-bytes`, 1.5 MiB) and of its gRPC client (2 MiB). The apiserver
passes both on with code 500; objects above 3 MiB get 413 from itself."""


def is_too_large(code: int, message: str) -> bool:
    """Return whether a request failed because its object is too large to be stored.

    Args:
        code: The HTTP status code.
        message: The message of the answer.
    """
    if code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return True
    return code >= HTTPStatus.INTERNAL_SERVER_ERROR and any(text in message for text in _TOO_LARGE)
