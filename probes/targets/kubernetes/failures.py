"""Why an API server was not reached or would not answer: one sentence each, with what to do next."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Mapping

import msgspec

from probes import text
from probes.base import Failure, Frozen
from probes.target import Unreadable
from probes.targets.kubernetes.rules import Rule, rule

_CODES = {
    400: "invalid",
    401: "expired",
    403: "forbidden",
    404: "not-found",
    405: "not-found",
    406: "invalid",
    409: "conflict",
    410: "gone",
    415: "invalid",
    422: "invalid",
    429: "too-busy",
    503: "too-busy",
    504: "timeout",
}


# k8s.io/apiserver, `responsewriters.Forbidden`.
_CANNOT = re.compile(
    r'cannot (?P<verb>[a-z]+) resource "(?P<resource>[\w./-]+)" in API group "(?P<group>[\w.-]*)"'
    r' (?:at the cluster scope|in the namespace "(?P<namespace>[\w.-]+)")'
)
_WAITING = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""What was going on when a deadline came: no failure of TLS."""


class ApiError(Exception):
    """The API server refused or failed a write; ``status`` is ``None`` when no answer came: it may have been done."""

    def __init__(self, status: int | None, said: Status, rule: Rule | None = None) -> None:
        super().__init__(said.message)
        self.status = status
        self.reason = said.reason
        """Kubernetes' own word: ``Conflict``, ``Invalid``, ``Forbidden``, ``NotFound``, …; or ``""``."""
        self.message = said.message
        self.causes = said.causes
        self.retry_after_seconds = said.retry_after_seconds
        self.rule = rule
        """The right that was missing, where it was a question of rights."""


class Gone(Exception):
    """410: the version or the page that was asked for is no longer kept. List anew."""


class Forbidden(Unreadable):
    """403 of a read, with the rule that would allow it."""

    def __init__(self, failure: Failure, rule: Rule) -> None:
        super().__init__(failure)
        self.rule = rule


class Cause(Frozen, frozen=True):
    """Why an object was refused."""

    field: str
    reason: str
    message: str


class Status(Frozen, frozen=True):
    """The API server's words, cleaned."""

    reason: str = ""
    message: str = ""
    causes: tuple[Cause, ...] = ()
    retry_after_seconds: float | None = None
    own: bool = False
    """Whether it is a Status object: otherwise something before the server, or a service behind it, answered."""


class _Cause(Frozen, frozen=True):
    reason: str = ""
    message: str = ""
    field: str = ""


class _Details(Frozen, frozen=True, rename="camel"):
    causes: tuple[_Cause, ...] = ()
    retry_after_seconds: int = 0


class _Status(Frozen, frozen=True):
    kind: str = ""
    reason: str | None = None
    message: str | None = None
    details: _Details | None = None


def status(answer: bytes, headers: Mapping[str, str] | None = None) -> Status:
    """What an error's body says; the text itself where it is no Status object."""
    wait = (headers or {}).get("retry-after", "")
    seconds = float(wait) if wait.isascii() and wait.isdecimal() and len(wait) < 6 else None
    try:
        found = msgspec.json.decode(answer, type=_Status)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Status(message=text.line(answer[:600], 300), retry_after_seconds=seconds)
    details = found.details or _Details()
    return Status(
        reason=text.clean(found.reason or "", 80),
        message=text.line(found.message or "", 600),
        causes=tuple(
            Cause(text.clean(one.field, 200), text.clean(one.reason, 80), text.line(one.message, 400))
            for one in details.causes[:20]
        ),
        retry_after_seconds=seconds if seconds is not None or not details.retry_after_seconds
        else float(details.retry_after_seconds),
        own=found.kind == "Status",
    )  # fmt: skip


