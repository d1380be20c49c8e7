"""Finding ``docker run`` command lines in text.

Scripts, Makefiles, unit files, notes and README files hold such lines. Only a line that begins with the engine's name,
after a prompt, ``sudo``, variable assignments and the like, counts; a sentence that speaks of ``docker run`` does not.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from holdfast.model.errors import NotUnderstood
from holdfast.platforms._docker_run_words import Lexer, Word

ENGINES = ("docker", "podman", "nerdctl")
_START = re.compile(
    r"""(?<![\w.])(docker|podman|nerdctl)(?:\.exe)?(?=[ \t\\`^])
      | ["']?\$(?:\{(\w{1,40})(?::?-([\w./-]{1,40}))?\}|\((\w{1,40})\)|([A-Za-z_]\w{0,40}))["']?
        (?=[ \t]+(?:container[ \t]+)?(?:run|create)[ \t\\])""",
    re.VERBOSE,
)
"""The engine by its name, or by a variable right before ``run`` that may hold it."""
_ACT = re.compile(r"(?<![\w./-])(?:run|create)(?![\w./=:-])")
_PATH = re.compile(r"[\w./~\\:-]{0,200}[/\\]\Z")
_PROMPT = re.compile(r"[\w.@:~/-]{0,80}[$%>#]\s+|\[[^\]\n]{0,80}\][$#]\s+|PS [^>\n]{0,80}>\s+")
"""``$ ``, ``root@host:~# ``, ``[root@host ~]# ``, ``PS C:\\> ``."""
_BEFORE = re.compile(
    r"""(?:
        (?:(?:[\d*/,-]{1,40}\s+){5}|@\w{1,20}\s+)(?:\w{1,40}\s+)?  # a crontab
      | [@+-]{1,3}\s*                                              # make's prefixes, bullets
      | [0-9]{1,3}\.\s+ | [\w.*?|"'-]{1,60}\)\s*                  # a numbered list, a case
      | [a-z][\w-]{0,80}:\s+                                       # a make target, a key
      | Exec\w{1,20}=[-@:+!]{0,3}                                  # a unit file
      | (?:function\s+)?[\w-]{1,80}\s*\(\)\s*\{?\s*               # a function
      | alias\s+[\w.-]{1,80}=["']\s*
      | [A-Za-z_]\w{0,80}\+?=["']?(?:\$\(|`)\s*                    # the command's output is assigned
      | [A-Za-z_]\w{0,80}\+?=(?:"[^"\n]*"|'[^'\n]*'|[^\s"'`;&|]*)\s+ # an assignment before the command
      | sudo(?:\s+(?:-[ugh]\s+\w+|--?[\w-]+(?:=\w+)?))*\s+
      | ssh(?:\s+-[A-Za-z](?:\s*[\w./=:][\w./=@:-]*)?)*\s+[^\s"'-][^\s"']*\s+
      | (?:[\w./-]{0,80}/)?(?:ba|da|z|k)?sh\s+-\w{0,8}c\s+
      | (?:doas|exec|eval|command|nohup|time|env|then|do|else|if|while|until|xargs|RUN|call|and|stdbuf\s+-\S+|
           nice(?:\s+-n\s*\S+)?|timeout\s+\S+)\s+
      | [!({`"']\s* | \$\(\s*
    )""",
    re.VERBOSE,
)
_ASSIGNMENT = re.compile(
    r"^[ \t]*(?:export[ \t]+|readonly[ \t]+|local[ \t]+|declare[ \t]+(?:-\w+[ \t]+)*)?([A-Za-z_]\w*)[ \t]*[:?]?=[ \t]*"
    r"(\"[^\"\n$`\\]*\"|'[^'\n]*'|[^\s\"'$`;&|()]*)[ \t]*(?:#[^\n]*)?$",
    re.MULTILINE,
)
_ASSIGNED = re.compile(r"\b([A-Za-z_]\w*)[ \t]*[:?+]?=|\b(?:read|for)[ \t]+(?:-\w+[ \t]+)*([A-Za-z_]\w*)")
_FENCE = re.compile(r"^ {0,3}(```+|~~~+)[ \t]*([\w+-]*)")
_SESSIONS = frozenset({"console", "shell-session", "session", "terminal", "shellsession", "sh-session"})
_MOST_COMMANDS = 2000
_MOST_MENTIONS = 50_000
NOTHING_GIVEN: Mapping[str, str] = MappingProxyType({})


@dataclass(slots=True)
class Command:
    """One command line: the engine and the words after it.

    Attributes:
        engine: Its name.
        words: What follows.
        line: 1-based.
        cut: Whether it is so long that its end was not read.
        unclosed: Whether a quote is opened and never closed.
    """

    engine: str
    words: list[Word]
    line: int
    cut: bool = False
    unclosed: bool = False


def constants(text: str) -> dict[str, str]:
    """Return the variables that a script sets exactly once, to a text without further variables."""
    times: dict[str, int] = {}
    for match in _ASSIGNED.finditer(text):
        name = match.group(1) or match.group(2)
        times[name] = times.get(name, 0) + 1
    found: dict[str, str] = {}
    for match in _ASSIGNMENT.finditer(text):
        name, value = match.group(1), match.group(2)
        if times.get(name) == 1:
            found[name] = value[1:-1] if value[:1] in {'"', "'"} else value
    return found


def commands(
    text: str, name: str, given: Mapping[str, str] = NOTHING_GIVEN, problems: list[NotUnderstood] | None = None
) -> Iterator[Command]:
    """Find the command lines of a text.

    Args:
        text: The whole text.
        name: Its name; in Markdown only code blocks count.
        given: Variables that are known from elsewhere; what the text sets itself wins.
        problems: Takes what was left out because there is too much of it.

    Yields:
        Every command that starts an engine, whatever its subcommand; at most 2,000.
    """
    if not mentioned(text):
        return
    markdown = posixpath.basename(name).lower().endswith((".md", ".markdown", ".rst"))
    variables = {**given, **constants(text)}
    done = count = offset = tries = 0
    code, session = not markdown, False
    for number, line in enumerate(text.split("\n"), 1):
        begin, offset = offset, offset + len(line) + 1
        fence = _FENCE.match(line) if markdown else None
        if fence is not None:
            code, session = not code, fence.group(2).lower() in _SESSIONS
            continue
        if done >= offset or not (any(engine in line for engine in ENGINES) or ("$" in line and _ACT.search(line))):
            continue
        if done <= begin and not _is_code(line, code=code, session=session):
            continue
        at = max(done - begin, 0)
        while (match := _START.search(line, at)) is not None:
            at = match.end()
            tries += 1
            if tries > _MOST_MENTIONS or count >= _MOST_COMMANDS:
                if problems is not None:
                    problems.append(_too_much(name, number))
                return
            stop = _opens(line, match.start())
            engine = match.group(1) or _engine_in(match, variables)
            if stop is None or not engine:
                continue
            lexer = Lexer(text, begin + match.end(), number, variables, stop)
            words = lexer.run()
            # a quote that nobody closes hides nothing but the rest of its own line
            done = offset if lexer.unclosed else lexer.at
            at = max(at, done - begin)
            yield Command(engine, words, number, lexer.cut, lexer.unclosed)
            count += 1


def _engine_in(match: re.Match[str], variables: Mapping[str, str]) -> str:
    """Return the engine that a variable stands for, by its value, its default or its own name; empty for none."""
    _, braced, default, bracketed, bare = match.groups()
    variable: str = braced or bracketed or bare
    value: str = variables.get(variable) or default or ""
    name = value.rpartition(" ")[2].rpartition("/")[2] if value else variable.lower()
    return next((engine for engine in ENGINES if engine in name), "")


def _too_much(name: str, line: int) -> NotUnderstood:
    what = f"more than {_MOST_COMMANDS} command lines; the rest of the file was not read"
    return NotUnderstood(what, f"{name}:{line}", "split the file", line)


def mentioned(text: str) -> bool:
    """Tell whether a line of the text names an engine and, after it, ``run`` or ``create``."""
    if "\\" in text:
        text = text.replace("\\\r\n", " ").replace("\\\n", " ")
    at = 0
    while (match := _START.search(text, at)) is not None:
        end = text.find("\n", match.end())
        end = len(text) if end < 0 else end
        if _ACT.search(text, match.end(), end):
            return True
        at = end
    return False


def _is_code(line: str, *, code: bool, session: bool) -> bool:
    if not (code or line.startswith(("    ", "\t"))):
        return False
    return session or not line.lstrip().startswith("#")


def _opens(line: str, start: int) -> str | None:
    """Tell whether a command may begin at a place of a line.

    Returns:
        The character that ends the command besides the usual ones (a backquote, a quote), empty for none; None where
        no command begins there.
    """
    before = line[max(0, start - 1000) : start]
    path = _PATH.search(before[-200:]) if before.endswith(("/", "\\")) else None
    if path is not None:
        before = before[: len(before) - len(path.group())]
    cut = max((before.rfind(sign) + len(sign) for sign in ("&&", "||", ";", "|") if sign in before), default=0)
    rest = before[cut:].lstrip()
    prompt = _PROMPT.match(rest) if not cut else None
    if prompt is not None:
        rest = rest[prompt.end() :]
    stop = ""
    while rest:
        match = _BEFORE.match(rest)
        if match is None or not match.group():
            return None
        opening = match.group().strip()
        if opening in {"`", '"', "'"} or opening.endswith(("=`", '="`', "='`")) or opening.startswith("alias"):
            stop = opening[-1]
        rest = rest[match.end() :].lstrip()
    return stop
