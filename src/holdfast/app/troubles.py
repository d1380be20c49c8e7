"""Whatever could not be read, as an entry of the report."""

from __future__ import annotations

from holdfast.model.errors import Error, NotUnderstood


def as_trouble(error: Error) -> NotUnderstood:
    """Return the error as "not understood": a scan does not stop at one document, it tells of it."""
    return error if isinstance(error, NotUnderstood) else NotUnderstood(error.what, error.where, error.next)
