"""The image cannot be pulled, so the container is not even made.

What it means. The name or the tag is wrong, the registry asks for credentials, or it cannot be reached. What ran
before goes on running, if anything did.

What proves it. ``ErrImagePull``, ``ImagePullBackOff`` and their like as the reason for which a container of Kubernetes
waits, ``Failed to pull image`` in pasted events, or the engine's refusal (``manifest unknown``, ``pull access
denied``).

What it is not. A pull that succeeded later; a container that was made. Names of tests or alerts that contain the word.

What to do. Correct the name, or give the registry's credentials; going back to the image of before serves meanwhile.
"""

from __future__ import annotations

from fixes.model import Example, RemedyId, Signature, SignatureId, Verdict, View
from fixes.proof import BY_START
from fixes.signatures import _cases, _kubernetes, _logged, _shared, _wording

FAILED = _wording.unquoted(
    "kubernetes/image-pull",
    r"(?:^|[\s\":=])(?:ErrImagePull|ImagePullBackOff|ErrImageNeverPull|InvalidImageName)(?:[\s\",:]|$)"
    r"|Failed to pull image \"(?P<image>[^\"]+)\"|Back-off pulling image \"(?P<waiting>[^\"]+)\"",
)
ENGINE = _wording.unquoted(
    "docker/image-pull",
    r"Error response from daemon: (?:manifest for (?P<image>\S+) not found|pull access denied for (?P<denied>[^,\s]+)"
    r"|.*manifest unknown)",
)
REASONS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
"""Source: kubelet, pkg/kubelet/images/types.go (1.20 to 1.34)."""
PULLED = _wording.unquoted("kubernetes/pulled", r"Successfully pulled image|Status: Downloaded newer image")


def detect(view: View) -> Verdict:
    """Fires on pulls that failed and did not succeed later."""
    told = list(_kubernetes.waiting(view, REASONS))
    found = []
    for hit, place in _shared.places(view, FAILED, ENGINE):
        if _kubernetes.runs(view) and _kubernetes.was_made(view, place):
            continue
        later = _shared.latest_line(view, place.replica, None, PULLED)
        if later is None or later.line < place.line:
            found.append((hit, place))
    if not found and not told:
        return _kubernetes.unseen(view)
    own = [replica for replica, _ in told if replica.waiting is not None and replica.waiting.container is None]
    names = [replica.image for replica in own if replica.image]
    names += [n for hit, _ in found for n in (hit.fields.get(k) for k in ("image", "waiting", "denied")) if n]
    beside = next((r.waiting.container for r, _ in told if r.waiting is not None and r.waiting.container), None)
    unnamed = f"the image of the container {beside} of its pods" if beside is not None else "its image"
    what = f"the image {names[0]}" if names else unnamed
    return _logged.fires(
        view,
        found,
        "critical",
        f"{what} cannot be pulled",
        count=max(1, len(told)),
        facts={"image": names[0]} if names else {},
        more=[evidence for _, evidence in told],
    )


SIGNATURE = Signature(
    id=SignatureId("image-pull-failed"),
    title="Image cannot be pulled",
    severity="critical",
    detect=detect,
    remedies=(RemedyId("rollback"), RemedyId("advise")),
    proof=BY_START,
    source="kubernetes.io/docs/concepts/containers/images (ImagePullBackOff); distribution's error codes",
    patterns=(FAILED, ENGINE, PULLED),
    fires=(
        Example("kubectl get pods", "api-7d4b9c-x2x1z   0/1     ImagePullBackOff   0          3m\n"),
        Example("an event", 'Warning  Failed  2m  kubelet  Failed to pull image "shop/api:1.2.4": not found\n'),
        Example("YAML", "        reason: ErrImagePull\n"),
        Example("docker", "docker: Error response from daemon: manifest for shop/api:9 not found: manifest unknown.\n"),
        Example(
            "a pod that waits for it",
            deployment=_cases.workload(
                _cases.waiting(
                    "ImagePullBackOff", 90, 'Back-off pulling image "shop/api:1.2.4": ErrImagePull: not found'
                )
            ),
        ),
        Example(
            "the pods of a new revision, while the former serves",
            deployment=_cases.workload(
                _cases.waiting("ErrImagePull", 20), _cases.pod(id="shop/api-5f6d7e-1/api", revision="5f6d7e")
            ),
        ),
        Example(
            "a container beside the one that serves",
            deployment=_cases.workload(
                _cases.pod(ready=False, beside=("agent",), waiting=_cases.of_another("ErrImagePull"))
            ),
        ),
    ),
    silent=(
        Example(
            "a container that was made since",
            'Warning  Failed  kubelet  Failed to pull image "shop/api:1.2.4": registry unavailable\n',
            deployment=_cases.workload(_cases.pod(started_at=_cases.ago(20))),
        ),
        Example("a pod that is being made", deployment=_cases.workload(_cases.waiting("ContainerCreating", 5))),
        Example(
            "it succeeded later",
            "Warning  Failed  2m  kubelet  Error: ErrImagePull\n"
            'Normal   Pulled  1m  kubelet  Successfully pulled image "shop/api:1.2.4" in 2.1s\n',
        ),
        Example("a test's name", "test_oom.py::test_image_pull SKIPPED (needs a cluster with ImagePull...) [100%]\n"),
        Example("a test's other name", "test_k8s.py::test[1-ImagePullBackOff] PASSED\n"),
    ),
)
