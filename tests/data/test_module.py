"""The data module: positions travel, images are a function, splits are exact, modes agree."""

import subprocess
import sys
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from disentone.config import config_dir
from disentone.data import DataModule
from disentone.data.batches import Batches, Carried
from disentone.data.cache import image_bytes
from disentone.data.module import Asked, AskedBatch
from disentone.data.split import split_sizes
from disentone.frontends import CQT
from disentone.shapes import Batch
from disentone.sources import Tones
from disentone.synths import Additive

FACTORS = {"f0": {"start": 200, "stop": 900, "step": 100}, "decay": {"start": 0, "stop": 10, "step": 2}}


def make_data(
    tmp_path: Path, noisy: bool = False, hop: int = 1024, duration: float = 0.25, **settings: object
) -> DataModule:
    synth = Additive(factors=FACTORS, fixed={"snr_db": 20} if noisy else {}, duration=duration)
    defaults = {"batch_size": 7, "mode": "on_the_fly", "cache_dir": tmp_path}
    return DataModule(Tones(synth, CQT(hop=hop)), **{**defaults, **settings})


def epoch_batches(data: DataModule, epoch: int) -> list[Carried]:
    """The batches of one pass of the endless stream."""
    loader = data.train_dataloader()
    loader.sampler.start = lambda: epoch * len(loader)
    return list(islice(loader, len(loader)))


def epoch_rows(data: DataModule, epoch: int) -> list[int]:
    return torch.cat([carried.rows for carried in epoch_batches(data, epoch)]).tolist()


def asked(data: DataModule, carried: Carried) -> AskedBatch:
    """Which images a loader's batch becomes."""
    return data.on_before_batch_transfer(carried, 0)


def made(data: DataModule, carried: Carried) -> Batch:
    """The batch that the model sees."""
    return data.on_after_batch_transfer(data.on_before_batch_transfer(carried, 0), 0)


def test_splits_share_no_row_and_cover_all(tmp_path: Path) -> None:
    data = make_data(tmp_path)
    splits = [data.rows(split).tolist() for split in ("train", "validation", "test")]
    assert [len(split) for split in splits] == [38, 5, 5]
    assert sorted(row for split in splits for row in split) == list(range(48))


def test_the_split_is_a_function_of_the_seed(tmp_path: Path) -> None:
    first, again, other = (make_data(tmp_path, seed=seed).rows("test").tolist() for seed in (0, 0, 1))
    assert first == again != other


def test_loaders_carry_row_numbers_and_batches_become_images(tmp_path: Path) -> None:
    data = make_data(tmp_path)
    carried = next(iter(data.train_dataloader()))
    assert (carried.split, carried.rows.shape, carried.draws.shape, carried.part) == ("train", (7,), (7,), None)
    batch = made(data, carried)
    assert batch.image.shape == (7, *data.shape) == (7, 1, 80, 4)
    assert torch.equal(batch.labels, data.positions(carried.rows))
    assert torch.equal(batch.rows, carried.rows)
    assert not batch.image.requires_grad


def test_every_epoch_is_a_new_order_of_the_same_rows(tmp_path: Path) -> None:
    data = make_data(tmp_path)
    first, second, first_again = (epoch_rows(data, epoch) for epoch in (0, 1, 0))
    assert first == first_again != second
    assert sorted(first) == sorted(second) == sorted(data.rows("train").tolist())


def test_a_stream_resumed_anywhere_goes_on_as_the_uninterrupted_one(tmp_path: Path) -> None:
    whole = make_data(tmp_path).train_dataloader()
    keys = [carried.rows.tolist() for carried in islice(whole, 20)]
    assert len(whole) == 6  # 38 rows in batches of 7: the last pass is reached
    for start in (1, 5, 6, 13):
        resumed = make_data(tmp_path).train_dataloader()
        resumed.sampler.start = lambda start=start: start
        assert [carried.rows.tolist() for carried in islice(resumed, 20 - start)] == keys[start:]


