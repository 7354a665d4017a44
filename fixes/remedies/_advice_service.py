"""What to write for findings about the server, its start and end, its network and its settings."""

from __future__ import annotations

from collections.abc import Callable

from fixes.model import Advice, Finding
from probes.model import Deployment
from probes.text import clean

Write = Callable[[Deployment, Finding], Advice]


def _plain(title: str, text: str, code: str, language: str = "sh") -> Write:
    """Advice that is the same for every deployment."""
    return lambda _deployment, _finding: Advice(title=title, text=text, code=code, language=language)


def _fact(finding: Finding, name: str, default: str) -> str:
    return clean(str(finding.facts.get(name, default)), 200)


def address_in_use(_deployment: Deployment, finding: Finding) -> Advice:
    """The command that names the process, and the way around it."""
    port = _fact(finding, "port", "PORT")
    return Advice(
        title=f"Free port {port}",
        text="Another process listens there. If it is an orphaned worker of an earlier start, end it; if it belongs to "
        "another service, give one of them another port.",
        code=f"ss -ltnp 'sport = :{port}'      # names the process that holds the port\n"
        f"docker ps --filter publish={port}   # or the container that publishes it",
        language="sh",
    )


def unhandled_exceptions(_deployment: Deployment, finding: Finding) -> Advice:
    """A handler that gives each error an id, which the client and the log both get."""
    kind, file = _fact(finding, "exception", "the exception"), _fact(finding, "file", "")
    where = f" ({file}:{_fact(finding, 'line', '?')})" if file else ""
    return Advice(
        title="Handle it, and give each error an id",
        text=f"Mend the line that raises {kind}{where}. For what is left: one handler that logs the traceback under an "
        "id and gives the client that id, so that a report can be found in the log.",
        code="@app.exception_handler(Exception)\n"
        "async def failed(request: Request, error: Exception) -> JSONResponse:\n"
        "    identity = uuid4().hex\n"
        '    log.exception("Error [%s]: %s %s", identity, request.method, request.url.path)\n'
        '    return JSONResponse({"detail": "internal error", "id": identity}, status_code=500)',
        language="python",
    )


def dependency_unreachable(_deployment: Deployment, finding: Finding) -> Advice:
    """Ask from inside, and do not let the other service's outage become this one's."""
    host, port = _fact(finding, "host", "HOST"), _fact(finding, "port", "PORT")
    return Advice(
        title=f"Find why {host} cannot be reached",
        text="Ask from inside the container: the name may be unknown in its network, or nobody listens. In the code, "
        "give each call a time-out and an answer for the case that it fails.",
        code=f"docker exec CONTAINER python -c \"import socket; socket.create_connection(('{host}', {port}), 3)\"\n"
        "docker network inspect NETWORK   # are both in it, and under which names",
        language="sh",
    )


def worker_count(_deployment: Deployment, finding: Finding) -> Advice:
    """The number by the rule."""
    number = _fact(finding, "advised", "2")
    return Advice(
        title=f"Run {number} workers",
        text="2 × CPU + 1, where CPU is the container's quota and not the machine's cores, at least 2, and no more "
        "than fit into 80 % of the memory limit. Each worker opens a database pool of its own.",
        code=f"gunicorn --workers {number} …     # or WEB_CONCURRENCY={number}, which gunicorn and uvicorn read",
        language="sh",
    )


