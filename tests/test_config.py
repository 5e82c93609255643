"""Every stored config composes, means what it says, and trains."""

import math
from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf

from conftest import EXPERIMENTS, toy
from disentone import config
from disentone.run.train import train
from disentone.signatures import accepted
from disentone.sweep.naming import folder_name
from disentone.synths import Additive

GROUPS = {
    f"{path.parent.relative_to(config.config_dir())}={path.stem}": path
    for path in sorted(config.config_dir().rglob("*.yaml"))
    if path.parent != config.config_dir() and path.parent.name != "experiment"
}


@pytest.mark.parametrize("choice", GROUPS)
def test_every_choice_composes_and_its_keys_are_its_targets_arguments(choice: str, compose_config) -> None:
    config.check(compose_config([choice]))


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_trains_two_steps_and_is_scored(experiment: str, compose_config, tmp_path: Path) -> None:
    chosen = f"experiment={experiment}"
    chosen_metrics = [] if experiment.startswith("mnist") else ["metrics.metrics=[mig]"]
    train(compose_config([chosen, *toy([chosen]), *chosen_metrics, "logger=csv"]))
    scores = yaml.safe_load((tmp_path / "run" / "scores.json").read_text())
    assert scores["step"] == 2
    assert all(math.isfinite(scores[key]) for key in ("elbo", "kl"))
    # Toy rows may be too few for a factor of many values.
    assert any(scores[key] is not None for key in scores if key.startswith("mig/"))


@pytest.mark.parametrize("model", ["mlp", "attention_rnn", "broadcast", "conv1d", "conv2d"])
def test_every_network_trains_and_is_heard(model: str, compose_config, tmp_path: Path) -> None:
    chosen = [f"model={model}", "logger=csv", f"frontend={'waveform' if model == 'conv1d' else 'cqt'}"]
    train(compose_config([*chosen, *toy(chosen), "metrics.metrics=[mig]"]))
    entries = yaml.safe_load((tmp_path / "run" / "sounds" / "sounds.json").read_text())
    assert [Path(entry["picture"]).stem.split("_")[0] for entry in entries] == ["reconstruction", "traversal"]


@pytest.mark.parametrize("frontend", ["stft", "mel", "vqt"])
def test_every_front_end_trains_and_is_heard(frontend: str, compose_config, tmp_path: Path) -> None:
    chosen = [f"frontend={frontend}", "logger=csv"]
    train(compose_config([*chosen, *toy(chosen), "metrics.metrics=[mig]"]))
    assert len(list((tmp_path / "run" / "sounds").glob("*.wav"))) == 4


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (
            ["model=conv1d"],
            r"conv1d needs waveforms of shape .*, got \(1, 80, 63\); take frontend=waveform",
        ),
        (
            ["frontend=waveform"],
            r"conv2d needs images of shape .*, got \(1, 16000\); waveforms go with model=conv1d",
        ),
        (["frontend=waveform", "model=broadcast"], r"conv2d needs images|broadcast needs images"),
        (["frontend=waveform", "model=attention_rnn"], r"attention_rnn needs images"),
        (["frontend=waveform", "model=conv1d", "model/likelihood=bernoulli"], r"Bernoulli needs images in \[0, 1\]"),
    ],
)
def test_a_network_that_does_not_fit_the_image_stops_before_training(
    choices: list[str], message: str, compose_config, tmp_path: Path
) -> None:
    with pytest.raises(Exception, match=message):
        train(compose_config([*choices, "logger=csv", "data.mode=on_the_fly"]))
    assert not (tmp_path / "run" / "config.yaml").exists()


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_instantiates_at_its_own_size(experiment: str, compose_config) -> None:
    cfg = compose_config([f"experiment={experiment}"])
    config.check(cfg)
    data = instantiate(cfg.data)
    vae = instantiate(cfg.model)(data.shape)
    assert vae(data.images(data.rows("test")[:2])).shape == (2, *data.shape)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "+model.encoder.chanels=[4]",
            "model.encoder.chanels: disentone.models.ConvEncoder takes no chanels; did you mean channels?",
        ),
        ("+synth.durations=1", "synth.durations: disentone.synths.Additive takes no durations; did you mean duration?"),
        ("+objective.schedule.steps=3", "objective.schedule.steps: disentone.objectives.Constant takes no steps"),
        (
            "+trainer.max_step=3",
            "trainer.max_step: pytorch_lightning.Trainer takes no max_step; did you mean max_steps?",
        ),
        ("+callbacks.progress.run_dirs=x", "did you mean run_dir?"),
    ],
)
def test_a_key_that_its_target_does_not_take_is_named_with_the_nearest(
    override: str, message: str, compose_config
) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?").replace("[", r"\[")):
        config.check(compose_config([override]))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "strength=objective.schedule",
            "strength: expected the name of an option that is a number, objective.schedule is",
        ),
        (
            "strength=data.continuous",
            "strength: expected the name of an option that is a number, data.continuous is False",
        ),
        ("strength=[a]", r"strength: expected str \| None, got \['a'\]"),
    ],
)
def test_a_strength_is_the_name_of_a_number(override: str, message: str, compose_config) -> None:
    with pytest.raises(ValueError, match=message):
        config.check(compose_config([override]))


def test_the_presets_are_stated_in_full() -> None:
    """Every option of a preset is in its file, so that its name means one thing."""
    additive = [OmegaConf.load(GROUPS[f"synth={name}"]) for name in ("tones", "tones_noisy", "tones_smooth")]
    keys = [set(cfg) - {"factors"} for cfg in additive]
    stated = accepted(Additive).keys() - {"factors"} | {"_target_"}
    assert keys == [stated] * 3


