# ruff: noqa: INP001  a script, not a package
"""`docs/cli.md`: `python -m tools.cli_page docs/cli.md`.

Made from the commands as the app has them, and from the options that the sandbox parses.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from datetime import timedelta
from inspect import Parameter, cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from connector.cli.app import app
from connector.sandbox.__main__ import make_parser
from connector.sandbox.settings import knobs
from connector.settings import Settings, variable_of
from tools.markdown import cell, codes, grid

if TYPE_CHECKING:
    import argparse

HEAD: Final = """\
# Command line

<!-- Made by `make docs` from connector/cli and connector/sandbox. Do not edit. -->

`luma-to-parquet COMMAND --help` prints the same. An option with a variable can be set by that
variable too, in the environment or in `.env`: see [Settings](settings.md).
"""
COMPLETION: Final = """\

## Completion

`luma-to-parquet --install-completion` makes Tab complete commands and options in bash, zsh or fish,
from the next shell on. `--shell` names the shell, and `--output` a file of your own to source.

## Output

Standard output has results; standard error has progress, warnings and errors. A bar is shown in a
terminal only. With `--log-format json`, standard error has one JSON object per line: `time`,
`level`, `message` and `fields`. With `--quiet`, only warnings and errors are printed, and `--json`
still prints its object. Output never stops a run: where it cannot be written (a full disk, a closed
pipe), it is lost, and the exit code is that of the run.
"""
EXIT_CODES: Final = """\

## Exit codes

| Code | Meaning |
| --- | --- |
| 0 | done; rejects are no error |
| 2 | usage or settings: nothing was started |
| 3 | the gateway refused the key |
| 4 | stopped early, nothing fetched, or more rejects than `--rejects-allowed` |
| 130, 143 | interrupted by Ctrl-C or SIGTERM; run it again to go on |

[Troubleshooting](troubleshooting.md) has the messages that come with them.
"""
DEFAULT: Final = re.compile(r"\s*[\[(]default: (.*?)[\])]$")
HEAD_ROW: Final = ("Option", "Meaning", "Default")
KNOBS: Final = {knob.name: knob for knob in knobs()}


@dataclass(frozen=True, slots=True)
class Option:
    """An option or a positional argument of a command.

    Attributes:
        name: Of the function's parameter.
        flags: As they are written, the long one first.
        value: What to write after it; empty for a switch.
        default: As text; empty if there is none.
    """

    name: str
    flags: tuple[str, ...]
    value: str
    about: str
    default: str = ""
    is_required: bool = False

    @property
    def row(self) -> tuple[str, str, str]:
        """Cells for the page."""
        flag, *others = self.flags
        first = codes([f"{flag} {self.value}".strip(), *others])
        default = "required" if self.is_required else codes([self.default])
        return first, cell(self.about), default


def page() -> str:
    """The page, in Markdown."""
    sections = [_sandbox() if name == "sandbox" else _section(name) for name in commands()]
    links = ((f"[`{name}`](#{name})", cell(_summary(name))) for name in commands())
    return "\n".join(
        [HEAD, *grid(("Command", "What it does"), links), *sections, COMPLETION, EXIT_CODES]
    )


def commands() -> list[str]:
    """Names of the commands, in the order of the help."""
    return [name for name in app if not name.startswith("-")]


def options(command: str) -> list[Option]:
    """Options of a command, its positional arguments first."""
    with app.app_stack([command]):
        arguments = app[command].assemble_argument_collection(parse_docstring=True)
    return [_option(argument) for argument in arguments]


def shown(default: Any) -> str:
    """A default as one writes it; empty for none, and for a switch that is off."""
    if default is None or default is False or default is Parameter.empty:
        return ""
    if isinstance(default, timedelta):
        return f"{default.days}d"
    return "true" if default is True else str(default)


def _option(argument: Any) -> Option:
    about = " ".join((argument.parameter.help or "").split())
    field = argument.field_info
    default, found = shown(field.default), DEFAULT.search(about)
    if found:
        default = found[1]
    elif field.default is None and field.name in Settings.model_fields:
        default = shown(Settings.model_fields[field.name].default)
    flags = tuple(sorted(argument.names, key=len, reverse=True))
    value = "..." if field.kind is Parameter.VAR_POSITIONAL else _value(argument)
    return Option(field.name, flags, value, DEFAULT.sub("", about), default, argument.required)


def _value(argument: Any) -> str:
    if choices := argument.get_choices():
        return "|".join(choices)
    kinds = set(get_args(argument.hint) or [argument.hint]) - {type(None)}
    if kinds == {bool}:
        return ""
    return "NUMBER" if kinds <= {int, float} else "TEXT" if kinds == {str} else "FILE"


def _doc(command: str) -> str:
    """The docstring without its arguments."""
    return cleandoc(app[command].default_command.__doc__ or "").partition("\nArgs:")[0].strip()


def _summary(command: str) -> str:
    return _doc(command).partition("\n")[0]


def _section(command: str) -> str:
    every = options(command)
    given = [option for option in every if not option.flags[0].startswith("-")]
    call = ["luma-to-parquet", command, *(f"[{option.flags[0]} ...]" for option in given)]
    lines = [
        f"\n## {command}",
        "",
        f"`{' '.join([*call, '[OPTIONS]'])}`",
        "",
        _doc(command),
        "",
        *grid(
            (*HEAD_ROW, "Variable"),
            ((*option.row, _variable_of(option.name)) for option in every if option.about),
        ),
    ]
    return "\n".join(lines)


def _variable_of(option: str) -> str:
    return codes([variable_of(option)]) if option in Settings.model_fields else ""


def _sandbox() -> str:
    """The sandbox reads its own options, so they come from its own parser."""
    parser = make_parser()
    lines = [
        "\n## sandbox",
        "",
        "`luma-to-parquet sandbox [OPTIONS]`",
        "",
        str(parser.description),
        "",
        str(parser.epilog),
    ]
    for group in parser._action_groups:  # noqa: SLF001  argparse has no public way to read them
        rows = [_knob(action).row for action in group._group_actions]  # noqa: SLF001  as above
        if rows:
            title = "General" if group.title == "options" else group.title
            lines += [f"### {title}", "", *grid(HEAD_ROW, rows), ""]
    return "\n".join(lines).rstrip()


def _knob(action: argparse.Action) -> Option:
    if action.choices:
        value = "|".join(map(str, action.choices))
    else:
        value = "" if action.nargs == 0 else str(action.metavar or "")
    knob = KNOBS.get(action.dest)
    return Option(
        action.dest,
        tuple(sorted(action.option_strings, key=lambda flag: flag.startswith(("-h", "--no-")))),
        value,
        DEFAULT.sub("", (action.help or "").replace("%%", "%")).strip(),
        "the start" if action.dest == "now" else shown(knob.default) if knob else "",
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
