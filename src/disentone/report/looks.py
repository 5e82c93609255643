"""The runs that a page looks at closely: their scores by latent, codes, pictures and sounds."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import soundfile

from disentone.metrics.table import MATRICES
from disentone.metrics.traversal import TRAVERSAL
from disentone.report import charts, contents
from disentone.report.answer import Finding, best_of_methods
from disentone.report.charts import Chart
from disentone.report.runs import Run
from disentone.run import reading
from disentone.run.folder import RunFolder

MOST_SOUNDS = 100


class Picked(NamedTuple):
    """One run to look at closely."""

    why: str
    run: Run
    charts: Sequence[Chart]
    walks: pd.DataFrame
    pictures: Sequence[tuple[str, str]]
    sounds: Sequence[Mapping[str, Any]]


def picked(
    found: Sequence[Finding], best: Finding, runs: Sequence[Run], root: Path, gain: str, damage: list[tuple[str, str]]
) -> list[Picked]:
    """The median run of the best setting and of each other method's best, or of a sole method's extreme strengths."""
    groups = {"the best setting's median run": best}
    for other in best_of_methods(found, gain)[1:]:
        groups[f"the median run of {other.method}'s best setting"] = other
    setting = best.results["setting"].iloc[0]
    alike = [finding for finding in found if finding.results["setting"].iloc[0] == setting]
    if len(groups) == 1 and len(alike) > 1:
        ordered = sorted(alike, key=lambda finding: float(finding.results["strength"].iloc[0]))
        name = best.results["strength_name"].iloc[0]
        groups |= {f"the smallest {name}'s median run": ordered[0], f"the largest {name}'s median run": ordered[-1]}
    by_name = {str(run.folder.relative_to(root)): run for run in runs}
    chosen: dict[str, str] = {}
    for why, finding in groups.items():
        ranked = finding.results.sort_values(gain, na_position="first")
        name = str(ranked["run"].iloc[len(ranked) // 2])
        chosen[name] = f"{chosen[name]}, {why}" if name in chosen else why
    looks = []
    for name, why in chosen.items():
        wrong = list[str]()
        looks.append(look_at(why, by_name[name], wrong))
        damage += [(name, text) for text in wrong]
    return looks


def look_at(why: str, run: Run, wrong: list[str]) -> Picked:
    """What one run's folder has to show and to play; what it should have and has not is added to ``wrong``."""
    found: list[Chart] = []
    names = _latents(run)
    for key, title in MATRICES.items():
        if key in run.scores:
            matrix, expected = np.asarray(run.scores[key]), (len(names), len(run.factors))
            if matrix.shape == expected:
                found.append(charts.heat_map(matrix, names, run.factors, title))
            else:
                wrong.append(f"{key} is {list(matrix.shape)}, expected {list(expected)}")
    kl = [run.numbers.get(f"kl_per_latent/{j}", np.nan) for j in range(len(names))]
    if np.isfinite(kl).any():
        found.append(charts.bars(kl, names, "what each latent carries", "KL (nats)"))
    found += _scatters(run, kl, wrong)
    judged = [score for score in TRAVERSAL if score.key in run.numbers]
    walks = pd.DataFrame(
        [
            {"latent": name, **{score.heading: run.numbers.get(f"{score.key}/{j}") for score in judged}}
            for j, name in enumerate(names)
            if judged
        ]
    )
    files = RunFolder(run.folder)
    sounds = _sounds(files, wrong)
    # What is there to be heard has its picture beside it.
    kinds = (*(() if sounds else ("reconstructions", "traversals")), "samples", "latent_map")
    return Picked(why, run, found, walks, _pictures(files, kinds, wrong), sounds)


def _latents(run: Run) -> list[str]:
    """Names of a run's latents; those that the method left out are no failure and say so."""
    count = int(run.about.get("codes") or 0)
    return [f"z{j} (left out)" if j in run.left_out else f"z{j}" for j in range(count)]


