"""The names that the verbs had as commands of their own."""

import sys
from functools import partial

from disentone.cli import main as command


def _as_verb(verb: str) -> None:
    """Say the new name and run it."""
    print(f"disentone-{verb} is now: disentone {verb}; the old name goes with the next version", file=sys.stderr)
    sys.argv[1:1] = [verb]
    command.main()


def train() -> None:
    """The one that stays: by it Hydra's shell completion calls the command, which knows of no verb."""
    sys.argv[1:1] = ["train"]
    command.main()


data = partial(_as_verb, "data")
evaluate = partial(_as_verb, "evaluate")
report = partial(_as_verb, "report")
dashboard = partial(_as_verb, "dashboard")
