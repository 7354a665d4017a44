"""worker-boot-failed, missing-env, and what resembles them."""

from __future__ import annotations

from tests.lab.case import Answers, Case, InState, Load, Logged, gunicorn, ids, uvicorn

EXITED = InState(status="exited")
ALONE = ids("single-process")  # whether a lone process that is gone counts as single is left open

CASES = (
    Case(
        "boot-import-gunicorn",
        gunicorn("broken_import:app"),
        expect=ids("worker-boot-failed"),
        up=None,
        until=(Logged("Worker failed to boot"), EXITED),
    ),
    Case(
        "boot-import-uvicorn",
        uvicorn("broken_import:app"),
        expect=ids("worker-boot-failed"),
        allow=ALONE,
        up=None,
        until=(Logged("ModuleNotFoundError"), EXITED),
    ),
    Case(
        "boot-no-such-module",
        uvicorn("mian:app"),
        expect=ids("worker-boot-failed"),
        allow=ALONE,
        up=None,
        until=(Logged("Error loading ASGI app"), EXITED),
    ),
    Case(
        "boot-lifespan",
        uvicorn("broken_lifespan:app"),
        expect=ids("worker-boot-failed"),
        allow=ALONE,
        up=None,
        until=(Logged("Application startup failed. Exiting."), EXITED),
    ),
    Case(
        "boot-lifespan-workers",
        uvicorn("broken_lifespan:app", "--workers", "2"),
        expect=ids("worker-boot-failed"),
        up=None,
        until=(Logged("failed to start, stopping the parent process."), EXITED),
    ),
    Case(
        "boot-no-such-worker-class",
        gunicorn("healthy:app", worker="uvicorn_workers.UvicornWorker"),
        expect=ids("worker-boot-failed"),
        up=None,
        until=(Logged("invalid or not found"), EXITED),
    ),
    Case(
        "boot-loop",
        gunicorn("broken_import:app"),
        expect=ids("worker-boot-failed", "crash-loop"),
        up=None,
        restart="always",
        until=(InState(restarts=2),),
    ),
    Case(
        "booted-later",
        gunicorn("flaky_boot:app"),
        look_alike_of="worker-boot-failed",
        restart="always",
        up=Answers(),
        until=(InState(status="running", restarts=1),),
    ),
    Case(
        "env-pydantic",
        gunicorn("needs_settings:app"),
        expect=ids("missing-env"),
        allow=ids("worker-boot-failed"),
        up=None,
        environment={"PAGE_SIZE": "20"},
        until=(Logged("Field required", times=2), EXITED),
    ),
    Case(
        "env-keyerror",
        uvicorn("needs_environ:app"),
        expect=ids("missing-env"),
        allow=ALONE | ids("worker-boot-failed"),
        up=None,
        until=(Logged("KeyError: 'PAYMENT_KEY'"), EXITED),
    ),
    Case(
        "field-required-of-a-client",
        gunicorn("strict:app"),
        look_alike_of="missing-env",
        drive=(Load("/order"),),
        until=(Logged("Field required"),),
    ),
)