def test_cached_equals_on_the_fly_within_float16(tmp_path: Path) -> None:
    live, cached = make_data(tmp_path), make_data(tmp_path, mode="cached")
    cached.setup()
    rows = torch.arange(48)
    assert (live.images(rows) - cached.images(rows)).abs().max() < 5e-4
    assert len(list(tmp_path.glob("*.npy"))) == 1


def test_a_second_run_opens_the_cache_and_renders_only_a_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_data(tmp_path, mode="cached").setup()
    rendered = []
    second = make_data(tmp_path, mode="cached")
    original = second.source.at
    monkeypatch.setattr(second.source, "at", lambda at, keys: (rendered.append(len(keys)), original(at, keys))[1])
    second.setup()
    assert sum(rendered) == 16


def test_auto_is_cached_on_a_cpu_and_on_the_fly_where_caching_cannot_be(tmp_path: Path) -> None:
    for settings, expected in (
        ({}, "cached"),
        ({"cache_limit_gb": float("inf")}, "cached"),
        ({"continuous": True}, "on_the_fly"),
        ({"cache_limit_gb": 1e-6}, "on_the_fly"),
        ({"compile": True}, "on_the_fly"),
    ):
        data = make_data(tmp_path, mode="auto", **settings)
        data.setup()
        assert data.mode == expected


def test_a_device_without_float64_is_refused(tmp_path: Path) -> None:
    data = make_data(tmp_path)
    data.trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("mps")))
    with pytest.raises(ValueError, match=r"\(MPS\) has no float64 numbers.*; take trainer.accelerator=cpu"):
        data.setup()


def test_continuous_draws_are_new_every_epoch_and_the_same_again(tmp_path: Path) -> None:
    data = make_data(tmp_path, continuous=True)

    def epoch(number: int) -> torch.Tensor:
        return torch.cat([asked(data, carried).anchors.positions for carried in epoch_batches(data, number)])

    first, second = epoch(0), epoch(1)
    assert torch.equal(first, epoch(0))
    assert not set(first[:, 0].tolist()) & set(second[:, 0].tolist())
    assert ((first >= 0) & (first <= torch.tensor([7, 5]))).all()
    assert (first != first.round()).all()
    assert asked(data, next(iter(data.val_dataloader()))).anchors.positions.dtype == torch.int64


def test_noise_stays_with_its_row_unless_renewed(tmp_path: Path) -> None:
    def sound_of_row(data: DataModule, row: int, epoch: int) -> torch.Tensor:
        for carried in epoch_batches(data, epoch):
            hit = carried.rows == row
            if hit.any():
                return made(data, carried).image[hit][0]
        raise AssertionError

    kept, renewed = make_data(tmp_path, noisy=True), make_data(tmp_path, noisy=True, renew_nuisances=True)
    row = int(kept.rows("train")[3])
    torch.testing.assert_close(sound_of_row(kept, row, 0), sound_of_row(kept, row, 5), atol=1e-5, rtol=0)
    assert (sound_of_row(renewed, row, 0) - sound_of_row(renewed, row, 5)).abs().max() > 0.01


def test_max_rows_is_a_seeded_sample_of_the_grid(tmp_path: Path) -> None:
    data = make_data(tmp_path, max_rows=20)
    rows = torch.cat([data.rows(split) for split in ("train", "validation", "test")])
    assert len(set(rows.tolist())) == 20
    assert sorted(rows.tolist()) == data.evaluation_rows(1000).tolist()
    assert set(data.evaluation_rows(10).tolist()) < set(rows.tolist())


def test_evaluation_rows_are_the_whole_grid_or_a_seeded_sample(tmp_path: Path) -> None:
    data = make_data(tmp_path)
    assert data.evaluation_rows(48).tolist() == list(range(48))
    sample = data.evaluation_rows(30).tolist()
    assert len(set(sample)) == 30
    assert sample == data.evaluation_rows(30).tolist() == sorted(sample)


