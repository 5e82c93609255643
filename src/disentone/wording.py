"""What Hydra, OmegaConf and YAML say of a user's mistake, in one line that says what to do."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException
from yaml import MarkedYAMLError

from disentone.config import config_dir, defaults, flat, nearest
from disentone.signatures import accepted

OVERRIDE = "an override is written key=value, with quotes around values that have spaces, commas, quotes or brackets"


def reworded(error: BaseException, arguments: Sequence[str] = ()) -> str:
    """What an error says, with the key or the file and the remedy where these are known.

    Args:
        error: of a library, or our own.
        arguments: the command line that it comes of.

    """
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, OverrideParseException):
        return f"{error.override}: {OVERRIDE}"
    if isinstance(error, MarkedYAMLError) and error.problem_mark:
        mark, tab = error.problem_mark, "; YAML is indented by spaces" if r"'\t'" in str(error.problem) else ""
        return f"{mark.name}, line {mark.line + 1}, column {mark.column + 1}: {error.problem}{tab}"
    if isinstance(error, UnicodeDecodeError) or "Invalid loaded object type" in text:
        return f"{file_of(error) or 'a file'}: expected keys and values in UTF-8; {text}"
    if "Config group override must be a string or a list" in text:
        return _no_name(next(filter(_names_nothing, arguments), "an override"))
    found = ((answer, re.search(pattern, text)) for pattern, answer in ANSWERS.items())
    return next((answer(*match.groups()) for answer, match in found if match), text)


def file_of(error: BaseException) -> str:
    """The config file that Hydra was reading when an error came; empty where it read none."""
    file, trace = "", error.__traceback__
    while trace:
        local = trace.tb_frame.f_locals
        if trace.tb_frame.f_code.co_name == "load_config" and "full_path" in local:
            file = str(local["full_path"])
        elif trace.tb_frame.f_code.co_name == "_create_defaults_tree_impl":
            file = f"{local['root'].node.get_config_path()}.yaml"
        trace = trace.tb_next
    return file


def _names_nothing(word: str) -> bool:
    """Whether a word of the command line is a choice for a group, and no name: ``logger=null``."""
    key = word.partition("=")[0]
    return key in _groups() and not isinstance(OverridesParser.create().parse_override(word).value(), str | list)


def _no_name(word: str) -> str:
    group = word.partition("=")[0]
    known = f"; {nearest('', _choices(group))}" if group in _groups() else ""
    return f"{word}: expected <group>=<name of a choice>{known}"


def _no_group(group: str) -> str:
    return f"{group}: there is no such config group; {nearest(group, _groups())}"


def _no_key(key: str) -> str:
    key, known = key.lstrip("+~"), _keys()
    parent, _, name = key.rpartition(".")
    if key not in known:
        from hydra.utils import get_object  # only now: help does not need it

        target = known.get(f"{parent}._target_")
        if target and name in accepted(get_object(target)):
            return f"{key}: it is not set yet; +{key}=<value> sets it"
        return f"{key}: there is no such key; {nearest(key, [*known, *_groups()])}"
    if isinstance(known[key], dict):
        return f"{key}: an entry that is not there yet is added with +{key}.<name>=<value>"
    return f"{key}: the {parent} that is chosen here has no {name}; --cfg job shows what it has"


def _no_launcher(name: str) -> str:
    return f"hydra/launcher={name} needs the launchers: pip install 'disentone[launchers]'"


def _no_choice(group: str, choice: str) -> str:
    return f"{group}={choice}: there is no such choice; {nearest(choice, _choices(group))}"


# By what the library says, all in one line.
ANSWERS: dict[str, Callable[..., str]] = {
    r"Could not override '([^']+)'\.? No match in the defaults list": _no_group,
    r"Could not override '([^']+)'": _no_key,
    r"Could not find 'hydra/launcher/(joblib|submitit_\w+)'": _no_launcher,
    r"Could not find '([^']+)/([^'/]+)'": _no_choice,
    r"In '([^']+)': Could not load '([^']+)/([^'/]+)'": lambda file, *choice: (
        f"{file}.yaml, in its defaults list: {_no_choice(*choice)}"
    ),
    r"Cannot find primary config '([^']+)'": lambda name: f"--config-name={name}: there is no such file; leave it out",
    r"In '([^']+)': \w+ raised while composing config: Cannot merge": lambda file: (
        f"{file}.yaml: there is a list where keys are expected, or keys where a list is"
    ),
    r"Could not append to config\. An item is already at '([^']+)'": lambda key: f"{key}: it is set already; no + then",
    r"Interpolation key '([^']+)' not found full_key: (\S+)": lambda other, key: (
        f"{key}: it refers to {other}, which is not there; give one of the two a value"
    ),
    r"Recursive interpolation detected full_key: (\S+)": lambda key: f"{key}: it refers to itself; give it a value",
    r"(Environment variable '[^']+') not found\"? full_key: (\S+)": lambda name, key: (
        f"{key}: {name} is not set; set it, or write ${{oc.env:NAME,default}}"
    ),
    r"^(.*) full_key: (\S+)": lambda text, key: f"{key}: {text}",
}


def _choices(group: str) -> list[str]:
    return [path.stem for path in (config_dir() / group).glob("*.yaml")] or _groups()


def _groups() -> list[str]:
    root = config_dir()
    return sorted({str(path.parent.relative_to(root)) for path in root.rglob("*.yaml")} - {"."})


def _keys() -> dict[str, Any]:
    """All keys of the default config, dotted, and their values; of a node of several, an empty mapping."""
    found: dict[str, Any] = {}
    for name, value in flat(defaults()):
        parts = name.split(".")
        found |= {key: found.get(key, {}) for key in (".".join(parts[:n]) for n in range(1, len(parts)))}
        found[name] = value
    return found
