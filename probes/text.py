"""The one door for foreign text.

Everything that a container, a process, an engine or a file said passes here before it is stored, shown, written or
logged: escape sequences and control characters are removed, the length is capped, secrets are replaced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from probes.references import is_reference

HIDDEN = "•••"
"""What stands in place of a secret."""

LINE_CAP = 4096
"""Characters kept of one line; a longer one ends in an ellipsis."""

# CSI, OSC (ended by BEL or ST), other two-character escapes: ECMA-48, sections 5.3-5.6. A string that is not ended
# stops at its line: it must neither swallow the lines that follow nor change their number.
_ESCAPES = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[PX^_][^\x1b\n]*(?:\x1b\\)?|[ -/]*[0-~])?"
)
# C0 but tab, DEL, C1, line and paragraph separators, bidirectional controls, zero-width and other format characters.
_CONTROLS = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)

_SECRET_NAME = re.compile(
    r"(?i)(passw(or)?d|passphrase|_pwd$|pass$|secret|token(?!iz)|credential|api_?key|access_?key|private_?key|signing_?key|"
    r"encryption_?key|auth_?key|session_?key|master_?key|(^|[_-])key$|salt$|dsn$|bearer|cookie|authorization|netrc)"
)
# Names that end like a secret's and are not one.
_PUBLIC_NAME = re.compile(
    r"(?i)(public_?key|key_?(id|file|path)$|(file|path|dir|url_?path)$|keepalive|(error|exception|warning)$|token_?(url|ttl|count|limit)|tokens(_\w+)?$|_pwd_dir)"
)
_URL_PASSWORD = re.compile(
    r"(?P<head>[A-Za-z][A-Za-z0-9+.\-]*://[^\s/:@'\"]*:)(?P<secret>[^\s/'\"]*(?:/[^\s@/'\"]*)*?)(?=@)"
)
_NAME = r"[A-Za-z_][A-Za-z0-9_.\-]*"
_IS_NAME = re.compile(rf"-{{0,2}}{_NAME}")
_ASSIGNED = re.compile(
    rf"""(?P<head>(?<![A-Za-z0-9_.\-])["']?(?P<name>{_NAME})["']?\s*(?:=|:\s|:(?=["']))\s*)"""
    r"""(?P<value>"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|(?:(?i:bearer|basic|digest|token)\s+)?[^\s"']+)"""
)
_OPTION = re.compile(
    rf"""(?P<head>(?<![\w-])["']?--?(?P<name>{_NAME})["']?,?\s+)(?P<value>["'][^"']*["']?|[^\s"',\-][^\s"',]*)"""
)
_REST_OF_LINE = re.compile(rf"""^\s*(?:-\s+)?(?P<name>{_NAME}):\s+(?=[^\s"'])""")
"""``PASSWORD: correct horse``: the value of a line that is an entry goes on to its end."""
_BEARER = re.compile(
    r"(?i)(?P<head>\b(?:authorization[\"']?\s*[:=]\s*[\"']?)?(?:bearer|basic)\s+)(?P<secret>[A-Za-z0-9._~+/=\-]{8,})"
)
# Well-known shapes of keys: AWS, GitHub, Slack, Stripe, Google, OpenAI-style, JSON Web Tokens, PEM blocks.
_SHAPES = re.compile(
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}|"
    r"\bxox[abprs]-[A-Za-z0-9-]{10,}|\b[srp]k_(?:live|test)_[A-Za-z0-9]{10,}|\bAIza[A-Za-z0-9_\-]{30,}|"
    r"\bsk-[A-Za-z0-9_\-]{20,}|\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*|"
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?"
)

_SHORTEST = 15
"""Characters of the shortest of these shapes. Whatever else looks like a secret has one of these in it:"""
_SPLITS = re.compile(r"[=:\s]")


def strip_escapes(data: bytes) -> bytes:
    """Bytes without terminal escape sequences: what patterns are matched against."""
    return _ESCAPES.sub(b"", data) if b"\x1b" in data else data


def clean(text: str | bytes, cap: int = LINE_CAP) -> str:
    """One line of foreign text, safe to print: no escapes, no control characters, ``cap`` characters at most."""
    if isinstance(text, str) and len(text) <= cap and text.isascii() and text.isprintable():
        return text
    raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
    plain = strip_escapes(raw[: cap * 8]).decode("utf-8", "replace")
    plain = _CONTROLS.sub("", plain.replace("\t", "    ").replace("\n", " "))
    return plain if len(plain) <= cap else plain[: cap - 1] + "…"


def redact(text: str) -> str:
    """The text with what looks like a secret replaced by :data:`HIDDEN`."""
    if not _SPLITS.search(text):
        return text if len(text) < _SHORTEST else _SHAPES.sub(HIDDEN, text)
    text = _URL_PASSWORD.sub(rf"\g<head>{HIDDEN}", text)
    text = _BEARER.sub(rf"\g<head>{HIDDEN}", text)
    entry = _REST_OF_LINE.match(text)
    if entry is not None and is_secret_name(entry["name"]):
        return text[: entry.end()] + HIDDEN
    for pattern in (_ASSIGNED, _OPTION):
        text = _named(pattern, text)
    return _SHAPES.sub(HIDDEN, text)


def _named(pattern: re.Pattern[str], text: str) -> str:
    """Hides the values whose names are those of secrets; what stands behind another name may have one of its own."""
    at = 0
    while found := pattern.search(text, at):
        at = found.end("head")
        if is_secret_name(found["name"]) and found["value"]:
            quote = found["value"][0] if found["value"][0] in "\"'" else ""
            text = text[:at] + quote + HIDDEN + quote + text[found.end() :]
            at += len(HIDDEN) + 2 * len(quote)
    return text


def line(text: str | bytes, cap: int = LINE_CAP) -> str:
    """A line of a log or a message: clean and redacted."""
    return redact(clean(text, cap))


def block(text: str | bytes, lines: int = 2000, cap: int = LINE_CAP) -> str:
    """Several lines, each clean and redacted; the oldest are dropped beyond ``lines``."""
    raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
    return "\n".join(line(one, cap) for one in raw.split(b"\n")[-lines:])


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether a setting of this name usually holds a secret."""
    return bool(_SECRET_NAME.search(name)) and not _PUBLIC_NAME.search(name)


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Environment variables with their secrets replaced: by name, and by what the value looks like.

    A value that only says where the secret is kept (:mod:`probes.references`) is shown.
    """
    return {clean(name, 256): _value(name, value) for name, value in variables.items()}


def _value(name: str, value: str) -> str:
    shown = line(value)
    if not value or not is_secret_name(name):
        return shown
    # What is hidden in it already is no reference either.
    return shown if shown == value and is_reference(value) else HIDDEN


def arguments(argv: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """Command-line arguments with the values of secret options replaced."""
    shown: list[str] = []
    hide_next = False
    for one in argv:
        name, equals, value = one.partition("=")
        if hide_next:
            shown.append(HIDDEN)
        elif equals and _IS_NAME.fullmatch(name) and is_secret_name(name.lstrip("-")):
            shown.append(f"{clean(name)}={HIDDEN}" if value else line(one))
        else:
            shown.append(line(one))
        hide_next = not equals and one.startswith("--") and is_secret_name(one.lstrip("-"))
    return tuple(shown)