def test_a_grid_of_a_billion_rows_is_never_listed(tmp_path: Path) -> None:
    factors = {"f0": {"start": 100, "stop": 1000, "count": 1000}, "decay": {"start": 0, "stop": 10, "count": 1000}}
    factors["slope"] = {"start": -0.9, "stop": -0.1, "count": 1000}
    data = DataModule(Tones(Additive(factors=factors, duration=0.25), CQT(hop=1024)), cache_dir=tmp_path)
    data.setup()
    assert data.mode == "on_the_fly"
    assert next(iter(data.train_dataloader())).rows.shape == (64,)
    assert len(data.evaluation_rows(100)) == 100


class LargestTensor(TorchDispatchMode):
    """Remembers the most elements that any operation answered."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        found = [part.numel() for part in tree_leaves(result) if isinstance(part, torch.Tensor)]
        self.elements = max(self.elements, *found, 0)
        return result


def test_ten_million_rows_start_without_being_listed_and_are_scored_on_a_sample(tmp_path: Path) -> None:
    ranges = {"f0": (100, 1000), "decay": (0, 10), "slope": (-0.9, -0.1)}
    factors = {name: {"start": low, "stop": high, "count": 216} for name, (low, high) in ranges.items()}
    cqt = CQT()
    with LargestTensor() as largest:
        data = DataModule(Tones(Additive(factors=factors), cqt), cache_dir=tmp_path)
        data.setup()
        assert (data.num_rows, data.mode) == (216**3, "on_the_fly")
        assert next(iter(data.train_dataloader())).rows.shape == (64,)
        assert len(data.evaluation_rows(50_000).unique()) == 50_000
    assert largest.elements < 1_000_000


def test_validation_and_test_of_a_huge_space_are_as_many_rows_as_can_be_seen_each_time() -> None:
    fractions = (0.8, 0.1, 0.1)
    assert split_sizes(20_691, fractions) == {"train": 16_553, "validation": 2_069, "test": 2_069}
    with pytest.raises(ValueError, match=r"three numbers above 0 with sum 1, got \['.nan', 0.5, 0.5\]"):
        split_sizes(48, [".nan", 0.5, 0.5])  # as Hydra reads the word
    sizes = split_sizes(10**10, fractions)
    assert sizes == {"train": 10**10 - 100_000, "validation": 50_000, "test": 50_000}


def test_on_the_fly_nothing_is_larger_than_a_batch_of_audio(tmp_path: Path) -> None:
    data = DataModule(Tones(Additive(factors=FACTORS), CQT()), batch_size=16, mode="on_the_fly", cache_dir=tmp_path)
    carried = next(iter(data.train_dataloader()))
    with LargestTensor() as largest:
        made(data, carried)
    # With the silence around it; ten partials would be ten times as much.
    assert largest.elements < 1.2 * 16 * data.source.num_samples


def test_the_cache_of_the_default_grid_is_a_quarter_of_a_gigabyte_at_most(tmp_path: Path) -> None:
    assert image_bytes(20_691, CQT().shape(16_000)) < 0.25e9
    data = make_data(tmp_path, mode="cached")
    data.setup()
    (path,) = tmp_path.glob("*.npy")
    assert 0 < path.stat().st_size - image_bytes(48, data.shape) < 200


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 39}, r"batch_size must lie in 1..38 \(the training rows\), got 39"),
        ({"batch_size": 0}, "batch_size must lie in 1..38"),
        ({"mode": "cach"}, "data.mode must be auto, on_the_fly or cached, got cach"),
        ({"fractions": (0.9, 0.2, 0.1)}, "data.fractions must be three numbers above 0 with sum 1"),
        ({"max_rows": 3}, "3 rows leave a split empty"),
        ({"mode": "cached", "continuous": True}, "data.mode=cached is impossible: continuous draws never repeat"),
        ({"mode": "cached", "renew_nuisances": True, "noisy": True}, "renewed nuisances never repeat"),
        ({"mode": "cached", "cache_limit_gb": 1e-6}, "the images take 0.0 GB, data.cache_limit_gb is 1e-06"),
        ({"mode": "cached", "compile": True}, "data.compile is of batches that are rendered, not read"),
        ({"batch_size": True}, r"batch_size must lie in 1..38 \(the training rows\), got True"),
        ({"fractions": (float("nan"), 0.5, 0.5)}, "data.fractions must be three numbers above 0 with sum 1"),
        ({"cache_limit_gb": float("nan")}, "data.cache_limit_gb must be 0 or more .* got nan"),
        ({"cache_limit_gb": -1}, "data.cache_limit_gb must be 0 or more .* got -1"),
        (
            {"renew_nuisances": True},
            "this synth has nothing of that kind; give it noise, random_phase, onset or",
        ),
        ({"hop": 10**9}, "frontend.hop is 1,000,000,000 samples, and a sound has 4,000, .* one frame; take a smaller"),
        ({"duration": 200_000.0}, "a batch of 2 sounds of 3,200,000,000 samples takes 24 GiB, at most 16 are possible"),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_data(tmp_path, **{"batch_size": 2, **settings})


def test_synth_and_frontend_must_agree_on_the_sample_rate(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the synth runs at 16000 Hz, the front-end at 22050 Hz"):
        Tones(Additive(factors=FACTORS), CQT(sample_rate=22_050))


class Waits(TorchDispatchMode):
    """Notes what would make a GPU's host wait: a value read, a shape that depends on values, a tensor of numbers."""

    NAMES = ("_local_scalar_dense", "lift_fresh", "nonzero", "masked_select", "equal", "is_nonzero")

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.name().split("::")[1].split(".")[0]
        if name in self.NAMES:
            self.found.append(name)
        return func(*args, **kwargs or {})