def _pictures(files: RunFolder, kinds: Sequence[str], wrong: list[str]) -> list[tuple[str, str]]:
    """The last picture of each kind, with its name; those that cannot be read are left out."""
    found = []
    for name in kinds:
        path = max(files.figures.glob(f"{name}_[0-9]*.png"), default=None)
        if path is not None:
            try:
                found.append((name.replace("_", " "), _picture(files, f"{files.figures.name}/{path.name}")))
            except ValueError as error:
                wrong.append(str(error))
    return found


def _scatters(run: Run, kl: Sequence[float], wrong: list[str]) -> list[Chart]:
    files = RunFolder(run.folder)
    try:
        codes, factors, _, names = contents.codes(run.folder, files.codes.name)
    except ValueError as error:
        wrong.append(str(error))
        return []
    if codes.shape[1] < 2:
        return []
    if len(kl) != codes.shape[1]:
        wrong.append(f"{files.codes.name} has {codes.shape[1]} codes, the scores are of {len(kl)}")
        return []
    # The two most used ones: by their KL or, of a kind of latents without, by their spread.
    used = np.asarray(kl) if np.isfinite(kl).any() else codes.var(axis=0)
    first, second = sorted(np.argsort(-used, kind="stable")[:2].tolist())
    return [
        charts.scatter(codes[:, [first, second]], factors[:, k], (f"z{first}", f"z{second}"), f"codes by {name}")
        for k, name in enumerate(names)
    ]


def _sounds(files: RunFolder, wrong: list[str]) -> list[dict[str, Any]]:
    """The sounds that a run lists, in its order; those that cannot be read are left out."""
    if not files.sounds_list.exists():
        return []  # the run is of no sounds
    place = files.sounds.name
    listing = f"{place}/{files.sounds_list.name}"
    try:
        entries = reading.entries(files.path, listing)[:MOST_SOUNDS]
    except ValueError as error:
        wrong.append(str(error))
        return []
    found = []
    for number, entry in enumerate(entries):
        try:
            title, picture, audio = _entry(entry)
            found.append(
                {
                    "title": title,
                    "width": "strips" if len(audio) == 1 else "pairs",  # a traversal is long and low
                    "picture": _picture(files, f"{place}/{picture}"),
                    "audio": {label: _mp3(files, f"{place}/{file}") for label, file in audio.items()},
                }
            )
        except ValueError as error:
            wrong.append(f"{listing}, entry {number}: {error}")
    return found


def _entry(entry: Any) -> tuple[str, str, dict[str, str]]:
    """Title, picture and sounds of an entry of the list of sounds. Raises ValueError for one of another kind."""
    known = entry if isinstance(entry, dict) else {}
    title, picture, audio = (known.get(key) for key in ("title", "picture", "audio"))
    if (
        isinstance(title, str)
        and isinstance(picture, str)
        and isinstance(audio, dict)
        and 0 < len(audio) < 10
        and all(isinstance(file, str) for file in audio.values())
    ):
        return title, picture, audio
    raise ValueError("expected a title, a picture and sounds by their labels")


def _picture(files: RunFolder, name: str) -> str:
    """A PNG as WebP: every browser shows it, at a fraction of the size."""
    buffer = io.BytesIO()
    contents.picture(files.path, name).save(buffer, "WEBP", quality=80)
    return _uri(buffer, "image/webp")


def _mp3(files: RunFolder, name: str) -> str:
    """A WAV as MP3: every browser plays it, at a fifth of the size."""
    samples, rate = contents.sound(files.path, name)
    buffer = io.BytesIO()
    try:
        soundfile.write(buffer, samples, rate, format="MP3", subtype="MPEG_LAYER_III")
    except soundfile.SoundFileError as error:
        raise ValueError(f"{name} cannot be made an MP3 of: {error}") from error
    return _uri(buffer, "audio/mpeg")


def _uri(buffer: io.BytesIO, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
