"""Cannot be imported: a package that the image does not have."""

from __future__ import annotations

import package_that_is_missing  # noqa: F401
from fastapi import FastAPI

app = FastAPI(title="broken_import")
