"""kubeconfig files, as kubectl reads them."""

from __future__ import annotations

import base64
import contextlib
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from probes.target import Unreadable
from probes.targets.kubernetes import contexts
from probes.targets.kubernetes.contexts import current_context, list_contexts, resolve
from probes.targets.kubernetes.place import IN_CLUSTER, Place


def entry(name: str, server: str = "https://10.0.0.1:6443", **rest: Any) -> dict[str, Any]:
    """A kubeconfig with one context, cluster and user of one name."""
    return {
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": server, **rest.get("cluster", {})}}],
        "users": [{"name": name, "user": rest.get("user", {"token": f"token-of-{name}"})}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, **rest.get("context", {})}}],
    }


def written(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document))
    return path


def environment(*files: Path) -> dict[str, str]:
    return {"KUBECONFIG": os.pathsep.join(str(one) for one in files), "HOME": "/nonexistent"}


def failure(spec: str, given: dict[str, str], namespace: str | None = None) -> Any:
    with pytest.raises(Unreadable) as raised:
        resolve(spec, namespace, given)
    return raised.value.failure


def test_the_first_file_wins_and_missing_ones_count_for_nothing(tmp_path):
    first = entry("shared", "https://first")
    del first["current-context"]
    second = entry("shared", "https://second", context={"namespace": "of-the-second"})
    second["contexts"].append({"name": "other", "context": {"cluster": "shared", "user": "shared"}})
    third = {**entry("third"), "current-context": "third"}
    given = environment(
        written(tmp_path / "a", first),
        tmp_path / "missing",
        written(tmp_path / "b", second),
        written(tmp_path / "c", third),
    )
    assert current_context(given) == "shared"  # the first that names one, not the last
    assert list_contexts(given) == ("shared", "other", "third")
    place = resolve("k8s", None, given)
    assert (place.cluster.server, place.own_namespace) == ("https://first", "default")  # an entry is taken whole
    assert resolve("k8s:other", None, given).cluster.server == "https://first"


def test_paths_are_relative_to_the_file_that_names_them(tmp_path, monkeypatch):
    user = {
        "client-certificate": "keys/me.crt",
        "client-key": "/absolute/me.key",
        "tokenFile": "token",
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "./bin/login"},
    }
    document = entry("one", user=user, cluster={"certificate-authority": "../ca.crt"})
    written(tmp_path / "deep" / "config", document)
    monkeypatch.chdir(tmp_path)
    place = resolve("k8s", None, {"KUBECONFIG": "deep/config", "HOME": "/nonexistent"})
    here = tmp_path / "deep"
    assert place.user.certificate_file == str(here / "keys/me.crt")
    assert place.user.key_file == "/absolute/me.key"
    assert place.user.token_file == str(here / "token")
    assert place.cluster.authority_file == str(here / "../ca.crt")
    assert place.user.plugin is not None
    assert place.user.plugin.command == str(here / "bin/login")


def test_a_plugin_without_a_slash_is_looked_for_in_path(tmp_path):
    document = entry("one", user={"exec": {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "aws"}})
    place = resolve("k8s", None, environment(written(tmp_path / "config", document)))
    assert place.user.plugin is not None
    assert place.user.plugin.command == "aws"


def test_inline_data_outranks_files_and_is_decoded(tmp_path):
    data = base64.b64encode(b"PEM").decode()
    user = {"client-certificate-data": data, "client-certificate": "x", "client-key-data": data, "client-key": "y"}
    cluster = {"certificate-authority-data": data, "certificate-authority": "z", "tls-server-name": "api.test"}
    place = resolve("k8s", None, environment(written(tmp_path / "c", entry("one", user=user, cluster=cluster))))
    assert (place.user.certificate, place.user.certificate_file) == (b"PEM", None)
    assert (place.user.key, place.user.key_file) == (b"PEM", None)
    assert (place.cluster.authority, place.cluster.authority_file) == (b"PEM", None)
    assert place.cluster.server_name == "api.test"


