"""Names of documents as the URIs that SARIF wants: relative to a named base, percent-encoded."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.model.place import Where

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
"""Bytes that stand for themselves in a URI (RFC 3986 section 2.3)."""


@dataclass(frozen=True, slots=True)
class Base:
    """What relative URIs are relative to.

    Attributes:
        uri: Absolute and ended with a slash; empty where it is not known or no place at all.
        about: Key of the sentence that describes it.
    """

    uri: str
    about: str


ROOT = "%SRCROOT%"
HOST = "HOST"
ENGINE = "ENGINE"
BASES = {ROOT: Base("", "sarif.root"), HOST: Base("file:///", "sarif.host"), ENGINE: Base("", "sarif.engine")}
_KERNEL = ("/proc/", "/sys/")


def artifact(document: str) -> dict[str, str]:
    """Name a document for SARIF.

    Files below the working directory are relative to the root that was scanned. Files of the kernel and objects of an
    engine are no files of a repository, yet GitHub takes no other scheme than ``file``: they become relative to a base
    of their own, so that a result about a running container can still be uploaded.

    Args:
        document: File path, ``docker://ID``, ``/proc/PID/status`` or any other name; not empty.

    Returns:
        An artifactLocation object.
    """
    if document.startswith(_KERNEL):
        return {"uri": encoded(document.lstrip("/")), "uriBaseId": HOST}
    scheme, separator, rest = document.partition("://")
    if separator and scheme.isalnum():
        return {"uri": encoded(f"{scheme}/{rest.lstrip('/')}"), "uriBaseId": ENGINE}
    if document.startswith("/"):
        return {"uri": "file://" + encoded("/" + document.lstrip("/"))}
    while document.startswith("./"):
        document = document[2:].lstrip("/")
    return {"uri": encoded(document) or ".", "uriBaseId": ROOT}


def is_file(where: Where) -> bool:
    """Tell a document that somebody can open from the name of a question that was put ("docker info")."""
    return where.line > 0 or "/" in where.document or "." in where.document


def encoded(path: str) -> str:
    """Percent-encode a path, byte by byte but for its slashes; file names that are not UTF-8 keep their bytes."""
    try:
        raw = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raw = path.encode("utf-8", "backslashreplace")
    return "".join(chr(byte) if byte in _UNRESERVED or byte == 0x2F else f"%{byte:02X}" for byte in raw)
