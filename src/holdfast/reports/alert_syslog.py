"""The header of a syslog message (RFC 5424) before a record in any other format.

Source:
    RFC 5424, section 6. The enterprise number in the structured data is the one kept free for documentation (RFC 5612):
    the project has none of its own.
"""

from __future__ import annotations

import re

from holdfast.model.alert import Alert
from holdfast.model.evidence import Stamp
from holdfast.reports._alert_text import escaper
from holdfast.reports._alert_time import rfc3339
from holdfast.version import __version__

MEDIA_TYPE = "application/octet-stream"

AUTHPRIV = 10
"""The facility for security messages that not everybody may read."""

_UNPRINTABLE = re.compile(r"[^\x21-\x7e]")
_parameter = escaper("")


def render(alert: Alert, stamp: Stamp | None, record: bytes, facility: int = AUTHPRIV) -> bytes:
    """Put a syslog header before a record.

    Args:
        alert: Gives severity, time, host and the kind of message.
        stamp: Goes into the structured data.
        record: The alert in some format.
        facility: 0 to 23.

    Returns:
        One message without framing. The host's clock gives the time, with microseconds.
    """
    severity = alert.priority.value
    time = rfc3339(alert.at_ns, 6)
    head = f"<{facility * 8 + severity}>1 {time} {_name(alert.node, 255)} holdfast - {_name(alert.rule, 32)} "
    return head.encode("ascii") + _structured(alert, stamp).encode("utf-8") + b" " + record


def _structured(alert: Alert, stamp: Stamp | None) -> str:
    elements = [_element("origin", software="holdfast", swVersion=__version__)]
    own = {"id": alert.id, "rule": alert.rule, "verdict": alert.verdict.value}
    if stamp is not None:
        # It may not be more than 2**31-1 and then begins with 1 again (section 7.3.1).
        elements.append(_element("meta", sequenceId=str((stamp.sequence - 1) % (2**31 - 1) + 1)))
        own |= {"stream": stamp.stream, "sequence": str(stamp.sequence), "chain": stamp.chain}
    elements.append(_element("holdfast@32473", **own))
    return "".join(elements)


def _element(name: str, **parameters: str) -> str:
    return f"[{name}{''.join(f' {key}={_quoted(text)}' for key, text in parameters.items())}]"


def _quoted(text: str) -> str:
    r"""Quote a value: ``"``, ``\`` and ``]`` with a backslash; ours for what is not shown has its backslash doubled."""
    return '"' + re.sub(r'(["\\\]])', r"\\\1", _parameter(text)) + '"'


def _name(text: str, longest: int) -> str:
    return _UNPRINTABLE.sub("?", text)[:longest] or "-"