def test_the_rest_of_a_cluster_and_a_user_is_read(tmp_path):
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "x"}}
    cluster = {
        "insecure-skip-tls-verify": True,
        "proxy-url": "socks5://127.0.0.1:1080",
        "disable-compression": True,
        "extensions": [{"name": "other", "extension": 1}, extension],
    }
    user = {
        "username": "ann",
        "password": "pw",
        "as": "bob",
        "as-groups": ["a", "b"],
        "as-user-extra": {"reason": ["drill"]},
    }
    place = resolve("k8s", None, environment(written(tmp_path / "c", entry("one", user=user, cluster=cluster))))
    assert not place.cluster.verify
    assert not place.cluster.compress
    assert place.cluster.proxy == "socks5://127.0.0.1:1080"
    assert place.cluster.plugin_config == {"audience": "x"}
    assert (place.user.username, place.user.password) == ("ann", "pw")
    assert place.user.impersonate == (
        ("Impersonate-User", "bob"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Extra-reason", "drill"),
    )


@pytest.mark.parametrize(
    ("spec", "context", "namespace"),
    [
        ("k8s", "a/b", None),
        ("k8s:a/b", "a/b", None),
        ("k8s:a/b/web", "a/b", "web"),
        ("k8s:a", "a", None),
        ("k8s:a/web", "a", "web"),
        ("k8s:arn:aws:eks:eu:1:cluster/x", "arn:aws:eks:eu:1:cluster/x", None),
        ("k8s:arn:aws:eks:eu:1:cluster/x/web", "arn:aws:eks:eu:1:cluster/x", "web"),
        ("k8s:/web", "a/b", "web"),
    ],
)
def test_a_name_is_looked_for_whole_before_it_is_split(tmp_path, spec, context, namespace):
    document = entry("a/b")
    for name in ("a", "arn:aws:eks:eu:1:cluster/x"):
        document["contexts"].append({"name": name, "context": {"cluster": "a/b"}})
    place = resolve(spec, None, environment(written(tmp_path / "c", document)))
    assert (place.context, place.namespace) == (context, namespace)


def test_the_namespace_of_the_name_outranks_the_one_beside_it(tmp_path):
    given = environment(written(tmp_path / "c", entry("a", context={"namespace": "own"})))
    assert resolve("k8s", None, given).namespace is None
    assert resolve("k8s", None, given).own_namespace == "own"
    assert resolve("k8s", "beside", given).namespace == "beside"
    assert resolve("k8s:a/named", "beside", given).namespace == "named"
    assert failure("k8s", given, "../secrets").code == "invalid"


def test_ids_are_percent_encoded(tmp_path):
    given = environment(written(tmp_path / "c", entry("arn:aws:eks/prod eu")))
    assert resolve("k8s", None, given).target == "k8s/arn:aws:eks%2Fprod%20eu"


def test_a_broken_file_or_entry_hides_no_other_and_is_named(tmp_path):
    broken = tmp_path / "broken"
    broken.write_text("clusters: [\nusers: {")
    odd = entry("odd")
    odd["users"] += ["text", {"name": 5}, {"name": "list", "user": []}]
    odd["contexts"] += [
        {"name": "no-cluster", "context": {"cluster": "gone", "user": "odd"}},
        {"name": "no-user", "context": {"cluster": "odd", "user": "gone"}},
        {"name": "typed", "context": {"cluster": 5}},
        {"name": "empty", "context": None},
    ]
    given = environment(broken, written(tmp_path / "odd", odd))
    assert resolve("k8s:odd", None, given).user.token == "token-of-odd"
    assert list_contexts(given) == ("odd", "empty", "no-cluster", "no-user", "typed")
    assert str(broken) in failure("k8s:other", given).why
    assert "'gone', which is not there" in failure("k8s:no-cluster", given).why
    assert "the user 'gone'" in failure("k8s:no-user", given).why
    assert "Expected `str`" in failure("k8s:typed", given).why
    assert "names no cluster" in failure("k8s:empty", given).why


def test_a_broken_file_says_where_and_never_what(tmp_path):
    path = tmp_path / "config"
    path.write_text("users:\n- name: a\n  user: {token: s3cr3t-value\nx: [")
    found = failure("k8s", environment(path))
    assert found.code == "invalid"
    assert "is no YAML" in found.why
    assert "line " in found.why
    assert "s3cr3t" not in str(found)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"cluster": {"server": "ftp://x"}}, "server"),
        ({"cluster": {"server": ""}}, "server"),
        ({"cluster": {"server": "https://user:pw@host"}}, "server"),
        ({"cluster": {"server": "https://host:99999"}}, "server"),
        ({"cluster": {"certificate-authority-data": "%%%"}}, "no base64"),
        ({"user": {"client-key-data": "%%%"}}, "no base64"),
        ({"user": {"token": 5}}, "Expected `str`"),
        ({"user": {"exec": {"apiVersion": "client.authentication.k8s.io/v1alpha1", "command": "x"}}}, "v1alpha1"),
        ({"user": {"exec": {"apiVersion": "client.authentication.k8s.io/v1"}}}, "names no command"),
        ({"user": {"as": "a\nb"}}, "impersonates"),
    ],
)
def test_what_cannot_be_is_a_sentence(tmp_path, change, word):
    found = failure("k8s", environment(written(tmp_path / "c", entry("one", **change))))
    assert found.code == "invalid"
    assert word in found.why
    assert found.hint


def test_secrets_are_in_no_representation(tmp_path):
    user = {"token": "s3cr3t", "username": "ann", "password": "s3cr3t", "client-key-data": base64.b64encode(b"s3cr3t")}
    user["client-key-data"] = user["client-key-data"].decode()
    place = resolve("k8s", None, environment(written(tmp_path / "c", entry("one", user=user))))
    assert "s3cr3t" not in f"{place!r} {place.user!r} {place}"


def test_a_provider_that_is_gone_names_what_replaced_it(tmp_path):
    gone = resolve(
        "k8s", None, environment(written(tmp_path / "c", entry("a", user={"auth-provider": {"name": "gcp"}})))
    )
    assert gone.user.unsupported is not None
    assert "exec plugin" in gone.user.unsupported
    oidc = {"auth-provider": {"name": "oidc", "config": {"id-token": "kept", "refresh-token": "x"}}}
    place = resolve("k8s", None, environment(written(tmp_path / "d", entry("a", user=oidc))))
    assert (place.user.token, place.user.unsupported) == ("kept", None)


