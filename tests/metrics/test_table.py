"""The table of scores: what is scored is described, what is described is scored, and the page of metrics agrees."""

import re
from pathlib import Path

import numpy as np
import pytest
from tests.metrics import cases

from disentone.metrics import METRICS, SCORES, Score, evaluate
from disentone.metrics.table import HEADLINES, MAIN, MATRICES, TERMS, described

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
OF_CODES = [score for metric in METRICS.values() for score in metric.scores]


def test_keys_and_titles_are_told_apart() -> None:
    every = [*OF_CODES, *(score for score in SCORES.values() if score not in OF_CODES)]
    assert len(SCORES) == len(every) == len({score.title for score in every})
    assert all(SCORES[score.key] is score for score in OF_CODES)


@pytest.mark.parametrize("name", [name for name in METRICS if name != "dci_es"])
def test_a_metric_answers_what_it_describes_and_stays_in_its_range(name: str) -> None:
    z, v = cases.entangled()
    draws = np.random.default_rng(0).permutation(len(v))
    for codes in (z, z[draws]):
        scores = evaluate(codes, v, [name], dci_backend="lightgbm")
        found = {key for key, value in scores.items() if isinstance(value, float) and "/" not in key}
        assert found == set(METRICS[name].keys)
        assert {key for key in scores if key not in SCORES and "/" not in key} <= {*MATRICES, "settings"}
        for score in METRICS[name].scores:
            low, high = -np.inf if score.low is None else score.low, np.inf if score.high is None else score.high
            assert low - 1e-9 <= scores[score.key] <= high + 1e-9, score


def test_the_page_of_metrics_has_every_score_with_its_range() -> None:
    rows = dict(re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|[^|]*\| ([^|]*) \|", PAGE, flags=re.MULTILINE))
    told = {key: span for keys, span in rows.items() for key in re.findall(r"\w+", keys)}
    assert told == {score.key: score.range for score in OF_CODES if not score.slow}
    for score in SCORES.values():
        assert score in TERMS or f"`{score.key}`" in PAGE, score.key


def test_what_headlines_tell_fits_a_line_and_ranks_by_what_codes_know_of_factors() -> None:
    assert [score.key for score in HEADLINES] == ["mig", "dci_disentanglement", "mcc_spearman", "linear_probe"]
    assert all(len(score.heading) <= 6 and score.needs_labels and score.higher_is_better for score in HEADLINES)
    assert {"mig", "kl", "reconstruction", "active_units"} <= {score.key for score in MAIN}


@pytest.mark.parametrize(
    ("score", "span", "note"),
    [
        (Score("a", "a"), "0 to 1", "0 to 1, higher is better"),
        (Score("a", "a", high=None, higher_is_better=False), "from 0", "from 0, lower is better"),
        (Score("a", "a", low=None), "at most 1", "at most 1, higher is better"),
        (Score("a", "a", low=None, high=None, higher_is_better=None), "", ""),
    ],
)
def test_a_description_is_put_in_words(score: Score, span: str, note: str) -> None:
    assert (score.range, score.note) == (span, note)


def test_what_nobody_described_has_its_key_for_a_title() -> None:
    assert described("critic_loss/inside").title == "critic loss inside"
    assert described("mig") is SCORES["mig"]
