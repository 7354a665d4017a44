"""Log patterns that several signatures read: what servers say of their workers, of their start and of their end.

Wordings are those of gunicorn 20 to 27, uvicorn 0.17 to 0.54, hypercorn and granian. A pattern says only what its
line says; what it means together with others is for the signatures.
"""

from __future__ import annotations

from probes.base import PatternKey
from probes.loghead import Place
from probes.loghits import Pattern


def pattern(
    key: str, regex: str, context_lines: int = 0, place: Place | None = None, sought: tuple[str, ...] = ()
) -> Pattern:
    """A pattern by plain strings."""
    return Pattern(PatternKey(key), regex, context_lines, place, sought)


def told(key: str, regex: str, context_lines: int = 0) -> Pattern:
    """What a server says of itself, in a message of its own: whoever quotes it has not seen it happen."""
    return pattern(key, regex, context_lines, "message")


def complaint(key: str, regex: str, context_lines: int = 0) -> Pattern:
    """Likewise, of a failure: no server says that below the level of a warning."""
    return pattern(key, regex, context_lines, "complaint")


def raised(key: str, regex: str, context_lines: int = 0) -> Pattern:
    """What an exception says: in a traceback, or behind other words of a line that is logged as an error."""
    return pattern(key, regex, context_lines, "raised")


def unquoted(key: str, regex: str, context_lines: int = 0) -> Pattern:
    """What may stand anywhere in a line, but for quotation marks and prose in a line of mere information."""
    return pattern(key, regex, context_lines, "unquoted")


ENDS = r"(?: ?$|[\"']|  | \[| \(?\w+=)"
"""The end of a message: of its line, or what structlog, rich, logfmt and an application's format write behind it."""

TIMED_OUT = complaint("server/worker-timeout", r"WORKER TIMEOUT \(pid:(?P<pid>\d+)\)" + ENDS)
"""gunicorn's arbiter is about to kill a worker whose heartbeat stopped."""

KILLED = complaint(
    "server/worker-sigkill", r"Worker \(pid:(?P<pid>\d+)\) was sent SIGKILL!(?: Perhaps out of memory\?)?" + ENDS
)
KILLED_BEFORE_21 = complaint(
    "server/worker-signal-9", r"Worker with pid (?P<pid>\d+) was terminated due to signal 9" + ENDS
)
CHILD_DIED = told("server/child-died", r"Child process \[(?P<pid>\d+)\] died" + ENDS)
"""uvicorn's supervisor: neither code nor signal, and at the level of information."""

BOOTING = told("server/booting", r"Booting worker with pid:? (?P<pid>\d+)")
WAITING = told("server/waiting", r"Waiting for application startup\.")
STARTED = told("server/started", r"Application startup complete\.")
LISTENING = told(
    "server/listening",
    r"(?:Uvicorn running on|Listening at:|Running on|ASGI server listening on|Server started at)"
    r" (?:https?://)?(?P<host>\[[0-9a-fA-F:.]+\]|[0-9A-Za-z._\-]+):(?P<port>\d+)",
)
BEGUN = told("server/begun", r"(?:Uvicorn running on|Listening at:) ")
"""A master begins. gunicorn's asgi workers say that they listen, too, each time that one is started."""
STOPPING = told("server/stopping", r"Handling signal: (?P<signal>term|int|quit)")
"""gunicorn's master was told to end."""

# inotify takes the same number for want of watchers: "[Errno 24] inotify instance limit reached".
NO_DESCRIPTOR = unquoted(
    "server/errno-24", r"\[Errno 24\] ?(?:[^ i]|i[^n]|$)|Too many open files(?: \(os error 24\)|[\]'\"]|$)"
)
ACCEPT_FAILED = raised("server/accept-failed", r"socket\.accept\(\) out of system resource")

BOOT_FAILURES = (
    told("boot/worker-failed", r"(?:Reason: |<?HaltServer )?.?Worker failed to boot\."),
    complaint("boot/app-failed", r"App failed to load\."),
    complaint("boot/asgi-app", r"Error loading ASGI app(?:\.| factory:) (?P<error>.*)$"),
    complaint("boot/startup-failed", r"Application startup failed\. Exiting\.", 8),
    told("boot/child-failed", r"Child process \[(?P<pid>\d+)\] failed to start"),
    complaint("boot/exit-code", r"Worker \(pid:(?P<pid>\d+)\) exited with code [34]\."),
    raised("boot/lifespan", r"(?P<error>Lifespan failure in (?:lifespan\.)?startup|Timeout whilst awaiting startup)"),
    raised("boot/class-uri", r"class uri .*invalid or not found"),
    raised("boot/attribute", r"(?P<error>Failed to find attribute '[^']*' in '[^']*')"),
    raised("boot/hypercorn-app", r"NoAppError: (?P<error>Cannot load application from .*)$"),
    unquoted("boot/fastapi-cli", r"(?P<error>Could not find (?:FastAPI app in module|a default file to run)[^\"]*)$"),
    # The servers' own code that imports the application stands in a traceback only while it cannot be imported.
    unquoted(
        "boot/loader",
        r"(?:uvicorn|uvicorn_worker|gunicorn|hypercorn|granian|fastapi_cli)[\w/\\]*\.py\\?\", line \d+, in "
        r"(?:import_from_string|load_app|load_wsgi|load_wsgiapp|import_app|load_application|load_target|load_module)"
        r"(?:[^_\w]|$)",
        20,
    ),
    complaint("boot/granian-exit", r"Unexpected exit from worker-\d+", 20),
    unquoted("boot/spawn", r"gunicorn/arbiter\.py\\?\", line \d+, in spawn_worker(?:[^_\w]|$)", 12),
)
"""The application, or the worker that should serve it, did not start."""
