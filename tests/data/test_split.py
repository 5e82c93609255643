"""Splits: groups stay whole, a published split is kept, and what leaves one empty is said."""

import pytest
import torch

from disentone.data import DataModule, Region
from disentone.data.split import FRACTIONS, split_of
from disentone.data.views import Itself
from disentone.shapes import Rows
from disentone.sources import Source

SPLITS = ("train", "validation", "test")


class Grey(Source):
    """A hundred grey pictures of ten players, of whom nothing else is known."""

    shape = (1, 2, 2)
    has_groups = True

    def __len__(self) -> int:
        return 100

    def images(self, rows: Rows) -> torch.Tensor:
        return (rows / 100).float().view(-1, 1, 1, 1).expand(-1, *self.shape)

    def groups(self, rows: Rows) -> Rows | None:
        return rows * 7 % 10 if self.has_groups else None


class Published(Grey):
    """Pictures that come with a split."""

    def split(self, seed: int) -> dict[str, Rows]:
        return {"train": torch.arange(50), "validation": torch.arange(50, 70), "test": torch.arange(70, 100)}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("max_rows", "used"), [(None, 100), (67, 60), (1000, 100)])
def test_no_group_lies_in_two_splits(seed: int, max_rows: int | None, used: int) -> None:
    source = Grey()
    splits = split_of(source, [0.6, 0.2, 0.2], max_rows, seed)
    rows = {split: splits.rows_at(split, torch.arange(splits.sizes[split])) for split in SPLITS}
    players = [set(source.groups(part).tolist()) for part in rows.values()]
    assert all(players)
    assert len(set.union(*players)) == sum(map(len, players))
    assert len(torch.cat([*rows.values()]).unique()) == splits.num_rows == used
    assert rows["train"].tolist() != rows["train"].sort().values.tolist()
    other = split_of(source, [0.6, 0.2, 0.2], max_rows, seed + 1)
    assert other.rows_at("train", torch.arange(10)).tolist() != rows["train"][:10].tolist()


def test_a_published_split_is_kept_unless_fractions_are_given() -> None:
    source = Published()
    splits = split_of(source, None, None, 0)
    assert splits.sizes == {"train": 50, "validation": 20, "test": 30}
    assert splits.rows_at("test", torch.arange(3)).tolist() == [70, 71, 72]
    assert splits.sample(1000).tolist() == list(range(100))
    assert len(set(splits.sample(10).tolist())) == 10
    assert split_of(source, None, 20, 0).sizes == {"train": 10, "validation": 4, "test": 6}
    assert split_of(source, FRACTIONS, None, 0).sizes == {"train": 80, "validation": 10, "test": 10}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_rows": 20}, "2 groups leave a split empty"),
        ({"fractions": [1, 0, 0]}, "data.fractions must be three numbers above 0 with sum 1"),
        ({"continuous": True}, "data.continuous needs a source that renders, such as source=tones; Grey does not"),
        ({"compile": True}, "data.compile needs a source that renders"),
        ({"renew_nuisances": True}, "data.renew_nuisances needs a source that renders"),
        ({"views": Itself()}, "views relate rows of a grid of factors, which those of Grey are not; take source=tones"),
        ({"held_out": Region(above={"f0": 1})}, "data.held_out leaves out rows of a grid of factors, which those of"),
        ({"mode": "cached"}, "data.mode=cached is impossible: the images of this source lie in memory already"),
    ],
)
def test_what_a_source_cannot_is_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DataModule(Grey(), batch_size=2, **settings)


def test_what_is_not_known_is_said() -> None:
    data = DataModule(Grey(), batch_size=2)
    assert data.titles(torch.tensor([3])) == ["row 3"]
    assert data.factor_names == ()
    with pytest.raises(ValueError, match="Grey does not say where its rows lie along factors"):
        data.positions(torch.tensor([3]))
    with pytest.raises(ValueError, match="Grey has images without sounds"):
        data.audio(torch.tensor([3]))
