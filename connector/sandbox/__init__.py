"""A gateway on loopback that speaks the documented API, to try a connector against.

It imports nothing of the rest of `connector`, so that one mistake cannot hide the other, and
nothing but the standard library and orjson. `python -m connector.sandbox` starts one for a person,
`Sandbox` one for a test. `connector.sandbox.faults` tells how a task ID orders a bad answer.
"""

from __future__ import annotations

from connector.sandbox.faults import KINDS
from connector.sandbox.launcher import Sandbox, SandboxError
from connector.sandbox.settings import SandboxSettings
from connector.sandbox.task_ids import task_ids

__all__ = ["KINDS", "Sandbox", "SandboxError", "SandboxSettings", "task_ids"]
