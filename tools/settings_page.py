# ruff: noqa: INP001  a script, not a package
"""`docs/settings.md`: `python -m tools.settings_page docs/settings.md`.

Made from the fields of `Settings`, the options of the commands and the parameters of the flow.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from connector.cli.log import FORMATS, LEVELS
from connector.settings import Settings, variable_of
from flows.ingest import ingest_generations
from tools.cli_page import commands, options, shown
from tools.markdown import cell, code, codes, grid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic.fields import FieldInfo

HEAD: Final = """\
# Settings

<!-- Made by `make docs` from connector/settings.py. Do not edit. -->

Each setting has a variable. The first place that has a value counts:

1. an option of the [command line](cli.md), a parameter of the [flow](prefect.md), or an argument of
   `connector.ingest`, which has the name of the variable in lower case, without `LUMA_`;
2. the variable in the environment;
3. the [profile](profiles.md), then the rest of its file, under the name of the argument;
4. the variable in a file `.env` in the working directory;
5. the default.

`luma-to-parquet check` says where each setting comes from. An empty variable counts as unset. A
length of time is `90s`, `1h30m`, `7 days`, `PT30M` (ISO 8601), or plain seconds; what is measured
in seconds may be written so too. The key has no option, so that it does not show up in the list of
processes; the flow also finds it in a [Secret block](prefect.md#key).
"""
FLOW_NOTE: Final = """
A flow parameter with a value beside it has a default of its own, so its variable has no effect in
the flow: set the parameter.
"""
OTHERS_HEAD: Final = """
## Variables that are not settings

These are read where they are needed, from the environment only.
"""
OTHERS: Final = (
    ("LUMA_LOG_LEVEL", f"What the command line logs: {codes(LEVELS)}. Default `WARNING`."),
    ("LUMA_LOG_FORMAT", f"Form of that log: {codes(FORMATS)}; `--log-format` counts first."),
    ("HTTPS_PROXY", "Proxy for https; likewise `HTTP_PROXY` and `ALL_PROXY`."),
    ("NO_PROXY", "Hosts that are asked without the proxy."),
    ("REQUESTS_CA_BUNDLE", "File of certificate authorities to trust, for a proxy that inspects."),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "Send [metrics](metrics.md#opentelemetry) to this collector."),
    ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "The same, for metrics alone."),
    ("AWS_ENDPOINT_URL_S3", "Server for `s3://` that is not Amazon's; before `AWS_ENDPOINT_URL`."),
    ("AWS_ENDPOINT_URL", "The same, for all of AWS."),
    ("AWS_ACCESS_KEY_ID", "Key of `s3://`; otherwise a profile, a role and the like are used."),
    ("AWS_SECRET_ACCESS_KEY", "The secret that belongs to it."),
    ("AWS_CA_BUNDLE", "Certificates of a private authority, for `s3://`."),
    ("AWS_REGION", "Region of `s3://`; before `AWS_DEFAULT_REGION`."),
    ("AWS_DEFAULT_REGION", "The same, in its older name."),
    ("STORAGE_EMULATOR_HOST", "Server for `gs://` that is not Google's."),
    ("AZURE_CONFIG_DIR", "Folder of Azure's command line, whose log-in is used without a key."),
    ("AZURE_STORAGE_KEY", "Key of the account of `abfss://`."),
    ("AZURE_STORAGE_SAS_TOKEN", "Token for `abfss://`, where there is no key."),
    ("AZURE_STORAGE_SERVICE_ENDPOINT", "Server for `abfss://` that is not Azure's."),
    ("DASK_SCHEDULER_ADDRESS", "Scheduler for `runner=dask`, unless the parameter names one."),
    ("PREFECT_API_URL", "Prefect server; without it `make run` starts one for the run."),
    ("ARROW_DEFAULT_MEMORY_POOL", "Arrow's allocator; commands on Linux default to `jemalloc`."),
    ("JE_ARROW_MALLOC_CONF", "Options of `jemalloc`; commands on Linux default to `narenas:1`."),
    ("OPENBLAS_NUM_THREADS", "Threads of NumPy's linear algebra; commands default to `1`."),
    ("PYDANTIC_DISABLE_PLUGINS", "pydantic's plug-ins to leave out; commands default to all."),
)
CREDENTIALS: Final = """
[Credentials of the clouds](reliability.md#addresses-and-credentials) come from the places where the
clouds' own tools look for them.
"""


def page() -> str:
    """The page, in Markdown."""
    head = ("Variable", "Default", "Unit", "Meaning", "Option", "Flow parameter")
    others = ((code(name), cell(about)) for name, about in OTHERS)
    lines = [
        HEAD,
        *grid(head, _rows()),
        FLOW_NOTE + OTHERS_HEAD,
        *grid(("Variable", "Meaning"), others),
        CREDENTIALS,
    ]
    return "\n".join(lines)


def _rows() -> Iterable[tuple[str, ...]]:
    offered = {option.name: option.flags[0] for name in commands() for option in options(name)}
    parameters = inspect.signature(ingest_generations.fn).parameters
    for name, field in Settings.model_fields.items():
        parameter = parameters.get(name)
        yield (
            code(variable_of(name)),
            _default(field),
            cell(_unit(field)),
            cell(field.description or ""),
            codes([offered.get(name)]),
            _flow_parameter(parameter) if parameter else "",
        )


def _default(field: FieldInfo) -> str:
    return codes([shown(field.default)]) or ("`false`" if field.default is False else "unset")


def _flow_parameter(parameter: inspect.Parameter) -> str:
    name = code(parameter.name)
    return name if parameter.default is None else f"{name} = {code(shown(parameter.default))}"


def _unit(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    return str(extra["unit"]) if isinstance(extra, dict) and "unit" in extra else ""


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
