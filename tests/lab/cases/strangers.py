"""What is not FastAPI must not be listed, whatever server it runs on and whatever lies in its site-packages."""

from __future__ import annotations

from tests.lab.case import Answers, Case, InState, gunicorn, uvicorn

BIND = "0.0.0.0:8000"

CASES = (
    Case("flask-gunicorn", ("gunicorn", "-w", "2", "-b", BIND, "strangers.flask_app:app"), listed=False),
    Case(
        "wsgi-gunicorn", ("gunicorn", "-w", "2", "-b", BIND, "strangers.plain_wsgi:app"), listed=False, up=Answers("/")
    ),
    Case("django-uvicorn", uvicorn("strangers.django_app:app"), listed=False),
    Case("starlette-uvicorn", uvicorn("strangers.starlette_app:app"), listed=False),
    Case("litestar-uvicorn", uvicorn("strangers.litestar_app:app"), listed=False),
    Case("litestar-gunicorn", gunicorn("strangers.litestar_app:app"), listed=False),
    Case("quart-hypercorn", ("hypercorn", "-b", BIND, "strangers.quart_app:app"), listed=False),
    Case("asgi-uvicorn", uvicorn("strangers.plain_asgi:app"), listed=False, up=Answers("/")),
    Case("plain-http", ("python3", "-m", "http.server", "8000"), listed=False, up=Answers("/")),
    Case("sleeper", ("sleep", "3600"), listed=False, publish=(), up=InState(status="running")),
)
