"""TLS to the database is asked for where the driver reads it, and no password leaves its place."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fixes.catalogue import remedies
from fixes.diff import unified
from fixes.model import Finding, RemedyId
from fixes.plan import refusal
from fixes.values import settle
from probes.base import Value
from probes.intent import Desired, Document, Step
from probes.model import Deployment
from probes.orchestrator import Orchestrated
from probes.pools import DatabaseServer, Held, Pool
from probes.target import Refused
from probes.targets.docker.atomic import FileWriter
from probes.targets.docker.compose import Goal, edit
from probes.targets.docker.documents import version_of
from probes.targets.docker.limits import needs_recreate
from probes.targets.docker.wanted import _variables
from probes.targets.kubernetes import sealing
from probes.targets.kubernetes.patches import applied, difference
from probes.targets.kubernetes.wanted import wanted as on_kubernetes
from probes.text import environment as redacted
from probes.tls_url import with_mode
from tests.fixes.fake import NOW, deployment, finding, replica
from tests.probes.kubernetes._objects import facts, workload

REQUIRE = remedies()[RemedyId("require-db-ssl")]
TRUST = remedies()[RemedyId("trust-db-ca")]
PLAIN = "postgresql+asyncpg://app:hunter2@db.example.com/app"


def service(url: str | None = f"{PLAIN}?ssl=disable", *, tls: bool | None = True, **changes: Any) -> Deployment:
    held = {} if url is None else {"DATABASE_URL": url}
    server = DatabaseServer("db:5432", "postgresql", NOW, own_encrypted=tls)
    one = replica(
        environment=redacted({**held, **changes.pop("environment", {})}), environment_from=changes.pop("taken", {})
    )
    known: dict[str, Any] = {"replicas": (one,), "capabilities": {"variables": None}, "drivers": ("asyncpg",)}
    return deployment(**{**known, "pool": Pool("asked", held=Held(server)), **changes})


def about(signature: str = "db-ssl-not-enforced", **known: Value) -> Finding:
    return finding(signature, facts=known)


def wanted(remedy: Any, one: Deployment, found: Finding, **given: Value) -> Any:
    return remedy.intend(one, found, settle(remedy.parameters(one, found, None), given))


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (service(), Desired(database_tls={"DATABASE_URL": "require"})),
        (service("postgresql://app:x@db/app?sslmode=prefer"), Desired(database_tls={"DATABASE_URL": "require"})),
        (service(PLAIN), Desired(environment={"PGSSLMODE": "require"})),
        (service(PLAIN, environment={"PGSSLMODE": "disable"}), Desired(environment={"PGSSLMODE": "require"})),
        (
            service("postgresql://app:x@db/app", drivers=(), packages={"psycopg2-binary": "2.9"}),
            Desired(environment={"PGSSLMODE": "require"}),
        ),
    ],
)
def test_the_driver_decides_where_it_is_written(one: Deployment, expected: Desired) -> None:
    for signature in ("db-ssl-not-enforced", "db-ssl-required"):
        assert refusal(REQUIRE, one, about(signature)) is None
        assert wanted(REQUIRE, one, about(signature)) == expected


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (service(None), "No variable of it holds a database URL"),
        (service(None, taken={"DATABASE_URL": "secret db/url"}), "DATABASE_URL is taken from secret db/url"),
        (service("mysql+aiomysql://app:x@db/app?ssl=false"), "MySQL"),
        (service("postgresql://app:x@127.0.0.1/app?sslmode=disable"), "loopback"),
        (service(f"{PLAIN}?ssl=require"), "asks for TLS already"),
        (service(PLAIN, environment={"PGSSLMODE": "verify-full"}), "asks for TLS already"),
        (service("postgresql+pg8000://app:x@db/app", drivers=()), "not known"),
        (service(PLAIN, taken={"PGSSLMODE": "configmap c/mode"}), "taken from configmap c/mode"),
        (service(tls=False), "was not seen"),
        (service(tls=None), "over TLS (--database own)"),
        (service(tls=None, orchestrated=Orchestrated()), "over TLS (--database env:VAR)"),
        (service(environment={"OTHER_URL": f"{PLAIN}?ssl=prefer"}), "several database URLs"),
    ],
)
def test_what_cannot_be_told_or_was_not_seen_is_refused(one: Deployment, why: str) -> None:
    assert why in str(refusal(REQUIRE, one, about()))


def test_a_server_that_lets_nobody_in_without_tls_says_enough() -> None:
    one, found = service(tls=None), about("db-ssl-required")
    assert refusal(REQUIRE, one, found) is None
    assert "was not seen" in " ".join(REQUIRE.cautions(one, found, {"variable": "DATABASE_URL"}))


def test_a_service_that_ends_at_each_start_is_mended_between_two_of_them() -> None:
    one = service()
    ended = replace(one, replicas=tuple(replace(each, state="restarting") for each in one.replicas))
    assert refusal(REQUIRE, ended, about("db-ssl-required")) is None
    assert wanted(REQUIRE, ended, about("db-ssl-required")) == Desired(database_tls={"DATABASE_URL": "require"})


def test_the_url_that_the_finding_names_is_the_one() -> None:
    one = service(environment={"OTHER_URL": f"{PLAIN}?ssl=prefer"})
    assert wanted(REQUIRE, one, about(variable="OTHER_URL")) == Desired(database_tls={"OTHER_URL": "require"})


def test_verification_names_the_authoritys_file() -> None:
    found = about("db-ssl-unverified")
    one = service(f"{PLAIN}?ssl=require", environment={"DB_CA_CERT": "/etc/ssl/db.pem"})
    want = wanted(TRUST, one, found)
    assert want == Desired(
        environment={"PGSSLROOTCERT": "/etc/ssl/db.pem"},
        database_tls={"DATABASE_URL": "verify-full"},
        database_ca="/etc/ssl/db.pem",
    )
    assert "end where the certificate" in str(TRUST.confirm(one, found, {}))
    assert TRUST.confirm(one, about("db-ssl-verify-failed"), {}) is None
    bare = service(PLAIN)
    asked = TRUST.asks(settle(TRUST.parameters(bare, found, None), {}))
    assert asked is not None
    assert "path of the file" in asked.text
    assert TRUST.asks({"ca": "/x"}) is None
    both = {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": "/ca/db.pem"}
    assert wanted(TRUST, bare, found, ca="/ca/db.pem").environment == both
    for path in ("ca.pem", "/srv/../etc/shadow"):
        with pytest.raises(Refused, match="no absolute path"):
            wanted(TRUST, bare, found, ca=path)


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (service("postgresql://app:x@db/app?sslmode=require&sslrootcert=/ca.pem"), "names /ca.pem already"),
        (service(PLAIN, taken={"PGSSLROOTCERT": "configmap c/ca"}), "taken from elsewhere"),
        (service("mysql://app:x@db/app?ssl_verify_cert=false"), "MySQL"),
    ],
)
def test_what_names_another_authority_is_refused(one: Deployment, why: str) -> None:
    assert why in str(refusal(TRUST, one, about("db-ssl-unverified")))


PASSWORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=6, max_size=12)
HEADS = st.sampled_from(["postgresql://app:{}@db:5432/app?", "postgresql+asyncpg://app:{}@db/a?application_name=x&"])
OPTIONS = st.sampled_from(["sslmode={}", "ssl={}", "SSLMODE={}&connect_timeout=5", "connect_timeout=5&ssl={}#end"])
MODES = st.sampled_from(["disable", "allow", "prefer", "false", ""])


@st.composite
def urls(draw: st.DrawFn) -> tuple[str, str]:
    """A URL, and the same that requires TLS."""
    head = draw(HEADS).format(quote(draw(PASSWORDS), safe="?&="))
    option = draw(OPTIONS)
    return head + option.format(draw(MODES)), head + option.format("require")


@given(urls())
def test_every_other_byte_of_the_url_stays(pair: tuple[str, str]) -> None:
    before, after = pair
    assert with_mode("X", before, "require") == after
    assert with_mode("X", after, "require") == after


def test_a_url_without_the_option_gets_none() -> None:
    for url in (PLAIN, "postgresql://app:?ssl=x@db/app"):
        with pytest.raises(Refused, match="no option"):
            with_mode("DATABASE_URL", url, "require")


@settings(max_examples=60)
@given(urls(), st.booleans())
def test_on_kubernetes_the_way_back_is_exact_and_holds_no_password(pair: tuple[str, str], ca: bool) -> None:
    before, after = pair
    env = [{"name": "MODE", "value": "1"}, {"name": "DATABASE_URL", "value": before}]
    thing = workload(env=env, volumeMounts=[{"name": "ca", "mountPath": "/ca"}])
    want = Desired(
        database_tls={"DATABASE_URL": "require"},
        environment={"PGSSLROOTCERT": "/ca/db.pem"} if ca else {},
        database_ca="/ca/db.pem" if ca else None,
    )
    made = on_kubernetes(thing, want, facts()).thing
    assert made["spec"]["template"]["spec"]["containers"][0]["env"][1]["value"] == after
    back = difference(made, thing)
    assert applied(made, back) == thing
    assert on_kubernetes(made, want, facts()).thing == made
    sealed = sealing.seal(back)
    assert before not in msgspec.json.encode([sealed.puts, want]).decode()
    kept = sealing.secret("shop", "kept", sealed.kept, "20261123-aaaaaa")
    assert sealing.unseal(sealed.puts, kept, None) == back


def test_on_kubernetes_what_is_not_mounted_or_not_literal_is_refused() -> None:
    with pytest.raises(Refused, match="No mount"):
        on_kubernetes(workload(), Desired(database_ca="/ca/db.pem"), facts())
    reference = {"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "db", "key": "url"}}}
    with pytest.raises(Refused, match="no literal value"):
        on_kubernetes(workload(env=[reference]), Desired(database_tls={"DATABASE_URL": "require"}), facts())


def test_in_a_container_only_the_option_changes() -> None:
    want = Desired(database_tls={"DATABASE_URL": "require"}, environment={"A": "2"})
    held = {"DATABASE_URL": f"{PLAIN}?ssl=disable", "A": "1", "B": "3"}
    assert _variables(held, want) == {"DATABASE_URL": f"{PLAIN}?ssl=require", "A": "2", "B": "3"}
    assert needs_recreate({}, want)
    with pytest.raises(Refused, match="not in its environment any more"):
        _variables({}, want)


LINES = st.sampled_from(
    ["    environment:\n      A: 1\n      DATABASE_URL: {}   # prod\n", "    environment:\n      - DATABASE_URL={}\n"]
)


@given(LINES, st.sampled_from(["", "  db: {image: x}\n"]))
@settings(max_examples=20)
def test_the_compose_file_changes_in_place_shows_no_password_and_comes_back(lines: str, tail: str) -> None:
    before = "services:\n  web:\n    image: a\n" + lines.replace("{}", f"{PLAIN}?ssl=disable") + tail
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "compose.yaml"
        path.write_text(before)
        (one,) = compose(folder).files
        assert one.after == before.replace("disable", "require")
        documents = [Document("file:x", "compose", "x", text, version_of(text)) for text in (before, one.after)]
        diff = unified(*documents)
        assert "ssl=require" in diff
        assert "hunter2" not in diff
        point = FileWriter().perform(
            Step("write-file", "write x", *documents, str(path), {"resumable": True}), "c", str
        )
        assert "hunter2" not in str(point)
        FileWriter().restore(point, str)
        assert path.read_text() == before


@pytest.mark.parametrize("lines", ["    env_file: .env\n", "    environment:\n      DATABASE_URL: ${DATABASE_URL}\n"])
def test_a_password_is_never_written_into_a_file_that_had_none(tmp_path: Path, lines: str) -> None:
    (tmp_path / "compose.yaml").write_text("services:\n  web:\n    image: a\n" + lines)
    done = compose(str(tmp_path))
    assert done.files == ()
    assert "is left as it is" in done.notes[0]
    assert "hunter2" not in done.notes[0]


def compose(folder: str) -> Any:
    labels = {
        "com.docker.compose.project.config_files": f"{folder}/compose.yaml",
        "com.docker.compose.project.working_dir": folder,
        "com.docker.compose.service": "web",
    }
    changed = {"DATABASE_URL": f"{PLAIN}?ssl=require"}
    return edit(labels, Goal(environment=changed, in_place=frozenset(changed)))


# What the drivers themselves make of it.


@contextmanager
def clear_text_server() -> Iterator[tuple[int, list[bytes]]]:
    """A server that has no TLS: it declines, and notes whether the client goes on in clear text."""
    said: list[bytes] = []

    def serve(listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listening.accept()
                with client, contextlib.suppress(OSError):
                    client.settimeout(30)
                    assert client.recv(8) == struct.pack("!II", 8, 80877103)  # SSLRequest
                    client.sendall(b"N")
                    said.append(client.recv(512))

    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve, args=(listening,), daemon=True)
    thread.start()
    try:
        yield int(listening.getsockname()[1]), said
    finally:
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(30)


@pytest.mark.parametrize("mode", ["prefer", "require", "verify-full"])
async def test_the_variable_that_is_set_is_the_one_that_the_driver_reads(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncpg

    monkeypatch.setenv("PGSSLMODE", mode)
    monkeypatch.setenv("PGSSLROOTCERT", ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt")
    with clear_text_server() as (port, said), contextlib.suppress(Exception):  # it cannot connect in the end, of course
        await asyncio.wait_for(asyncpg.connect(f"postgresql://app:hunter2@127.0.0.1:{port}/app"), 60)
    assert any(said) is (mode == "prefer"), "nothing is said in clear text once TLS is required"


def test_sqlalchemy_hands_the_option_of_the_url_to_asyncpg_as_it_stands() -> None:
    import sqlalchemy

    for mode in ("require", "verify-full"):
        url = sqlalchemy.make_url(with_mode("X", f"{PLAIN}?ssl=disable", mode))
        assert url.get_dialect()().create_connect_args(url)[1]["ssl"] == mode
