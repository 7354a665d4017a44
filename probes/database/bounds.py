"""What holds for each connection to a database's server, whichever it is."""

from __future__ import annotations

from typing import Final

APPLICATION: Final = "fastops"
CONNECT_SECONDS = 5.0
STATEMENT_SECONDS = 3.0
CLOSE_SECONDS = 1.0
