"""Log patterns that several signatures read: what servers say of their workers, of their start and of their end.

Wordings are those of gunicorn 20 to 27, uvicorn 0.17 to 0.54, hypercorn and granian. A pattern says only what its
line says; what it means together with others is for the signatures.
"""

from __future__ import annotations

from probes.base import PatternKey
from probes.loghits import Pattern


def pattern(key: str, regex: str, context_lines: int = 0) -> Pattern:
    """A pattern by plain strings."""
    return Pattern(PatternKey(key), regex, context_lines)


TIMED_OUT = pattern("server/worker-timeout", r"WORKER TIMEOUT \(pid:(?P<pid>\d+)\)")
"""gunicorn's arbiter is about to kill a worker whose heartbeat stopped."""

KILLED = pattern("server/worker-sigkill", r"Worker \(pid:(?P<pid>\d+)\) was sent SIGKILL!")
KILLED_BEFORE_21 = pattern(
    "server/worker-signal-9", r"Worker with pid (?P<pid>\d+) was terminated due to signal 9(?:[^0-9]|$)"
)
CHILD_DIED = pattern("server/child-died", r"Child process \[(?P<pid>\d+)\] died")
"""uvicorn's supervisor: neither code nor signal."""

BOOTING = pattern("server/booting", r"Booting worker with pid:? (?P<pid>\d+)")
WAITING = pattern("server/waiting", r"Waiting for application startup\.")
STARTED = pattern("server/started", r"Application startup complete\.")
LISTENING = pattern(
    "server/listening",
    r"(?:Uvicorn running on|Listening at:|Running on|ASGI server listening on|Server started at)"
    r" (?:https?://)?(?P<host>\[[0-9a-fA-F:.]+\]|[0-9A-Za-z._\-]+):(?P<port>\d+)",
)
BEGUN = pattern("server/begun", r"(?:Uvicorn running on|Listening at:) ")
"""A master begins. gunicorn's asgi workers say that they listen, too, each time that one is started."""
STOPPING = pattern("server/stopping", r"Handling signal: (?P<signal>term|int|quit)")
"""gunicorn's master was told to end."""

# inotify takes the same number for want of watchers: "[Errno 24] inotify instance limit reached".
NO_DESCRIPTOR = pattern(
    "server/errno-24", r"\[Errno 24\] ?(?:[^ i]|i[^n]|$)|Too many open files(?: \(os error 24\)|[\]'\"]|$)"
)
ACCEPT_FAILED = pattern("server/accept-failed", r"socket\.accept\(\) out of system resource")

BOOT_FAILURES = (
    pattern("boot/worker-failed", r"(?:Reason: |HaltServer )?.?Worker failed to boot\."),
    pattern("boot/app-failed", r"App failed to load\."),
    pattern("boot/asgi-app", r"Error loading ASGI app(?:\.| factory:) (?P<error>.*)$"),
    pattern("boot/startup-failed", r"Application startup failed\. Exiting\.", 8),
    pattern("boot/child-failed", r"Child process \[(?P<pid>\d+)\] failed to start"),
    pattern("boot/exit-code", r"Worker \(pid:(?P<pid>\d+)\) exited with code [34]\."),
    pattern("boot/lifespan", r"(?P<error>Lifespan failure in (?:lifespan\.)?startup|Timeout whilst awaiting startup)"),
    pattern("boot/class-uri", r"class uri .*invalid or not found"),
    pattern("boot/attribute", r"(?P<error>Failed to find attribute '[^']*' in '[^']*')"),
    pattern("boot/hypercorn-app", r"NoAppError: (?P<error>Cannot load application from .*)$"),
    pattern("boot/fastapi-cli", r"(?P<error>Could not find (?:FastAPI app in module|a default file to run)[^\"]*)$"),
    # The servers' own code that imports the application stands in a traceback only while it cannot be imported.
    pattern(
        "boot/loader",
        r"(?:uvicorn|uvicorn_worker|gunicorn|hypercorn|granian|fastapi_cli)[\w/\\]*\.py\\?\", line \d+, in "
        r"(?:import_from_string|load_app|load_wsgi|load_wsgiapp|import_app|load_application|load_target|load_module)"
        r"(?:[^_\w]|$)",
        20,
    ),
    pattern("boot/granian-exit", r"Unexpected exit from worker-\d+", 20),
    pattern("boot/spawn", r"gunicorn/arbiter\.py\\?\", line \d+, in spawn_worker(?:[^_\w]|$)", 12),
)
"""The application, or the worker that should serve it, did not start."""
