"""What the files of a run folder hold, checked: codes, tables, pictures, sounds, scores, facts."""

import io
import math
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
from jaxtyping import Float, Int64
from PIL import Image

from disentone.config import MAPPINGS, NODES, option
from disentone.run.reading import LARGEST, content, line_of, mapping

PIXELS = 20_000_000
SAMPLES = 20_000_000


def begun(folder: Path, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The resolved config that a run was begun with, and its settings; what the report looks at is of the right kinds.

    Raises:
        ValueError: naming what is not.

    """
    found = mapping(folder, name)
    config, settings = found.get("config"), found.get("settings")
    if wrong := _wrong(config):
        raise ValueError(f"{name} is damaged: {wrong}")
    if not isinstance(settings, dict) or not all("." in key or key in ("name", "seed", "strength") for key in settings):
        raise ValueError(f"{name} is damaged: it holds no settings")
    assert isinstance(config, dict)
    return config, settings


def codes(
    folder: Path, name: str
) -> tuple[Float[np.ndarray, "row code"], Float[np.ndarray, "row factor"], Int64[np.ndarray, "row"], list[str]]:
    """What a run was scored on: its codes, its factors (nan is unknown), the rows' numbers, the factors' names."""

    def parse() -> tuple[Any, ...]:
        with zipfile.ZipFile(io.BytesIO(content(folder, name))) as archive:
            if sum(part.file_size for part in archive.infolist()) > 4 * LARGEST:
                raise ValueError("it unpacks to more than is read")
            arrays = {part: _array(archive, part) for part in ("codes", "factors", "rows", "factor_names")}
        return arrays["codes"], arrays["factors"], arrays["rows"], [str(word) for word in arrays["factor_names"]]

    z, v, rows, names = _parsed(name, parse)
    fits = z.ndim == v.ndim == 2 and len(z) == len(v) == len(rows) > 0 and v.shape[1] == len(names)
    if not fits or z.dtype.kind != "f" or v.dtype.kind not in "iuf" or rows.dtype.kind not in "iu":
        raise ValueError(
            f"{name} is damaged: codes {z.dtype} {list(z.shape)}, factors {v.dtype} {list(v.shape)}, {len(rows)} rows "
            f"and {len(names)} names do not belong together"
        )
    if not np.isfinite(z).all():
        raise ValueError(f"{name} is damaged: codes are not finite")
    return z, v.astype(np.float64), rows.astype(np.int64), names


def table(folder: Path, name: str, columns: list[str]) -> pd.DataFrame:
    """Columns of a CSV file as numbers; entries that are none become nan."""

    def parse() -> pd.DataFrame:
        found = pd.read_csv(io.BytesIO(content(folder, name)), usecols=columns)
        return found.apply(pd.to_numeric, errors="coerce")

    found: pd.DataFrame = _parsed(name, parse)
    return found


def picture(folder: Path, name: str) -> Image.Image:
    """A picture in RGB."""

    def parse() -> Image.Image:
        with Image.open(io.BytesIO(content(folder, name)), formats=["PNG"]) as found:
            if found.width * found.height > PIXELS:
                raise ValueError(f"{found.width} x {found.height} pixels are too many")
            return found.convert("RGB")

    found: Image.Image = _parsed(name, parse)
    return found


def sound(folder: Path, name: str) -> tuple[Float[np.ndarray, "*sample"], int]:
    """The samples of a sound and their rate."""

    def parse() -> tuple[Any, int]:
        with soundfile.SoundFile(io.BytesIO(content(folder, name))) as found:
            if found.frames * found.channels > SAMPLES or not 0 < found.samplerate <= 192_000:
                raise ValueError(f"{found.frames} samples at {found.samplerate} Hz are not played")
            return found.read(), found.samplerate

    found: tuple[Any, int] = _parsed(name, parse)
    return found


def checked_scores(found: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Scores of the right kinds, and what was wrong with the others."""
    kept: dict[str, Any] = {}
    wrong = []
    settings = found.get("settings")
    for key, value in found.items():
        if key == "settings":
            continue
        if _is_number(value) or value is None:
            kept[key] = value
        elif (matrix := _matrix(value)) is not None:
            kept[key] = matrix
        else:
            wrong.append(f"{key[:60]} is {str(value)[:60]!r}, expected a number or a matrix")
    if isinstance(settings, dict) and _is_settings(settings):
        kept["settings"] = settings
    else:
        wrong.append("settings are missing or of the wrong kind")
    return kept, wrong


def checked_facts(found: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Facts of a run of the right kinds, and what was wrong with the others."""
    kinds = {"hardware": dict, "packages": dict, "seconds": float, "git_commit": str, "git_changes": str}
    kinds |= {"git_dirty": bool, "sessions": list, "python": str, "started": str, "command": str, "format": int}
    kept, wrong = {}, []
    for key, value in found.items():
        kind = kinds.get(key)
        may_miss = value is None and key.startswith("git_")
        if may_miss or (kind is float and _is_number(value)) or (kind and isinstance(value, kind)):
            kept[key] = value
        else:
            wrong.append(f"{key[:60]} is {str(value)[:60]!r}")
    kept["sessions"] = [session for session in kept.get("sessions") or [] if isinstance(session, dict)]
    return kept, wrong


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(f"{name}.npy") as part:
        size = archive.getinfo(f"{name}.npy").file_size
        version = np.lib.format.read_magic(part)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(part)
        if dtype.hasobject or int(np.prod(shape, dtype=object)) * dtype.itemsize > size:
            raise ValueError(f"{name} is said to be {dtype} {list(shape)}, in {size:,} bytes")
        values = np.frombuffer(part.read(), dtype=dtype)
    return values.reshape(shape, order="F" if fortran else "C")


def _parsed(name: str, parse: Callable[[], Any]) -> Any:
    """What a file holds; whatever a library says of a damaged one becomes a ValueError."""
    try:
        return parse()
    except Exception as error:
        if isinstance(error, ValueError) and str(error).startswith(name):
            raise
        raise ValueError(f"{name} is damaged: {line_of(error)}") from error


def _wrong(config: Any) -> str:
    """The first entry of a resolved config that is not of the kind that it has to be, empty for none."""
    if not isinstance(config, dict):
        return "it holds no config"
    for key in (NODES | MAPPINGS) & config.keys():
        if not isinstance(config[key], dict | None):
            return f"{key} is {str(config[key])[:60]!r}"
    if not isinstance(config.get("objective"), dict):
        return "there is no objective"
    if type(config.get("seed")) is not int:
        return f"seed is {str(config.get('seed'))[:60]!r}"
    name = config.get("strength")
    if not isinstance(name, str | None):
        return f"strength is {str(name)[:60]!r}"
    strength = option(config, name or "")
    if strength is not None and not _is_number(strength):
        return f"{str(name)[:60]} is {str(strength)[:60]!r}"
    return ""


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _matrix(value: Any) -> np.ndarray | None:
    try:
        matrix = np.array(value, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        return None
    return matrix if matrix.ndim == 2 and matrix.size else None


def _is_settings(settings: Mapping[str, Any]) -> bool:
    factors, left_out, count = (settings.get(key) for key in ("factors", "left_out", "codes"))
    words = ("method", "supervision", "preset")
    return (
        (factors is None or (isinstance(factors, list) and all(isinstance(name, str) for name in factors)))
        and (left_out is None or (isinstance(left_out, list) and all(type(number) is int for number in left_out)))
        and (count is None or (type(count) is int and 0 < count < 100_000))
        and all(isinstance(settings.get(word, ""), str) for word in words)
    )
