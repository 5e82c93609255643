"""Writes docs/configuration.md from conf/ and the docstrings of what the configs name: `make docs`."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hydra.utils import get_object

from disentone.config import config_dir
from disentone.signatures import accepted

HEAD = """# Configuration

Every group and option, generated from `conf/` by `make docs`. `group=choice` picks a file, `group.option=value` sets an
option, `+group.option.name=value` adds an entry, `-m` with commas sweeps; `--cfg job` prints the composed config.
"""


def page() -> str:
    """The whole page."""
    root = config_dir()
    parts = [HEAD, *section("train.yaml", root / "train.yaml", "")]
    for path in sorted(root.rglob("*.yaml")):
        if path.parent != root:
            group = str(path.parent.relative_to(root))
            where = place(path.read_text(), group)
            parts += section(f"`{group}={path.stem}`", path, where)
    return "\n".join(parts) + "\n"


def place(text: str, group: str) -> str:
    """What stands before the options of a config: its package, or else its group."""
    package = re.search(r"^# @package (\S+)", text)
    name = package[1] if package else group.replace("/", ".")
    return "" if name == "_global_" else f"{name}."


def section(title: str, path: Path, where: str) -> Iterator[str]:
    """One config: its comment, what it builds, its options."""
    text = path.read_text()
    config = yaml.safe_load(text) or {}
    yield f"## {title}\n"
    comment = " ".join(
        line.lstrip("# ") for line in text.splitlines() if line.startswith("#") and "@package" not in line
    )
    if comment:
        yield f"{comment}\n"
    if "_target_" in config:
        summary = inspect.getdoc(get_object(config["_target_"])) or ""
        yield f"`{config['_target_']}`: {summary.splitlines()[0]}\n"
    rows = list(options(config, where, None))
    if rows:
        yield "| option | value | meaning |\n|---|---|---|"
        remarks = dict(inline_comments(text))
        for name, value, meaning in rows:
            meaning = meaning or remarks.get(f"{name.split('.')[-1]}: {value}", "")
            yield f"| `{name}` | `{value}` | {meaning} |".replace(" |  |", " | |")
        yield ""


def options(node: dict[str, Any], where: str, target: Any) -> Iterator[tuple[str, Any, str]]:
    """Dotted name, value and meaning of every option below a node."""
    target = get_object(node["_target_"]) if "_target_" in node else target
    meanings = documented(target) if target else {}
    for key, value in node.items():
        if key in ("defaults", "_target_", "_partial_"):
            continue
        if isinstance(value, dict) and value and key != "factors":
            yield from options(value, f"{where}{key}.", None)
        else:
            written = yaml.safe_dump(value, default_flow_style=True, width=10**6).split("\n")[0]
            yield f"{where}{key}", written, meanings.get(key, "")


def documented(target: Any) -> dict[str, str]:
    """Meanings of the arguments of a class, from the Args sections of its docstring and its bases'."""
    meanings: dict[str, str] = {}
    for cls in reversed(target.__mro__) if inspect.isclass(target) else [target]:
        found = re.search(r"Args:\n(.*?)(\n\n|\Z)", inspect.cleandoc(cls.__doc__ or ""), flags=re.DOTALL)
        if found and cls.__module__.startswith(("disentone", "hydra_plugins.disentone")):
            entries = re.split(r"\n(?=    \w+: )", "\n" + found[1])
            meanings |= {
                match[1]: " ".join(match[2].split()).replace("|", "\\|")
                for match in (re.match(r"\s*(\w+): (.*)", entry, flags=re.DOTALL) for entry in entries)
                if match
            }
    return {name: meaning for name, meaning in meanings.items() if name in accepted(target)}


def inline_comments(text: str) -> Iterator[tuple[str, str]]:
    """What a line of a config says about its key."""
    for line in text.splitlines():
        if found := re.match(r"\s*(\w+: .*?)\s+# (.*)", line):
            yield found[1], found[2].replace("|", "\\|")


if __name__ == "__main__":
    Path(__file__).with_name("configuration.md").write_text(page())
