"""A run folder from somebody else names classes of a few packages, each in its place, and writes into itself alone."""

import copy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig, OmegaConf, open_dict

import disentone
from conftest import EXPERIMENTS
from disentone import config as configs
from disentone import loading
from disentone.cli import evaluate
from disentone.report import report
from disentone.run import stored, trust
from disentone.run.folder import RunFolder
from disentone.sweep.naming import for_hydra

# A module that tells when it is imported, and when anything in it is called.
TRAP = """
import builtins
from pathlib import Path
from disentone.models import ConvEncoder

sprung = Path(__file__).with_name("sprung")
sprung.write_text("imported")

class Encoder(ConvEncoder):
    def __init__(self, shape, outputs, channels=(4, 8), hidden=16):
        sprung.write_text("called")
        super().__init__(shape, outputs, channels, hidden)

def call(*arguments, **settings):
    sprung.write_text("called")
"""
FOREIGN = [
    "sympy.sympify",
    "pandas.read_pickle",
    "torch.hub.load",
    "builtins.eval",
    "shutil.rmtree",
    "subprocess.run",
    "torch.nn.functional.torch.hub.load",
    "disentone.files.os.remove",
    "disentone.files.remove_temporary",
    "torch.optim.lr_scheduler.types.FunctionType",
    "disentone.files.Path",
    "trap.call",
    "trap.Encoder",
]
NAMES = [
    "pytorch_lightning.cli.LightningCLI",
    "pytorch_lightning.loggers.MLFlowLogger",
    "pytorch_lightning.loggers.WandbLogger",
    "disentone.models.ConvEncoder.forward",
    "disentone.loggers.wb.Run",
    "disentone.data.visibility.Rendered",  # of the module, where Hydra finds the function of that name
    "disentone",
    "trap",
    "eval",
    "",
    ".trap.call",
    "disentone..trap",
    "disentone.models.VAE ",
    "../trap",
    5,
    None,
    ["trap.call"],
    {"_target_": "trap.call"},
]
PLACES = [
    "synth",
    "frontend",
    "data",
    "source",
    "source.synth",
    "data.source",
    "data.source.synth",
    "data.source.frontend",
    "data.held_out",
    "data.views",
    "data.fractions",
    "data._args_",
    "data.source.synth.factors.f0",
    "model",
    "model.encoder",
    "model.decoder",
    "model.likelihood",
    "model.encoder.channels",
    "model.surprise",
    "objective",
    "objective.schedule",
    "objective.beta",
    "optimizer",
    "optimizer.lr",
    "trainer",
    "trainer.plugins",
    "trainer.callbacks",
    "metrics",
    "callbacks.surprise",
    "callbacks.checkpoint.monitor",
    "logger.surprise",
    "surprise",
    "name",
]


@pytest.fixture
def sprung(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], bool]:
    """Whether the trap, which can be imported, was imported or called."""
    (tmp_path / "trap.py").write_text(TRAP)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "trap", raising=False)
    return lambda: (tmp_path / "sprung").exists() or "trap" in sys.modules


