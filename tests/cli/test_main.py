"""One command with a verb for each thing to do, which starts without what it does not need."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BINARIES = Path(sys.executable).parent
PROBE = """
import json, sys
from disentone.cli.main import main
try:
    main()
finally:
    heavy = ("torch", "pytorch_lightning", "wandb", "pandas", "torchvision", "lightgbm", "sklearn")
    print(json.dumps([name for name in heavy if name in sys.modules]), file=sys.stderr)
"""


def call(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROBE, *words], cwd=folder, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--help"], 0, "usage: disentone <verb> [options]"),
        ([], 0, "usage: disentone <verb> [options]"),
        (["tain"], 2, "there is no verb tain; there are train, reproduce, evaluate, report, data, dashboard"),
        (["--nothing"], 2, "usage: disentone <verb> [options]"),
        (["train", "--help"], 0, "== Configuration groups =="),
        (["train", "--cfg", "job", "seed=7"], 0, "seed: 7"),
        (["--cfg", "job", "train", "seed=7"], 0, "seed: 7"),
        (["train", "experiment=quickstrat"], 1, "there is no such choice; did you mean quickstart?"),
        (["train", "experimnt=quickstart"], 1, "experimnt: there is no such key; did you mean experiment?"),
        (["train", "zzz=1"], 1, "zzz: there is no such key; there are callbacks, data, "),
        (["report", "--help"], 0, "usage: disentone report"),
        (["data", "--help"], 0, "usage: disentone data"),
        (["dashboard", "--help"], 0, "usage: disentone dashboard"),
        (["reproduce"], 2, "usage: disentone reproduce <run folder>"),
        (["reproduce", "nowhere"], 1, "there is no such folder"),
    ],
)
def test_what_a_command_line_means_is_told_without_torch(
    words: list[str], status: int, said: str, tmp_path: Path
) -> None:
    result = call(tmp_path, *words)
    (heavy,) = [line for line in result.stderr.splitlines() if line.startswith("[")]
    assert said in result.stdout + result.stderr
    assert result.returncode == status
    # A folder is looked at before anything is trained in it, by the classes that it may name.
    assert json.loads(heavy) == [] or words[0] == "reproduce"


def test_options_stand_before_or_after_the_verb(tmp_path: Path) -> None:
    (tmp_path / "mine" / "synth").mkdir(parents=True)
    (tmp_path / "mine" / "synth" / "few.yaml").write_text("defaults: [tones, _self_]\npartials: 3\n")
    told = {
        call(tmp_path, *words, "synth=few").stdout
        for words in (
            ["--config-dir", "mine", "data", "describe"],
            ["data", "--config-dir", "mine", "describe"],
            ["data", "describe", "--config-dir", "mine"],
        )
    }
    assert len(told) == 1
    assert "20,691 sounds" in told.pop()


@pytest.mark.parametrize("verb", ["data", "evaluate", "report", "dashboard"])
def test_the_old_names_say_the_new_one(verb: str) -> None:
    result = subprocess.run([BINARIES / f"disentone-{verb}", "--help"], capture_output=True, text=True, check=True)
    assert f"usage: disentone {verb}" in result.stdout
    assert f"disentone-{verb} is now: disentone {verb}; the old name goes with the next version" in result.stderr


def test_a_shell_completes_the_words_of_training() -> None:
    line = "disentone-train experiment=qu"
    asked = os.environ | {"COMP_LINE": line, "COMP_POINT": str(len(line))}
    command = [BINARIES / "disentone-train", "-sc"]
    found = subprocess.run([*command, "query=bash"], env=asked, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["experiment=quickstart"]
    assert not found.stderr
    script = subprocess.run([*command, "install=bash"], capture_output=True, text=True, check=True).stdout
    assert "complete -o nospace" in script
    assert "disentone-train" in script
