"""The service died for want of a setting that should stand in its environment.

What it means. The application reads a variable at start, it is not set, and the start fails. Each missing variable is
named, so that all can be set at once.

What proves it. pydantic-settings ``Field required`` (pydantic 1: ``field required (type=value_error.missing)``) for a
settings model, ``KeyError`` out of ``os.environ``, Starlette's ``Config 'X' is missing``, python-decouple, environs
and django-environ in their own words, ``Missing required environment variable``, or SQLAlchemy's ``Expected string or
URL object, got None`` where the variable that held the URL is not named.

pydantic names *fields*, not variables: a settings class with an ``env_prefix`` or an alias reads another name. The
finding says so, and names the likely variable where other variables of the deployment share a prefix.

What it is not. The same words in an answer to a client (HTTP 422 of request validation) or in an exception of one
request: those models are not settings. A start that succeeded later.

What to do. Set the variables where the deployment sets them: the advice shows the lines.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from itertools import pairwise

from fixes.model import Evidence, Fires, RemedyId, Signature, SignatureId, Verdict, View
from fixes.proof import BY_START
from fixes.signatures import _missing_env_examples, _prefix, _shared, _traceback, _wording
from fixes.signatures._shared import At
from probes.base import Value
from probes.loghits import LogHit

_NAME = r"(?P<name>[A-Za-z_][A-Za-z0-9_]{1,127})"
VALIDATION = _wording.unquoted("env/validation", r"\d+ validation errors? for (?P<model>[A-Za-z_][\w.\[\]]*)", 20)
REQUIRED = _wording.unquoted("env/required", r"[Ff]ield required (?:\[type=missing|\(type=value_error\.missing\))", 12)
ENVIRON = _wording.unquoted("env/key-error", r"(?:^|[\s|\"n])KeyError: '" + _NAME + "'", 20)
NAMED = (
    _wording.unquoted("env/starlette", rf"Config '{_NAME}' is missing"),
    _wording.unquoted("env/decouple", rf"UndefinedValueError: {_NAME} not found\. Declare it"),
    _wording.unquoted("env/environs", rf"Environment variable \"{_NAME}\" not set"),
    _wording.unquoted("env/django-environ", rf"ImproperlyConfigured: Set the {_NAME} environment variable"),
    _wording.unquoted(
        "env/missing",
        r"(?i:(?:missing|undefined)(?: required| mandatory)? (?:environment|env) (?:variable|var)s?\b[^\w]{0,6})"
        r"(?P<names>[A-Z][A-Z0-9_]+(?:,? (?:and )?[A-Z][A-Z0-9_]+)*)",
        3,
    ),
    _wording.unquoted(
        "env/not-set",
        r"(?P<names>[A-Z][A-Z0-9_]{2,})['\"`]? (?i:(?:environment |env )(?:variable |var )?(?:is |must be )?"
        r"(?:not set|missing|required|set$|set\b))",
        3,
    ),
    _wording.unquoted(
        "env/variable-not-set",
        r"(?i:environment variable[ :]+['\"`]?)(?P<names>[A-Z][A-Z0-9_]{2,})['\"`]? "
        r"(?i:(?:is |was )?(?:not set|not found|missing|required|undefined)|must be set)",
        3,
    ),
)
NO_URL = _wording.unquoted(
    "env/no-url",
    r"(?:Expected string or URL object, got None|Could not parse (?:rfc1738|SQLAlchemy) URL from .*'None?')",
)
_FIELDS = (VALIDATION.key, REQUIRED.key)
_LOOSE = ("env/missing", "env/not-set", "env/variable-not-set")
"""Anybody's words, not a library's: they count only as an error, and not where a default takes the variable's place."""
_DEFAULTED = re.compile(r"(?i)\bdefault|fall(?:ing|s)? ?back|ignor|optional|using ")
_SERIOUS = re.compile(r"(?:Error|Exception|Exit)\b|\b(?:ERROR|CRITICAL|FATAL)\b|[Ff]atal|\bpanic")
_MILD = re.compile(r"(?i)\b(?:trace|debug|info|notice|warn(?:ing)?)\b")
_SETTINGS_CODE = ("pydantic_settings/", "env_settings")
_REQUEST_CODE = (
    "routing.py",
    "Exception in ASGI application",
    "RequestValidationError",
    "ResponseValidationError",
    "422",
)
_IN_REQUEST = re.compile(
    r"Exception in ASGI application|Error in ASGI Framework|Application callable raised|Error handling request /"
    r"|in (?:run_endpoint_function|run_asgi|wrapped_app|run_in_threadpool)(?:[^\w]|$)"
    r"|(?:starlette|fastapi)/routing\.py\\?\", line \d+, in (?:__call__|app|handle)(?:[^\w]|$)"
)
"""What stands in the traceback of a request; Starlette's own of a start begins at ``in lifespan``."""
_BEGIN = "Traceback (most recent call last)"
_CHAINED = re.compile("The above exception was the direct cause|During handling of the above exception")
_SETTINGS_NAME = re.compile(r"(?i)settings|config|env")
_DEATH = ("Child process [", "failed to start", "Worker exiting", "Shutting down: Master", "Stopping reloader")
_FIELD_V2 = re.compile(r"^(?:.*[|\]:>]\s+|[|\s]*)(?P<name>[A-Za-z_][\w.]*)\s*$")


