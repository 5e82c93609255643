"""Entropies and mutual information of codes and factors, in nats, estimated from histograms."""

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

BINS = 20
ROWS = 10_000
ROUNDING = 1e-12


def equal_width_bins(codes: Float64[Tensor, "row code"], bins: int = BINS) -> Int64[Tensor, "row code"]:
    """Bin numbers by equal-width bins between each code's smallest and largest value."""
    low, high = codes.amin(dim=0).cpu().numpy(), codes.amax(dim=0).cpu().numpy()
    # A constant code lies in its first bin. Left as it is, its zero step would change how NumPy rounds all edges.
    high = np.where(high > low, high, low + 1)
    edges = torch.as_tensor(np.linspace(low, high, bins + 1)[:-1].T.copy(), device=codes.device)
    return torch.searchsorted(edges, codes.T.contiguous(), right=True).T.clamp(min=1) - 1


def quantile_bins(codes: Float64[Tensor, "row code"], bins: int) -> Int64[Tensor, "row code"]:
    """Bin numbers by equally filled bins. Equal codes share the bin of their middle rank.

    Ranks right on an edge have a bin of their own, so that codes of the other sign are binned alike.
    """
    columns = []
    for column in codes.T:
        _, value, counts = torch.unique(column, return_inverse=True, return_counts=True)
        middle = (2 * counts.cumsum(dim=0) - counts) * bins
        size = 2 * len(codes)
        on_edge = middle % size == 0
        columns.append((2 * torch.div(middle, size, rounding_mode="floor") + 1 - on_edge.long())[value])
    return torch.stack(columns, dim=1)


def joint_counts(
    left: Int64[Tensor, "row code"], right: Int64[Tensor, "row factor"]
) -> Float64[Tensor, "code factor bin value"]:
    """How often each bin of a code meets each value of a factor, for all pairs at once."""
    bins, values = int(left.max()) + 1, int(right.max()) + 1
    codes, factors = left.shape[1], right.shape[1]
    pair = torch.arange(codes * factors, device=left.device).view(codes, factors)
    cell = (pair * bins + left[:, :, None]) * values + right[:, None, :]
    counts = torch.bincount(cell.flatten(), minlength=codes * factors * bins * values)
    return counts.view(codes, factors, bins, values).double()


def entropy(counts: Float64[Tensor, "*batch value"], correct: bool = False) -> Float64[Tensor, "*batch"]:
    """Plug-in entropy of counts; with ``correct`` plus (occupied cells - 1) / 2N (Miller 1955)."""
    total = counts.sum(dim=-1)
    share = counts / total[..., None]
    plug_in = -torch.special.xlogy(share, share).sum(dim=-1)
    return plug_in + ((counts > 0).sum(dim=-1) - 1) / (2 * total) if correct else plug_in


def plug_in_information(counts: Float64[Tensor, "*pair bin value"]) -> Float64[Tensor, "*pair"]:
    """Mutual information of joint counts; what is rounding error is 0."""
    information = entropy(counts.sum(dim=-1)) + entropy(counts.sum(dim=-2)) - entropy(counts.flatten(-2))
    return torch.where(information > ROUNDING, information, 0)


def mutual_information(
    codes: Float64[Tensor, "row code"], factors: Int64[Tensor, "row factor"], robust: bool = False
) -> tuple[Float64[Tensor, "code factor"], Float64[Tensor, "factor"]]:
    """I(z_j; v_k) for all pairs, and H(v_k).

    Plain: 20 equal-width bins, plug-in. ``robust``: quantile bins, as many as the factor has values but at
    least 20, with Miller's correction, and never below 0.
    """
    if not robust:
        counts = joint_counts(equal_width_bins(codes), factors)
        return plug_in_information(counts), entropy(counts.sum(dim=2)[0])
    columns, entropies = [], []
    sizes = (factors.amax(dim=0) + 1).tolist()
    binned = {bins: quantile_bins(codes, bins) for bins in {max(BINS, values) for values in sizes}}
    for factor, values in zip(factors.T, sizes, strict=True):
        bins = binned[max(BINS, values)]
        h_factor = _column_entropies(factor[:, None])
        # Occupied cells only: a table of all of them could not be held for a factor of thousands of values.
        information = _column_entropies(bins) + h_factor - _column_entropies(bins * values + factor[:, None])
        columns.append(torch.where(information > ROUNDING, information, 0))
        entropies.append(h_factor)
    return torch.stack(columns, dim=1), torch.cat(entropies)


def _column_entropies(labels: Int64[Tensor, "row column"]) -> Float64[Tensor, "column"]:
    """Miller's entropy of each column's labels."""
    columns, size = labels.shape[1], int(labels.max()) + 1
    cells, counts = torch.unique(labels + size * torch.arange(columns, device=labels.device), return_counts=True)
    share = counts.double() / len(labels)
    column = torch.div(cells, size, rounding_mode="floor")
    empty = torch.zeros(columns, dtype=torch.float64, device=labels.device)
    plug_in = empty.index_add(0, column, -torch.special.xlogy(share, share))
    return plug_in + (empty.index_add(0, column, torch.ones_like(share)) - 1) / (2 * len(labels))