SERVICE: dict[str, Write] = {
    "health-ignores-dependencies": _plain(
        "Two paths: alive, and ready",
        "Liveness says that the process turns and asks nobody. Readiness tests the connection, with a time-out, and "
        "gives no details away.",
        '@app.get("/ready")\n'
        "async def ready() -> Response:\n"
        "    try:\n"
        "        async with asyncio.timeout(2), engine.connect() as connection:\n"
        '            await connection.execute(text("select 1"))\n'
        "    except Exception:\n"
        '        log.warning("not ready", exc_info=True)\n'
        "        return Response(status_code=503)\n"
        "    return Response(status_code=200)",
        "python",
    ),
    "worker-count": worker_count,
    "log-unbounded": _plain(
        "Bound the log",
        "Give the driver a size and a number of files; it takes effect when the container is made again. The `local` "
        "driver has bounds of its own, and is smaller.",
        "services:\n  api:\n    logging:\n      driver: json-file\n"
        '      options: {max-size: "10m", max-file: "3"}\n\n'
        "# for all containers that are made from now on, /etc/docker/daemon.json:\n"
        '# {"log-driver": "json-file", "log-opts": {"max-size": "10m", "max-file": "3"}}',
        "yaml",
    ),
    "unstructured-logs": _plain(
        "Log one JSON object a line",
        "One handler on the root logger, and the server's loggers given to it: then every line has a time, a level, a "
        "name and the traceback in one field, and can be searched and counted.",
        "logging.config.dictConfig({\n"
        '    "version": 1, "disable_existing_loggers": False,\n'
        '    "formatters": {"json": {"()": "pythonjsonlogger.json.JsonFormatter",\n'
        '                            "format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},\n'
        '    "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "json"}},\n'
        '    "root": {"handlers": ["out"], "level": "INFO"},\n'
        '    "loggers": {name: {"handlers": [], "propagate": True}\n'
        '                for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "gunicorn.error")},\n'
        "})",
        "python",
    ),
    "keepalive-mismatch": _plain(
        "Keep connections longer than the proxy does",
        "Whoever closes an idle connection first should be the one that opens it: the proxy. Its idle time-out is 60 s "
        "for nginx and for most load balancers; the server's keep-alive must be longer.",
        "gunicorn --keep-alive 75 …           # uvicorn --timeout-keep-alive 75, hypercorn --keep-alive 75\n"
        "# or shorter at the proxy: nginx, in the upstream block: keepalive_timeout 4s;",
    ),
    "error-rate": _plain(
        "Find what the errors have in common",
        "Count them by route and by exception. Began they with a deploy, go back to the image of before; began they "
        "with nothing of yours, look at what the service calls.",
        "docker logs --since 15m CONTAINER 2>&1 | grep -E '\" 5[0-9]{2}' | awk '{print $5, $6}' | sort | uniq -c\n"
        "docker logs --since 15m CONTAINER 2>&1 | grep -oE '^[A-Za-z_.]+(Error|Exception)' | sort | uniq -c",
    ),
    "threadpool-exhausted": _plain(
        "Free the threads",
        "Make what waits in def endpoints asynchronous, or give it a time-out. A health check should be async def, so "
        "that it needs no thread. More threads only help where each waits for a short time.",
        '@app.get("/health")\n'
        "async def health() -> dict[str, str]:      # async: never waits for a thread\n"
        '    return {"status": "ok"}\n\n'
        "@asynccontextmanager\n"
        "async def lifespan(app: FastAPI) -> AsyncIterator[None]:\n"
        "    anyio.to_thread.current_default_thread_limiter().total_tokens = 100   # 40 unless it is said\n"
        "    yield",
        "python",
    ),
    "probe-misconfigured": _plain(
        "Correct the check",
        "Run the check by hand in the container: it must ask the port on which the server listens, a path that exists, "
        "with a program that the image has, and be given the time that one slow answer takes.",
        "HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \\\n"
        "  CMD python -c \"import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health', timeout=2)\"",
        "dockerfile",
    ),
    "probe-failing": _plain(
        "Follow what the check names",
        "The service itself says that it is not well. Ask it by hand and read the body; then mend what it names. A "
        "liveness check should not fail for a dependency: that restarts what a restart cannot mend.",
        "docker exec CONTAINER python -c \"import urllib.request as u; print(u.urlopen('http://127.0.0.1:8000/health')"
        '.read())"\n'
        "docker inspect --format '{{json .State.Health}}' CONTAINER",
    ),
    "crash-loop": _plain(
        "Read why it ends",
        "The last lines before the end say why; the exit code says how: 1 to 4 an error of the application or its "
        "server, 137 a kill, 139 a crash. What the start needs must be there before it starts.",
        "docker logs --tail 50 CONTAINER\n"
        "docker inspect --format '{{.State.ExitCode}} {{.State.OOMKilled}} {{.State.Error}}' CONTAINER\n"
        "kubectl logs POD --previous           # on Kubernetes: of the start before",
    ),
    "container-cannot-start": _plain(
        "Make the command runnable",
        "Look into the image: is the program there, on the PATH, executable, and built for this processor? On "
        "Kubernetes, create the key that is missing.",
        "docker run --rm --entrypoint sh IMAGE -c 'command -v gunicorn uvicorn; echo $PATH; uname -m'\n"
        "docker image inspect --format '{{.Architecture}} {{.Config.Entrypoint}} {{.Config.Cmd}}' IMAGE\n"
        "kubectl describe pod POD               # names the ConfigMap or Secret and the key",
    ),
    "image-pull-failed": _plain(
        "Correct the name, or give the credentials",
        "Pull it by hand with the same name: the registry says whether the tag is missing or access is denied.",
        "docker pull IMAGE\n"
        "kubectl create secret docker-registry pull --docker-server=REGISTRY --docker-username=USER\n"
        "kubectl rollout undo deployment/NAME   # what ran before serves meanwhile",
    ),
    "pod-unschedulable": _plain(
        "Ask for less, or make room",
        "Compare what the pod asks for with what the nodes have left. A request is what is reserved, not what is used.",
        "kubectl describe nodes | grep -A8 'Allocated resources'\n"
        "kubectl describe quota --all-namespaces\n"
        "kubectl set resources deployment/NAME --requests=memory=512Mi,cpu=250m",
    ),
    "dev-server": _plain(
        "Serve without the development flags",
        "`fastapi run` and uvicorn without --reload are made for containers. Where one process is too little, start "
        "several workers.",
        "fastapi run main.py --workers 2 --port 8000\nuvicorn main:app --host 0.0.0.0 --port 8000 --workers 2",
    ),
    "cpu-throttled": _plain(
        "Give it more of the CPU, or fewer workers",
        "A quota below what the workers ask for stops all of them until the next period. Raise it to what was used at "
        "the peak and a half; on a quota of one core or less, one or two workers are enough.",
        "docker update --cpus 2 CONTAINER     # at once, without a restart\n"
        "docker run --cpus 2 …                # Compose: deploy.resources.limits.cpus or cpus",
    ),
    "plaintext-secret": _plain(
        "Read secrets from files",
        "Mount each secret as a file that only the service reads; pydantic-settings reads a folder of them. Change "
        "what has stood in plain text: it has been seen.",
        "class Settings(BaseSettings):\n"
        '    model_config = SettingsConfigDict(secrets_dir="/run/secrets")\n'
        "    database_url: SecretStr      # the file /run/secrets/database_url\n\n"
        "# compose.yaml: the service's `secrets: [database_url]`, and at the end of the file\n"
        "# secrets: {database_url: {file: ./database_url.txt}}",
        "python",
    ),
    "probe-missing": _plain(
        "Let the engine ask the service",
        "A check needs a cheap path that answers without the database, time to start, and more patience than one slow "
        "answer. python is in the image where curl is not.",
        "HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \\\n"
        "  CMD python -c \"import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health', timeout=2)\"",
        "dockerfile",
    ),
    "dependency-unreachable": dependency_unreachable,
    "http-pool-exhausted": _plain(
        "One client, with limits that fit",
        "Make one client in the lifespan and share it; a client per request has a pool per request. Read answers to "
        "their end, or close them. Let a request fail soon when there is no connection.",
        "limits = httpx.Limits(max_connections=200, max_keepalive_connections=50)\n"
        "timeout = httpx.Timeout(5.0, read=15.0, pool=2.0)\n"
        "client = httpx.AsyncClient(limits=limits, timeout=timeout)   # once, in the lifespan\n\n"
        'async with client.stream("GET", url) as answer:   # closed even where it is not read to the end\n'
        "    data = await answer.aread()",
        "python",
    ),
    "startup-stalled": _plain(
        "Give each wait of the start a time-out",
        "A start that waits for ever looks like a service that hangs. Bound each wait, fail with a sentence, and let "
        "the engine start it again; what is not needed to answer can be fetched after the start.",
        "@asynccontextmanager\n"
        "async def lifespan(app: FastAPI) -> AsyncIterator[None]:\n"
        "    async with asyncio.timeout(20):      # a TimeoutError here names the line that waited\n"
        "        await database.connect()\n"
        "    yield",
        "python",
    ),
    "shutdown-drops-requests": _plain(
        "Let requests end before the kill",
        "The order is: longest request < the server's graceful time-out < the engine's grace period. Docker's is 10 s "
        "unless it is told otherwise.",
        "gunicorn --graceful-timeout 25 …            # or uvicorn --timeout-graceful-shutdown 25\n"
        "docker run --stop-timeout 30 …              # Compose: stop_grace_period: 30s",
    ),
    "slow-requests": _plain(
        "Measure where the time goes",
        "Time each part of the slow route once: most of it is one query, one call to another service, or a wait for a "
        "connection. Then mend that part; more workers help only where requests wait for a worker.",
        '@app.middleware("http")\n'
        "async def timed(request: Request, call_next: Next) -> Response:\n"
        "    begun = perf_counter()\n"
        "    response = await call_next(request)\n"
        '    response.headers["Server-Timing"] = f"app;dur={(perf_counter() - begun) * 1000:.0f}"\n'
        "    return response",
        "python",
    ),
    "connections-dropped": _plain(
        "Let neither side close first",
        "Behind a proxy: the service must keep idle connections longer than the proxy does, and answer sooner than the "
        "proxy gives up. Towards another service: a time-out for each phase, and a retry of what may be repeated.",
        "transport = httpx.AsyncHTTPTransport(retries=2)   # connections only; repeat GETs yourself\n"
        "client = httpx.AsyncClient(transport=transport, timeout=httpx.Timeout(5.0, read=15.0))\n\n"
        "# in front: proxy_read_timeout above the slowest answer, and here\n"
        "# uvicorn --timeout-keep-alive 75, or keepalive = 75 for gunicorn",
        "python",
    ),
    "unhandled-exceptions": unhandled_exceptions,
    "address-in-use": address_in_use,
    "disk-full": _plain(
        "Make room, then bound what grows",
        "See which file system is full and what fills it. Logs are the usual cause: bound them. Files that a service "
        "makes belong on a volume of their own, with something that deletes them.",
        "df -h; df -i                            # a file system can also run out of inodes\n"
        "du -xh --max-depth=2 / | sort -h | tail # what fills it\n"
        "docker system df                        # images, containers, volumes\n"
        "docker run --log-opt max-size=10m --log-opt max-file=3 …",
    ),
}
"""By signature."""
