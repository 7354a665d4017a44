"""bind-loopback, port-mismatch, and what resembles them."""

from __future__ import annotations

from tests.lab.case import Case, Logged, gunicorn, ids, uvicorn

LISTENING = Logged("Application startup complete.")

CASES = (
    Case("loopback", ("uvicorn", "healthy:app"), expect=ids("bind-loopback", "single-process"), up=LISTENING),
    Case(
        "loopback-gunicorn",
        ("gunicorn", "-k", "uvicorn_worker.UvicornWorker", "-w", "2", "healthy:app"),
        expect=ids("bind-loopback"),
        up=LISTENING,
    ),
    # No argument and no variable of the server changes this one: the address stands in the code.
    Case("loopback-in-code", ("python3", "-m", "serve"), expect=ids("bind-loopback", "single-process"), up=LISTENING),
    Case(
        "loopback-host-network",
        ("gunicorn", "-k", "uvicorn_worker.UvicornWorker", "-w", "2", "-b", "127.0.0.1:{port}", "healthy:app"),
        look_alike_of="bind-loopback",
        network="host",
        publish=(),
        up=LISTENING,
    ),
    Case("loopback-behind-proxy", ("python3", "-m", "sidecar"), look_alike_of="bind-loopback"),
    Case(
        "helper-on-loopback",
        (
            "sh",
            "-c",
            (
                "python3 -u -m http.server 6379 --bind 127.0.0.1 & sleep 600; "
                "exec uvicorn --host 0.0.0.0 --port 8000 healthy:app"
            ),
        ),
        allow=ids("single-process", "startup-stalled"),
        look_alike_of="bind-loopback",
        up=Logged("Serving HTTP on 127.0.0.1"),
        observe_seconds=35,
    ),
    Case("wrong-port", gunicorn("healthy:app"), expect=ids("port-mismatch"), publish=(80,), up=LISTENING),
    Case(
        "wrong-port-lone",
        ("uvicorn", "--host", "0.0.0.0", "--port", "8080", "healthy:app"),
        expect=ids("port-mismatch", "single-process"),
        up=LISTENING,
    ),
    Case(
        "still-starting",
        uvicorn("slow_boot:app"),
        allow=ids("single-process", "startup-stalled"),
        look_alike_of="port-mismatch",
        environment={"BOOT_SECONDS": "600"},
        up=Logged("Waiting for application startup."),
    ),
)
