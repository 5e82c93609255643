"""Entropies and mutual information of codes and factors, in nats, estimated from histograms."""

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from disentone.metrics.arrays import Preset

BINS = 20


def equal_width_bins(codes: Float64[Tensor, "row code"], bins: int = BINS) -> Int64[Tensor, "row code"]:
    """Bin numbers by equal-width bins between each code's smallest and largest value."""
    low, high = codes.amin(dim=0).cpu().numpy(), codes.amax(dim=0).cpu().numpy()
    # A constant code falls into one bin, whatever its edges.
    edges = torch.as_tensor(np.linspace(low, high, bins + 1)[:-1].T.copy(), device=codes.device)
    return torch.searchsorted(edges, codes.T.contiguous(), right=True).T.clamp(min=1) - 1


def quantile_bins(codes: Float64[Tensor, "row code"], bins: int) -> Int64[Tensor, "row code"]:
    """Bin numbers by equally filled bins; quantiles that coincide (repeated codes) count once."""
    levels = torch.linspace(0, 1, bins + 1, dtype=codes.dtype, device=codes.device)[1:-1]
    edges = torch.quantile(codes, levels, dim=0)
    columns = [
        torch.searchsorted(edge.unique(), column) for edge, column in zip(edges.T, codes.T.contiguous(), strict=True)
    ]
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


def mutual_information(
    codes: Float64[Tensor, "row code"], factors: Int64[Tensor, "row factor"], preset: Preset
) -> tuple[Float64[Tensor, "code factor"], Float64[Tensor, "factor"]]:
    """I(z_j; v_k) for all pairs, and H(v_k).

    ``dlib``: 20 equal-width bins, plug-in. ``robust``: quantile bins, as many as the factor has values but at
    least 20, with Miller's correction, and never below 0.
    """
    if preset == "dlib":
        counts = joint_counts(equal_width_bins(codes), factors)
        return _information(counts, correct=False), entropy(counts.sum(dim=2)[0])
    columns, entropies = [], []
    for k, values in enumerate((factors.amax(dim=0) + 1).tolist()):
        counts = joint_counts(quantile_bins(codes, max(BINS, values)), factors[:, k : k + 1])
        columns.append(_information(counts, correct=True).clamp(min=0))
        entropies.append(entropy(counts.sum(dim=2)[0], correct=True))
    return torch.cat(columns, dim=1), torch.cat(entropies)


def _information(counts: Float64[Tensor, "code factor bin value"], correct: bool) -> Float64[Tensor, "code factor"]:
    h_code = entropy(counts.sum(dim=3), correct)
    h_factor = entropy(counts.sum(dim=2), correct)
    return h_code + h_factor - entropy(counts.flatten(2), correct)
