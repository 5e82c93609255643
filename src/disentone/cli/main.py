"""disentone: one command, a verb for each thing to do."""

import sys
from collections.abc import Sequence
from importlib import import_module

VERBS = {
    "train": "train a run, or with -m a sweep; options are Hydra's, and key=value",
    "reproduce": "train a finished run anew beside it, and compare every number",
    "evaluate": "score a run's checkpoint, or anybody's codes in an .npz file",
    "report": "write the page and the tables of a sweep or a run",
    "data": "describe a family of sounds, write some of it to hear, or draw it",
    "dashboard": "save a workspace for a project at Weights & Biases",
}


def main() -> None:
    """Hand the words over to the verb's own page; options may stand before the verb or after it."""
    words = sys.argv[1:]
    place = _place_of_verb(words)
    if place is None:
        wants_help = not words or words[0] in ("-h", "--help")
        print(_help(), file=sys.stdout if wants_help else sys.stderr)
        sys.exit(0 if wants_help else 2)
    verb, rest = words[place], [*words[:place], *words[place + 1 :]]
    if verb not in VERBS:
        print(f"disentone: there is no verb {verb}; there are {', '.join(VERBS)}", file=sys.stderr)
        sys.exit(2)
    if verb == "reproduce":
        verb, rest = "train", _reproduced(rest)
    sys.argv[1:] = rest
    import_module(f"disentone.cli.{verb}").main()


def _place_of_verb(words: Sequence[str]) -> int | None:
    """The first word that is no option, no option's value and no override."""
    for place, word in enumerate(words):
        if not (word.startswith("-") or "=" in word or _is_value(words[:place])):
            return place
    return None


def _is_value(before: Sequence[str]) -> bool:
    """Whether the word after these is the value of an option of Hydra's."""
    if not before or not before[-1].startswith("-"):
        return False
    from disentone.sweep.naming import WITH_VALUE  # only now: it imports Hydra, which other words do not need

    return before[-1] in WITH_VALUE


def _reproduced(words: Sequence[str]) -> list[str]:
    """``reproduce <run folder>`` as the option of training that it is."""
    folders = [word for word in words if not word.startswith("-") and "=" not in word]
    if len(folders) != 1 or set(words) & {"-h", "--help"}:
        print("usage: disentone reproduce <run folder> [trust=[package]]")
        sys.exit(0 if set(words) & {"-h", "--help"} else 2)
    return [f"reproduce={word}" if word == folders[0] else word for word in words]


def _help() -> str:
    lines = [f"  {verb:<10} {what}" for verb, what in VERBS.items()]
    return "\n".join(["usage: disentone <verb> [options]", "", *lines, "", "disentone <verb> --help lists its options"])


if __name__ == "__main__":
    main()
