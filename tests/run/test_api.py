"""Training from Python: twice in one process, the command's own folder, the loaded run as the answer."""

import json
from pathlib import Path

import pytest

import disentone
from conftest import TOY
from disentone.run.folder import RunFolder, State

QUIET = ["experiment=quickstart", *TOY, "logger=csv", "metrics.metrics=[mig]"]


def test_a_run_from_python_is_the_commands(finished_run: Path, tmp_path: Path) -> None:
    run = disentone.train(["experiment=quickstart", *TOY, "logger=csv"], tmp_path / "run")
    assert RunFolder(tmp_path / "run").state is State.FINISHED
    scores = [json.loads((folder / "scores.json").read_text()) for folder in (finished_run, tmp_path / "run")]
    assert scores[0] == scores[1]
    assert run.config["objective"]["beta"] == 4
    assert run.model.latents == 10


def test_it_can_be_called_again_and_a_finished_run_is_only_loaded(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    first = disentone.train([*QUIET, "objective.beta=1"], "one")
    disentone.train([*QUIET, "objective.beta=2"])
    (named,) = (tmp_path / "outputs" / "quickstart").iterdir()
    assert RunFolder(named).state is State.FINISHED
    again = disentone.train([*QUIET, "objective.beta=1"], "one")
    assert "one is finished; nothing to do" in capsys.readouterr().out
    for name, value in first.model.state_dict().items():
        assert value.equal(again.model.state_dict()[name])
    with pytest.raises(ValueError, match="holds a run of another config"):
        disentone.train([*QUIET, "objective.beta=2"], "one")


def test_own_configs_and_classes_need_no_more_than_their_folder(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "mine" / "objective").mkdir(parents=True)
    (tmp_path / "mine" / "objective" / "heavy.yaml").write_text("_target_: heavy_objective.Heavy\nweight: 2\n")
    (tmp_path / "heavy_objective.py").write_text(
        "from disentone.objectives import Objective\n"
        "class Heavy(Objective):\n"
        "    def __init__(self, weight: float) -> None:\n"
        "        super().__init__()\n"
        "        self.weight = weight\n"
        "    def forward(self, model, batch, step):\n"
        "        output = model.decoder(model.encode(batch.image).mean)\n"
        "        loss = self.weight * model.likelihood.nll(output, batch.image).mean()\n"
        "        return {'loss': loss, 'fit': -loss.detach()}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    run = disentone.train([*QUIET, "objective=heavy"], tmp_path / "run", tmp_path / "mine")
    assert run.config["objective"]["_target_"] == "heavy_objective.Heavy"


def test_a_single_word_is_no_list(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected a list of overrides, got 'experiment=quickstart'"):
        disentone.train("experiment=quickstart", tmp_path)
