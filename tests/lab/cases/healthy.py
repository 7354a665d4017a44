"""Healthy FastAPI services on every server: listed, and nothing is found."""

from __future__ import annotations

from tests.lab.case import Case, gunicorn, ids, uvicorn

HEALTHCHECK = """python3 -c 'import urllib.request as u; u.urlopen("http://127.0.0.1:8000/health", timeout=3)'"""

CASES = (
    Case("healthy-gunicorn", gunicorn("healthy:app"), memory="1g", healthcheck=HEALTHCHECK),
    Case("healthy-gunicorn-asgi", gunicorn("healthy:app", worker="asgi"), memory="1g"),
    Case("healthy-uvicorn-workers", uvicorn("healthy:app", "--workers", "2"), memory="1g"),
    Case("healthy-compose", uvicorn("healthy:app"), memory="1g", compose=True, replicas=2),
    Case("healthy-hypercorn", ("hypercorn", "-w", "2", "-b", "0.0.0.0:8000", "healthy:app"), memory="1g"),
    Case(
        "healthy-granian",
        ("granian", "--interface", "asgi", "--workers", "2", "--host", "0.0.0.0", "--port", "8000", "healthy:app"),
        memory="1g",
    ),
    Case(
        "healthy-fastapi-run",
        ("fastapi", "run", "--workers", "2", "--port", "8000", "healthy.py"),
        memory="1g",
    ),
    Case("healthy-factory", uvicorn("shop.main:create", "--factory", "--workers", "2"), memory="1g"),
    Case("healthy-legacy", gunicorn("healthy:app", worker="uvicorn.workers.UvicornWorker"), image="legacy20"),
    # A product: only what it imports, or its /openapi.json, tells what it is.
    Case(
        "healthy-product",
        ("python3", "-m", "serve"),
        expect=ids("single-process"),
        environment={"LISTEN": "0.0.0.0"},
    ),
    Case(
        "healthy-shell",
        ("sh", "-c", "exec uvicorn --host 0.0.0.0 --port 8000 --workers 2 healthy:app"),
        memory="1g",
    ),
    # Nothing tells what this is until it is asked; its label says that it shall be listed.
    Case(
        "healthy-by-label",
        ("sh", "-c", "true; python3 -c 'import serve, uvicorn; uvicorn.run(serve.app, host=\"0.0.0.0\", port=8000)'"),
        expect=ids("single-process"),
        labels={"fastops.enable": "true"},
    ),
    Case("healthy-but-disabled", gunicorn("healthy:app"), listed=False, labels={"fastops.enable": "false"}),
)
