"""A real PostgreSQL with TLS and a real PgBouncer before it, on ports of their own, run as a user that may."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest

from tests.parts import missing

PROMISE = "FASTOPS_REQUIRE_PARTS"
WAIT_SECONDS = 60
PODS = "-pods"
"""How the bridge of the tests' own cluster ends."""
USABLE = 17
"""Of 20 connections three are reserved for superusers."""
_HBA = """\
local all all trust
hostssl all tlsonly all scram-sha-256
hostnossl all tlsonly all reject
host nobodys all all reject
host all all all scram-sha-256
"""
_ROLES = """
create role shop login password 'shop-s3cret';
create role watcher login password 'watch-s3cret';
grant pg_read_all_stats to watcher;
create role pooled login password 'pool-s3cret';
create role tlsonly login password 'tls-s3cret';
create database shop owner shop;
create database tlsonly;
create database nobodys;
"""


class Server:
    """A program that runs until the fixture ends it."""

    def __init__(self, folder: Path, host: str, port: int) -> None:
        self.folder = folder
        self.host = host
        """An address of this machine that containers reach, too."""
        self.port = port

    def dsn(
        self, user: str = "shop", password: str = "shop-s3cret", database: str = "shop", host: str | None = None
    ) -> str:
        """A DSN for it."""
        return f"postgresql://{user}:{password}@{host or self.host}:{self.port}/{database}"


class Postgres(Server):
    """Asked by its superuser through its own socket: that is what measurements are compared with."""

    def query(self, sql: str) -> str:
        """One value."""
        command = [_program("psql"), "-h", str(self.folder), "-p", str(self.port), "-U", "admin", "-d", "postgres"]
        done = subprocess.run(
            [*command, "-qAtXc", sql], capture_output=True, text=True, timeout=30, check=True, **as_user()
        )
        return done.stdout.strip()

    def held(self, role: str, address: str | None = None) -> int:
        """Sessions of a role, or those of an address."""
        where = f"usename = '{role}' and application_name <> 'fastops'"
        return int(
            self.query(
                f"select count(*) from pg_stat_activity where {where}"
                + (f" and client_addr = '{address}'" if address else "")
            )
        )

    def asked(self) -> int:
        """How often fastops has connected."""
        return (self.folder / "log").read_text().count("application_name=fastops")

    def asked_now(self) -> int:
        """fastops' open sessions."""
        return int(self.query("select count(*) from pg_stat_activity where application_name = 'fastops'"))

    @property
    def certificate(self) -> Path:
        """The authority: the server's own certificate, for ``localhost`` and each address on which it listens."""
        return self.folder / "data" / "server.crt"


@pytest.fixture
def postgres(postgres_server: Postgres) -> Postgres:
    """That PostgreSQL without a session of an earlier test: of a container that was killed some are never ended."""
    postgres_server.query("select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity where usename = 'shop'")
    return postgres_server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """A PostgreSQL of this session's own."""
    _program("postgres")
    with own_folder() as folder:
        made = Postgres(folder, address(), free_port())
        data = folder / "data"
        run([_program("initdb"), "-D", str(data), "-U", "admin", "--auth=trust", "-N"])
        names = ",".join(["subjectAltName=DNS:localhost", *(f"IP:{one}" for one in _addresses())])
        run(
            f"openssl req -new -x509 -nodes -days 2 -subj /CN=localhost -addext {names} "
            f"-out {made.certificate} -keyout {data}/server.key".split()
        )
        (data / "server.key").chmod(0o600)
        (data / "pg_hba.conf").write_text(_HBA)
        with (data / "postgresql.conf").open("a") as more:
            more.write(
                f"port = {made.port}\nlisten_addresses = '{','.join(_addresses())}'\n"
                f"unix_socket_directories = '{folder}'\n"
                "max_connections = 20\nsuperuser_reserved_connections = 3\nssl = on\nfsync = off\n"
                "log_connections = on\npassword_encryption = 'scram-sha-256'\nshared_buffers = 16MB\n"
            )
        with running([_program("postgres"), "-D", str(data)], folder, made.port):
            for statement in _ROLES.strip().splitlines():
                made.query(statement)
            yield made


@pytest.fixture(scope="session")
def pgbouncer(postgres_server: Postgres) -> Iterator[Server]:
    """A PgBouncer before that PostgreSQL, in transaction mode."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        missing("PgBouncer is not installed (Debian: apt-get install pgbouncer)", PROMISE)
    with own_folder() as folder:
        made = Server(folder, postgres_server.host, free_port())
        (folder / "users.txt").write_text('"shop" "shop-s3cret"\n"watcher" "watch-s3cret"\n')
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\nshop = host={postgres_server.host} port={postgres_server.port} dbname=shop "
            "user=pooled password=pool-s3cret\n[pgbouncer]\n"
            f"listen_addr = 127.0.0.1,{made.host}\nlisten_port = {made.port}\nauth_type = scram-sha-256\n"
            f"auth_file = {folder}/users.txt\npool_mode = transaction\nmax_client_conn = 40\ndefault_pool_size = 3\n"
            f"stats_users = watcher\nunix_socket_dir =\npidfile = {folder}/pid\n"
        )
        for one in folder.iterdir():
            one.chmod(0o644)
        with running([program, str(folder / "pgbouncer.ini")], folder, made.port):
            yield made


def run(command: list[str]) -> None:
    """Runs a program as the user that may run servers."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, **as_user())
    assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def running(command: list[str], folder: Path, port: int, end: signal.Signals = signal.SIGINT) -> Iterator[None]:
    """``end``: the signal at which it ends its clients' sessions, and then itself."""
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **as_user())
        try:
            deadline = monotonic() + WAIT_SECONDS
            while not _answers(port):
                assert process.poll() is None, (folder / "log").read_text()
                assert monotonic() < deadline, f"{command[0]} does not listen"
                sleep(0.05)
            yield
        finally:
            process.send_signal(end)
            try:
                process.wait(WAIT_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(WAIT_SECONDS)


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """Not in pytest's own folders: those let nobody else in."""
    folder = Path(tempfile.mkdtemp(prefix="fastops-db-"))
    user = _user()
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _user() -> pwd.struct_passwd | None:
    """Neither server runs as root; ``None`` where nobody is root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def as_user() -> dict[str, object]:
    user = _user()
    return {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _program(name: str) -> str:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name), reverse=True)
    found = next((path for f in (*map(str, versions), None) if (path := shutil.which(name, path=f))), None)
    if found is None:
        missing("PostgreSQL is not installed (Debian: apt-get install postgresql)", PROMISE)
    return found


def address() -> str:
    """The bridge of a Docker Engine on this machine, which containers and this machine reach; else loopback."""
    return bridge("docker0") or "127.0.0.1"


def bridge(end: str) -> str | None:
    """This machine's address on the bridge whose name ends so: there, nothing is between it and a container or pod."""
    import psutil

    named = (addresses for name, addresses in sorted(psutil.net_if_addrs().items()) if name.endswith(end))
    return next((one.address for addresses in named for one in addresses if one.family == socket.AF_INET), None)


def _addresses() -> list[str]:
    return ["127.0.0.1", *(found for end in ("docker0", PODS) if (found := bridge(end)) is not None)]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("", 0))
        return int(one.getsockname()[1])


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
