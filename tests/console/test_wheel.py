"""The wheel: what is in it, and that it runs where nothing of the checkout is."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from console import __version__
from fixes import catalogue
from tests.console._fastops import ROOT

PACKAGES = ("console", "screens", "probes", "fixes")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            str(folder),
            str(ROOT),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (made,) = folder.glob("*.whl")
    return made


def test_it_holds_the_four_packages_whole_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
    info = f"fastops-{__version__}.dist-info/"
    assert {name.split("/")[0] + "/" for name in names} == {f"{package}/" for package in PACKAGES} | {info}
    kept = {"*.py", "*.tcss", "py.typed"}
    sources = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for pattern in kept
        for path in (ROOT / package).rglob(pattern)
    }
    assert {name for name in names if not name.startswith(info)} == sources
    assert any(name.endswith(".tcss") for name in names)
    assert not [name for name in names if "test" in name.lower() or "__pycache__" in name]


def test_it_names_its_command_its_licence_and_exactly_one_textual(wheel: Path) -> None:
    info = f"fastops-{__version__}.dist-info/"
    with zipfile.ZipFile(wheel) as opened:
        commands = opened.read(info + "entry_points.txt").decode()
        metadata = opened.read(info + "METADATA").decode()
        assert info + "licenses/LICENSE" in opened.namelist()
    assert "fastops = console.__main__:main" in commands
    assert "Requires-Dist: textual==" in metadata
    assert f"Version: {__version__}" in metadata


def test_it_runs_from_a_clean_place(wheel: Path, tmp_path: Path) -> None:
    """Unpacked into a folder of its own; the dependencies are this environment's, the checkout is out of sight."""
    target = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel)],
        check=True,
        timeout=120,
    )
    program = (
        f"import sys; sys.path[:] = [{str(target)!r}] + [p for p in sys.path if p != {str(ROOT)!r}]; "
        "sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f).lower()]; "
        "import importlib, pkgutil, console, screens, probes, fixes\n"
        "for package in (console, screens, probes, fixes):\n"
        f"    assert package.__file__.startswith({str(target)!r}), package.__file__\n"
        "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        if 'demo.services' not in module.name and not module.name.endswith('__main__'):\n"
        "            importlib.import_module(module.name)\n"
        "from fixes import catalogue\n"
        "print(len(catalogue.signatures()), len(catalogue.remedies()))\n"
    )
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, cwd=tmp_path, env=env, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(len(catalogue.signatures())), str(len(catalogue.remedies()))]
    command = target / "bin" / "fastops"
    ran = subprocess.run(
        [sys.executable, str(command), "--version"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=env | {"PYTHONPATH": str(target)},
        timeout=60,
    )
    assert (ran.returncode, ran.stdout.strip()) == (0, f"fastops {__version__}"), ran.stderr
