"""What a user gets wrong is answered in one message, before any training, without a stack trace."""

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from conftest import TOY
from disentone import errors
from disentone.cli import train as cli
from disentone.report.results import SweepResults
from disentone.run.folder import RunFolder, State

BAD = [
    ("synth.factors.f0.step=0", "factor f0: step must be a number other than 0 (data.source.synth)"),
    (
        "synth.factors.f0.step=-50",
        "factor f0: a step of -50 leads away from stop 1000; start is 100 (data.source.synth)",
    ),
    (
        "synth.factors.f0.step=70",
        "factor f0: no step of 70 from 100 hits stop 1000; the nearest below is 940, the next 1010 (data.source.synth)",
    ),
    (
        "synth.factors.f0.stop=100",
        "factor f0: 1 value(s), expected at least 2; give a constant to the synth's `fixed` instead "
        "(data.source.synth)",
    ),
    ("synth.factors.f0.start=nan", "factor f0: start must be a finite number, got nan (data.source.synth)"),
    ("synth.factors.f0.start=abc", "factor f0: start must be a finite number, got 'abc' (data.source.synth)"),
    ("synth.factors.f0.stop=9000", "f0 reaches 9000 Hz; it must stay below Nyquist, 8000 Hz (data.source.synth)"),
    (
        "+synth.factors.volume={start: 0, stop: 1, step: 1}",
        "Additive has no parameter volume; it has f0, slope, inharmonicity, presence, decay, snr_db "
        "(data.source.synth)",
    ),
    (
        "+synth.factors.f0.sart=3",
        "factor f0: unknown key sart; known are unit, start, stop, step, count, spacing, values, labels "
        "(data.source.synth)",
    ),
    ("+synth.fixed.decay=-1", "decay is both a factor and fixed; remove one of the two (data.source.synth)"),
    ("+synth.fixed.presence=evn", "presence has no value evn; it has all, odd, even (data.source.synth)"),
    (
        "synth.fixed={presence: odd}",
        "synth.fixed: an entry that is not there yet is added with +synth.fixed.<name>=<value>",
    ),
    ("synth=tons", "synth=tons: there is no such choice; did you mean tones?"),
    ("frontend=ctq", "frontend=ctq: there is no such choice; did you mean cqt?"),
    ("experiment=quikstart", "experiment=quikstart: there is no such choice; did you mean quickstart?"),
    ("metrics=robst", "metrics=robst: there is no such choice; did you mean robust?"),
    ("model/likelihood=gausian", "model/likelihood=gausian: there is no such choice; did you mean gaussian?"),
    ("synt=tones", "synt: there is no such key; did you mean synth?"),
    ("synth.durations=1", "synth.durations: there is no such key; did you mean synth.duration?"),
    ("trainer.max_step=3", "trainer.max_step: there is no such key; did you mean trainer.max_steps?"),
    ("+trainer.max_step=3", "trainer.max_step: pytorch_lightning.Trainer takes no max_step; did you mean max_steps?"),
    ("synth.duration=0", "duration must hold at least one sample, got 0 s at 16000 Hz (data.source.synth)"),
    ("synth.duration=abc", "data.source.synth.duration: expected float, got 'abc'"),
    ("synth.partials=0", "partials must be at least 1, got 0 (data.source.synth)"),
    ("synth.partials=2.5", "data.source.synth.partials: expected int, got 2.5"),
    (
        "synth.amplitude_law=cubic",
        "amplitude_law must be exponential, power, linear or linear_per_k, got cubic (data.source.synth)",
    ),
    ("synth.gain=loud", "gain must be fixed or peak, got loud (data.source.synth)"),
    ("synth.onset=2", "onset must be from 0 s to below the duration (0.25 s), got 2 (data.source.synth)"),
    ("objective.beta=-1", "objective.beta must be a number of 0 or more, got -1 (objective)"),
    ("objective.beta=nan", "objective.beta must be a number of 0 or more, got nan (objective)"),
    ("objective.beta=high", "objective.beta: expected float, got 'high'"),
    ("objective.beta=", "objective.beta: expected float, got ''"),
    ("model.latents=0", "model.latents must lie in 1..4096, got 0"),
    ("model.latents=10000", "model.latents must lie in 1..4096, got 10000"),
    ("model.latents=2.5", "model.latents: expected int, got 2.5"),
    ("model.likelihood.sigma=0", "sigma must be above 0, got 0 (model.likelihood)"),
    ("model.encoder.channels=[]", "channels and hidden must be at least 1 each, got [] and 16"),
    ("model.encoder.channels=[0]", "channels and hidden must be at least 1 each, got [0] and 16"),
    ("model.encoder.channels=4", "model.encoder.channels: expected Sequence[int], got 4"),
    ("frontend.hop=0", "hop must be above 0, got 0 (data.source.frontend)"),
    (
        "frontend.fmin=130.8",
        "80 bins from 130.8 Hz reach 13.1 kHz, above Nyquist (8 kHz); use at most 71 bins (data.source.frontend)",
    ),
    ("frontend.floor_db=10", "floor_db must lie below 0 dB (and above -300), got 10 (data.source.frontend)"),
    ("data.batch_size=0", "batch_size must lie in 1..160 (the training rows), got 0 (data)"),
    ("data.batch_size=1000", "batch_size must lie in 1..160 (the training rows), got 1000 (data)"),
    ("data.mode=chached", "data.mode must be auto, on_the_fly or cached, got chached (data)"),
    (
        "data.fractions=[0.5,0.1,0.1]",
        "data.fractions must be three numbers above 0 with sum 1, got [0.5, 0.1, 0.1] (data)",
    ),
    (
        "data.max_rows=2",
        "2 rows leave a split empty: {'train': 2, 'validation': 0, 'test': 0}; write more factor values, "
        "or raise data.max_rows (data)",
    ),
    ("optimizer.lr=-1", "optimizer: Invalid learning rate: -1"),
    ("optimizer._target_=torch.optim.Adamm", "optimizer._target_: there is no torch.optim.Adamm to import"),
    ("seed=-1", "seed must lie in 0..4294967295, got -1"),
    ("seed=1.5", "seed: expected int, got 1.5"),
    (
        "+colour=blue",
        "colour: there is no such key; there are callbacks, data, frontend, logger, metrics, model, name, objective, "
        "optimizer, run_dir, seed, source, strength, sweep, synth, trainer",
    ),
    # Numbers are numbers: true is none, and a list is looked at as a whole.
    ("seed=true", "seed: expected int, got True"),
    ("objective.beta=true", "objective.beta: expected float, got True"),
    ("model.latents=true", "model.latents: expected int, got True"),
    ("model.encoder.channels=[4,true]", "model.encoder.channels: expected Sequence[int], got [4, True]"),
    ("model.encoder.hidden=true", "model.encoder.hidden: expected int, got True"),
    ("data.batch_size=true", "data.batch_size: expected int, got True"),
    ("synth.partials=true", "data.source.synth.partials: expected int, got True"),
    ("metrics.seed=-1", "metrics.seed must lie in 0..4294967295, got -1"),
    ("synth.factors.f0=5", "data.source.synth.factors.f0: expected keys with values, got 5"),
    ("+synth.fixed.snr_db=true", "data.source.synth.fixed.snr_db: expected float | str, got True"),
    (
        "+synth.fixed.snr_db=-1e9",
        "snr_db goes down to -1e+09 dB, noise that no number can hold; expected -200 dB or more (data.source.synth)",
    ),
    (
        "frontend.bins=1000000",
        "1000000 bins from 65.406 Hz reach inf kHz, above Nyquist (8 kHz); use at most 83 bins (data.source.frontend)",
    ),
    ("optimizer.lr=inf", "optimizer.lr: expected finite numbers, got inf"),
    ("optimizer.betas=[0.9,0.99]", "optimizer.betas: it is not set yet; +optimizer.betas=<value> sets it"),
    (
        "+optimizer.betas=[0.9]",
        "optimizer.betas: expected tuple[float | torch.Tensor, float | torch.Tensor], got [0.9]",
    ),
    (
        "+optimizer.betas=[0.9,high]",
        "optimizer.betas: expected tuple[float | torch.Tensor, float | torch.Tensor], got [0.9, 'high']",
    ),
    (
        "optimizer._target_=5",
        "optimizer: expected a node with a _target_, got {'_target_': 5, '_partial_': True, 'lr': 0.001}",
    ),
    # What the trainer would divide by, ignore, or fail of late.
    ("trainer.val_check_interval=0", "trainer.val_check_interval: expected a number above 0, got 0"),
    (
        "trainer.check_val_every_n_epoch=0",
        "trainer.check_val_every_n_epoch: expected a number of epochs, 1 or more, or null to count steps, got 0",
    ),
    (
        "+trainer.accumulate_grad_batches=0",
        "trainer.accumulate_grad_batches: expected a number of batches, 1 or more, got 0",
    ),
    (
        "+trainer.gradient_clip_val=-1",
        "trainer.gradient_clip_val: expected the largest norm or value, or 0 for no clipping, got -1",
    ),
    ("+trainer.gradient_clip_val=nan", "trainer.gradient_clip_val: expected finite numbers, got nan"),
    ("trainer.max_steps=-2", "trainer.max_steps: expected a number of steps, 0 or more, or -1 for no limit, got -2"),
    ("+trainer.min_steps=-5", "trainer.min_steps: expected a number of steps, 0 or more, got -5"),
    (
        "trainer.limit_train_batches=0",
        "trainer.limit_train_batches: expected a share of the batches above 0.0, or a number of them, 1 or more, since "
        "a run trains, got 0",
    ),
    (
        "trainer.limit_test_batches=0",
        "trainer.limit_test_batches: expected a share of the batches above 0.0, or a number of them, 1 or more, since "
        "a run is scored, got 0",
    ),
    *(
        (
            f"+trainer.overfit_batches={value}",
            "trainer.overfit_batches: expected 0, since the order of rows is not Lightning's; data.max_rows=<few> "
            f"trains on a few rows over and over, got {value}",
        )
        for value in (1, 0.5)
    ),
    *(
        (
            f"trainer.devices={written}",
            f"trainer.devices: expected auto, or a number of devices, 1 or more, got {value!r} (on a CPU)",
        )
        for written, value in (("-2", -2), ("-1", -1), ("0", 0), ("abc", "abc"), ("[0,5]", [0, 5]))
    ),
    ("trainer.accelerator=tpu", "trainer.accelerator: expected auto, cpu, gpu, cuda or mps, got 'tpu'"),
    ("metrics.rows=0", "metrics.rows must be at least 2, since scores compare rows, got 0 (metrics)"),
    ("metrics.rows=-5", "metrics.rows must be at least 2, since scores compare rows, got -5 (metrics)"),
    (
        "metrics.validation_rows=1",
        "metrics.validation_rows must be at least 2, since scores compare rows, got 1 (metrics)",
    ),
    # Groups, references and overrides.
    (
        "experiment=null",
        "experiment=null: expected <group>=<name of a choice>; there are beta_sweep, beta_sweep_smooth, mnist, "
        "mnist_betas, networks, noise, quickstart, syntone, tones, waveform",
    ),
    ("logger=null", "logger=null: expected <group>=<name of a choice>; there are csv, wandb"),
    ("callbacks=null", "callbacks: expected names, each with a node; callbacks={} has none; got None"),
    ("~logger", "logger: it is missing, and every run needs it; logger={} has none"),
    ("~optimizer", "optimizer: it is missing, and every run needs it"),
    ("trainer=null", "trainer: expected a node with a _target_, got None"),
    ("objective.beta=${none}", "objective.beta: it refers to none, which is not there; give one of the two a value"),
    ("objective.beta=${objective.beta}", "objective.beta: it refers to itself; give it a value"),
    (
        "objective.beta=${oc.env:NOT_SET}",
        "objective.beta: Environment variable 'NOT_SET' is not set; set it, or write ${oc.env:NAME,default}",
    ),
    ("model.encoder.kernel=3", "model.encoder.kernel: there is no such key; did you mean model.encoder.channels?"),
    ("+optimizer.lr=3", "optimizer.lr: it is set already; no + then"),
    (
        "colour",
        "colour: an override is written key=value, with quotes around values that have spaces, commas, quotes or "
        "brackets",
    ),
    ("resume=nowhere", "resume=nowhere: there is no such folder"),
    ("resume=.", "resume=. is no run folder: it has no config.yaml"),
]


