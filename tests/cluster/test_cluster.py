from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster import accounts, build, lifecycle, namespaces, reach
from tests.cluster.api import Api, ApiError
from tests.cluster.cases import CASES
from tests.cluster.place import ClusterError, Place, here
from tests.cluster.runner import KubeLab, fresh_name


def test_two_numbers_share_nothing() -> None:
    first, second = Place(0), Place(1)
    for name in ("name", "root", "kubeconfig", "lock", "pods", "node", "services", "api", "etcd", "kubelet", "metrics"):
        assert getattr(first, name) != getattr(second, name)
    assert len(first.bridge) <= 15  # what an interface's name may have


def test_a_number_that_is_none_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTOPS_CLUSTER_NUMBER", "ten")
    with pytest.raises(ClusterError, match="must be a number from 0 to 9"):
        here()


def test_programs_are_built_once_for_the_same_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "kubernetes"
    module.mkdir()
    (module / "go.mod").write_text("module one\n")
    monkeypatch.setattr(build, "MODULES", tmp_path)
    first = build.programs()
    assert build.programs() == first
    (module / "go.mod").write_text("module two\n")
    assert build.programs() != first


def test_without_go_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name, path=None: None)
    with pytest.raises(ClusterError, match=r"Install Go"):
        build.go()


def test_missing_programs_are_named_by_their_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda name, path=None: None if name == "etcd" else name)
    monkeypatch.setenv("PATH", "/usr/bin")
    with pytest.raises(ClusterError, match=r"apt-get install etcd-server$"):
        lifecycle.up(Place(9))


def test_only_root_starts_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(ClusterError, match="FASTOPS_TEST_KUBECONFIG"):
        lifecycle.up(Place(9))


def test_a_kubeconfig_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(reach.VARIABLE, str(tmp_path / "none"))
    with pytest.raises(ClusterError, match="does not exist"):
        reach.cluster()


def test_a_cluster_that_does_not_answer_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cluster: Path
) -> None:
    dead = tmp_path / "dead"
    dead.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: dead\n"
        "clusters: [{name: dead, cluster: {server: 'http://127.0.0.1:1'}}]\n"
        "contexts: [{name: dead, context: {cluster: dead, user: ''}}]\n"
    )
    monkeypatch.setenv(reach.VARIABLE, str(dead))
    with pytest.raises(ClusterError, match="does not answer"):
        reach.cluster()


def test_a_case_is_brought_to_its_fact_and_its_objects_are_removed(lab_pods: KubeLab, kube_api: Api) -> None:
    running = lab_pods.start(CASES["pair"]).ready()
    assert len(running.pods()) == 2
    assert running.deployment("test") == f"k8s/test/{lab_pods.namespace}/Deployment/pair"
    running.stop()
    with pytest.raises(ApiError) as gone:
        running.workload()
    assert gone.value.status == 404


def test_a_service_is_reached_where_addresses_of_pods_lead_nowhere(
    lab_pods: KubeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.cluster.forward.leads_to_pods", lambda address, port: False)
    running = lab_pods.start(CASES["worker-killed"])
    assert running.ready().endpoint()[0] == "127.0.0.1"


def test_an_account_may_do_what_its_rules_say_and_no_more(namespace: str, kube_api: Api, tmp_path: Path) -> None:
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]
    with Api(accounts.make(kube_api, namespace, "reader", rules, tmp_path)) as reader:
        assert reader.items(f"/api/v1/namespaces/{namespace}/pods") == []
        with pytest.raises(ApiError) as refused:
            reader.items("/api/v1/pods")
    assert refused.value.status == 403


def test_a_namespace_goes_with_all_that_is_in_it(kube_api: Api) -> None:
    name = fresh_name()
    namespaces.make(kube_api, name)
    namespaces.remove(kube_api, name)
    namespaces.wait_gone(kube_api, {name})
    with pytest.raises(ApiError) as gone:
        kube_api.get(f"/api/v1/namespaces/{name}")
    assert gone.value.status == 404
