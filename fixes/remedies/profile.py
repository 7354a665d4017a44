"""Samples the stack of the workers and shows the line that blocks.

What it does: reads each worker's Python stack a few times from outside (py-spy, which does not stop the process) and
shows the thread that runs the event loop, innermost call first, with the application's own line marked. Nothing is
changed and nothing is loaded into the service.

When it is right: the loop is blocked, a worker is killed by its time-out, memory or requests stall and the code is to
blame.

Where it is not possible: reading another process's memory takes permission (the same user with ``ptrace_scope`` 0, or
root, or ``SYS_PTRACE`` in a container), and the process must be on this machine.

Risk: none; each sample costs milliseconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from fixes.model import Advice, Finding, Remedy, RemedyId
from fixes.signatures._blocking import own_frame
from probes.model import Deployment, Frame, StackSample
from probes.text import clean

MOST_FRAMES = 16


def from_samples(name: str, samples: Sequence[StackSample]) -> Advice:
    """What stack samples say: the application's line met most often, then the latest stack of each worker."""
    if not samples:
        return Advice(title=f"No stack of {name}", text="No worker of it runs now, so there is nothing to sample.")
    busy = [s for s in samples if not s.idle]
    own = Counter(frame for s in busy if (frame := own_frame(s)) is not None)
    if not busy:
        text = f"The event loop was waiting for work in all {len(samples)} samples: nothing blocks it now."
    elif own:
        frame, times = own.most_common(1)[0]
        text = f"{_place(frame)} was on the stack in {times} of {len(samples)} samples."
    else:
        text = f"The loop was busy in {len(busy)} of {len(samples)} samples, in library code alone."
    latest = {s.pid: s for s in (busy or samples)}
    code = "\n\n".join(_stack(s) for _, s in sorted(latest.items()))
    return Advice(title=f"Stacks of {name}", text=text, code=code, language="text")


def _stack(sample: StackSample) -> str:
    own = own_frame(sample)
    lines = [f"worker {sample.pid}{' (waiting for work)' if sample.idle else ''}"]
    lines += [f"{'→' if frame is own else ' '} {_place(frame)}" for frame in sample.frames[:MOST_FRAMES]]
    return "\n".join(lines)


def _place(frame: Frame) -> str:
    return clean(f"{frame.file}:{frame.line} {frame.function}", 300)


def _why_not(_deployment: Deployment, finding: Finding) -> str | None:
    return "No worker runs before the init container has ended." if "init_container" in finding.facts else None


def _advise(deployment: Deployment, finding: Finding) -> Advice:
    """What is known without a new sample: the stacks that were taken, else the place that the finding names."""
    samples = [s for r in deployment.replicas for s in r.stacks]
    if samples:
        return from_samples(deployment.name, samples)
    facts = finding.facts
    if "file" in facts:
        place = f"{facts['file']}:{facts.get('line', '?')} {facts.get('function', facts.get('call', ''))}"
        return Advice(title=f"Where {deployment.name} spends its time", text=clean(place, 300).rstrip())
    return Advice(title=f"No stack of {deployment.name} yet", text="Its workers' stacks have not been sampled.")


REMEDY = Remedy(
    id=RemedyId("profile"),
    title="Show the line that blocks",
    capability="profile",
    why_not=_why_not,
    advise=_advise,
)
