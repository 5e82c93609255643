"""Pages that are generated are those that would be generated now."""

import re
import runpy
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import open_dict

from disentone.config import check, config_dir

ROOT = Path(__file__).parents[1]


def test_the_configuration_page_is_up_to_date() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "make_configuration.py"))["page"]()
    assert (ROOT / "docs" / "configuration.md").read_text() == page, "run `make docs`"


def test_the_performance_page_shows_the_stored_results() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "make_performance.py"))["page"]()
    assert (ROOT / "docs" / "performance.md").read_text() == page, "run `make docs`"


def test_the_page_on_finding_factors_shows_the_stored_results() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "make_finding_factors.py"))["page"]()
    assert (ROOT / "docs" / "finding_factors.md").read_text() == page, "run `make docs`"


def test_every_stored_result_is_of_a_benchmark_that_make_bench_runs() -> None:
    known = runpy.run_path(str(ROOT / "benchmarks" / "__main__.py"), run_name="benchmarks")
    sections = runpy.run_path(str(ROOT / "docs" / "make_performance.py"))["SECTIONS"]
    stored = {path.stem for path in (ROOT / "benchmarks" / "results").glob("*.json")}
    assert set(known["BENCHMARKS"]) == set(sections) == stored - set(known["BY_NAME"])


def test_the_configuration_page_has_every_choice() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    for path in config_dir().rglob("*.yaml"):
        if path.parent != config_dir():
            assert f"## `{path.parent.relative_to(config_dir())}={path.stem}`" in page


def test_the_cluster_example_composes(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    (block,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "scaling.md").read_text(), re.DOTALL)
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "tones_on_cluster.yaml").write_text(block)
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        words = [f"hydra.searchpath=[file://{tmp_path}]", "experiment=tones_on_cluster", f"run_dir={tmp_path}"]
        cfg = compose("train", words, return_hydra_config=True)
    launcher = cfg.hydra.launcher
    assert (launcher.nodes, launcher.tasks_per_node, launcher.gpus_per_node) == (2, 4, 4)
    assert cfg.data.batch_size % (launcher.nodes * launcher.tasks_per_node) == 0
    with open_dict(cfg):
        del cfg.hydra
    check(cfg)


def test_the_word_beta_stands_in_objectives_and_configs_alone() -> None:
    """Whatever shows or names runs reads the strength of their method from their configs."""
    # Names of things, and examples of what a user may type.
    names = re.compile(r"beta_vae\w*|BetaVAE\w*|beta-VAEs?|objective\.beta=\d+", re.IGNORECASE)
    for part in ("callbacks", "cli", "metrics", "plots.py", "report", "run", "sweep", "config.py"):
        place = ROOT / "src" / "disentone" / part
        for path in [place] if place.is_file() else [*place.rglob("*.py"), *place.rglob("*.j2")]:
            assert not re.search(r"beta", names.sub("", path.read_text())), path
