"""Names, origins and the journal's lines: what is told from texts alone."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from probes import framework, servers
from probes.targets.local import capabilities, journal
from probes.targets.local.find import Master
from probes.targets.local.names import Key, Names, base, deployment_id
from probes.targets.local.origin import Origin, origin

ID = "0123456789abcdef" * 4


def key(directory: str | None = "/srv/checkout", app: str | None = "main:app", port: int = 8000) -> Key:
    return Key(uid=1000, directory=directory, app=app, binds=(f"127.0.0.1:{port}",))


@pytest.mark.parametrize(
    ("directory", "app", "expected"),
    [
        ("/srv/checkout", "main:app", "checkout"),
        ("/srv/checkout/current/src", "main:app", "checkout"),
        ("/app", "shop.main:app", "shop"),
        ("/", "shop.main:app", "shop"),
        (str(Path.home()), "orders:create", "orders"),
        (None, "main:app", "main"),
        (None, None, "service"),
    ],
)
def test_a_service_is_called_by_its_directory_or_its_module(
    directory: str | None, app: str | None, expected: str
) -> None:
    assert base(key(directory, app)) == expected


def test_two_of_one_name_get_their_ports_and_keep_what_they_were_given() -> None:
    names = Names()
    first, second = key(port=8000), key(port=9000)
    assert names.name([first]) == {first: "checkout"}
    assert names.name([first, second]) == {first: "checkout", second: "checkout-9000"}
    assert names.name([second]) == {second: "checkout-9000"}
    assert Names().name([first, second]) == {first: "checkout-8000", second: "checkout-9000"}


def test_ids_are_percent_encoded() -> None:
    assert deployment_id("größe/a b~c") == "local/gr%C3%B6%C3%9Fe%2Fa%20b%7Ec"
    assert deployment_id("a.b-c_d@e:f") == "local/a.b-c_d@e:f"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0::/system.slice/shop.service\n", Origin(unit="shop.service")),
        ("0::/system.slice/system-shop.slice/shop@1.service\n", Origin(unit="shop@1.service")),
        (
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/shop.service\n",
            Origin(unit="shop.service", user_unit=True),
        ),
        ("0::/user.slice/user-1000.slice/session-3.scope\n", Origin()),
        ("0::/user.slice/user-1000.slice/user@1000.service/init.scope\n", Origin()),
        (f"0::/system.slice/docker-{ID}.scope\n", Origin(container=ID, runtime="docker")),
        (f"4:memory:/docker/{ID}\n0::/docker/{ID}\n", Origin(container=ID, runtime="docker")),
        (f"0::/machine.slice/libpod-{ID}.scope\n", Origin(container=ID, runtime="libpod")),
        (
            f"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope",
            Origin(container=ID, runtime="cri-containerd"),
        ),
        (f"0::/kubepods/besteffort/pod12/{ID}", Origin(container=ID, runtime="kubepods")),
        ("0::/lxc.payload.web/system.slice/x.service", Origin(container="web", runtime="lxc")),
        (None, Origin()),
        ("", Origin()),
    ],
)
def test_the_control_group_names_the_unit_or_container(text: str | None, expected: Origin) -> None:
    assert origin(text) == expected


def test_the_container_that_fastops_is_in_itself_is_no_origin() -> None:
    here = f"0::/docker/{ID}\n"
    assert origin(here, here) == Origin()
    assert origin(here, "0::/\n").container == ID


def test_the_journals_lines_become_stamped_lines() -> None:
    found = journal.row(b"2026-11-22T09:21:50.123456+0100 host gunicorn[42]: [ERROR] a: b")
    assert found == b"2026-11-22T09:21:50.123456+01:00 [ERROR] a: b"
    assert (
        journal.row(b"2026-11-22T09:21:50,123456+00:00 host shop: hello") == b"2026-11-22T09:21:50.123456+00:00 hello"
    )
    assert journal.row(b"    continued: line") == b"    continued: line"


def test_a_users_unit_is_asked_for_in_the_users_journal() -> None:
    since = datetime(2026, 11, 22, 9, tzinfo=UTC)
    assert "--user-unit" in journal.command(Origin(unit="shop.service", user_unit=True), since)
    assert journal.command(Origin(unit="shop.service"), since)[-2:] == ("--unit", "shop.service")


async def test_the_journal_is_followed_line_by_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "journalctl"
    program.write_text("#!/bin/sh\nprintf '2026-11-22T09:21:50.000001+0000 h shop[1]: one\\n  two\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    of = Origin(unit="shop.service")
    assert journal.available(of)
    chunks = [chunk async for chunk in journal.follow(of, datetime.now(UTC))]
    assert b"".join(chunks) == b"2026-11-22T09:21:50.000001+00:00 one\n  two\n"


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (("gunicorn", "main:app"), None),
        (("gunicorn", "main:app", "-c", "python:shop.gunicorn_config"), "the module python:shop.gunicorn_config"),
        (("gunicorn: master [main:app]",), "title hides its command"),
    ],
)
def test_what_no_file_can_tell_gunicorn_is_said_before_it_is_tried(argv: tuple[str, ...], why: str | None) -> None:
    command = servers.parse(argv, {}, lambda _: None, "/srv/checkout")
    recognition = framework.Recognition(framework="fastapi", why="main:app", packages={})
    of = Origin()
    master = Master(7, 1, argv, "/srv/checkout", command, recognition, of, None, key(), {}, readable=True)
    said = capabilities.capabilities(master)["gunicorn"]
    assert (said is None) == (why is None)
    assert (why or "") in (said or "")
