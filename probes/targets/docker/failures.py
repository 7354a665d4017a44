"""Why an engine was not reached or would not answer: one sentence each, with what to do next."""

from __future__ import annotations

import ssl

import msgspec

from probes import text
from probes.base import Failure, Frozen

_CODES = {401: "forbidden", 403: "forbidden", 404: "not-found", 409: "conflict"}
_START = "start Docker (sudo systemctl start docker)"
_CERTIFICATES = "check ca.pem, cert.pem and key.pem of the docker context or of DOCKER_CERT_PATH"


class _Message(Frozen, frozen=True):
    message: str = ""


def refused(what: str, status: int, message: str) -> Failure:
    """The engine's answer was an error."""
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
    """No answer came from ``where`` (a socket's path or a URL); ``error`` is what httpx or the system raised."""
    chain = _causes(error)
    tls = next((one for one in chain if isinstance(one, ssl.SSLError)), None)
    if _any(chain, PermissionError):
        return Failure(
            "permission-denied",
            what,
            f"permission denied on {where}",
            "add your user to the group docker (sudo usermod -aG docker $USER, then log in again), or use sudo",
        )
    if _any(chain, FileNotFoundError):
        return Failure(
            "unreachable", what, f"there is no socket at {where}", f"{_START}, or name another: docker:CONTEXT"
        )
    if _any(chain, ConnectionRefusedError):
        return Failure("unreachable", what, f"nothing answers at {where}", _START)
    if tls is not None:
        return Failure("tls", what, f"TLS with {where} failed: {text.line(str(tls), 200)}", _CERTIFICATES)
    if _any(chain, TimeoutError) or "Timeout" in type(error).__name__:
        return Failure("timeout", what, f"{where} did not answer in time", "the engine is busy or the way to it is cut")
    said = text.line(str(error) or type(error).__name__, 200)
    return Failure("unreachable", what, f"the connection to {where} failed: {said}", "see whether the engine is up")


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
