"""The files of a run folder, read as if a stranger had written them.

Only regular files inside the folder are opened, none above a size, and nothing in them is run. What is wrong is a
ValueError of one line that names the file.
"""

import json
import os
import stat
from pathlib import Path, PurePath
from typing import Any

LARGEST = 64_000_000
"""Bytes of the largest file that is read; whatever it unpacks to may be as large."""


def content(folder: Path, name: str) -> bytes:
    """The bytes of a file.

    Args:
        folder: of the run.
        name: of the file, relative to the folder.

    Raises:
        ValueError: for a file that is missing, lies outside, is no regular file, or is too large.

    """
    parts = PurePath(name).parts
    path = folder.joinpath(*parts)
    if not parts or PurePath(name).is_absolute() or ".." in parts:
        raise ValueError(f"{name!r} is no name of a file in the run folder")
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"{name} lies outside of the run folder")
        # A pipe would be waited for.
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        raise ValueError(f"{name} is missing") from None
    except (OSError, RuntimeError) as error:  # RuntimeError: links that go round
        raise ValueError(f"{name} cannot be read: {error}") from error
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError(f"{name} is no regular file")
        if found.st_size > LARGEST:
            raise ValueError(f"{name} is too large: {found.st_size:,} bytes, at most {LARGEST:,} are read")
        with os.fdopen(file, "rb", closefd=False) as opened:
            return opened.read(LARGEST)
    finally:
        os.close(file)


def text(folder: Path, name: str) -> str:
    """A text file; bytes that are no UTF-8 become question marks."""
    return content(folder, name).decode(errors="replace")


def mapping(folder: Path, name: str) -> dict[str, Any]:
    """The mapping in a JSON file."""
    return _json(folder, name, dict, "mapping")


def entries(folder: Path, name: str) -> list[Any]:
    """The list in a JSON file."""
    return _json(folder, name, list, "list")


def _json(folder: Path, name: str, kind: type, word: str) -> Any:
    written = text(folder, name)
    try:
        found = json.loads(written)
        json.dumps(found, ensure_ascii=False).encode()  # halves of characters are no text
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is damaged: {line_of(error)}") from error
    if not isinstance(found, kind):
        raise ValueError(f"{name} is damaged: it holds no {word}")
    return found


def line_of(error: BaseException) -> str:
    """The first line of what an error says, or its type."""
    return (str(error).splitlines() or [""])[0][:200] or type(error).__name__
