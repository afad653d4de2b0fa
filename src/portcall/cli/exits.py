"""How commands fail: one line on stderr, and an exit code that scripts can use."""

import click
from click.core import ParameterSource

from portcall.cli.nearest import did_you_mean
from portcall.cli.settings.setting import DefaultsSource, Setting
from portcall.errors import ConfigurationError, PortcallError

EXIT_DONE = 0
EXIT_FAILED = 1
"""It failed, and may succeed when tried again."""

EXIT_MISTAKE = 2
"""It cannot succeed until the command, a setting or the app is changed."""

EXIT_STATUS = 64
"""A call ended with a status that is not OK; the status's number is added, as grpcurl does."""

EXIT_INTERRUPTED = 130
"""Ctrl-C. As shells have it: 128 plus the signal's number."""

EXIT_UNREAD = 141
"""Whoever read the output has gone, which on Unix is a signal, too (SIGPIPE)."""


class FailedError(PortcallError):
    """Something else than the command is to blame; the message says what, and what to do."""


class CallError(FailedError):
    """A call ended with a status that is not OK."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status
        self.exit_code = EXIT_STATUS + status


def report_error(error: click.ClickException | PortcallError) -> int:
    """Say on stderr, in one line, what is wrong; return the exit code that goes with it."""
    click.echo(f"portcall: error: {_words(error)}", err=True)
    if isinstance(error, CallError):
        return error.exit_code
    is_mistake = isinstance(error, click.UsageError | ConfigurationError)
    return EXIT_MISTAKE if is_mistake else EXIT_FAILED


def _words(error: click.ClickException | PortcallError) -> str:
    if not isinstance(error, click.ClickException):
        return str(error)
    message = bare_words(error)
    context = error.ctx if isinstance(error, click.UsageError) else None
    if isinstance(error, click.NoSuchOption) and error.option_name == "--config":
        message = "--config stands before the command, as in portcall --config FILE hub"
    elif isinstance(error, click.NoSuchOption) and context is not None:
        message = _no_such_option(error.option_name, context)
    stop = "" if message.endswith("?") else "."
    return f"{message}{stop} See: {context.command_path} --help" if context is not None else message


def bare_words(error: click.ClickException) -> str:
    """Return what is wrong, and what has set it, in one line without a stop."""
    message = " ".join(error.format_message().split()).rstrip(".")
    return message[:1].lower() + message[1:] + _origin(error)


def _no_such_option(name: str, context: click.Context) -> str:
    options = [each for each in context.command.get_params(context) if isinstance(each, click.Option)]
    known = [word for each in options if not each.hidden for word in each.opts]
    hint = did_you_mean(name, known)
    if not hint and isinstance(context.command, click.Group):
        hint = ". Those of a command stand behind its name"
    return f"no such option '{name}'{hint}"


def _origin(error: click.ClickException) -> str:
    """Say where a bad value was set, if that was not the command line."""
    if not isinstance(error, click.BadParameter) or error.ctx is None or error.param is None:
        return ""
    source = error.ctx.obj
    match error.ctx.get_parameter_source(error.param.name or ""):
        case ParameterSource.ENVIRONMENT:
            return f" (set by {error.param.envvar} in the environment)"
        case ParameterSource.DEFAULT_MAP if isinstance(error.param, Setting) and isinstance(source, DefaultsSource):
            return f" (set by {error.param.key} in {source.origin(error.ctx, error.param)})"
        case _:
            return ""
