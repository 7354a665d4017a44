"""Why an engine was not reached or would not answer: one sentence each, with what to do next."""

from __future__ import annotations

import socket
import ssl

import msgspec

from probes import text
from probes.base import Failure, Frozen

_CODES = {401: "forbidden", 403: "forbidden", 404: "not-found", 409: "conflict"}
_START = "start Docker (sudo systemctl start docker)"
_PORT = "check address and port, and that the engine there listens on them (by default 2375, with TLS 2376)"
_BEHIND_SSH = (
    "start Docker on that machine, or let the user use its socket there (group docker); "
    "try by hand: ssh -o BatchMode=yes HOST docker version"
)
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"})
"""OpenSSL's reasons where the other side answered in plain text."""
_PLAIN = "it speaks no TLS there: name its TLS port (2376 by default), or unset DOCKER_TLS_VERIFY and DOCKER_TLS"
_WANTS_TLS = "HTTP request to an HTTPS server"
"""What Go's server says to a client without TLS."""
_WITH_TLS = (
    "it speaks TLS there: set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH, or use a docker context with certificates"
)
_CERTIFICATES = "check ca.pem, cert.pem and key.pem of the docker context or of DOCKER_CERT_PATH"


class _Message(Frozen, frozen=True):
    message: str = ""


def refused(what: str, status: int, message: str) -> Failure:
    """The engine's answer was an error."""
    if status == 400 and _WANTS_TLS in message:
        return Failure("tls", what, "the engine takes TLS only", _WITH_TLS)
    hint = "ask the engine's administrator for the right to read" if status in {401, 403} else ""
    return Failure(_CODES.get(status, "engine-error"), what, f"the engine says {status}: {message}", hint)


def message(answer: bytes) -> str:
    """The engine's own words: ``{"message": …}``, or the text itself."""
    try:
        return text.line(msgspec.json.decode(answer, type=_Message).message, 600)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return text.line(answer[:600], 600)


def certificates(where: str, error: OSError) -> Failure:
    """A certificate could not be loaded."""
    return Failure(
        "tls", f"TLS with {where}", f"a certificate cannot be loaded: {text.line(str(error), 200)}", _CERTIFICATES
    )


def unreached(where: str, what: str, error: BaseException) -> Failure:
    """No answer came from ``where`` (a socket's path, an ``http(s)://`` or an ``ssh://`` URL).

    ``error`` is what httpx or the system raised.
    """
    chain = _causes(error)
    tls = next((one for one in chain if isinstance(one, ssl.SSLError)), None)
    network = where.startswith(("http://", "https://"))
    remote = network or where.startswith("ssh://")
    if tls is not None:
        plain = tls.reason in _NO_TLS
        return Failure(
            "tls", what, f"TLS with {where} failed: {text.line(str(tls), 200)}", _PLAIN if plain else _CERTIFICATES
        )
    if _any(chain, socket.gaierror):
        return Failure(
            "unreachable",
            what,
            f"the name in {where} is not known here",
            "check the host that DOCKER_HOST, the docker context or the target names",
        )
    if _any(chain, TimeoutError) or "Timeout" in type(error).__name__:
        cut = " (a firewall, a VPN)" if network else ""
        hint = f"the engine is busy or the way to it is cut{cut}"
        return Failure("timeout", what, f"{where} did not answer in time", hint)
    if not remote and _any(chain, PermissionError):
        return Failure(
            "permission-denied",
            what,
            f"permission denied on {where}",
            "add your user to the group docker (sudo usermod -aG docker $USER, then log in again), or use sudo",
        )
    if not remote and _any(chain, FileNotFoundError):
        return Failure(
            "unreachable", what, f"there is no socket at {where}", f"{_START}, or name another: docker:CONTEXT"
        )
    refused_there = _any(chain, ConnectionRefusedError)
    said = "nothing answers" if refused_there else text.line(str(error) or type(error).__name__, 200)
    why = f"{said} at {where}" if refused_there else f"the connection to {where} failed: {said}"
    if where.startswith("ssh://"):
        return Failure("unreachable", what, why, _BEHIND_SSH)
    if network:
        return Failure("unreachable", what, why, _PORT)
    return Failure("unreachable", what, why, _START if refused_there else "see whether the engine is up")


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