NUISANCES = ["++synth.random_phase=true", "++synth.onset=0.1", "++synth.level_db=6"]


@pytest.fixture(scope="module", params=["tones_noisy", "tones_smooth", "syntone"])
def preset(request: pytest.FixtureRequest) -> DataModule:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        words = [f"synth={request.param}", *NUISANCES, "synth.duration=0.25", "data.mode=on_the_fly", "run_dir=."]
        cfg = compose("train", words)
    return instantiate(cfg.data, _convert_="all")


def test_a_batch_is_rendered_without_reading_or_uploading_a_number(preset: DataModule) -> None:
    carried = Carried("train", preset.rows("train")[:4], torch.arange(4))
    asked_for = asked(preset, carried)
    preset.on_after_batch_transfer(asked_for, 0)  # which makes what is the same for all batches
    with Waits() as waits:
        preset.on_after_batch_transfer(asked_for, 0)
    assert waits.found == []


GRAPH = """
import sys, torch
from hydra import compose, initialize_config_dir
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from disentone.config import config_dir
for frontend in ("cqt", "mel", "stft"):
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        data = instantiate(compose("train", [*sys.argv[1:], f"frontend={frontend}"]).data, _convert_="all")
    rows = data.rows("train")[:4]
    graph = torch.compile(data.source.at, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        assert (graph(data.positions(rows), rows) - data.images(rows)).abs().max() < 1e-4
"""


