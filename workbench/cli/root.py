"""The root of the command line: which words lead to which command, and how errors end."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Sequence

import click

from workbench import __version__
from workbench.app import asked
from workbench.cli import exits
from workbench.errors import WorkbenchError

__all__ = ["run"]

# name -> (module, help line). The help line stands here so that `--help` imports no command.
_COMMANDS = {
    "check": "Check flow files and report every problem at once.",
    "preview": "Print the requests that an event would cause; sends nothing.",
    "failed": "List, show, replay, discard and export what could not be written.",
    "test": "Run the cases beside flow files against the sandbox.",
    "publish": "Publish an event to JetStream, with confirmation.",
    "sandbox": "Run NATS and the Salesforce emulator until Ctrl-C.",
    "demo": "Sandbox, sample flows and traffic: the application, or a summary.",
    "schema": "Print the JSON Schema of the flow file, for editors.",
}

# What `workbench` means without the name of a command.
_HEADLESS = "--headless"
_ATTACH = "--attach"
_UNNAMED = {"headless": "Run flows.", "open": "Open the application."}

_HELP = """Feed Salesforce from NATS JetStream, and see it record by record.

\b
  workbench [PATH]               the application, on a flow or a folder of them
  workbench --attach [PATH]      the same, on flows that run elsewhere; starts none
  workbench --headless FLOW...   run flows until told to stop
  workbench COMMAND ...          one of the commands below

\b
`workbench . --help` has the application's options, `workbench --headless --help`
those of a run, `workbench COMMAND --help` a command's.

A flow file says in YAML where events come from and what they become in
Salesforce. Nothing is lost: an event is acknowledged only when every record
it caused is written, or kept as a failed batch.

\b
Start here:
  workbench demo                 everything at once, on this machine
  workbench check FLOW           what is wrong with a flow, by line
  workbench --headless FLOW --sandbox
                                 run it against a Salesforce that is not there

\b
Exit codes:
  0    done, and everything is accounted for
  1    problems: errors in a flow, or events unaccounted for
  2    an option, file or variable is missing or wrong
  3    NATS or Salesforce could not be reached, or refused the login
  4    Salesforce refused the credentials or a right while a flow ran
  130  interrupted twice: stopped without waiting
"""


class _Root(click.Group):
    """A group whose commands are imported when they are called, with a meaning for no command."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS and cmd_name not in _UNNAMED:
            return None
        module = importlib.import_module(f"workbench.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return command.name if command else name, command, rest  # as it is typed, for usage lines

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # While a shell asks for completions, no word yet means that any command may come.
        is_open = ctx.resilient_parsing and not args
        if args and not ctx.resilient_parsing:
            _refuse_misspelt(args[0])
        return super().parse_args(ctx, args if is_open else _with_command(args))

    def shell_complete(
        self, ctx: click.Context, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        """A command, or what may follow `workbench` without one: a path, an option."""
        item = click.shell_completion.CompletionItem
        names = [item(n, help=h) for n, h in _COMMANDS.items() if n.startswith(incomplete)]
        if not incomplete.startswith("-"):
            # A shell shows either the names it is given or its files.
            return names or [item(incomplete, type="file")]
        application: click.Command = importlib.import_module("workbench.cli.open").command
        options = [item(o) for o in (_HEADLESS, "--version") if o.startswith(incomplete)]
        return options + application.shell_complete(ctx, incomplete)


def _refuse_misspelt(word: str) -> None:
    """A word that is nearly a command, and no file, is not meant as a path.

    Raises:
        click.UsageError: with the command that was probably meant.
    """
    if word in _COMMANDS or word in _UNNAMED or word.startswith("-") or os.path.exists(word):
        return
    import difflib

    meant = difflib.get_close_matches(word, _COMMANDS, n=1, cutoff=0.6)
    if meant:
        raise click.UsageError(
            f"there is no command {word!r}, and no such file; did you mean {meant[0]!r}?"
        )


def _with_command(args: list[str]) -> list[str]:
    """The arguments with a command's name in front, where none was given.

    >>> _with_command(["--headless", "a.yaml"])
    ['headless', 'a.yaml']
    >>> _with_command(["check", "a.yaml"])
    ['check', 'a.yaml']
    >>> _with_command(["a.yaml"])
    ['open', 'a.yaml']
    """
    if args and args[0] in _COMMANDS:
        return args
    if _HEADLESS in args:
        return ["headless", *(argument for argument in args if argument != _HEADLESS)]
    if args and args[0] in ("--help", "-h", "--version"):
        return args
    return ["open", *args]


@click.group(
    cls=_Root,
    help=_HELP,
    options_metavar="[--help] [--version]",
    subcommand_metavar="[--attach] [PATH] | --headless FLOW... | COMMAND ...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="workbench", message="%(prog)s %(version)s")
def _root() -> None:
    """Never runs on its own: a command is always put in front."""


def _terminated(number: int, _frame: object) -> None:
    """SIGTERM before a command has a way of its own with it: what was begun is closed on the way
    out, as with Ctrl-C; a sandbox that is being started, say."""
    asked.came.append(signal.SIGTERM)
    sys.exit(128 + number)


def _not_paused_yet(_number: int, _frame: object) -> None:
    """SIGUSR1 lets a paused flow go on; before one can be paused it must not end the process."""


def run(args: Sequence[str]) -> int:
    """Run one command line and return its exit code; what went wrong is said on stderr."""
    signal.signal(signal.SIGTERM, _terminated)
    signal.signal(signal.SIGUSR1, _not_paused_yet)
    try:
        result = _root.main(list(args), prog_name="workbench", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return exits.USAGE
    except (click.Abort, KeyboardInterrupt):
        return exits.INTERRUPTED
    except WorkbenchError as error:
        click.echo(f"workbench: {error}", err=True)
        return exits.exit_code(error)
    except BrokenPipeError:
        # The reader of our output went away (`workbench check | head`): not worth a word.
        sys.stderr.close()
        return exits.PROBLEMS
    except OSError as error:  # a full disk below our output, no more files or processes
        click.echo(f"workbench: the system refused: {error.strerror or error}", err=True)
        return exits.PROBLEMS
    except Exception as error:  # the outermost edge: even a bug is a sentence
        if os.environ.get("WORKBENCH_TRACEBACK"):
            raise
        click.echo(
            f"workbench: a bug of workbench: {error!r} (WORKBENCH_TRACEBACK=1 shows where)",
            err=True,
        )
        return exits.PROBLEMS
    return result if isinstance(result, int) else exits.OK
