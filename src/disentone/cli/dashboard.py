"""disentone dashboard: a ready workspace for a project at Weights & Biases."""

import argparse
import sys

from disentone import errors
from disentone.sweep import signals


def main() -> None:
    """Build the workspace and save it at Weights & Biases; prints its address."""
    parser = argparse.ArgumentParser(prog="disentone dashboard", description=__doc__)
    parser.add_argument("entity", help="user or team that owns the project")
    parser.add_argument("--project", default="disentone", help="as in logger.wandb.project (default disentone)")
    parser.add_argument("--name", default="disentone", help="of the workspace (default disentone)")
    parser.add_argument("--strength", help="option by which the runs were swept, for instance objective.gamma")
    parser.add_argument("--scores", nargs="*", default=[], help="keys of scores that metrics.extra added")
    options = parser.parse_args()
    from disentone.loggers import has_key

    with signals.ending(lambda: "nothing is lost"), errors.readable(sys.argv[1:]):
        if not has_key():
            raise ValueError("a workspace lives at Weights & Biases, which needs a key; `wandb login` stores one")
        try:
            from disentone.report.dashboard import workspace
        except ModuleNotFoundError as error:
            raise ValueError("the dashboard needs one package more: pip install 'disentone[dashboard]'") from error
        built = workspace(options.entity, options.project, options.name, options.strength, options.scores)
        print(built.save().url)


if __name__ == "__main__":
    main()
