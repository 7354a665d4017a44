"""What a start without a setting looks like, and what resembles it."""

from __future__ import annotations

from fixes.model import Example

_V2 = (
    '  File "/opt/venv/lib/python3.11/site-packages/pydantic_settings/main.py", line 292, in __init__\n'
    "pydantic_core._pydantic_core.ValidationError: 2 validation errors for Settings\n"
    "database_url\n  Field required [type=missing, input_value={}, input_type=dict]\n"
    "    For further information visit https://errors.pydantic.dev/2.14/v/missing\n"
    "secret_key\n  Field required [type=missing, input_value={}, input_type=dict]\n"
    "    For further information visit https://errors.pydantic.dev/2.14/v/missing\n"
)
_KEY_ERROR = (
    '  File "/srv/app/main.py", line 40, in report\n    x = os.environ["FEATURE_X"]\n'
    "  File \"<frozen os>\", line 679, in __getitem__\n    raise KeyError(key) from None\nKeyError: 'FEATURE_X'\n"
)
_REQUEST = "ERROR:    Exception in ASGI application\nTraceback (most recent call last):\n"
_CALLS = '  File "/srv/app/deep.py", line 7, in call\n    return inner()\n'

FIRES = (
    Example("pydantic-settings 2", _V2),
    Example(
        "pydantic 1",
        '  File "pydantic/env_settings.py", line 40, in pydantic.env_settings.BaseSettings.__init__\n'
        "pydantic.error_wrappers.ValidationError: 1 validation error for Settings\n"
        "database_url\n  field required (type=value_error.missing)\n",
    ),
    Example(
        "os.environ",
        '  File "/srv/app/main.py", line 5, in <module>\n    DB = os.environ["DATABASE_URL"]\n'
        "         ~~~~~~~~~~^^^^^^^^^^^^^^^^\n"
        '  File "<frozen os>", line 679, in __getitem__\n'
        "    raise KeyError(key) from None\nKeyError: 'DATABASE_URL'\n",
    ),
    Example(
        "os.environ at import, after an exception of a request",
        _REQUEST + "ValueError: 5\n" + "Traceback (most recent call last):\n" + _KEY_ERROR,
    ),
    Example(
        "os.environ in the application's start",
        "ERROR:    Traceback (most recent call last):\n"
        '  File "/opt/venv/lib/python3.11/site-packages/starlette/routing.py", line 693, in lifespan\n'
        "    async with self.lifespan_context(app) as maybe_state:\n" + _KEY_ERROR,
    ),
    Example("starlette", "KeyError: \"Config 'SECRET_KEY' is missing, and has no default.\"\n"),
    Example("one's own words", "RuntimeError: Missing required environment variables: DATABASE_URL, REDIS_URL\n"),
    Example("the program's last words", "Missing required environment variable STRIPE_KEY\n"),
    Example("one's own words, turned", "ValueError: STRIPE_KEY environment variable is not set\n"),
    Example(
        "python-decouple",
        "decouple.UndefinedValueError: API_URL not found. Declare it as envvar or define a default value.\n",
    ),
    Example("SQLAlchemy", "sqlalchemy.exc.ArgumentError: Expected string or URL object, got None\n"),
)
STAYS_SILENT = (
    Example(
        "an answer to a client",
        'INFO: 10.0.0.1:5 - "POST /items HTTP/1.1" 422 Unprocessable Entity\n'
        '{"detail":[{"type":"missing","loc":["body","name"],"msg":"Field required","input":{}}]}\n',
    ),
    Example(
        "request validation, logged",
        "fastapi.exceptions.RequestValidationError: 1 validation error:\n"
        "  {'type': 'missing', 'loc': ('body', 'name'), 'msg': 'Field required', 'input': {}}\n",
    ),
    Example(
        "request validation of pydantic 1",
        "pydantic.error_wrappers.ValidationError: 1 validation error for Request\n"
        "body -> name\n  field required (type=value_error.missing)\n",
    ),
    Example(
        "another model in a request",
        "ERROR:    Exception in ASGI application\n"
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for Item\n"
        "name\n  Field required [type=missing, input_value={'x': 1}, input_type=dict]\n",
    ),
    Example("os.environ in a request", _REQUEST + _KEY_ERROR),
    Example("os.environ in a request, deep below it", _REQUEST + _CALLS * 40 + _KEY_ERROR),
    Example(
        "os.environ in a request whose head is not in the log any more",
        '  File "/opt/venv/lib/python3.11/site-packages/fastapi/routing.py", line 212, in run_endpoint_function\n'
        "    return await dependant.call(**values)\n" + _CALLS * 3 + _KEY_ERROR,
    ),
    Example(
        "a KeyError of a dictionary",
        "  File \"/srv/app/main.py\", line 5, in read\n    return ROWS[name]\nKeyError: 'DATABASE_URL'\n",
    ),
    Example("a default takes its place", "WARNING: LOG_LEVEL environment variable is not set, using default INFO\n"),
    Example("a warning", "WARNING:  Missing environment variable SENTRY_DSN\n"),
    Example(
        "it started later and stays up",
        _V2 + "INFO:     Waiting for application startup.\nINFO:     Application startup complete.\n",
    ),
)
