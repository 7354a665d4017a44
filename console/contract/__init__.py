"""The JSON that scripts rely on: its types, and how a report becomes them.

The JSON Schema in the documentation is generated from these types. Fields are only ever added.
"""

from __future__ import annotations

from console.contract.base import SCHEMA, Out, encode, encode_line
from console.contract.findings import (
    EvidenceOut,
    FindingOut,
    ReferenceOut,
    RemedyOut,
    UndecidedOut,
    evidence,
    finding,
    reference,
)
from console.contract.fixing import ChangeOut, FixOut, OutcomeOut, PlanOut, outcome, plan
from console.contract.measured import CpuOut, LatencyOut, MemoryOut, cpu, latency, memory, percentile
from console.contract.pasted import DiagnosedFileOut, DiagnosedOut, DiagnoseOut, diagnosed, diagnosis
from console.contract.replicas import InstanceOut, OrchestratedOut
from console.contract.report import (
    DeploymentOut,
    ReplicasOut,
    ScanOut,
    TargetOut,
    WatchOut,
    WorkerOut,
    deployment,
    scan,
    target,
    worker,
)

__all__ = [
    "SCHEMA",
    "ChangeOut",
    "CpuOut",
    "DeploymentOut",
    "DiagnoseOut",
    "DiagnosedFileOut",
    "DiagnosedOut",
    "EvidenceOut",
    "FindingOut",
    "FixOut",
    "InstanceOut",
    "LatencyOut",
    "MemoryOut",
    "OrchestratedOut",
    "Out",
    "OutcomeOut",
    "PlanOut",
    "ReferenceOut",
    "RemedyOut",
    "ReplicasOut",
    "ScanOut",
    "TargetOut",
    "UndecidedOut",
    "WatchOut",
    "WorkerOut",
    "cpu",
    "deployment",
    "diagnosed",
    "diagnosis",
    "encode",
    "encode_line",
    "evidence",
    "finding",
    "latency",
    "memory",
    "outcome",
    "percentile",
    "plan",
    "reference",
    "scan",
    "target",
    "worker",
]