@pytest.fixture
def run_folder(finished_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


def change(folder: Path, key: str, value: Any) -> None:
    """Set a value of a folder's config, where mappings were before, too."""
    config = OmegaConf.load(folder / "config.yaml")
    assert isinstance(config, DictConfig)
    OmegaConf.update(config, key, value, merge=False, force_add=True)
    OmegaConf.save(config, folder / "config.yaml")


def put(config: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """A copy of a resolved config with a value set, where mappings were before, too."""
    changed = inner = copy.deepcopy(config)
    *parents, last = key.split(".")
    for name in parents:
        inner[name] = dict(inner[name]) if isinstance(inner.get(name), dict) else {}
        inner = inner[name]
    inner[last] = value
    return changed


def node(target: Any) -> dict[str, Any]:
    return {"_target_": target, "_partial_": True, "_args_": ["x"]}


@pytest.mark.parametrize("place", PLACES)
def test_no_place_admits_what_is_foreign(place: str, finished_run: Path, sprung) -> None:
    before, config = set(sys.modules), stored.read(finished_run)
    for target in (*FOREIGN, *NAMES):
        for found in (node(target), [node(target)], {"x": node(target)}):
            with pytest.raises(ValueError, match=rf"^{place}(\.\w+)*(: |\._target_: )"):
                trust.check(put(config, place, found))
    assert not sprung()
    assert all(name.startswith(trust.NAMED_IN) for name in set(sys.modules) - before)


@pytest.mark.parametrize("target", FOREIGN)
def test_load_evaluate_report_and_training_neither_import_nor_call_it(
    target: str, run_folder: Path, sprung, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = (run_folder / "config.yaml").read_text()
    monkeypatch.setattr(loading, "instantiate", lambda *_, **__: pytest.fail("something is built"))
    for place in ("data", "data.source", "source.synth", "model.likelihood", "model._args_"):
        (run_folder / "config.yaml").write_text(original)
        change(run_folder, place, node(target) if place != "model._args_" else [node(target)])
        with pytest.raises(ValueError, match=place):
            disentone.load(run_folder)
        with pytest.raises(ValueError, match=place):
            trust.check_training(run_folder)
        with pytest.raises(SystemExit, match="1"):
            evaluate.main([str(run_folder)])
        assert place in capsys.readouterr().err
    assert not sprung()


def test_what_is_not_built_is_not_even_imported(run_folder: Path, sprung, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust.pl, "Trainer", lambda **_: pytest.fail("a trainer is built"))
    for place in ("optimizer", "objective", "metrics", "trainer", "callbacks.x", "logger.x"):
        change(run_folder, f"{place}._target_", "trap.call")
    disentone.load(run_folder)
    evaluate.main([str(run_folder), "--metrics", "mig"])
    report(run_folder)
    assert not sprung()


@pytest.mark.parametrize(
    ("place", "target", "expected"),
    [
        ("data.source.frontend", "disentone.models.VAE", "frontends.frontend.Frontend"),
        ("data.source.frontend", "disentone.synths.Additive", "frontends.frontend.Frontend"),
        ("data.source.synth", "disentone.frontends.CQT", "synths.synth.Synth"),
        ("data.held_out", "disentone.data.views.Itself", "held_out.HeldOut"),
        ("data.views", "disentone.data.Region", "views.Views"),
        ("data", "disentone.synths.Additive", "DataModule"),
        ("source", "disentone.synths.Additive", "sources.source.Source"),
        ("data.source", "disentone.data.Region", "sources.source.Source"),
        ("model", "torch.nn.Linear", "models.model.Model"),
        ("model.likelihood", "torch.nn.Linear", "Likelihood"),
        ("model.encoder", "torch.optim.Adam", "torch.nn.modules.module.Module"),
        ("objective", "torch.nn.MSELoss", "Objective"),
        ("objective.schedule", "torch.optim.lr_scheduler.LinearLR", "Schedule"),
        ("optimizer", "torch.optim.lr_scheduler.LinearLR", "Optimizer"),
        ("trainer", "pytorch_lightning.callbacks.ModelCheckpoint", "Trainer"),
        ("metrics", "pytorch_lightning.loggers.CSVLogger", "Callback"),
        ("callbacks.x", "disentone.loggers.wandb", "Callback"),
        ("logger.x", "pytorch_lightning.callbacks.ModelCheckpoint", "Logger"),
    ],
)
def test_a_class_of_an_admitted_package_stands_only_in_its_place(
    place: str, target: str, expected: str, finished_run: Path
) -> None:
    config = put(stored.read(finished_run), place, {"_target_": target})
    with pytest.raises(ValueError, match=rf"^{place}._target_: expected a subclass of .*{expected}, got {target}"):
        trust.check(config)


def test_an_argument_that_may_be_anything_callable_is_no_place(finished_run: Path) -> None:
    pruning = {"_target_": "pytorch_lightning.callbacks.ModelPruning", "pruning_fn": node("torch.nn.Linear")}
    with pytest.raises(ValueError, match=r"callbacks.x.pruning_fn: nothing can be built here, got .*torch.nn.Linear"):
        trust.check(put(stored.read(finished_run), "callbacks.x", pruning))


@pytest.mark.parametrize(
    ("place", "target"),
    [
        ("model.encoder", "torch.nn.Flatten"),
        ("optimizer", "torch.optim.AdamW"),
        ("callbacks.x", "pytorch_lightning.callbacks.EarlyStopping"),
        ("trainer.strategy", "pytorch_lightning.strategies.DDPStrategy"),
        ("logger.x", "pytorch_lightning.loggers.TensorBoardLogger"),
        ("logger.x", "disentone.loggers.wandb"),
    ],
)
def test_other_classes_of_admitted_packages_are_admitted(place: str, target: str, finished_run: Path) -> None:
    trust.check(put(stored.read(finished_run), place, {"_target_": target}))


def test_a_package_is_admitted_when_the_user_names_it(run_folder: Path, sprung) -> None:
    change(run_folder, "model.encoder._target_", "trap.Encoder")
    for remedy in (r"trust=\['trap'\] in disentone.load", "--trust trap", r"trust=\[trap\] beside resume="):
        with pytest.raises(ValueError, match=remedy):
            disentone.load(run_folder)
    with pytest.raises(ValueError, match="expected a list of packages, got 'trap'"):
        disentone.load(run_folder, trust="trap")
    with pytest.raises(ValueError, match=r"trap\.Encoder is of trap"):
        disentone.load(run_folder, trust=["tra", "trap.sub"])
    assert not sprung()
    assert type(disentone.load(run_folder, trust=["trap"]).model.encoder).__name__ == "Encoder"
    evaluate.main([str(run_folder), "--metrics", "mig", "--trust", "trap"])
    trust.check_training(run_folder, ["trap"])
    # Its functions, and classes that do not belong in a place, are not.
    for target in ("trap.call", "trap.Path", "trap.builtins.eval"):
        change(run_folder, "model.encoder._target_", target)
        with pytest.raises(ValueError, match=r"model.encoder._target_"):
            disentone.load(run_folder, trust=["trap"])


@pytest.mark.parametrize(
    "choices",
    [[f"experiment={name}"] for name in EXPERIMENTS]
    + [
        ["experiment=quickstart", "method=contrastive"],
        ["objective/schedule=cyclic", "data/held_out=region"],
        ["data/held_out=correlated", "model=attention_rnn"],
        ["model=broadcast", "frontend=vqt"],
    ],
)
def test_a_run_of_our_own_goes_on(choices: list[str], compose_config, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text(configs.to_yaml(compose_config(choices)))
    trust.check_training(tmp_path / "run")
    trust.check_training(tmp_path / "run", run_dir=tmp_path / "another")


# Interpolations.


@pytest.mark.parametrize(
    "text",
    [
        "${trap:1}",
        "x ${trap:1}",
        "${oc.env:HOME}",
        "${oc.env:DISENTONE_CACHE_2,x}",
        "${oc.env:DISENTONE_${seed}}",
        "${oc.env:${name}}",
        "${oc.create:{_target_:trap.call}}",
        "${oc.decode:'${trap:1}'}",
        "${hydra:runtime.cwd}",
        "${${name}:1}",
        "${ trap:1}",
        "${half:${trap:1}}",
        r"\${trap:1}",
        "${model.dollar}{trap:1}",
        "${nowhere}",
        "${..nowhere}",
    ],
)
@pytest.mark.parametrize("place", ["source.synth.gain", "name", "callbacks.progress.name"])
def test_no_resolver_runs_but_those_that_compute(text: str, place: str, run_folder: Path) -> None:
    called: list[Any] = []
    OmegaConf.register_new_resolver("trap", called.append)
    try:
        change(run_folder, "model.dollar", "$")
        change(run_folder, place, text)
        for use in (stored.read, trust.check_training, disentone.load):
            with pytest.raises(ValueError, match=r"config.yaml"):
                use(run_folder)
    finally:
        OmegaConf.clear_resolver("trap")
    assert not called


def test_ours_are_resolved(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISENTONE_CACHE", "/elsewhere")
    change(run_folder, "data.max_rows", "${half:${trainer.max_steps}}")
    config = stored.read(run_folder)
    assert config["data"]["cache_dir"] == "/elsewhere"
    assert config["data"]["max_rows"] == 1
    assert config["metrics"]["run_dir"] == str(run_folder)


# Where a run writes.


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("data.cache_dir", "/elsewhere"),
        ("data.cache_dir", "."),
        ("data.cache_dir", "src"),
        ("data.cache_dir", "${run_dir}/../elsewhere"),
        ("callbacks.checkpoint.dirpath", "/elsewhere"),
        ("callbacks.checkpoint.dirpath", "memory://elsewhere"),
        ("callbacks.checkpoint.filename", "../../elsewhere"),
        ("callbacks.checkpoint.filename", "/elsewhere"),
        ("logger.csv.save_dir", "elsewhere"),
        ("logger.csv.version", "../../elsewhere"),
        ("logger.csv.name", "~/elsewhere"),
        ("logger.csv.name", "$HOME"),
        ("metrics.run_dir", "elsewhere"),
        ("trainer.default_root_dir", "."),
        ("name", "/"),
    ],
)
def test_a_run_that_is_resumed_writes_into_its_folder_alone(place: str, value: str, run_folder: Path) -> None:
    change(run_folder, place, value)
    with pytest.raises(ValueError, match=rf"config.yaml: {place}: .* leads out of the run folder.*trust=\["):
        trust.check_training(run_folder)


def test_it_writes_where_the_user_says(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change(run_folder, "data.cache_dir", "/elsewhere/cache")
    trust.check_training(run_folder, ["/elsewhere"])
    with pytest.raises(ValueError, match="leads out of the run folder"):
        trust.check_training(run_folder, ["/else"])
    monkeypatch.setenv("DISENTONE_CACHE", "/elsewhere/cache")
    trust.check_training(run_folder)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("hydra.launcher._target_", "trap.call", "hydra.launcher._target_ is not this project's"),
        ("hydra.callbacks.x._target_", "trap.call", "hydra.callbacks.x._target_ is not"),
        ("hydra.callbacks.results._target_", "trap.call", "hydra.callbacks.results._target_ is not"),
        ("hydra.searchpath", ["pkg://trap"], "hydra.searchpath is not"),
        ("hydra.job_logging", {"handlers": {"x": {"()": "trap.call"}}}, "hydra.job_logging.handlers.x"),
        ("hydra.run.dir", "/elsewhere", "hydra.run.dir is not"),
        ("hydra", "trap", "hydra"),
        ("defaults", [{"override hydra/launcher": "trap"}], "adds other files"),
        ("run_dir", "/elsewhere", r"expected run_dir: \$\{hydra:runtime.output_dir\}, got /elsewhere"),
        ("_target_", "trap.call", "the whole of a config builds nothing"),
    ],
)
def test_what_hydra_would_build_or_add_is_refused(key: str, value: Any, message: str, run_folder: Path, sprung) -> None:
    change(run_folder, key, value)
    with pytest.raises(ValueError, match=message):
        trust.check_training(run_folder)
    assert not sprung()


def test_a_config_is_of_no_other_package(run_folder: Path) -> None:
    path = run_folder / "config.yaml"
    path.write_text(f"# @package hydra\n{path.read_text()}")
    with pytest.raises(ValueError, match="adds other files by a list of defaults or a package"):
        trust.check_training(run_folder)


def test_no_link_leads_out_of_the_folder(run_folder: Path, tmp_path: Path) -> None:
    (run_folder / "inside").symlink_to(run_folder / "metrics")
    (run_folder / "wandb" / "offline-run-1").mkdir(parents=True)
    (run_folder / "wandb" / "offline-run-1" / "debug.log").symlink_to(tmp_path / "log")
    trust.check_training(run_folder)
    (run_folder / ".lock").unlink(missing_ok=True)
    (run_folder / ".lock").symlink_to(tmp_path / "precious")
    with pytest.raises(ValueError, match=r"\.lock is a link out of the run folder"):
        trust.check_training(run_folder)
    trust.check_training(run_folder, [str(tmp_path)])
    trust.check_training(run_folder, run_dir=tmp_path / "another")


@pytest.mark.parametrize("file", ["{folder}/checkpoints/../../precious", "s3://bucket/precious"])
@pytest.mark.parametrize("state", [lambda file: {"best_model_path": file}, lambda file: {"best_k_models": {file: 1}}])
def test_no_checkpoint_names_a_file_elsewhere(file: str, state, run_folder: Path) -> None:
    path = run_folder / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    for before in checkpoint["callbacks"].values():
        before |= state(file.format(folder=run_folder))
    torch.save(checkpoint, path)
    with pytest.raises(ValueError, match=r"last.ckpt names the file .*precious, which is not in the run folder"):
        trust.check_training(run_folder)


def test_a_loaded_run_writes_nothing(run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = OmegaConf.load(run_folder / "config.yaml")
    with open_dict(config):
        del config["data"]["mode"]
        config["data"]["cache_dir"] = str(tmp_path / "cache")
    OmegaConf.save(config, run_folder / "config.yaml")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    before = sorted(tmp_path.rglob("*"))
    assert disentone.load(run_folder).data.mode == "on_the_fly"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_loaded_run_downloads_nothing(compose_config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    RunFolder(folder).begin(compose_config(["experiment=mnist", f"source.folder={tmp_path / 'digits'}"]), {})
    (folder / "checkpoints").mkdir()
    torch.save({"state_dict": {"model.x": torch.zeros(1)}}, folder / "checkpoints" / "last.ckpt")
    monkeypatch.setattr("disentone.sources.digits._download", lambda *_: pytest.fail("downloads"))
    with pytest.raises(
        ValueError, match=r"digits lacks train-images.* and nothing is downloaded to where a run folder"
    ):
        disentone.load(folder)
    assert not (tmp_path / "digits").exists()


@pytest.mark.parametrize("verb", ["resume", "reproduce"])
def test_a_run_folder_is_checked_before_it_is_trained_on(verb: str, run_folder: Path, sprung) -> None:
    if verb == "resume":
        (run_folder / "run.json").unlink()
    assert for_hydra([f"{verb}={run_folder}"])[:2] == ["--config-dir", str(run_folder)]
    change(run_folder, "callbacks.surprise", {"_target_": "trap.Callback"})
    with pytest.raises(ValueError, match=r"callbacks.surprise._target_: trap.Callback is of trap; .* trust=\[trap\]"):
        for_hydra([f"{verb}={run_folder}"])
    assert not sprung()
    with pytest.raises(ValueError, match=r"there is no trap\.Callback to import"):
        for_hydra([f"{verb}={run_folder}", "trust=[trap,/elsewhere]"])


def test_the_page_names_what_is_admitted() -> None:
    page = (Path(__file__).parents[2] / "docs" / "trust.md").read_text()
    for name in (*trust.PACKAGES, *trust.FUNCTIONS, *trust.VARIABLES):
        assert f"`{name}`" in page
