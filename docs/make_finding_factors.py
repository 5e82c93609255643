"""Writes the tables of docs/finding_factors.md from benchmarks/results/finding_factors.csv: `make docs`."""

import re
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "finding_factors.md"
RESULTS = ROOT / "benchmarks" / "results" / "finding_factors.csv"
SCORES = {"mig": "MIG", "dci_disentanglement_robust": "DCI D (`robust`)", "mcc_spearman": "MCC (Spearman)"}
BESIDE = {
    "mcc_inside": "MCC inside the region that was never seen",
    "mcc_outside": "MCC outside of it",
    "unexplained_variance": "share of the test images' variance that the read-out misses",
    "traversal_purity": "traversal purity",
}
FIRST_SEEDS = 5
CASES = {
    "tones": "`tones`, 10 latents, Laplace steps",
    "tones, 16 latents": "`tones`, 16 latents",
    "tones_smooth": "`tones_smooth`",
    "bells": "README's `bells`: five factors, one with two labels",
    "three labels": "five factors, one with three labels",
    "tones, 4 latents": "`tones`, 4 latents from the start",
    "gaussian steps": "`tones`, Gaussian steps",
    "student steps": "`tones`, Student's steps",
    "uniform steps": "`tones`, uniform steps",
    "correlated steps": "`tones`, steps correlated by .5",
    "warped steps": "`tones`, steps in warped units",
    "held-out region": "`tones`, a region never seen",
    "held-out region, on the fly": "`tones`, a region never seen, partners rendered and not read from the cache",
    "transforms": "`tones`, transforms of the image as partners (supervision: transforms)",
    "unrelated pairs": "control: unrelated images as pairs",
    "an image with itself": "control: an image as its own partner",
}


def page() -> str:
    """The page with the table of today's results."""
    return re.sub(
        r"(<!-- results -->\n).*?(<!-- end -->)",
        lambda found: found[1] + results() + found[2],
        PAGE.read_text(),
        flags=re.DOTALL,
    )


def results() -> str:
    """A line a case: seeds, latents kept, and the median of each score with its range."""
    runs = pd.read_csv(RESULTS)
    lines = [
        f"| pairs and data | seeds | latents kept | {' | '.join(SCORES.values())} | MIG by factor, medians |",
        "|---|---|---|---|---|---|---|",
    ]
    for case, name in CASES.items():
        every = runs[runs["case"] == case]
        for part, note in (
            (every[every["seed"] < FIRST_SEEDS], ""),
            (every[every["seed"] >= FIRST_SEEDS], ", fresh seeds"),
        ):
            if len(part):
                lines.append(
                    f"| {name}{note} | {_listed(part['seed'])} | {_listed(part['kept_latents'])} | {_scores(part)} |"
                )
    beside = [
        f"- {CASES[case]}: {name} {_spread(part[key])} (seeds {_listed(part['seed'])})."
        for key, name in BESIDE.items()
        for case, part in runs[(runs["seed"] < FIRST_SEEDS) & runs[key].notna()].groupby("case", sort=False)
    ]
    return "\n".join([*lines, "", *beside]) + "\n"


def _spread(values: pd.Series) -> str:
    return f"{values.median():.3f} [{values.min():.3f}, {values.max():.3f}]"


def _scores(part: pd.DataFrame) -> str:
    cells = [_spread(part[key]) for key in SCORES]
    by_factor = pd.DataFrame(
        [dict(zip(words[::2], map(float, words[1::2]), strict=True)) for words in part["mig_by_factor"].str.split()]
    ).median()
    return " | ".join([*cells, ", ".join(f"{name} {value:.2f}" for name, value in by_factor.items())])


def _listed(numbers: pd.Series) -> str:
    """Different whole numbers, shortened to a range where they follow one another."""
    values = sorted(set(numbers.astype(int)))
    if len(values) > 2 and values == list(range(values[0], values[-1] + 1)):
        return f"{values[0]} to {values[-1]}"
    return ", ".join(map(str, values))


if __name__ == "__main__":
    PAGE.write_text(page())
