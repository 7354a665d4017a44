"""Admission of a cluster, for one namespace: a policy that forbids, and a webhook that changes what is sent."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.console._between import certificate
from tests.probes.kubernetes._shop import Shop

Json = dict[str, Any]
GROUP = "/apis/admissionregistration.k8s.io/v1"
RULE = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["deployments"]}


@contextmanager
def policy(shop: Shop, expression: str, message: str) -> Iterator[None]:
    """A policy for updates of Deployments; it has an effect a moment after it is made."""
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [RULE]},
        "validations": [{"expression": expression, "message": message}],
    }
    bound = {"policyName": shop.name, "validationActions": ["Deny"], "matchResources": _here(shop)}
    bodies = {"validatingadmissionpolicies": spec, "validatingadmissionpolicybindings": bound}
    with _made(shop, {plural: {"spec": body} for plural, body in bodies.items()}):
        yield


@contextmanager
def webhook(shop: Shop, folder: Path, change: Callable[[Json], list[Json]]) -> Iterator[None]:
    """Makes JSON Patch operations of each Deployment that is updated; also of dry runs."""

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))["request"]
            patch = base64.b64encode(json.dumps(change(request["object"])).encode()).decode()
            response = {"uid": request["uid"], "allowed": True, "patchType": "JSONPatch", "patch": patch}
            review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
            body = json.dumps(review).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing on the tests' screen."""

    own, key = certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hook = {
        "name": "changes.fastops.test",
        "rules": [RULE],
        "clientConfig": {
            "url": f"https://127.0.0.1:{server.server_port}/",
            "caBundle": base64.b64encode(own.read_bytes()).decode(),
        },
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Ignore",
        "timeoutSeconds": 10,
        **_here(shop),
    }
    try:
        with _made(shop, {"mutatingwebhookconfigurations": {"webhooks": [hook]}}):
            yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def _here(shop: Shop) -> Json:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": shop.name}}}


@contextmanager
def _made(shop: Shop, bodies: dict[str, Json]) -> Iterator[None]:
    """Objects of the whole cluster, by the namespace's name, that go in any case."""
    try:
        for plural, body in bodies.items():
            shop.api.post(f"{GROUP}/{plural}", {"metadata": {"name": shop.name}, **body})
        yield
    finally:
        for plural in bodies:
            shop.api.delete(f"{GROUP}/{plural}/{shop.name}")