def detect(view: View) -> Verdict:
    """Fires with the name of each variable that was missing at a start which no lasting start followed."""
    names: dict[str, None] = {}
    fields: dict[str, None] = {}
    used: list[tuple[LogHit, At]] = []
    just_started = False
    for hit, place in _shared.places(view, VALIDATION, REQUIRED, ENVIRON, NO_URL, *NAMED):
        missing = None if hit.key == ENVIRON.key and _is_below_a_request(view, place) else _missing(hit)
        good = False if missing is None else _shared.came_up(view, place)
        just_started = just_started or good is None
        if missing is None or good is not False:
            continue
        used.append((hit, place))
        (fields if hit.key in _FIELDS else names).update(dict.fromkeys(missing))
    if not used:
        return _shared.just_started() if just_started else _shared.unseen(view)
    first, last = _shared.span([place for _, place in used])
    hits = list({id(hit): hit for hit, _ in used}.values())
    prefix, sharing = _prefix.likely(view.deployment, fields)
    variables = [*names, *(_prefix.variable(field, prefix) for field in fields)]
    evidence = [_shared.evidence_of(hit) for hit in hits[-6:]]
    if prefix:
        shown = f"{', '.join(sharing[:4])} are set: the variables of its settings probably begin with {prefix}"
        evidence.append(Evidence("inspect", shown, replica=used[-1][0].replica))
    facts: dict[str, Value] = {"missing": ",".join(variables)} if variables else {}
    if fields:
        facts |= {"fields": ",".join(fields), "prefix": prefix}
    return Fires(
        severity="critical",
        title=_title(names, fields, prefix),
        evidence=tuple(evidence),
        count=max(_shared.count(view, hit) for hit in hits),
        first_at=first,
        last_at=last,
        facts=facts,
    )


def _title(names: Collection[str], fields: Collection[str], prefix: str) -> str:
    """What is missing, and the doubt about what pydantic names."""
    listed = ", ".join((*names, *fields))
    if not listed:
        return "the database's URL is not set: create_engine was given None"
    one = len(names) + len(fields) == 1
    said = f"the setting {listed} is missing" if one else f"{len(names) + len(fields)} settings are missing: {listed}"
    if not fields:
        return said
    variables = ", ".join(_prefix.variable(field, prefix) for field in fields)
    return f"{said} (probably {variables})" if prefix else f"{said} ({variables}, or with a prefix)"


