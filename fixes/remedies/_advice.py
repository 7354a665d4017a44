"""What to write for findings that only code or configuration can end: one function per signature."""

from __future__ import annotations

from collections.abc import Callable

from fixes.model import Advice, Finding
from fixes.remedies import _facts
from fixes.remedies._advice_database import DATABASE
from fixes.remedies._advice_service import SERVICE
from fixes.remedies._blocking import counterpart
from probes.model import Deployment
from probes.text import clean


def event_loop_blocked(_deployment: Deployment, finding: Finding) -> Advice:
    """The asynchronous counterpart of the call that blocks."""
    call = _fact(finding, "call", "function")
    answer = counterpart(call)
    found = f"{call} blocks the event loop" if call else "Something blocks the event loop"
    hint = "" if call else " `profile` names the line."
    return Advice(
        title=f"Instead of {answer.name}" if call else "Do not block the event loop",
        text=f"{found}{_where(finding)}: no other request of that worker is served meanwhile. {answer.text}{hint}",
        code=answer.code,
    )


def worker_timeout(deployment: Deployment, finding: Finding) -> Advice:
    """The same cause seen from gunicorn: the loop did not turn for the whole time-out."""
    advice = event_loop_blocked(deployment, finding)
    return Advice(
        title=advice.title,
        text=f"The worker was killed because its event loop stood still. {advice.text}",
        code=advice.code,
    )


def memory_leak(_deployment: Deployment, finding: Finding) -> Advice:
    """Where FastAPI services lose memory, and how to see it."""
    return Advice(
        title="Find what keeps the memory",
        text=(
            f"Memory that rises with the requests{_where(finding)} is nearly always one of: a cache or dictionary at "
            "module level without a bound, a client or session made per request and not closed, a list of tasks or "
            "callbacks that only grows. Compare two tracemalloc snapshots some minutes apart."
        ),
        code=(
            "@lru_cache(maxsize=1024)              # every cache has a bound\n"
            "def lookup(key: str) -> Row: ...\n\n"
            "async with httpx.AsyncClient() as c:  # once, in the lifespan; not one per request\n"
            "    ...\n\n"
            "tracemalloc.start(10)                 # at start-up, while looking for it\n"
            "before = tracemalloc.take_snapshot()\n"
            "# ... some minutes of requests later\n"
            'for s in tracemalloc.take_snapshot().compare_to(before, "lineno")[:10]:\n'
            "    print(s)"
        ),
    )


def pool_exhausted(_deployment: Deployment, finding: Finding) -> Advice:
    """Give connections back sooner, then size the pool."""
    size, overflow = _fact(finding, "size", "pool_size"), _fact(finding, "overflow", "max_overflow")
    seen = f" ({size} + {overflow} per worker)" if size and overflow else ""
    return Advice(
        title="Give connections back, then size the pool",
        text=(
            f"All connections of the pool{seen} were in use. First make sure that each is given back as soon as its "
            "query is done: a session that stays open while the handler waits for something else holds a connection. "
            "Then size the pool so that (pool_size + max_overflow) × workers × replicas stays below 80 % of the "
            "server's max_connections."
        ),
        code=(
            "engine = create_async_engine(\n"
            "    url, pool_size=20, max_overflow=30, pool_timeout=10, pool_recycle=3600, pool_pre_ping=True\n"
            ")\n\n"
            "async def session() -> AsyncIterator[AsyncSession]:\n"
            "    async with AsyncSession(engine) as one:   # closed, and its connection given back, after the request\n"
            "        yield one\n\n"
            "rows = (await session.execute(statement)).all()\n"
            "await session.close()                        # before awaiting anything that is slow\n"
            "answer = await http.get(url)"
        ),
    )


def worker_boot_failed(deployment: Deployment, finding: Finding) -> Advice:
    """Import the application as the server does, and see the error first hand."""
    app = clean(str(deployment.setting("app") or _fact(finding, "app") or "main:app"), 120)
    module, _, attribute = app.partition(":")
    error = _fact(finding, "error", "exception")
    said = f" It said: {error}." if error else ""
    return Advice(
        title=f"Make {app} importable",
        text=(
            f"The server could not load the application{_where(finding)}.{said} Import it the way the server does, in "
            "the same image and directory; what start-up needs (settings, a database) must be there, or be asked for "
            "when it is first used."
        ),
        code=f'python -c "from {module} import {attribute or "app"}"',
        language="sh",
    )


