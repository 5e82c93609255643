"""Files that are written whole or not at all."""

import os
from pathlib import Path


def write_atomically(path: Path, text: str) -> None:
    """Write a text file; at every moment the path holds the old text or the new, whoever else writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text)
    os.replace(temporary, path)


def remove_temporary(folder: Path) -> None:
    """Remove what killed processes left of files they were writing."""
    for path in folder.rglob("*.tmp"):
        path.unlink(missing_ok=True)
