"""The application, or the worker that should serve it, does not start.

What it means. The import of the application fails, its lifespan's start-up raises, or the worker class does not
exist. gunicorn's master then ends with exit code 3 (``Worker failed to boot``) or 4 (``App failed to load``); uvicorn
ends or, with several workers, starts one child after the other. Nothing is served, or only what an older worker still
serves.

What proves it. The servers' own sentences: ``Worker failed to boot.``, ``App failed to load.``, ``Error loading ASGI
app.``, ``Application startup failed. Exiting.``, ``Child process [N] failed to start``, ``class uri … invalid or not
found``, ``Failed to find attribute … in …``; or a traceback through the servers' code that imports the application.

What it is not. A failure after which the application started and stays up. An import that fails while a request is
served: its traceback does not come from the server's loader.

What to do. The exception in the evidence names the cause; where a more exact finding (``missing-env``) is open, it
explains this one.
"""

from __future__ import annotations

from itertools import pairwise

from msgspec.structs import replace

from fixes.model import Evidence, Example, Fires, RemedyId, Signature, SignatureId, Verdict, View
from fixes.proof import BY_START
from fixes.signatures import _shared, _traceback, _wording
from fixes.signatures._shared import At
from probes.loghits import LogHit

IMPORT_ERROR = _wording.raised(
    "boot/import-error",
    r"(?:^|[\s|])(?P<error>(?:ModuleNotFoundError|ImportError|SyntaxError|IndentationError): .*)$",
    20,
)
_SPAWN, _GRANIAN = "boot/spawn", "boot/granian-exit"
_FRAMES = ("boot/loader", "boot/import-error", _SPAWN)
_TRACEBACK_LINES = 80
_ENDS = ("Child process [", "Shutting down: Master", "Worker exiting (pid", "Stopping parent process", "Worker failed")
_SERVING = (
    "starlette/routing.py",
    "fastapi/routing.py",
    "Exception in ASGI application",
    "in run_asgi",
    "500 Internal",
)


def detect(view: View) -> Verdict:
    """Fires on failed starts that no lasting start followed."""
    failures = [(hit, place, _shared.came_up(view, place)) for hit, place in _failures(view)]
    found = [(hit, place) for hit, place, good in failures if good is False]
    if not found:
        return _shared.just_started() if any(good is None for _, _, good in failures) else _shared.unseen(view)
    total = _count(view, found)
    first, last = _shared.span([place for _, place in found])
    found.sort(key=lambda one: one[1].line)
    hits = list({id(hit): hit for hit, _ in found}.values())
    error, raised = _reason(view, found)
    seen = _shared.seen(view, total)
    return Fires(
        severity="critical",
        title=f"the application does not start: {error}{seen}" if error else f"the application does not start{seen}",
        evidence=tuple(_told(hit) for hit in (*hits[-6 + len(raised) :], *raised)),
        count=total,
        first_at=first,
        last_at=last,
        facts={"error": error} if error else {},
    )


def _count(view: View, found: list[tuple[LogHit, At]]) -> int:
    """How often it failed: by the sentences that each failure says once, else by tracebacks far from each other."""
    per_pattern: dict[str, int] = {}
    for hit in {id(hit): hit for hit, _ in found if hit.key not in _FRAMES}.values():
        per_pattern[hit.key] = per_pattern.get(hit.key, 0) + _shared.count(view, hit)
    if per_pattern:
        return max(per_pattern.values())
    places = sorted({(place.replica, place.line) for _, place in found})
    return 1 + sum(a[0] != b[0] or b[1] - a[1] > _TRACEBACK_LINES for a, b in pairwise(places))


def _failures(view: View) -> list[tuple[LogHit, At]]:
    told = [
        (hit, place)
        for hit, place in _shared.places(view, *_wording.BOOT_FAILURES)
        if not (hit.key == _SPAWN and not _at_boot(hit)) and not (hit.key == _GRANIAN and not _in_start(hit))
    ]
    return told + [(hit, place) for hit, place in _shared.places(view, IMPORT_ERROR) if _at_start(hit)]


def _at_boot(hit: LogHit) -> bool:
    """A traceback through the arbiter's ``spawn_worker`` that ends there: the worker was not even made."""
    return any("worker = self.worker_class(" in line for line in (*_shared.unfolded(hit.sample), *hit.after[:2]))


def _in_start(hit: LogHit) -> bool:
    """Whether granian's worker ended while it loaded the application or ran its start-up."""
    return any(
        word in line for line in hit.before for word in (", in load_target", ", in load_module", ", in lifespan")
    )


def _at_start(hit: LogHit) -> bool:
    """Whether a failed import belongs to a start: at module level, outside of requests, by name or with an end."""
    lines = [*hit.before, *_shared.unfolded(hit.sample)]
    importing = any("<frozen importlib" in line or "in <module>" in line for line in lines)
    request = any(word in line for line in (*lines, *hit.after[:6]) for word in _SERVING)
    by_name = any("in _gcd_import" in line for line in lines)
    ended = any(word in line for line in hit.after[:6] for word in _ENDS)
    return importing and not request and (ended or by_name)


