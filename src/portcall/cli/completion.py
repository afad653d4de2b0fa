"""`portcall completion`: the scripts that have shells complete words, and what bash asks in return."""

import os

import click
from click.shell_completion import BashComplete, add_completion_class, get_completion_class, split_arg_string

from portcall.cli.main import COMPLETION_VARIABLE, cli

SHELLS = ("bash", "zsh", "fish")

BASH_SCRIPT = """\
%(complete_func)s() {
    local IFS=$'\\n' response line
    COMPREPLY=()
    response=$(env COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" %(complete_var)s=bash_complete "$1" 2>/dev/null)
    for line in $response; do
        case $line in
            dir,*) compopt -o dirnames ;;
            file,*) compopt -o default ;;
            plain,*) COMPREPLY+=("${line#plain,}") ;;
        esac
    done
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


@add_completion_class
class Bash(BashComplete):
    """Bash, told by the line and not by bash's words: those end at each colon, and addresses have colons."""

    source_template = BASH_SCRIPT

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the one that is completed, and that one."""
        line = os.environ["COMP_LINE"][: int(os.environ["COMP_POINT"])]
        words = split_arg_string(line)
        incomplete = "" if line[-1:].isspace() else words.pop()
        while words and "=" in words[0]:  # variables that are set for the command
            del words[0]
        return words[1:], incomplete


@click.command(
    epilog="""\b
Examples:
  eval "$(portcall completion bash)"     in ~/.bashrc
  eval "$(portcall completion zsh)"      in ~/.zshrc, after compinit
  portcall completion fish | source      in ~/.config/fish/config.fish

The services and methods after 'portcall call' are those of the hub that --hub or PORTCALL_HUB names. If it does not
answer within a second, none are offered."""
)
@click.argument("shell", type=click.Choice(SHELLS), metavar="SHELL")
def completion(*, shell: str) -> None:
    """Print what makes a shell complete words: commands, options, services and methods.

    SHELL is bash, zsh or fish.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(cli, {}, "portcall", COMPLETION_VARIABLE).source(), nl=False)
