"""What each factor does to the images of the quickstart: python -m benchmarks.factor_effects.

The figures of docs/finding_factors.md: how much an image changes by one step of the grid, how alike two factors'
changes are, and whether the distance of images tells the distance of factors.
"""

import torch
from benchmarks.cases import config
from hydra.utils import instantiate
from jaxtyping import Float
from scipy.stats import spearmanr
from torch import Tensor

ROWS, WALKS = 1_500, 60


def main() -> None:
    torch.set_num_threads(1)
    data = instantiate(config("experiment=quickstart", "data.mode=on_the_fly").data, _convert_="all")
    space, draws = data.space, torch.Generator().manual_seed(0)

    def images(positions: Tensor) -> Float[Tensor, "row pixel"]:
        return data.images(space.rows(positions)).flatten(1).double()

    positions = space.sample(ROWS, draws)
    before, changes = images(positions), []
    for k, (name, size) in enumerate(zip(space.names, space.sizes, strict=True)):
        upwards = positions[:, k] < size - 1
        moved = positions.clone()
        moved[:, k] += torch.where(upwards, 1, -1)
        changes.append((images(moved) - before) * torch.where(upwards, 1.0, -1.0)[:, None])
        print(f"{name}: one step changes the image by {changes[-1].square().sum(dim=1).mean():.2f} (mean squared)")
    for i, j in torch.combinations(torch.arange(len(changes))).tolist():
        cosine = torch.nn.functional.cosine_similarity(changes[i], changes[j]).abs().mean()
        print(f"{space.names[i]} and {space.names[j]}: mean |cosine| of their changes {cosine:.2f}")
    for name, size in zip(space.names, space.sizes, strict=True):
        places = torch.arange(size)
        pairs = torch.triu_indices(size, size, 1)
        apart = (places[:, None] - places[None, :]).abs()[pairs[0], pairs[1]]
        agreements = []
        for row in space.sample(WALKS, draws):
            walk = images(space.traverse(row, name))
            agreements.append(spearmanr(torch.cdist(walk, walk)[pairs[0], pairs[1]], apart).statistic)
        print(f"{name}: Spearman of image distance and factor distance {sum(agreements) / WALKS:.2f}")


if __name__ == "__main__":
    main()
