"""Workloads that Helm, Argo CD or Flux writes. Each lacks a limit, so that there is something to repair."""

from __future__ import annotations

from tests.cluster.case import KubeCase
from tests.cluster.manifests import PROBED
from tests.lab.case import gunicorn, ids

UNLIMITED = ids("memory-unlimited")

CASES = (
    KubeCase(
        "of-helm",
        gunicorn("healthy:app"),
        expect=UNLIMITED,
        labels={"app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": "shop-1.4.2"},
        annotations={"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": "prod"},
        container=PROBED,
    ),
    KubeCase(
        "of-argo",
        gunicorn("healthy:app"),
        expect=UNLIMITED,
        labels={"app.kubernetes.io/instance": "shop"},
        annotations={"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:prod/of-argo"},
        container=PROBED,
    ),
    KubeCase(
        "of-flux",
        gunicorn("healthy:app"),
        expect=UNLIMITED,
        labels={"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"},
        container=PROBED,
    ),
)
