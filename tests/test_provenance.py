"""Which code a run was made with: the package's own checkout, never a repository around it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from disentone.provenance import _git


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    return subprocess.run(
        ["git", "-C", str(folder), *who, *arguments], capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository of which the package is a part, committed."""
    for name in ("src/disentone/__init__.py", "conf/train.yaml", "README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("first")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def found(checkout: Path) -> dict:
    return _git(checkout / "src" / "disentone")


def test_a_clean_checkout_is_its_commit(checkout: Path) -> None:
    commit = git(checkout, "rev-parse", "HEAD").strip()
    assert found(checkout) == {"git_commit": commit, "git_dirty": False, "git_changes": None}


@pytest.mark.parametrize("name", ["README.md", "my_conf/synth/bells.yaml", "outputs/run/config.yaml"])
def test_what_changes_no_number_is_no_change(checkout: Path, name: str) -> None:
    (checkout / name).parent.mkdir(parents=True, exist_ok=True)
    (checkout / name).write_text("second")
    assert found(checkout)["git_dirty"] is False


@pytest.mark.parametrize("name", ["src/disentone/__init__.py", "conf/train.yaml", 'conf/synth/b\u00e4r "x".yaml'])
def test_two_changed_checkouts_are_told_apart(checkout: Path, name: str) -> None:
    digests = []
    for text in ("second", "third"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text(text)
        assert found(checkout)["git_dirty"] is True
        digests.append(found(checkout)["git_changes"])
    assert digests[0] != digests[1]
    (checkout / name).unlink()
    assert found(checkout)["git_changes"] not in digests


def test_an_installed_package_has_no_commit_of_the_repository_around_it(checkout: Path) -> None:
    installed = checkout / ".venv" / "lib" / "site-packages" / "disentone"
    shutil.copytree(checkout / "src" / "disentone", installed)
    assert _git(installed) == {"git_commit": None, "git_dirty": None, "git_changes": None}


def test_without_a_repository_there_is_no_commit(tmp_path: Path) -> None:
    (tmp_path / "src" / "disentone").mkdir(parents=True)
    assert _git(tmp_path / "src" / "disentone")["git_commit"] is None


def test_looking_leaves_the_users_repository_alone(checkout: Path) -> None:
    (checkout / "src" / "disentone" / "__init__.py").touch()
    os.utime(checkout / "conf" / "train.yaml", (1, 1))
    index = checkout / ".git" / "index"
    before = index.read_bytes(), index.stat().st_mtime_ns
    assert _git(checkout / "src" / "disentone")["git_dirty"] is False
    assert (index.read_bytes(), index.stat().st_mtime_ns) == before