def test_folder_names_are_short_plain_and_stable() -> None:
    assert folder_name("objective.beta=4,seed=0") == "objective.beta=4,seed=0"
    assert folder_name("objective/schedule=warmup") == "objective_schedule=warmup"
    assert folder_name("") == "run"
    assert folder_name("model.encoder.channels=[4,8]") == "model.encoder.channels=_4,8_"
    assert len({folder_name(f"name={name}") for name in ("x y", "x:y", "x_y")}) == 3
    long = [folder_name("x" * 300 + end) for end in "aab"]
    assert long[0] == long[1] != long[2]
    assert len(long[0]) < 200


@pytest.mark.parametrize("name", ["quickstart", "tones", "beta_sweep", "beta_sweep_smooth", "syntone"])
def test_the_contrastive_method_goes_with_the_experiments_of_tones(name: str, compose_config) -> None:
    cfg = compose_config([f"experiment={name}", "method=contrastive"])
    config.check(cfg)
    assert cfg.objective._target_.endswith("Contrastive")
    assert cfg.model.encoder._target_.endswith("WhitenedMLP")
    assert (cfg.trainer.max_steps, cfg.objective.refine_at, cfg.objective.read_out_at) == (5000, 1500, 3000)


def test_held_out_scores_follow_the_preset(compose_config) -> None:
    cfg = compose_config(["experiment=quickstart", "metrics=robust", "data/held_out=region"])
    assert cfg.callbacks.held_out.preset == cfg.metrics.preset == "robust"


def settings(compose_config, *overrides: str) -> dict[str, str]:
    return config.settings(compose_config(["experiment=quickstart", *overrides]))


def test_settings_are_values_and_not_their_spelling(compose_config) -> None:
    spelt = [settings(compose_config, f"objective.beta={beta}") for beta in ("4", "4.0", "4e0")]
    assert spelt[0] == spelt[1] == spelt[2]
    assert spelt[0]["objective.beta"] == "4"
    referred, written = (
        config.resolved(compose_config([f"objective.beta={beta}"])) for beta in ("${model.latents}", "10")
    )
    assert config.differences(referred, written) == []
    assert settings(compose_config, "synth.factors.f0.start=100.0") == settings(compose_config)


def test_a_share_of_the_batches_is_no_number_of_them(compose_config) -> None:
    every, one = (settings(compose_config, f"trainer.limit_train_batches={part}") for part in ("1.0", "1"))
    assert every != one


def test_the_runs_own_seed_is_one_setting(compose_config) -> None:
    first, second = (settings(compose_config, f"seed={seed}") for seed in (0, 1))
    assert {name for name in first.keys() | second.keys() if first.get(name) != second.get(name)} == {"seed"}
    fixed = settings(compose_config, "seed=1", "data.seed=0")
    assert fixed["data.seed"] == "0"


@pytest.mark.parametrize(
    ("override", "difference"),
    [
        ("callbacks.held_out.metrics=[sap]", "callbacks.held_out.metrics was [mig, sap, mcc], is [sap]"),
        ("callbacks.held_out.rows=10", "callbacks.held_out.rows was 2000, is 10"),
        (
            "+callbacks.stop={_target_: pytorch_lightning.callbacks.EarlyStopping, monitor: validation/loss}",
            "callbacks.stop._target_ was None, is pytorch_lightning.callbacks.EarlyStopping",
        ),
        ("metrics.preset=robust", "callbacks.held_out.preset was dlib, is robust"),
        ("optimizer.lr=1", "optimizer.lr was 0.001, is 1"),
    ],
)
def test_a_callback_that_decides_results_makes_another_run(override: str, difference: str, compose_config) -> None:
    one, other = (config.resolved(compose_config(["experiment=quickstart", *more])) for more in ([], [override]))
    assert difference in config.differences(one, other)


@pytest.mark.parametrize(
    "override",
    [
        "callbacks.reconstructions.count=3",
        "callbacks.traversals.steps=3",
        "callbacks.listening.count=3",
        "callbacks.last.every_n_train_steps=3",
        "~callbacks.progress",
        "+callbacks.compiled._target_=disentone.callbacks.CompiledNetwork",
        "logger=csv",
        "data.num_workers=2",
        "data.cache_dir=elsewhere",
        "trainer.devices=2",
        "sweep=other",
    ],
)
def test_what_is_only_shown_or_where_it_runs_makes_no_other_run(override: str, compose_config, tmp_path: Path) -> None:
    one = config.resolved(compose_config(["experiment=quickstart"]))
    other = config.resolved(compose_config(["experiment=quickstart", override], tmp_path / "elsewhere"))
    assert config.differences(one, other) == []


@pytest.mark.parametrize("method", sorted(path.stem for path in (config.config_dir() / "method").glob("*.yaml")))
@pytest.mark.parametrize("experiment", ["quickstart", "noise", "waveform", "mnist"])
def test_every_method_goes_with_experiments_of_every_kind(method: str, experiment: str, compose_config) -> None:
    cfg = compose_config([f"experiment={experiment}", f"method={method}"])
    # Digits have one factor, so that there is nothing to pair them by.
    refused = experiment == "mnist" and "views" in cfg.data
    config.check(cfg)
    expected = "views relate rows of a grid of factors, which those of Digits are not"
    with pytest.raises(InstantiationException, match=expected) if refused else nullcontext():
        instantiate(cfg.data, _convert_="all")