def call(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> str | int | None:
    """The command in a folder; its exit status or message, None if it ran through."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["disentone train", *arguments])
    monkeypatch.setattr(SweepResults, "folder", None)
    try:
        cli.main()
    except SystemExit as end:
        return end.code
    return None


@pytest.mark.parametrize(("override", "message"), BAD, ids=[override for override, _ in BAD])
def test_a_mistake_is_answered_before_any_training(override, message, monkeypatch, tmp_path: Path, capfd) -> None:
    base = [] if override.startswith("resume=") else ["experiment=quickstart", *TOY, "logger=csv"]
    assert call(monkeypatch, tmp_path, *base, override) == f"disentone: {message}"
    printed = "".join(capfd.readouterr())
    assert "Traceback" not in printed
    left = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert set(left) <= {"config.yaml", "hydra.yaml", "overrides.yaml", "train.log", "error.txt", ".lock"}


TONE = "_target_: disentone.synths.Additive\nsample_rate: 16000\n"
F0 = "f0: {start: 100, stop: 1000, step: 50}"
OWN = [
    (
        f"{TONE}factors: {{{F0}, decay: {{values: 5}}}}",
        "factor decay: values must be a list of numbers, got 5 (data.source.synth)",
    ),
    (
        f"{TONE}factors: {{{F0}, decay: {{start: 0, stop: 10, count: 1e9}}}}",
        "factor decay: count must be a whole number, got 1000000000.0 (data.source.synth)",
    ),
    (
        f"{TONE}factors: {{{F0}, decay: {{start: 0, stop: 10, step: 1e-9}}}}",
        "factor decay: 10,000,000,001 values, expected at most 2,000,000; take fewer, and let data.continuous=true "
        "draw between them (data.source.synth)",
    ),
    (
        f"{TONE}factors: [{{{F0}}}]",
        "data.source.synth.factors: expected keys with values, got [{'f0': {'start': 100, 'stop': 1000, 'step': 50}}]",
    ),
    (
        f"{TONE}factors:\n\tf0: 5",
        "{file}, line 4, column 1: found character '\\t' that cannot start any token; YAML is indented by spaces",
    ),
    (f"{TONE}factors: {{{F0}\n", "{file}, line 4, column 1: expected ',' or '}', but got '<stream end>'"),
    (f"{TONE}seed: 1\nseed: 2", "{file}, line 4, column 1: found duplicate key seed"),
    (f"defaults: [own]\n{TONE}", "synth/own.yaml: its defaults list leads back to it; take out the entry that does"),
    (
        f"defaults: [toness]\n{TONE}",
        "synth/own.yaml, in its defaults list: synth=toness: there is no such choice; did you mean tones?",
    ),
    ("- 1\n- 2", "synth: expected a node with a _target_, got [1, 2]"),
    ("", "synth: expected a node with a _target_, got {}"),
    ("5", "{file}: expected keys and values in UTF-8; Invalid loaded object type: int"),
    (
        f"{TONE}# Gerät".encode("latin-1"),
        "{file}: expected keys and values in UTF-8; 'utf-8' codec can't decode byte 0xe4 in position 60: invalid "
        "continuation byte",
    ),
    (
        f"{TONE.splitlines()[0]}\nfactors: {{{F0}}}",
        "frontend.sample_rate: it refers to synth.sample_rate, which is not there; give one of the two a value",
    ),
]


@pytest.mark.parametrize(("content", "message"), OWN, ids=[str(content)[-40:] for content, _ in OWN])
def test_a_mistake_in_a_users_own_file_is_answered_by_its_place(content, message, monkeypatch, tmp_path: Path) -> None:
    written = tmp_path / "mine" / "synth" / "own.yaml"
    written.parent.mkdir(parents=True)
    written.write_bytes(content if isinstance(content, bytes) else content.encode())
    answer = call(monkeypatch, tmp_path, "--config-dir", "mine", "synth=own", "logger=csv")
    assert answer == f"disentone: {message}".replace("{file}", str(written))


def test_an_experiment_without_its_package_is_told_what_it_lacks(monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "experiment" / "own.yaml").write_text("objective: {beta: 1}")
    answer = str(call(monkeypatch, tmp_path, "--config-dir", "mine", "experiment=own", "logger=csv"))
    assert answer.startswith("disentone: experiment: there is no such key")
    assert "`# @package _global_`" in answer


def test_an_option_of_another_front_end_is_no_option_of_waveforms(monkeypatch, tmp_path: Path) -> None:
    answer = call(monkeypatch, tmp_path, "experiment=waveform", "frontend.bins=10")
    assert answer == (
        "disentone: frontend.bins: the frontend that is chosen here has no bins; --cfg job shows what it has"
    )


def test_adams_betas_are_a_list_in_yaml(monkeypatch, tmp_path: Path) -> None:
    betas = "+optimizer.betas=[0.5,0.75]"
    assert call(monkeypatch, tmp_path, "experiment=quickstart", *TOY, "logger=csv", betas, "hydra.run.dir=run") is None
    checkpoint = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["optimizer_states"][0]["param_groups"][0]["betas"] == (0.5, 0.75)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_device_that_is_not_there_is_named(monkeypatch, tmp_path: Path) -> None:
    answer = call(monkeypatch, tmp_path, "experiment=quickstart", *TOY, "logger=csv", "trainer.accelerator=gpu")
    assert answer == (
        "disentone: trainer: No supported gpu backend found!; "
        "trainer.accelerator=auto with trainer.devices=1 runs anywhere"
    )


def test_a_misspelt_key_in_a_users_own_file_is_found(monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    written = tmp_path / "mine" / "experiment" / "own.yaml"
    for text, message in (
        ("trainr: {max_steps: 5}", "trainr: there is no such key; did you mean trainer?"),
        ("model: {encoder: {chanels: [4]}}", "takes no chanels; did you mean channels?"),
        ("callbacks: {reconstruction: {count: 2}}", "callbacks.reconstruction: expected a node with a _target_"),
    ):
        written.write_text(f"# @package _global_\n{text}\n")
        answer = call(monkeypatch, tmp_path, "--config-dir", "mine", "experiment=own", "logger=csv")
        assert message in str(answer)


def test_the_stack_trace_comes_when_asked_for(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(Exception, match=r"model\.latents must lie in"):
        call(monkeypatch, tmp_path, "experiment=quickstart", *TOY, "logger=csv", "model.latents=0")


def test_our_own_faults_are_not_hidden(monkeypatch, tmp_path: Path) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr("disentone.run.train.train", broken)
    with pytest.raises(RuntimeError, match="ours"):
        call(monkeypatch, tmp_path, "experiment=quickstart", *TOY)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished toy run, in a folder ``done``."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        arguments = ["experiment=quickstart", *TOY, "logger=csv", "callbacks.last.every_n_train_steps=1"]
        assert call(patch, folder, *arguments, "hydra.run.dir=done") is None
    return folder


def begun(finished: Path, folder: Path) -> Path:
    """The run as a kill before its scores would have left it."""
    run = folder / "begun"
    shutil.copytree(finished / "done", run)
    (run / "run.json").unlink()
    return run


def test_a_finished_run_cannot_be_resumed(finished: Path, monkeypatch) -> None:
    answer = call(monkeypatch, finished, "resume=done")
    assert answer == f"disentone: {finished / 'done'} is finished: its scores are in scores.json"


def test_a_run_is_resumed_as_it_was_or_not_at_all(finished: Path, monkeypatch, tmp_path: Path) -> None:
    begun(finished, tmp_path)
    answer = call(monkeypatch, tmp_path, "resume=begun", "experiment=tones")
    assert (
        answer
        == "disentone: resume=begun continues a run as it was configured; it cannot be combined with experiment=tones"
    )


def test_a_truncated_newest_checkpoint_falls_back_and_says_so(finished: Path, monkeypatch, tmp_path, capsys) -> None:
    run = begun(finished, tmp_path)
    last = run / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    assert call(monkeypatch, tmp_path, "resume=begun") is None
    assert re.search(r"last.ckpt is damaged: .*; going back to previous.ckpt", capsys.readouterr().out)
    before, after = (json.loads((folder / "scores.json").read_text()) for folder in (finished / "done", run))
    assert before == after


class Hostile:
    """Would create a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def test_a_hostile_checkpoint_runs_no_code(finished: Path, monkeypatch, tmp_path: Path) -> None:
    run, trap = begun(finished, tmp_path), tmp_path / "trap"
    for name in ("last.ckpt", "previous.ckpt"):
        (run / "checkpoints" / name).write_bytes(pickle.dumps({"state_dict": Hostile(trap)}))
    assert "last.ckpt is damaged: File is not a zip file" in str(call(monkeypatch, tmp_path, "resume=begun"))
    torch.save({"state_dict": Hostile(trap)}, run / "checkpoints" / "last.ckpt")
    (run / "checkpoints" / "previous.ckpt").unlink()
    assert "last.ckpt holds more than tensors and plain values" in str(call(monkeypatch, tmp_path, "resume=begun"))
    assert not trap.exists()


def test_wandb_out_of_reach_is_said_before_training(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "3")
    answer = str(call(monkeypatch, tmp_path, "experiment=quickstart", *TOY))
    assert answer.startswith("disentone: Weights & Biases: ")
    assert "WANDB_MODE=offline keeps the run in its folder" in answer
    assert not list(tmp_path.rglob("*.ckpt"))


def test_a_full_disk_is_named(monkeypatch, tmp_path: Path) -> None:
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(tmp_path)], capture_output=True)
    if mount.returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        answer = str(
            call(monkeypatch, tmp_path, "experiment=quickstart", *TOY, "logger=csv", "model.encoder.hidden=300")
        )
        assert "No space left on device" in answer
    finally:
        monkeypatch.chdir("/")
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_a_run_folder_may_have_any_name(finished: Path, monkeypatch, tmp_path: Path) -> None:
    folder = tmp_path / 'o\'q, [x]="$y" ü'
    folder.mkdir()
    run = begun(finished, folder)
    assert call(monkeypatch, tmp_path, f"resume={run}") is None
    assert RunFolder(run).state is State.FINISHED


def test_a_failed_job_is_not_announced_by_overrides_that_nobody_typed(monkeypatch, tmp_path: Path, capfd) -> None:
    call(monkeypatch, tmp_path, "-m", "experiment=quickstart", *TOY, "logger=csv", "objective.beta=-1")
    assert "Error executing job" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("given", [None, "1"])
def test_processes_of_the_command_have_the_users_own_environment(
    given: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(errors.FULL, raising=False)
    if given:
        monkeypatch.setenv(errors.FULL, given)
    with errors.readable([]):
        assert errors.environment().get(errors.FULL) == given
    assert os.environ.get(errors.FULL) == given