def missing_env(deployment: Deployment, finding: Finding) -> Advice:
    """The variables to set, where this deployment sets them."""
    names = [n for n in _fact(finding, "missing", "names", "variable").replace(",", " ").split() if n] or ["NAME"]
    listed = ", ".join(names)
    if deployment.kind == "compose-service":
        lines = "\n".join(f"      {name}: ${{{name}:?set {name} in .env}}" for name in names)
        code, language = f"services:\n  {_service(deployment)}:\n    environment:\n{lines}", "yaml"
    elif deployment.kind == "container":
        code = f"docker run {' '.join(f'--env {name}' for name in names)} …   # taken from your shell's environment"
        language = "sh"
    else:
        code, language = "\n".join(f"export {name}=…" for name in names), "sh"
    return Advice(
        title=f"Set {listed}",
        text=f"The service ends at its start because {listed} {'is' if len(names) == 1 else 'are'} not set. Keep "
        f"secrets out of the file: take them from .env (not committed) or a secret. {_facts.doubt(finding)}".rstrip(),
        code=code,
        language=language,
    )


def port_mismatch(deployment: Deployment, finding: Finding) -> Advice:
    """The line that publishes the port on which the service listens."""
    listening = _fact(finding, "listening", "listening_port", "port") or str(_facts.port(deployment) or "PORT")
    published = next((p for r in deployment.replicas for p in r.ports), None)
    host = _fact(finding, "host_port") or (str(published.host_port) if published else listening)
    dead = _fact(finding, "published", "container_port") or (str(published.container_port) if published else "")
    if published is not None and published.host_ip not in {"", "0.0.0.0", "::"}:  # noqa: S104 - compared with
        host = f"{published.host_ip}:{host}"  # what is private stays private
    if deployment.kind == "compose-service":
        code, language = f'services:\n  {_service(deployment)}:\n    ports:\n      - "{host}:{listening}"', "yaml"
    else:
        code, language = f"docker run --publish {host}:{listening} …", "sh"
    nobody = f"nobody listens on the published port {dead}" if dead else "nobody listens on the published port"
    return Advice(
        title=f"Publish port {listening}",
        text=f"The service listens on {listening}, but {nobody} inside the container. Publish the port in use, or let "
        f"the server listen on {dead or 'the published one'} (--port).",
        code=code,
        language=language,
    )


def bind_loopback(deployment: Deployment, finding: Finding) -> Advice:
    """The line to write where the host stands in the program, or where the command cannot be changed from here."""
    port = _facts.port(deployment) or 8000
    locked = deployment.capabilities.get("bind")
    if locked is not None and finding.facts.get("in_code") is not True:
        option = f"--bind 0.0.0.0:{port}" if deployment.server == "gunicorn" else f"--host 0.0.0.0 --port {port}"
        return Advice(
            title="Listen on all interfaces",
            text=f"The server listens on loopback{_where(finding)}, which in a container nobody else reaches. {locked} "
            "Give the server 0.0.0.0 where it gets its address: in that script or text, or in the variable it takes.",
            code=f"{deployment.server or 'uvicorn'} {clean(str(deployment.setting('app') or 'main:app'), 200)} "
            + option,
            language="sh",
        )
    return Advice(
        title="Listen on all interfaces",
        text=f"The server listens on loopback{_where(finding)}, which in a container nobody else reaches. An option or "
        "variable does not change a host that is given to uvicorn.run in the program.",
        code=f'uvicorn.run(app, host="0.0.0.0", port={port})',
    )


ADVICE: dict[str, Callable[[Deployment, Finding], Advice]] = {
    "event-loop-blocked": event_loop_blocked,
    "worker-timeout": worker_timeout,
    "memory-leak": memory_leak,
    "pool-exhausted": pool_exhausted,
    "worker-boot-failed": worker_boot_failed,
    "missing-env": missing_env,
    "port-mismatch": port_mismatch,
    "bind-loopback": bind_loopback,
    **SERVICE,
    **DATABASE,
}
"""By signature."""


def _fact(finding: Finding, *names: str) -> str:
    """The first of these facts that the finding holds, cleaned; empty when it holds none."""
    return next((clean(str(finding.facts[n]), 300) for n in names if n in finding.facts), "")


def _where(finding: Finding) -> str:
    """`` (FILE:LINE)`` where the finding names a place."""
    file, line = _fact(finding, "file"), _fact(finding, "line")
    if not file:
        named = next((e for e in finding.evidence if e.file), None)
        file, line = (clean(named.file or "", 300), str(named.line or "")) if named else ("", "")
    return f" ({file}{':' if line else ''}{line})" if file else ""


def _service(deployment: Deployment) -> str:
    return clean(deployment.name.rpartition("/")[2], 120)
