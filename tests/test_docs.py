"""Pages that are generated are those that would be generated now."""

import runpy
from pathlib import Path

from disentone.config import config_dir

ROOT = Path(__file__).parents[1]


def test_the_configuration_page_is_up_to_date() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "make_configuration.py"))["page"]()
    assert (ROOT / "docs" / "configuration.md").read_text() == page, "run `make docs`"


def test_the_performance_page_shows_the_stored_results() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "make_performance.py"))["page"]()
    assert (ROOT / "docs" / "performance.md").read_text() == page, "run `make docs`"


def test_every_stored_result_is_of_a_benchmark_that_make_bench_runs() -> None:
    names = runpy.run_path(str(ROOT / "benchmarks" / "__main__.py"), run_name="benchmarks")["BENCHMARKS"]
    sections = runpy.run_path(str(ROOT / "docs" / "make_performance.py"))["SECTIONS"]
    stored = {path.stem for path in (ROOT / "benchmarks" / "results").glob("*.json")}
    assert set(names) == set(sections) == stored


def test_the_configuration_page_has_every_choice() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    for path in config_dir().rglob("*.yaml"):
        if path.parent != config_dir():
            assert f"## `{path.parent.relative_to(config_dir())}={path.stem}`" in page
