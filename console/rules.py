"""What is judged by: the catalogue, the signatures of the user's own, and what the configuration decided of them."""

from __future__ import annotations

from typing import NamedTuple

from console.config import BadConfig, Config, default_path, signatures_folder
from fixes import catalogue, own, policy
from fixes.model import Signature, SignatureId
from fixes.policy import BadPolicy, Policy
from probes.base import Failure


class Rules(NamedTuple):
    """Signatures by id, and how they are changed."""

    signatures: dict[SignatureId, Signature]
    policy: Policy
    failures: tuple[Failure, ...]
    """Files of own signatures that cannot be used."""


def load(config: Config) -> Rules:
    """Reads the files of own signatures, and checks the configuration against what is known.

    Raises :class:`BadConfig`.
    """
    builtin = catalogue.signatures()
    mine = own.load(signatures_folder(), builtin)
    known = {**builtin, **{one.id: one for one in mine.signatures}}
    try:
        decided = policy.make(config.silence, config.signatures, known, mine.claimed)
    except BadPolicy as error:
        raise BadConfig(f"{default_path()}: {error}") from None
    return Rules(dict(sorted(known.items())), decided, mine.failures)
