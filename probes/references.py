"""Values that say where a secret is kept, and are none: ``vault:secret/data/db#password``, ``op://shop/db/password``.

Strict on purpose: the whole value has to be one reference, of a form that its tool documents, in plain words. What
merely begins like one, holds an option that may carry a secret, or has a part that could be a token, is none.
"""

from __future__ import annotations

import re

_LONGEST = 300
"""Characters of a reference. Names of secrets are short; what is longer may be anything."""
_WORD = r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,63}"
_PATH = rf"{_WORD}(?:/{_WORD}){{0,8}}"
_DEEP = rf"{_WORD}(?:/{_WORD}){{1,8}}"
_SPACED = rf"{_WORD}(?: {_WORD}){{0,4}}"
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]{0,63}"
# What vals can ask (its ``echo`` gives back what stands in the reference itself), and options that say where alone.
_STORES = r"vault|awsssm|awssecrets|gcpsecrets|azurekeyvault|op|onepassword|doppler|k8s|sops|infisical|bitwarden|file"
_WHERE = rf"(?:region|version|version_id|profile|project|key_type)={_WORD}"
_PARTITION = "(?:-[a-z]{1,10}){0,3}"
_REGION = r"[a-z]{2}(?:-[a-z]{1,12}){1,3}-\d"
_FORMS = (
    # Bank-Vaults: vault:PATH#KEY, with the version behind it.
    rf"(?:>>)?vault:{_DEEP}#{_WORD}(?:#\d{{1,6}})?",
    # vals (helmfile, Argo CD): ref+STORE://PATH?OPTIONS#/KEY
    rf"(?:secret)?ref\+(?:{_STORES})://{_DEEP}(?:\?{_WHERE}(?:&{_WHERE})*)?(?:#(?:/?{_PATH}))?\+?",
    # A shell's, Compose's or Helm's variable, and Kubernetes' own; with a default beside it, it may be the secret.
    rf"\$\{{{_VARIABLE}\}}",
    rf"\$\({_VARIABLE}\)",
    # 1Password: op://VAULT/ITEM[/SECTION]/FIELD
    rf"op://{_SPACED}/{_SPACED}(?:/{_SPACED}){{1,2}}",
    # Google's Secret Manager, by Berglas and others, and by its own full name.
    rf"(?:(?:gcp-)?sm|berglas)://{_DEEP}(?:#\d{{1,6}})?",
    rf"(?:(?:gcp-)?sm://)?projects/{_WORD}/secrets/{_WORD}(?:/versions/(?:latest|\d{{1,6}}))?",
    # AWS: a secret, with the key in it, its stage and version; a parameter.
    rf"arn:aws{_PARTITION}:secretsmanager:{_REGION}:\d{{12}}:secret:{_PATH}(?::(?:{_WORD})?){{0,3}}",
    rf"arn:aws{_PARTITION}:ssm:{_REGION}:\d{{12}}:parameter/{_PATH}",
    # A file in which it is mounted.
    rf"(?:file://)?/(?:(?:var/)?run/secrets|vault/secrets|mnt/secrets|mnt/secrets-store|etc/secrets)/{_PATH}",
)
_REFERENCE = re.compile("|".join(f"(?:{one})" for one in _FORMS))
_PARTS = re.compile(r"[^A-Za-z0-9]+")
_LONG_PART = 20
_KINDS = (re.compile("[a-z]"), re.compile("[A-Z]"), re.compile("[0-9]"))


def is_reference(value: str) -> bool:
    """Whether the whole value is a reference to a secret that is kept elsewhere."""
    if len(value) > _LONGEST or not value.isascii() or _REFERENCE.fullmatch(value) is None:
        return False
    return not any(_is_random(part) for part in _PARTS.split(value))


def _is_random(part: str) -> bool:
    """Whether a part is what no person would call a secret by: long, of small and capital letters and digits."""
    return len(part) >= _LONG_PART and all(kind.search(part) for kind in _KINDS)