def _missing(hit: LogHit) -> tuple[str, ...] | None:
    """The variables, or the fields of pydantic, that a hit names; ``None`` when it is not about the environment."""
    if hit.key == VALIDATION.key:
        return _of_model(hit)
    if hit.key == REQUIRED.key:
        return _of_field(hit)
    if hit.key == ENVIRON.key:
        lines = [*_own_traceback(hit.before), *_shared.unfolded(hit.sample)]
        environ = any("os.environ" in x or "<frozen os>" in x or "/os.py" in x for x in lines)
        return (hit.fields["name"],) if environ and not any(_IN_REQUEST.search(x) for x in lines) else None
    if hit.key == NO_URL.key:
        return ()
    if hit.key in _LOOSE and not _is_grave(hit):
        return None
    found = hit.fields.get("name") or hit.fields.get("names", "")
    return tuple(re.findall(r"[A-Za-z_]\w+", found.replace(" and ", " "))) or None


def _own_traceback(before: Sequence[str]) -> Sequence[str]:
    """Of the lines before the end of a traceback those that belong to it, and the server's words above it."""
    heads = [i for i, line in enumerate(before) if _BEGIN in line]
    while len(heads) > 1 and any(_CHAINED.search(line) for line in before[heads[-2] : heads[-1]]):
        heads.pop()
    return before[max(0, heads[-1] - 1) :] if heads else before


def _is_below_a_request(view: View, place: At) -> bool:
    """Whether the traceback that ends here began below a server's word of an exception in a request.

    Longer tracebacks than the lines that are kept with a match: their own head is the latest one.
    """
    begun = _shared.latest_line(view, place.replica, place.line, _traceback.BEGIN)
    told = _shared.latest_line(view, place.replica, place.line, _traceback.HEADER)
    near = begun is not None and told is not None and abs(begun.line - told.line) <= 1
    return near and begun is not None and place.line - begun.line <= _traceback.LONGEST


def _is_grave(hit: LogHit) -> bool:
    """Whether anybody's words about a variable tell of a failure: "missing" does unless its level says otherwise."""
    if _DEFAULTED.search(hit.sample):
        return False
    return bool(_SERIOUS.search(hit.sample)) or (hit.key == "env/missing" and not _MILD.search(hit.sample))


def _of_model(hit: LogHit) -> tuple[str, ...] | None:
    model = hit.fields.get("model", "")
    folded = _shared.unfolded(hit.sample)
    lines = [*hit.before, *folded]
    if model in ("Request", "Response") or any(word in line for line in lines for word in _REQUEST_CODE[1:4]):
        return None
    settings = bool(_SETTINGS_NAME.search(model)) or any(word in line for line in lines for word in _SETTINGS_CODE)
    if not settings:
        return None
    below = [*folded[1:], *hit.after]
    names = [
        match["name"] for name, said in pairwise(below) if "ield required" in said and (match := _FIELD_V2.match(name))
    ]
    return tuple(names) or None


def _of_field(hit: LogHit) -> tuple[str, ...] | None:
    """One field whose model's line is not here: only where the process ended at once."""
    if not hit.before or any(word in line for line in (*hit.before, hit.sample) for word in _REQUEST_CODE):
        return None
    if any("validation error" in line for line in hit.before):
        return None
    name = _FIELD_V2.match(hit.before[-1])
    ended = any(word in line for line in hit.after for word in _DEATH)
    settings = any(word in line for line in hit.before for word in _SETTINGS_CODE)
    return (name["name"],) if name and (ended or settings) else None


SIGNATURE = Signature(
    id=SignatureId("missing-env"),
    title="A required setting is missing",
    severity="critical",
    detect=detect,
    remedies=(RemedyId("set-env"), RemedyId("advise")),
    proof=BY_START,
    source="pydantic 1 and 2, pydantic-settings 2, starlette/config.py, CPython os.environ, SQLAlchemy engine/url.py",
    patterns=(VALIDATION, REQUIRED, ENVIRON, NO_URL, *NAMED, _wording.STARTED, _traceback.HEADER, _traceback.BEGIN),
    explains=(SignatureId("worker-boot-failed"), SignatureId("worker-died"), SignatureId("crash-loop")),
    fires=_missing_env_examples.FIRES,
    silent=_missing_env_examples.STAYS_SILENT,
)
