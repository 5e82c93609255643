"""The report of finished, failed, damaged and mixed runs: what it says, what it holds, what it never asks for."""

import html
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from disentone.metrics import SCORES
from disentone.report import charts, report
from disentone.report.answer import findings, headline

Copies = Callable[..., Path]


class Page(HTMLParser):
    """What a page shows, and where its attributes point."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "poster")]

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] not in (["script"], ["style"]):
            self.text += f" {data.strip()}"


def test_the_page_answers_with_its_own_numbers_and_needs_nothing_else(copies: Copies) -> None:
    sweep = copies([1, 4, 16], [0, 1])
    page = Page(report(sweep).read_text())
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert page.tags.count("audio") >= 3
    assert {"img", "table", "details"} <= set(page.tags)
    results = pd.read_csv(sweep / "results.csv")
    assert len(results) == 6
    best = results[results["strength"] == 16]["mig"]
    assert "beta-VAE, beta 16 (supervision: none) finds f0; " in page.text
    assert f"MIG {best.median():.2f} [{best.min():.2f}, {best.max():.2f}] over 2 seeds, chance" in page.text
    for part in (
        "6 finished, 2 seeds", "1, 4, 16", "settings differ from the defaults", "trainer.max_steps", "Pareto front",
        "UDR (Spearman)", "0 to 1, higher is better", "rank agreement", "mutual information (nats)",
        "importance for prediction",
        "what each latent carries", "codes by f0", "purity", "the best setting's median run", "the smallest beta's",
        "torch 2.", "validation fit over steps", "bars: range of the runs (fewer than 6)",
    ):  # fmt: skip
        assert part in page.text or part in (sweep / "report.html").read_text(), part
    assert (sweep / "report.html").stat().st_size < 15e6


def test_a_setting_is_listed_only_where_it_differs_from_its_default(copies: Copies) -> None:
    table = report(copies([1], [0])).read_text().partition("settings differ from the defaults")[2]
    cells = [html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", table.partition("</table>")[0])]
    lines = {name: (here, default) for name, here, default in zip(*[iter(cells)] * 3, strict=True)}
    assert lines["trainer.max_steps"] == ("2", "300000")
    assert [name for name, values in lines.items() if len({value.replace("'", "") for value in values}) == 1] == []


def test_every_chart_has_its_numbers_as_a_table(copies: Copies) -> None:
    text = report(copies([1, 4], [0])).read_text()
    charts = re.findall(r'<script type="application/json" id="data-chart-\d+">(.*?)</script>', text, flags=re.DOTALL)
    assert len(charts) > 8
    assert text.count("<summary>numbers</summary>") == len(charts)
    for chart in charts:
        assert {"data", "layout"} <= json.loads(chart).keys()


def test_the_long_table_has_parts_chance_and_untrained_beside(copies: Copies) -> None:
    sweep = copies([1, 4], [0])
    report(sweep)
    scores = pd.read_csv(sweep / "scores.csv")
    assert list(scores.columns[:6]) == ["run", "method", "supervision", "strength_name", "strength", "seed"]
    row = scores[(scores["metric"] == "mig") & (scores["part"] == "decay") & (scores["strength"] == 4)].iloc[0]
    written = json.loads((sweep / "objective.beta=4,seed=0" / "scores.json").read_text())
    assert row["value"] == pytest.approx(written["mig/decay"])
    assert row["chance"] == pytest.approx(written["chance/mig/decay"])
    assert row["untrained"] == pytest.approx(written["untrained/mig/decay"])


def test_what_is_not_finished_is_listed_and_left_out(copies: Copies) -> None:
    sweep = copies([1, 2, 4, 8, 16], [0])
    places = {beta: sweep / f"objective.beta={beta},seed=0" for beta in (1, 2, 4, 8, 16)}
    (places[2] / "scores.json").write_text('{"mig": 0.1')
    (places[4] / "run.json").unlink()
    (places[4] / "error.txt").write_text("Traceback ...\nOSError: no space\nno space left <on> the device\n")
    (places[8] / "run.json").unlink()
    (places[16] / "begun.json").write_text('{"config": {"objective": ')
    (sweep / "objective.beta=32,seed=0" / ".hydra").mkdir(parents=True)
    page = Page(report(sweep).read_text())
    assert "5 of 6 runs are left out" in page.text
    assert "scores.json is damaged" in page.text
    assert "failed: no space left <on> the device" in page.text
    assert "unfinished at step 2" in page.text
    assert "begun.json is damaged" in page.text
    assert pd.read_csv(sweep / "results.csv")["strength"].tolist() == [1]


def test_damaged_codes_sounds_and_pictures_leave_the_rest(copies: Copies) -> None:
    sweep = copies([1, 4], [0])
    for folder in sweep.glob("objective*"):
        (folder / "codes.npz").write_bytes(b"PK no zip")
        (folder / "sounds" / "sounds.json").write_text("[{}]")
        for picture in folder.glob("figures/reconstructions_*.png"):
            picture.write_bytes(b"\x89PNG no picture")
    page = Page(report(sweep).read_text())
    assert "mutual information (nats)" in page.text
    assert "audio" not in page.tags


def test_mixed_experiments_are_compared_with_a_warning(copies: Copies) -> None:
    sweep = copies([1, 4], [0])
    path = sweep / "objective.beta=4,seed=0" / "begun.json"
    content = json.loads(path.read_text())
    content["config"]["name"] = content["settings"]["name"] = "other"
    path.write_text(json.dumps(content))
    assert "These runs are of 2 different experiments (other and quickstart)" in Page(report(sweep).read_text()).text


@pytest.mark.parametrize("make", [False, True])
def test_no_folder_or_an_empty_one_is_an_error(make: bool, tmp_path: Path) -> None:
    folder = tmp_path / "nothing"
    if make:
        folder.mkdir()
    with pytest.raises(ValueError, match="holds no runs" if make else "there is no such folder"):
        report(folder)


def test_a_sweep_without_a_finished_run_still_says_what_went_wrong(copies: Copies) -> None:
    sweep = copies([1], [0])
    (sweep / "objective.beta=1,seed=0" / "run.json").unlink()
    page = Page(report(sweep).read_text())
    assert "No run is finished yet." in page.text
    assert "unfinished" in page.text


def test_from_six_seeds_on_the_headline_has_an_interval() -> None:
    draws = np.random.default_rng(0).random(8)
    table = pd.DataFrame({"label": "toy", "method": "toy", "supervision": "none", "mig": draws, "chance/mig": 0.01})
    sentence, best = headline(findings(table, []), SCORES["mig"])
    assert sentence.endswith(
        f"MIG {np.median(draws):.2f} [{draws.min():.2f}, {draws.max():.2f}] over 8 seeds, chance 0.01"
    )
    assert best is not None
    assert len(best.results) == 8


def test_every_number_of_a_table_is_a_score_with_a_title() -> None:
    table = pd.DataFrame({"run": ["a"], "seed": 0, "mig": 0.1, "mig/f0": 0.1, "chance/mig": 0.0, "critic_loss": 1.0})
    table = table.assign(strength_name="gamma", strength=4.0, final_strength=4.0, normalised_gamma=0.1)
    assert [(score.key, score.title) for score in charts.scores(table, {})] == [
        ("mig", "MIG"),
        ("critic_loss", "critic loss"),
    ]


@pytest.mark.slow
def test_five_hundred_runs_take_no_more_than_their_number(copies: Copies, record_property) -> None:
    sweep = copies([1, 2, 4, 8, 16], range(100), whole=False)
    begun = time.monotonic()
    page = Page(report(sweep).read_text())
    record_property("seconds", time.monotonic() - begun)
    assert "500 finished, 100 seeds" in page.text
    assert "bars: 95 % interval of the median" in page.text
    assert len(pd.read_csv(sweep / "results.csv")) == 500


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")
def test_the_page_draws_itself_in_a_browser_that_may_ask_for_nothing(copies: Copies, tmp_path: Path) -> None:
    path = report(copies([1, 4, 16], [0, 1]))
    # The page's own policy; what breaks it is a message on the console.
    assert "Content-Security-Policy\" content=\"default-src 'none'" in path.read_text()
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]
    command += ["--disable-background-networking", "--disable-component-update", f"--user-data-dir={tmp_path / 'user'}"]
    command += ["--enable-logging=stderr", "--window-size=1280,2000", "--virtual-time-budget=20000", "--dump-dom"]
    result = subprocess.run([*command, f"file://{path}"], capture_output=True, text=True, timeout=120)
    assert "CONSOLE" not in result.stderr
    assert result.stdout.count("js-plotly-plot") > 3
