"""The service does not trust the database's certificate.

What it means. The service asks for verification, and the server shows a certificate that no known authority signed, for
another name, or that has expired; or the file with the authority's certificate is not there. No connection is made.

What proves it. ``CERTIFICATE_VERIFY_FAILED`` below a database driver's frames, libpq's ``SSL error: certificate verify
failed``, ``server certificate for "…" does not match host name``, ``root certificate file "…" does not exist``, or
PostgreSQL's own ``could not accept SSL connection: tlsv1 alert unknown ca``.

What it is not. The same error towards another host: the library in the traceback tells (httpx, requests, redis, …).
Where nothing tells, only an error that stands alone and unwrapped, as asyncpg raises it, counts.

What to do. Give the driver the authority's certificate (``sslrootcert``, or an ``ssl.SSLContext``), and connect by the
name that the certificate was made for. Do not turn verification off.
"""

from __future__ import annotations

import re

from fixes.model import Example, RemedyId, Signature, SignatureId, Verdict, View
from fixes.signatures import _database, _dialling, _shared, _traceback, _wording
from probes.loghits import LogHit

LIBPQ = _database.pattern(
    "verify-libpq",
    r"SSL error: certificate verify failed|server certificate for \\?\"(?P<name>[^\"\\]*)\\?\".{0,40} does not "
    r"match host"
    r"|root certificate file \\?\"(?P<file>[^\"\\]*)\\?\" does not exist"
    r"|could not get server's host name from server certificate"
    r"|could not accept SSL connection: .{0,24}alert (?:unknown ca|bad certificate|certificate "
    r"(?:unknown|expired|revoked))",
)
VERIFY = _database.pattern(
    "verify-failed",
    r"(?P<error>[A-Za-z_.]+(?:Error|Exception))?.{0,4}\[SSL: "
    r"CERTIFICATE_VERIFY_FAILED\](?:(?P<why>[^()\"\\]{0,160})\()?",
)
_ALONE = re.compile(r"^(?:.*[|\]]:? +|[|\s]*)ssl\.SSL(?:CertVerification)?Error: \[SSL: CERTIFICATE_VERIFY_FAILED\]")


def detect(view: View) -> Verdict:
    """Fires on certificates that were refused towards the database."""
    found = list(_shared.places(view, LIBPQ))
    found += [(hit, place) for hit, place in _shared.places(view, VERIFY) if _ours(hit)]
    found += [(hit, place) for hit, place in _shared.places(view, _dialling.START_TLS) if _refused(hit)]
    return _database.verdict(view, found, "critical", _title)


def _ours(hit: LogHit) -> bool:
    told = _database.toward(hit)
    if told is not None:
        return told
    frames = any('File "' in line for line in hit.before)
    return bool(_ALONE.match(hit.sample)) and not frames


def _refused(hit: LogHit) -> bool:
    raised = _dialling.handshake(hit)
    return raised is not None and "CERTIFICATE_VERIFY_FAILED" in raised[1]


def _title(hit: LogHit) -> str:
    why = hit.fields.get("why", "")
    if not why and (raised := _dialling.handshake(hit)):
        why = raised[1].partition("FAILED]")[2].partition("(")[0]
    why = why.replace("certificate verify failed", "").strip(" :.")
    if hit.fields.get("file"):
        return f"the file with the database authority's certificate, {hit.fields['file']}, does not exist"
    if hit.fields.get("name"):
        return f"the database's certificate is for {hit.fields['name']}, not for the host that is connected to"
    return f"the database's certificate is not trusted{': ' if why else ''}{why}"


_ERROR = (
    "ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate "
    "(_ssl.c:1006)\n"
)
_ASYNCPG = (
    '  File "/opt/venv/lib/python3.11/site-packages/asyncpg/connect_utils.py", line 1012, in _create_ssl_connection\n'
    "    new_tr = await loop.start_tls(\n             ^^^^^^^^^^^^^^^^^^^^^\n"
    '  File "/usr/local/lib/python3.11/ssl.py", line 979, in do_handshake\n    self._sslobj.do_handshake()\n'
)
_HTTPX = (
    '  File "/opt/venv/lib/python3.11/site-packages/httpcore/_backends/anyio.py", line 69, in start_tls\n'
    '  File "/usr/local/lib/python3.11/ssl.py", line 979, in do_handshake\n    self._sslobj.do_handshake()\n'
)

SIGNATURE = Signature(
    id=SignatureId("db-ssl-verify-failed"),
    title="The database's certificate is not trusted",
    severity="critical",
    detect=detect,
    remedies=(RemedyId("trust-db-ca"), RemedyId("advise")),
    source="libpq fe-secure-common.c and fe-secure-openssl.c (9.6 to 18); CPython ssl; asyncpg/connect_utils.py",
    patterns=(LIBPQ, VERIFY, _dialling.START_TLS, _traceback.CHAINED, _wording.STARTED),
    explains=(
        SignatureId("worker-boot-failed"),
        SignatureId("startup-stalled"),
        SignatureId("unhandled-exceptions"),
        SignatureId("pool-exhausted"),
    ),
    fires=(
        Example("asyncpg", _ASYNCPG + _ERROR),
        Example("its last line alone", _ERROR),
        Example(
            "another name",
            'psycopg2.OperationalError: connection to server at "127.0.0.1", port 5432 failed: server certificate for '
            '"db.internal" (and 1 other name) does not match host name "127.0.0.1"\n',
        ),
        Example("libpq", "psycopg.OperationalError: connection failed: SSL error: certificate verify failed\n"),
        Example(
            "no root certificate",
            'psycopg2.OperationalError: root certificate file "/root/.postgresql/root.crt" does not exist\n',
        ),
        Example(
            "MySQL",
            "pymysql.err.OperationalError: (2003, \"Can't connect to MySQL server on 'db' ([SSL: "
            'CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate (_ssl.c:1006))")\n',
        ),
        Example(
            "the server's log",
            "2026-11-22 09:26:32 UTC [94] [unknown]@[unknown] LOG:  could not accept SSL connection: tlsv1 "
            "alert unknown "
            "ca\n",
        ),
    ),
    silent=(
        Example(
            "httpx",
            _HTTPX + _ERROR + "\nThe above exception was the direct cause of the following exception:\n\n"
            "httpx.ConnectError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate\n",
        ),
        Example(
            "requests",
            "requests.exceptions.SSLError: HTTPSConnectionPool(host='stock', port=443): Max retries exceeded "
            "with url: / "
            "(Caused by SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate "
            "verify failed "
            "(_ssl.c:1006)')))\n",
        ),
        Example(
            "one's own words", "ERROR payment gateway: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed\n"
        ),
        Example("a health check of the port", "LOG:  could not accept SSL connection: EOF detected\n"),
    ),
)
