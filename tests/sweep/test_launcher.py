"""What a vectorised sweep refuses of a run before anything is trained, and which runs it takes for alike."""

from pathlib import Path

import pytest

from conftest import TOY
from disentone.run import train
from disentone.run.folder import RunFolder
from disentone.sweep import launcher

QUIET = ("experiment=quickstart", *TOY, "logger=csv")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["+trainer.accumulate_grad_batches=2"], "need trainer.accumulate_grad_batches=1, got 2"),
        (["+trainer.gradient_clip_val=1.0"], "need trainer.gradient_clip_val=None, got 1.0"),
        (["trainer.max_epochs=3"], "need trainer.max_epochs=-1, got 3"),
        (["+trainer.max_time=00:01:00:00"], "need trainer.max_time=None, got 00:01:00:00"),
        (["trainer.limit_train_batches=0.5"], "need trainer.limit_train_batches=1.0, got 0.5"),
        (["trainer.check_val_every_n_epoch=1"], "need trainer.check_val_every_n_epoch=None, got 1"),
        (
            ["trainer.val_check_interval=00:00:10:00"],
            "need trainer.val_check_interval=a number of steps, got 00:00:10:00",
        ),
        (
            [
                "+callbacks.early._target_=pytorch_lightning.callbacks.EarlyStopping",
                "+callbacks.early.monitor=validation/elbo",
            ],
            "callbacks: EarlyStopping acts in on_train_epoch_end",
        ),
    ],
)
def test_what_is_not_each_runs_own_is_refused(words: list[str], message: str, compose_config, tmp_path: Path) -> None:
    toy = [word for word in QUIET if word.split("=")[0] not in {given.split("=")[0] for given in words}]
    run = train.begin(compose_config([*toy, *words]), RunFolder(tmp_path / "run"), max_steps=0)
    with pytest.raises(ValueError, match=message):
        launcher.check(run)


@pytest.mark.parametrize(
    ("words", "is_alike"),
    [
        (["objective.beta=2"], True),
        (["seed=1"], True),
        (["objective/schedule=warmup"], False),
        (["optimizer.lr=0.5"], False),
        (["data.batch_size=8"], False),
        (["objective.beta=2", "optimizer.lr=${objective.beta}"], False),
    ],
)
def test_runs_are_alike_that_differ_in_seeds_and_numbers_of_the_objective(
    words: list[str], is_alike: bool, compose_config, tmp_path: Path
) -> None:
    kinds = []
    linked = [word for word in words if "${" in word]
    for number, own in enumerate((linked, words)):
        toy = [word for word in QUIET if word.split("=")[0] not in {given.split("=")[0] for given in own}]
        folder = tmp_path / f"{number}"
        kinds.append(launcher.kind(train.begin(compose_config([*toy, *own], folder), RunFolder(folder), max_steps=0)))
    assert (kinds[0] == kinds[1]) == is_alike


def test_runs_of_other_seeds_are_shown_other_batches(compose_config) -> None:
    configs = [compose_config([*QUIET, word]) for word in ("seed=0", "objective.beta=2", "seed=1", "synth.seed=1")]
    first, *others = [launcher.seeds(train.config.resolved(cfg)) for cfg in configs]
    assert [seeds == first for seeds in others] == [True, False, False]
