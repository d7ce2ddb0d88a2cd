"""A gateway on loopback that implements the documented API, to test a connector against.

It imports only the standard library and orjson, and nothing else of `connector`: a mistake there
cannot hide a mistake here. `python -m connector.sandbox` starts one for a person, `Sandbox` one for
a test. `connector.sandbox.faults` explains how a task ID requests a bad answer.
"""

from __future__ import annotations

from connector.sandbox.faults import KINDS
from connector.sandbox.launcher import Sandbox, SandboxError
from connector.sandbox.settings import SandboxSettings
from connector.sandbox.tasks import task_ids

__all__ = ["KINDS", "Sandbox", "SandboxError", "SandboxSettings", "task_ids"]
