"""What a run was made with: versions, commit, hardware, times."""

import hashlib
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

COMMAND = "DISENTONE_COMMAND"
"""The environment variable that tells the processes of a command how it was typed."""
PACKAGES = (
    "disentone",
    "torch",
    "torchaudio",
    "pytorch-lightning",
    "hydra-core",
    "omegaconf",
    "nnAudio",
    "wandb",
    "numpy",
    "scikit-learn",
    "lightgbm",
)


def provenance() -> dict[str, Any]:
    """Package versions, the git commit of the code and what was changed since, hardware, and the time."""
    import torch  # only now: what a folder says of itself is read without

    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": os.environ.get(COMMAND) or shlex.join(sys.argv),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        **_git(Path(__file__).parent),
        "hardware": {
            "system": platform.platform(),
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }


def code(facts: Mapping[str, Any]) -> str:
    """Which code a session ran, in words: a commit with the digest of its changes, or a version."""
    commit = facts.get("git_commit")
    if not commit:
        packages = facts.get("packages")
        return f"version {packages.get('disentone')}" if isinstance(packages, dict) else "an unknown version"
    changes = facts.get("git_changes")
    return f"commit {commit}" + (f" with changes {changes}" if changes else "")


def _git(package: Path) -> dict[str, Any]:
    """The commit of the package's own checkout, whether its code was changed since, and a digest of the changed files.

    All None for an installed package, also where that lies inside a repository of somebody else. What lies outside of
    ``src`` and ``conf`` changes no number and does not count.

    Args:
        package: the folder of the package's ``__init__.py``.

    """
    top = _run_git(package, "rev-parse", "--show-toplevel")
    if top is None or Path(top) / "src" / package.name != package.resolve():
        return {"git_commit": None, "git_dirty": None, "git_changes": None}
    # -z, so that no name is quoted; of a renamed file both names stand there, each by itself.
    listed = _run_git(Path(top), "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "src", "conf")
    changed = sorted(entry[3:] for entry in (listed or "").split("\0") if entry)
    digest = hashlib.sha256()
    for name in changed:
        path = Path(top) / name
        digest.update(name.encode() + b"\0" + (path.read_bytes() if path.is_file() else b"gone") + b"\0")
    return {
        "git_commit": _run_git(package, "rev-parse", "HEAD"),
        "git_dirty": bool(changed),
        "git_changes": digest.hexdigest()[:16] if changed else None,
    }


def _run_git(folder: Path, *arguments: str) -> str | None:
    # Without locks: of a run that is killed while git looks, a lock would stay in the user's repository.
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.rstrip("\n") if result.returncode == 0 else None