def _reason(view: View, found: list[tuple[LogHit, At]]) -> tuple[str | None, tuple[LogHit, ...]]:
    """What went wrong, and the line that says so where it is none of those that were found."""
    error = next((e for hit, _ in reversed(found) if (e := _error(hit))), None)
    if error is not None:
        return error, ()
    # Libraries that import one another make a traceback longer than what is kept beside one of its lines.
    ends = (_traceback.ended_by(view, place) for hit, place in reversed(found) if hit.key in _FRAMES)
    end = next((one for one in ends if one is not None), None)
    if end is None:
        return None, ()
    hit, said = end
    return said, (hit,) if said in hit.sample else ()


def _told(hit: LogHit) -> Evidence:
    """A line, but of a traceback its end: a frame of the server's loader says nothing of what went wrong."""
    told, error = _shared.evidence_of(hit), _error(hit) if hit.key in ("boot/loader", _SPAWN) else None
    return told if error is None else replace(told, text=error)


def _error(hit: LogHit) -> str | None:
    """What went wrong, in the words of the exception nearest to the line."""
    told = hit.fields.get("error")
    if told:
        return told.strip()[:300]
    near = hit.after if hit.key == "boot/loader" else hit.before
    said = _shared.exception_in([*near, *_shared.unfolded(hit.sample)])
    return said or (_traceback.end_in(hit.after) if hit.key == "boot/loader" else None)


SIGNATURE = Signature(
    id=SignatureId("worker-boot-failed"),
    title="The application does not start",
    severity="critical",
    detect=detect,
    remedies=(RemedyId("rollback"), RemedyId("advise")),
    proof=BY_START,
    source="gunicorn/arbiter.py (exit codes 3 and 4), uvicorn/config.py and uvicorn/supervisors/multiprocess.py",
    patterns=(*_wording.BOOT_FAILURES, IMPORT_ERROR, _wording.STARTED, _traceback.NAMED, _traceback.CHAINED),
    explains=(SignatureId("worker-died"), SignatureId("crash-loop")),
    fires=(
        Example(
            "gunicorn 27",
            "[2026-11-22 09:36:19 +0000] [27339] [ERROR] Worker (pid:27341) exited with code 3.\n"
            "[2026-11-22 09:36:19 +0000] [27339] [ERROR] Shutting down: Master\n"
            "[2026-11-22 09:36:19 +0000] [27339] [ERROR] Reason: Worker failed to boot.\n",
        ),
        Example(
            "gunicorn 20",
            "[2026-11-22 09:35:53 +0000] [26649] [INFO] Shutting down: Master\n"
            "[2026-11-22 09:35:53 +0000] [26649] [INFO] Reason: Worker failed to boot.\n",
        ),
        Example("no such attribute", "Failed to find attribute 'application' in 'app'.\n"),
        Example("uvicorn", 'ERROR:    Error loading ASGI app. Could not import module "app.mian".\n'),
        Example("a lifespan that raises", "RuntimeError: no model\n\nERROR:    Application startup failed. Exiting.\n"),
        Example("uvicorn's child", "ERROR:    Child process [30211] failed to start, stopping the parent process.\n"),
        Example(
            "a worker class that is not there",
            "Error: class uri 'uvicorn.workers.UvicornWorkerr' invalid or not found: \n",
        ),
        Example(
            "an import error on the loader's stack",
            '  File "/opt/venv/lib/python3.11/site-packages/uvicorn/importer.py", line 22, in import_from_string\n'
            "    raise exc from None\n"
            '  File "/srv/app/main.py", line 2, in <module>\n'
            "    import nothing\n"
            "ModuleNotFoundError: No module named 'nothing'\n",
        ),
        Example(
            "the same in JSON",
            '{"level": "ERROR", "message": "Application startup failed. Exiting.", "name": "uvicorn.error"}\n',
        ),
    ),
    silent=(
        Example(
            "it started later and stays up",
            "[2026-11-22 09:36:19 +0000] [7] [ERROR] Application startup failed. Exiting.\n"
            "[2026-11-22 09:36:29 +0000] [9] [INFO] Waiting for application startup.\n"
            "[2026-11-22 09:36:29 +0000] [9] [INFO] Application startup complete.\n"
            "[2026-11-22 09:36:59 +0000] [9] [WARNING] Worker (pid:3) was sent SIGTERM!\n",
        ),
        Example(
            "an import that fails in a request",
            "ERROR:    Exception in ASGI application\n"
            '  File "/opt/venv/lib/python3.11/site-packages/starlette/routing.py", line 683, in __call__\n'
            '  File "/srv/app/main.py", line 40, in report\n    import pandas\n'
            "ModuleNotFoundError: No module named 'pandas'\n",
        ),
        Example(
            "a normal start", "INFO:     Waiting for application startup.\nINFO:     Application startup complete.\n"
        ),
    ),
)
