"""The configuration file, the environment and what the command line adds to them.

The file is TOML, ``config.toml`` in the user's configuration folder or where ``FASTOPS_CONFIG`` says::

    read_only = false
    interval = "2s"
    lookback = "15m"
    telemetry = "127.0.0.1:4318"

    [targets.docker]
    read_only = true

    [targets."k8s:prod-*"]
    production = true

    [[silence]]
    signature = "memory-limit-low"
    deployment = "docker/shop/*"
    until = 2026-12-31
    reason = "known, ticket 12"

    [signatures."memory-near-limit"]
    severity = "info"
    thresholds = { used_ratio = 0.95 }

    [keys]
    fix = "F"
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec

from console import target_config
from console.target_config import TargetConfig
from fixes import mistakes
from fixes.policy import Override, Silence
from probes.target import Options, Target
from probes.text import line
from screens import keys


class BadConfig(Exception):
    """The configuration cannot be used; the text is one sentence for people."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that can be configured; every field has a default."""

    read_only: bool = False
    interval: str = "2s"
    """Between two samples of what is looked at, 0.5 s … 1 min."""
    lookback: str = "15m"
    """How far back logs and events are read, 1 min … 1 day."""
    telemetry: str = ""
    """``ADDRESS:PORT`` where the console and ``fix`` listen for what services send of their requests; nowhere by
    default."""
    targets: dict[str, TargetConfig] = {}
    """By the target's name or a pattern of names."""
    silence: tuple[Silence, ...] = ()
    """What is known and shall not be shown; checked where the signatures are known (:mod:`console.rules`)."""
    signatures: dict[str, Override] = {}
    """By id: another severity, other thresholds."""
    keys: dict[str, str] = {}
    """Binding → keys, separated by commas; which there are says :mod:`screens.keys`."""

    @property
    def interval_seconds(self) -> float:
        """The interval; raises :class:`BadConfig`."""
        return seconds(self.interval, "interval", 0.5, 60)

    @property
    def lookback_time(self) -> timedelta:
        """The look-back; raises :class:`BadConfig`."""
        return timedelta(seconds=seconds(self.lookback, "lookback", 60, 86_400))

    def listening(self, where: str | None) -> Config:
        """The same with another address to listen on, where one is given; raises :class:`BadConfig`."""
        made = self if where is None else msgspec.structs.replace(self, telemetry=where)
        if made.telemetry:
            from probes.otlp.receiver import place

            try:
                place(made.telemetry)
            except ValueError as error:
                raise BadConfig(f"telemetry: {line(made.telemetry, 80)!r} cannot be listened on: {error}") from None
        return made

    def of(self, target: str) -> TargetConfig:
        """What is configured for a target, by its id or its name."""
        return target_config.of(target, self.targets)

    def is_read_only(self, target: str, *, lifted: bool = False) -> bool:
        """Whether this target may only be read; ``lifted``: for this run, production that is nothing else is not."""
        entry = self.of(target)
        return self.read_only or entry.read_only is True or (entry.closed and not lifted)


Maker = Callable[[Options], Target]


class Wanted(NamedTuple):
    """What a session is asked to open: targets by name, and those that makers make."""

    names: tuple[str, ...]
    makers: tuple[Maker, ...]
    config: Config
    read_only: bool
    unknown: bool
    lifted: bool = False
    """Production may be changed in this session."""
    execute: bool = False
    namespace: str | None = None


_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?\s*")
_UNITS = {"ms": 0.001, "s": 1.0, None: 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def seconds(text: str, what: str, least: float, most: float) -> float:
    """A duration such as ``2s``, ``500ms``, ``15m`` in seconds, within bounds; raises :class:`BadConfig`."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise BadConfig(f"{what}: {text!r} is not a duration; write for example 2s, 500ms or 15m")
    value = float(match[1]) * _UNITS[match[2]]
    if not least <= value <= most:
        raise BadConfig(f"{what}: {text} is out of bounds; it may be from {least:g} s to {most:g} s")
    return value


def load(path: Path | None = None) -> Config:
    """Reads the configuration; a file that is not there is an empty one. Raises :class:`BadConfig`."""
    path = path or default_path()
    try:
        config = msgspec.toml.decode(path.read_bytes(), type=Config)
    except FileNotFoundError:
        if "FASTOPS_CONFIG" in os.environ:
            raise BadConfig(f"FASTOPS_CONFIG names {path}, which does not exist") from None
        config = Config()
    except OSError as error:
        raise BadConfig(f"{path} cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise BadConfig(f"{path} is not a valid configuration: {mistakes.sentence(error)}") from None
    _ = config.interval_seconds, config.lookback_time, config.listening(None)
    for name, entry in config.targets.items():
        told = target_config.problem(name, entry)
        if told is not None:
            raise BadConfig(f"{path}: {line(told, 600)}")
    wrong = keys.problem(config.keys)
    if wrong is not None:
        raise BadConfig(f"{path}: [keys]: {line(wrong, 600)}")
    if truth(os.environ.get("FASTOPS_READ_ONLY", "")):
        config = msgspec.structs.replace(config, read_only=True)
    return config


def namespace(text: str | None) -> str | None:
    """A namespace that was named on the command line; raises :class:`BadConfig` for what cannot be one."""
    if text is not None and not target_config.is_namespace(text):
        raise BadConfig(f"--namespace: {line(text, 80)!r} is no name of a namespace")
    return text


def truth(text: str) -> bool:
    """Whether an environment variable's text means yes. Whatever is not a plain no counts as yes: the safe side."""
    return text.strip().lower() not in {"", "0", "false", "no", "off"}


def default_path() -> Path:
    """Where the configuration file is looked for."""
    named = os.environ.get("FASTOPS_CONFIG")
    if named:
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_config_dir("fastops")) / "config.toml"


def signatures_folder() -> Path:
    """Where the files of own signatures are looked for: beside the configuration file."""
    return default_path().parent / "signatures"


def state_folder() -> Path:
    """Where the journal, saved evidence and crash notes lie (``FASTOPS_STATE`` moves it)."""
    named = os.environ.get("FASTOPS_STATE")
    if named:
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_state_dir("fastops"))
