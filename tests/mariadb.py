"""A real MariaDB with TLS, on a port of its own, run as a user that may."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import databases
from tests.console._fastops import until
from tests.databases import PROMISE, Server
from tests.parts import missing

USABLE = 19
"""``max_connections``."""
_ACCOUNTS = """
create user shop identified by 'shop-s3cret';
create user watcher identified by 'watch-s3cret';
grant process on *.* to watcher;
create user tlsonly identified by 'tls-s3cret' require ssl;
create user locked identified by 'locked-s3cret' account lock;
create user few identified by 'few-s3cret' with max_user_connections 1;
create database shop;
grant all on shop.* to shop;
create table shop.goods (id int primary key, stock int);
insert into shop.goods values (1, 5);
"""


class MariaDb(Server):
    """Asked by its superuser through its own socket: that is what measurements are compared with."""

    def dsn(
        self, user: str = "shop", password: str = "shop-s3cret", database: str = "shop", host: str | None = None
    ) -> str:
        return f"mysql+aiomysql://{user}:{password}@{host or self.host}:{self.port}/{database}"

    def query(self, sql: str) -> str:
        """What it answers, without headings."""
        command = ["mariadb", "--no-defaults", f"--socket={self.folder}/socket", "--user=root", "-N", "-B", "-e", sql]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True, **databases.as_user())
        return done.stdout.strip()

    def held(self, user: str) -> int:
        """Sessions of an account."""
        return int(self.query(f"select count(*) from information_schema.processlist where user = '{user}'"))

    @property
    def certificate(self) -> Path:
        """The authority: the server's own certificate, for ``localhost`` and 127.0.0.1."""
        return self.folder / "server.crt"


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDb]:
    """A MariaDB of this session's own."""
    pytest.importorskip("aiomysql")
    install, program = shutil.which("mariadb-install-db"), shutil.which("mariadbd", path="/usr/sbin:/usr/bin")
    if install is None or program is None:
        missing("MariaDB is not installed (Debian: apt-get install mariadb-server)", PROMISE)
    with databases.own_folder() as folder:
        made = MariaDb(folder, databases.address(), databases.free_port())
        data = folder / "data"
        databases.run(
            [
                install,
                "--no-defaults",
                f"--datadir={data}",
                "--skip-test-db",
                "--auth-root-authentication-method=normal",
            ]
        )
        names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
        databases.run(
            f"openssl req -new -x509 -nodes -days 2 -subj /CN=localhost -addext {names} "
            f"-out {made.certificate} -keyout {folder}/server.key".split()
        )
        command = [
            program, "--no-defaults", f"--datadir={data}", f"--socket={folder}/socket", f"--port={made.port}",
            "--bind-address=0.0.0.0", "--skip-name-resolve", f"--max-connections={USABLE}", "--skip-log-bin",
            f"--ssl-cert={made.certificate}", f"--ssl-key={folder}/server.key", f"--pid-file={folder}/pid",
            "--innodb-buffer-pool-size=8M", "--innodb-log-file-size=4M", "--innodb-flush-method=nosync",
        ]  # fmt: skip
        with databases.running(command, folder, made.port, signal.SIGTERM):
            until("its superuser", lambda: _answers(made))
            made.query(_ACCOUNTS.replace("\n", " "))
            yield made


def _answers(server: MariaDb) -> bool:
    try:
        return server.query("select 1") == "1"
    except subprocess.CalledProcessError:
        return False
