"""The pages that are made from code say what the code says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_generated_pages_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_the_pictures_that_the_readme_shows_are_there() -> None:
    shown = [part.split(")", 1)[0] for part in (ROOT / "README.md").read_text().split("](")[1:]]
    local = [path for path in shown if not path.startswith("http")]
    assert local
    assert not [path for path in local if not (ROOT / path.split("#", 1)[0]).exists()]
