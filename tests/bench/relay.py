"""A relay that counts: what a client receives of a server, in bytes on the wire."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Self

_PIECE = 1 << 16


class Relay:
    """Listens on loopback and passes everything on to a port there, both ways; a context manager."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self.received = 0
        """Bytes that clients were sent so far."""

    @property
    def url(self) -> str:
        """For a kubeconfig: whoever answers behind it ends the TLS."""
        return f"https://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name="relay", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        with self._lock:
            for one in self._open:
                one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target, timeout=10)
                server.settimeout(None)
            except OSError:
                return
            with self._lock:
                self._open |= {client, server}
            for source, sink, counts in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pass, args=(source, sink, counts), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, counts: bool) -> None:
        try:
            while data := source.recv(_PIECE):
                sink.sendall(data)
                if counts:
                    with self._lock:
                        self.received += len(data)
        except OSError:
            pass
        finally:
            for one in (source, sink):
                one.close()
            with self._lock:
                self._open -= {source, sink}
