"""The frame of every HTML report: one file that its own policy forbids to load anything."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

from holdfast.reports._html_script import SCRIPT
from holdfast.reports._html_text import safe
from holdfast.reports._words import Words


def opened(words: Words, *, title: str, skip: str, target: str, style: str) -> str:
    """Return everything up to the body's first words.

    Args:
        words: The language.
        title: The page's title.
        skip: Words of the link that skips the head, for who goes through the page by keyboard.
        target: The id that it leads to.
        style: The style sheet.
    """
    policy = (
        f"default-src 'none'; style-src 'sha256-{_digest(style)}'; script-src 'sha256-{_digest(SCRIPT)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    return (
        f'<!DOCTYPE html>\n<html lang="{words.language}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n<link rel="icon" href="data:,">\n'
        f"<title>{safe(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f'<a class="skip" href="#{target}">{safe(skip)}</a>\n'
    )


def closed(words: Words, version: str) -> str:
    """Return everything after the main part.

    Args:
        words: The language.
        version: Version of the tool; empty where it is not known.
    """
    tool = words("html.tool", version=version) if version else words("html.tool.bare")
    return f"</main>\n<footer>{safe(tool)}</footer>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"


def _digest(text: str) -> str:
    return b64encode(sha256(text.encode()).digest()).decode()
