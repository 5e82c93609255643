"""Files that are written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL = ".partial"


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A place beside a file to write it to, which takes the file's name in the end; removed where writing fails.

    At every moment the path holds the old file or the new, whoever else writes it.

    Raises:
        OSError: naming the file, where it cannot be written.

    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        # A full disk is known by its file.
        raise type(error)(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with written_whole(path) as temporary:
        # A name that is no text has question marks in it.
        temporary.write_text(text, encoding="utf-8", errors="replace")


def remove_temporary(folder: Path) -> None:
    """Remove what killed processes left of files they were writing."""
    for path in folder.rglob(f".*{PARTIAL}"):
        path.unlink(missing_ok=True)
