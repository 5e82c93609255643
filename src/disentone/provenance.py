"""What a run was made with: versions, commit, hardware, times."""

import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

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
    """Package versions, the git commit of the code and whether it was changed since, hardware, and the time."""
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": sys.argv,
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


def _git(folder: Path) -> dict[str, Any]:
    """Commit and dirtiness of the checkout that the package lies in; None for an installed package."""
    commit = _run_git(folder, "rev-parse", "HEAD")
    status = _run_git(folder, "status", "--porcelain") if commit else None
    return {"git_commit": commit, "git_dirty": None if status is None else bool(status)}


def _run_git(folder: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None