def test_without_any_file_it_says_where_it_looked(tmp_path):
    found = failure("k8s", {"HOME": str(tmp_path)})
    assert found.code == "not-found"
    assert str(tmp_path / ".kube" / "config") in found.why
    assert list_contexts({"HOME": str(tmp_path)}) == ()
    assert current_context({"HOME": str(tmp_path)}) is None


def test_a_context_that_is_not_there_names_those_that_are(tmp_path):
    found = failure("k8s:nope", environment(written(tmp_path / "c", entry("\x1b[31mred"))))
    assert found.code == "not-found"
    assert "red" in found.why
    assert "\x1b" not in str(found)


def test_inside_a_pod_the_service_account_is_the_context(tmp_path, monkeypatch):
    (tmp_path / "token").write_text("jwt\n")
    (tmp_path / "ca.crt").write_text("PEM")
    (tmp_path / "namespace").write_text("shop\n")
    monkeypatch.setattr(contexts, "ACCOUNT", tmp_path)
    given = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443", "HOME": "/nonexistent"}
    assert list_contexts(given) == (IN_CLUSTER,)
    assert current_context(given) == IN_CLUSTER
    place = resolve("k8s", None, given)
    assert place.cluster.server == "https://[fd00::1]:443"
    assert place.cluster.authority_file == str(tmp_path / "ca.crt")
    assert place.user.token_file == str(tmp_path / "token")
    assert (place.target, place.namespace, place.own_namespace) == ("k8s/in-cluster", None, "shop")
    given = {**given, **environment(written(tmp_path / "c", entry("a")))}
    assert current_context(given) == "a"  # a kubeconfig comes first, as for kubectl
    assert list_contexts(given) == ("a", IN_CLUSTER)
    assert resolve("k8s:in-cluster/web", None, given).namespace == "web"


def test_nothing_is_in_a_cluster_without_its_token(tmp_path, monkeypatch):
    monkeypatch.setattr(contexts, "ACCOUNT", tmp_path)
    assert failure("k8s", {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOME": "/nonexistent"}).code == "not-found"


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.dates()
_NAMES = st.sampled_from([
    "clusters", "users", "contexts", "current-context", "name", "cluster", "user", "context", "server", "token", "exec",
    "command", "apiVersion", "args", "env", "value", "extensions", "as", "as-groups", "as-user-extra", "auth-provider",
    "config", "certificate-authority-data", "client-key-data", "tokenFile", "proxy-url", "namespace",
    "insecure-skip-tls-verify", "interactiveMode",
])  # fmt: skip
_ANY = st.recursive(
    _SCALARS | st.sampled_from(["a", "https://h:1", "client.authentication.k8s.io/v1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES | st.text(max_size=6), inner, max_size=5),
    max_leaves=25,
)


def _named(kind: str) -> st.SearchStrategy[Any]:
    inner = st.fixed_dictionaries({}, optional={"name": st.just("a") | _SCALARS, kind: _ANY})
    return st.lists(inner | _ANY, max_size=3) | _ANY


_FILES = st.fixed_dictionaries(
    {"clusters": _named("cluster"), "users": _named("user"), "contexts": _named("context")},
    optional={"current-context": st.just("a") | _ANY},
)
_ENTRIES = st.builds(
    lambda user, cluster, context: entry("a", user=user, cluster=cluster, context=context),
    st.dictionaries(_NAMES, _ANY, max_size=6),
    st.dictionaries(_NAMES, _ANY, max_size=6),
    st.dictionaries(_NAMES, _ANY, max_size=3),
)


def _resolved(path: Path) -> None:
    """Either a place, or a failure: nothing else may come out."""
    given = environment(path)
    names = list_contexts(given)
    for spec in ("k8s", *(f"k8s:{one}" for one in names)):
        with contextlib.suppress(Unreadable):
            assert isinstance(resolve(spec, None, given), Place)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(document=_FILES | _ENTRIES | _ANY)
def test_any_document_is_a_place_or_a_failure(tmp_path, document):
    path = tmp_path / "config"
    path.write_text(yaml.dump(document, allow_unicode=True), encoding="utf-8", errors="surrogatepass")
    _resolved(path)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200) | st.text("{}[]:-\n &*!|>'\"#%@ab01", max_size=60).map(str.encode))
def test_any_bytes_are_a_place_or_a_failure(tmp_path, content):
    path = tmp_path / "config"
    path.write_bytes(content)
    _resolved(path)


def test_a_directory_or_an_unreadable_file_is_named(tmp_path):
    assert "cannot be read" in failure("k8s", environment(tmp_path)).why


def test_a_file_that_nests_without_end_is_a_failure(tmp_path):
    path = tmp_path / "config"
    path.write_text("[" * 100_000)
    assert failure("k8s", environment(path)).code == "invalid"