@pytest.mark.parametrize("synth", ["tones_noisy", "syntone"])
def test_positions_to_image_is_one_graph(synth: str) -> None:
    """In a process of its own, since the shape checks of the tests are no part of a graph."""
    settings = [f"synth={synth}", *NUISANCES, "synth.duration=0.25", "data.mode=on_the_fly", "run_dir=."]
    result = subprocess.run([sys.executable, "-c", GRAPH, *settings], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_shares_of_processes_make_up_the_batches_of_one() -> None:
    rows = torch.arange(100, 130)
    for length, processes in ((30, 2), (29, 4), (25, 4)):
        streams = [
            islice(Batches("train", lambda i: rows[i], length, 8, seed=0, process=n, processes=processes), 9)
            for n in range(processes)
        ]
        for whole, *parts in zip(
            islice(Batches("train", lambda i: rows[i], length, 8, seed=0), 9), *streams, strict=True
        ):
            assert torch.equal(torch.cat([share.rows[: share.part.rows] for share in parts]), whole.rows)
            assert all(len(share.rows) == max(1, share.part.rows) for share in parts)
            assert {share.part.total for share in parts} == {len(whole.rows)}


@pytest.mark.gpu
@pytest.mark.parametrize("compiled", [False, True])
def test_gpu_batches_are_the_cpus_and_the_caches(tmp_path: Path, compiled: bool) -> None:
    """A loader's batch on the fly, by Lightning's hooks, against the CPU's and against the float16 on disk."""
    live, cached = make_data(tmp_path, noisy=True, compile=compiled), make_data(tmp_path, noisy=True, mode="cached")
    cached.setup()
    carried = next(iter(live.train_dataloader()))
    anchors = asked(live, carried).anchors
    there = live.on_after_batch_transfer(AskedBatch(Asked(anchors.keys.cuda(), anchors.positions.cuda())), 0)
    looked_up = made(cached, carried)
    assert there.image.is_cuda
    assert (there.image.cpu() - make_data(tmp_path, noisy=True).images(carried.rows)).abs().max() < 1e-3
    assert (there.image.cpu() - looked_up.image).abs().max() < 1e-3 + 5e-4


@pytest.mark.gpu
def test_a_gpu_batch_is_rendered_without_waiting(tmp_path: Path) -> None:
    data = make_data(tmp_path, noisy=True)
    rows = data.rows("train")[:7].cuda()
    data.images(rows)
    torch.cuda.set_sync_debug_mode("error")
    try:
        image = data.images(rows)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert image.isfinite().all()


def test_the_first_rows_of_a_huge_split_cost_only_themselves() -> None:
    factors = {name: {"start": 1, "stop": 3000, "step": 1} for name in ("f0", "decay", "inharmonicity")}
    data = DataModule(Tones(Additive(factors=factors, duration=0.1), CQT(hop=1024)), mode="on_the_fly", batch_size=8)
    assert len(data.space) == 27 * 10**9
    first = data.rows("validation", 6)
    assert first.shape == (6,)
    assert torch.equal(data.rows("validation", 3), first[:3])
    small = DataModule(Tones(Additive(factors=FACTORS, duration=0.1), CQT(hop=1024)), mode="on_the_fly", batch_size=8)
    assert torch.equal(small.rows("test", 10**9), small.rows("test"))


@pytest.mark.parametrize("choice", sorted(path.stem for path in (config_dir() / "views").glob("*.yaml")))
def test_no_partner_of_a_training_row_lies_in_the_held_out_region(choice: str) -> None:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        cfg = compose("train", [f"views={choice}", "data/held_out=region", "data.held_out.above={f0: 500, decay: 4}"])
    if choice == "transforms":
        # Where its images lie among the factors nobody knows.
        with pytest.raises(InstantiationException, match="it might show what"):
            instantiate(cfg.data, _convert_="all")
        return
    data = instantiate(cfg.data, _convert_="all", mode="on_the_fly")
    rows = data.rows("train")[torch.arange(10_000) % data.sizes["train"]]
    partners = data.partner_rows(rows, torch.arange(10_000))
    assert not data.held_out.contains(data.space, data.positions(partners)).any()
    free = data.views.partners(data.space, rows, torch.arange(10_000), data.seed)
    if choice != "itself":
        assert data.held_out.contains(data.space, data.positions(free)).any()
