"""Pages that are generated are those that would be generated now."""

import runpy
from pathlib import Path

from disentone.config import config_dir

ROOT = Path(__file__).parents[1]


def test_the_configuration_page_is_up_to_date() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "make_configuration.py"))["page"]()
    assert (ROOT / "docs" / "configuration.md").read_text() == page, "run `make docs`"


def test_the_configuration_page_has_every_choice() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    for path in config_dir().rglob("*.yaml"):
        if path.parent != config_dir():
            assert f"## `{path.parent.relative_to(config_dir())}={path.stem}`" in page