def refused(method: str, path: str, params: Mapping[str, object] | None, code: int, said: Status) -> Unreadable:
    """The API server's answer to a read was an error."""
    what = f"{method} {text.clean(path, 300)}"
    message = said.message or said.reason or "nothing more"
    if code == 403 and (said.own or not said.message):
        needed = missing(method, path, params, said) or rule(method, path, params)
        hint = f"ask for the rule {text.clean(str(needed), 300)} {text.clean(needed.where, 120)} (see fastops rbac)"
        return Forbidden(Failure("forbidden", what, f"the API server says 403: {message}", hint), needed)
    if code == 401:
        hint = "log in again (kubectl get namespaces shows how); fastops goes on by itself"
        return Unreadable(
            Failure("expired", what, f"the API server does not accept these credentials: {message}", hint)
        )
    hint = ""
    if code in {429, 503}:
        wait = f" in {said.retry_after_seconds:g} s" if said.retry_after_seconds else ""
        hint = f"it asks to come again{wait}" if code == 429 or wait else "see kubectl get --raw /readyz?verbose"
    if code < 400:
        hint = "is there a proxy before the API server that wants a login?"
    fallback = "server-error" if code >= 500 else "unexpected-answer"
    return Unreadable(Failure(_CODES.get(code, fallback), what, f"the API server says {code}: {message}", hint))


def missing(method: str, path: str, params: Mapping[str, object] | None, said: Status) -> Rule | None:
    """The right that a 403 was about; ``None`` where it was no question of rights (a quota, an admission's no).

    From the server's words: an exec is a ``create`` since 1.35, though it is a GET.
    """
    found = _CANNOT.search(said.message)
    if found is None:
        return rule(method, path, params) if "cannot " in said.message else None
    asked = rule(method, path, params)
    return msgspec.structs.replace(
        asked, verb=found["verb"], group=found["group"], resource=found["resource"], namespace=found["namespace"]
    )


def certificates(where: str, error: Exception) -> Unreadable:
    """A certificate, key or authority could not be loaded."""
    why = f"a certificate cannot be loaded: {text.line(str(error), 200)}"
    hint = "check the certificates that kubectl config view names"
    return Unreadable(Failure("tls", f"TLS with {text.line(where, 200)}", why, hint))


def unreached(where: str, what: str, error: BaseException) -> Unreadable:
    """No answer came from ``where`` (a URL); ``error`` is what httpx or the system raised."""
    chain = _causes(error)
    where, what = text.line(where, 200), text.clean(what, 300)
    tls = next((one for one in chain if isinstance(one, ssl.SSLError) and not isinstance(one, _WAITING)), None)
    if _any(chain, ssl.SSLCertVerificationError):
        hint = "is certificate-authority of the kubeconfig that of this cluster? (kubectl config view)"
        return Unreadable(Failure("tls", f"TLS with {where}", _verification(tls), hint))
    if tls is not None:
        why = f"the handshake failed: {text.line(str(tls), 200)}"
        return Unreadable(
            Failure("tls", f"TLS with {where}", why, "is the client certificate valid? (kubectl config view)")
        )
    if _any(chain, socket.gaierror):
        why = f"the name of {where} is not known here"
        return Unreadable(Failure("unreachable", what, why, "is the VPN up? is the context still current?"))
    if _any(chain, ConnectionRefusedError):
        return Unreadable(Failure("unreachable", what, f"nothing answers at {where}", "is the cluster running?"))
    if _any(chain, TimeoutError) or "Timeout" in type(error).__name__:
        hint = "the API server is busy, or the way to it is cut (VPN, network)"
        return Unreadable(Failure("timeout", what, f"{where} did not answer in time", hint))
    said = text.line(str(error) or type(error).__name__, 200)
    return Unreadable(
        Failure("unreachable", what, f"the connection to {where} failed: {said}", "is the way to it cut?")
    )


def _verification(error: ssl.SSLError | None) -> str:
    said = getattr(error, "verify_message", None) or str(error)
    return f"its certificate is not trusted: {text.line(said, 200)}"


def _any(chain: tuple[BaseException, ...], kind: type[BaseException]) -> bool:
    return any(isinstance(one, kind) for one in chain)


def _causes(error: BaseException) -> tuple[BaseException, ...]:
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and len(chain) < 12:
        chain.append(following)
        if isinstance(following, BaseExceptionGroup):
            chain.extend(following.exceptions[:8])
        following = following.__cause__ or following.__context__
    return tuple(chain)
