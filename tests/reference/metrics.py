"""Literal NumPy versions of the metrics: loops, written from the definitions, slow on purpose."""

import math

import numpy as np
import scipy
from sklearn.feature_selection import mutual_info_classif
from sklearn.linear_model import Lasso, LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.svm import LinearSVC


def entropy(labels: np.ndarray) -> float:
    """Plug-in entropy in nats."""
    total = 0.0
    for value in set(labels.tolist()):
        share = np.mean(labels == value)
        total -= share * math.log(share)
    return total


def mutual_information(left: np.ndarray, right: np.ndarray) -> float:
    """Plug-in mutual information of two label arrays in nats."""
    total = 0.0
    for a in set(left.tolist()):
        for b in set(right.tolist()):
            joint = np.mean((left == a) & (right == b))
            if joint > 0:
                total += joint * math.log(joint / (np.mean(left == a) * np.mean(right == b)))
    return total


def equal_width(code: np.ndarray, bins: int = 20) -> np.ndarray:
    """Bin numbers between the smallest and the largest value."""
    _, edges = np.histogram(code, bins)
    return np.digitize(code, edges[:-1])


def information_matrix(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Mutual information of every binned code with every factor."""
    binned = [equal_width(code) for code in codes.T]
    return np.array([[mutual_information(code, factor) for factor in factors.T] for code in binned])


def mig(codes: np.ndarray, factors: np.ndarray) -> float:
    """The mutual information gap with 20 equal-width bins."""
    matrix = information_matrix(codes, factors)
    gaps = []
    for k, factor in enumerate(factors.T):
        ranked = sorted(matrix[:, k], reverse=True)
        gaps.append((ranked[0] - ranked[1]) / entropy(factor))
    return float(np.mean(gaps))


def mig_sup(codes: np.ndarray, factors: np.ndarray) -> float:
    """Over codes: the gap between the two factors each knows best, in shares of their entropies."""
    matrix = information_matrix(codes, factors)
    gaps = []
    for row in matrix:
        ranked = sorted((value / entropy(factor) for value, factor in zip(row, factors.T, strict=True)), reverse=True)
        gaps.append(ranked[0] - ranked[1])
    return float(np.mean(gaps))


def dcimig(codes: np.ndarray, factors: np.ndarray) -> float:
    """Best gap kept for each factor, summed, over the summed entropies."""
    best = [0.0] * factors.shape[1]
    for row in information_matrix(codes, factors):
        order = np.argsort(-row, kind="stable")
        best[order[0]] = max(best[order[0]], row[order[0]] - row[order[1]])
    return sum(best) / sum(entropy(factor) for factor in factors.T)


def jemmig(codes: np.ndarray, factors: np.ndarray) -> float:
    """Joint entropy with the best code less the gap, normalised, from 1."""
    matrix = information_matrix(codes, factors)
    scores = []
    for k, factor in enumerate(factors.T):
        order = np.argsort(-matrix[:, k], kind="stable")
        joint = entropy(equal_width(codes[:, order[0]]) * 10_000 + factor)
        gap = matrix[order[0], k] - matrix[order[1], k]
        scores.append(1 - (joint - gap) / (entropy(factor) + math.log(20)))
    return float(np.mean(scores))


def modularity(codes: np.ndarray, factors: np.ndarray) -> float:
    """1 less the squared information on all but the best factor over the best one's, mean over codes."""
    scores = []
    for row in information_matrix(codes, factors):
        best = max(row)
        if best < 1e-12:
            scores.append(0.0)
        else:
            others = sum(value**2 for value in row) - best**2
            scores.append(1 - others / (best**2 * (len(row) - 1)))
    return float(np.mean(scores))


def med(codes: np.ndarray, factors: np.ndarray) -> float:
    """DCI's disentanglement of each factor's information as shares over codes."""
    matrix = information_matrix(codes, factors)
    for k in range(matrix.shape[1]):
        if matrix[:, k].sum() > 0:
            matrix[:, k] /= matrix[:, k].sum()
    return dci(matrix)[0]


def irs(codes: np.ndarray, factors: np.ndarray) -> float:
    """Interventional robustness, value by value."""
    codes = codes[:, codes.var(axis=0) > 0]
    largest = [max(abs(value - code.mean()) for value in code) for code in codes.T]
    scores = []
    for j, code in enumerate(codes.T):
        robustness = []
        for factor in factors.T:
            cut = equal_width(factor.astype(float))
            deviations = []
            for value in set(cut.tolist()):
                group = code[cut == value]
                deviations.append(np.percentile(np.abs(group - group.mean()), 99))
            robustness.append(1 - np.mean(deviations) / largest[j])
        scores.append(max(robustness))
    return float(np.average(scores, weights=largest))


def unsupervised(codes: np.ndarray) -> tuple[float, float, float, float]:
    """Gaussian total correlation, Wasserstein correlation raw and normalised, mean pairwise information."""
    codes = codes[:, codes.var(axis=0) > 0]
    covariance = np.cov(codes.T)
    diagonal = np.diag(covariance)
    total = 0.5 * (np.log(diagonal).sum() - math.log(np.linalg.det(covariance)))
    root = scipy.linalg.sqrtm(np.diag(np.sqrt(diagonal)) @ covariance @ np.diag(np.sqrt(diagonal)))
    wasserstein = float(2 * np.trace(covariance) - 2 * np.trace(root).real)
    binned = [equal_width(code) for code in codes.T]
    pairs = [mutual_information(a, b) for i, a in enumerate(binned) for j, b in enumerate(binned) if i != j]
    return total, wasserstein, wasserstein / np.trace(covariance), float(np.mean(pairs))


def sap(codes: np.ndarray, factors: np.ndarray, train: np.ndarray, test: np.ndarray) -> float:
    """Gap of the two best linear support vector classifiers on single codes."""
    gaps = []
    for factor in factors.T:
        accuracies = []
        for code in codes.T:
            model = LinearSVC(C=0.01, class_weight="balanced", random_state=0).fit(code[train, None], factor[train])
            accuracies.append(np.mean(model.predict(code[test, None]) == factor[test]))
        accuracies.sort()
        gaps.append(accuracies[-1] - accuracies[-2])
    return float(np.mean(gaps))


def explicitness(codes: np.ndarray, factors: np.ndarray, train: np.ndarray, test: np.ndarray) -> float:
    """Macro one-against-rest area under the ROC of logistic regression on standardised codes."""
    z = (codes - codes[train].mean(axis=0)) / codes[train].std(axis=0)
    areas = []
    for factor in factors.T:
        probability = LogisticRegression().fit(z[train], factor[train]).predict_proba(z[test])
        areas.append(roc_auc_score(np.eye(factor.max() + 1)[factor[test]], probability))
    return float(np.mean(areas))


def beta_vae_score(codes: np.ndarray, factors: np.ndarray, train: int = 10_000, test: int = 5_000) -> float:
    """Pair after pair is looked up, then logistic regression tells the shared factor."""
    rng = np.random.default_rng(0)
    features, labels = [], []
    for _ in range(train + test):
        k = rng.integers(factors.shape[1])
        pairs = []
        for first in rng.integers(len(codes), size=64):
            second = rng.choice(np.flatnonzero(factors[:, k] == factors[first, k]))
            pairs.append(np.abs(codes[first] - codes[second]))
        features.append(np.mean(pairs, axis=0))
        labels.append(k)
    model = LogisticRegression().fit(features[:train], labels[:train])
    return float(model.score(features[train:], labels[train:]))


def factor_vae_score(codes: np.ndarray, factors: np.ndarray, train: int = 10_000, test: int = 5_000) -> float:
    """Vote after vote."""
    rng = np.random.default_rng(0)
    spread = codes.std(axis=0, ddof=1)
    codes, spread = codes[:, spread >= 0.05], spread[spread >= 0.05]
    if not len(spread):
        return 0.0

    def vote() -> tuple[int, int]:
        k = rng.integers(factors.shape[1])
        value = factors[rng.integers(len(factors)), k]
        rows = rng.choice(np.flatnonzero(factors[:, k] == value), 64)
        return k, int(np.argmin(codes[rows].var(axis=0, ddof=1) / spread**2))

    table = np.zeros((factors.shape[1], len(spread)))
    for _ in range(train):
        table[vote()] += 1
    right = 0
    for _ in range(test):
        k, j = vote()
        right += table[:, j].argmax() == k
    return right / test


def infomec(codes: np.ndarray, factors: np.ndarray, train: np.ndarray, test: np.ndarray) -> tuple[float, float, float]:
    """InfoM, InfoC and InfoE, code by code and factor by factor."""
    z = codes[train]
    extent = [max(code) - min(code) for code in z.T]
    active = [j for j in range(z.shape[1]) if extent[j] > max(extent) / 20]
    shares = np.array(
        [
            [
                mutual_info_classif(z[:, [j]], factor[train], n_neighbors=10, random_state=0)[0]
                / entropy(factor[train])
                for factor in factors.T
            ]
            for j in active
        ]
    )
    scores = []
    for matrix in (shares, shares.T):
        equal = 1 / matrix.shape[1]
        lead = np.mean([max(row) / sum(row) for row in matrix])
        scores.append((lead - equal) / (1 - equal))
    z = (codes - codes[train].mean(axis=0)) / codes[train].std(axis=0)
    explained = []
    for factor in factors.T:
        losses = []
        for x in (np.zeros_like(z), z):
            model = LogisticRegression(C=np.inf, class_weight="balanced", max_iter=100).fit(x[train], factor[train])
            losses.append(log_loss(factor[test], model.predict_proba(x[test]), labels=model.classes_))
        explained.append((losses[0] - losses[1]) / losses[0])
    return scores[0], scores[1], float(np.mean(explained))


def udr_pair(codes: np.ndarray, others: np.ndarray) -> tuple[float, float]:
    """Spearman and lasso agreement of two models all of whose codes are informative."""
    agreements = []
    for kind in ("spearman", "lasso"):
        relation = np.zeros((codes.shape[1], others.shape[1]))
        for b in range(others.shape[1]):
            for a in range(codes.shape[1]):
                if kind == "spearman":
                    relation[a, b] = abs(scipy.stats.spearmanr(codes[:, a], others[:, b]).statistic)
            if kind == "lasso":
                x, y = ((part - part.mean(axis=0)) / part.std(axis=0) for part in (codes, others[:, [b]]))
                relation[:, b] = abs(Lasso(alpha=0.1).fit(x, y[:, 0]).coef_)
        leads = [max(row) ** 2 / sum(row) if sum(row) else 0.0 for row in relation]
        leads += [max(column) ** 2 / sum(column) if sum(column) else 0.0 for column in relation.T]
        agreements.append(float(np.mean(leads)))
    return agreements[0], agreements[1]


def nearest(decoded: np.ndarray, images: np.ndarray) -> np.ndarray:
    """For each picture the number of the known one at the smallest Euclidean distance."""
    return np.array([np.argmin([np.linalg.norm(picture - known) for known in images]) for picture in decoded])


def dci(importance: np.ndarray) -> tuple[float, float]:
    """Disentanglement and completeness of an importance matrix [code factor]."""
    codes, factors = importance.shape
    disentanglement = completeness = 0.0
    for j in range(codes):
        if importance[j].sum() == 0:
            continue
        p = (importance[j] + 1e-11) / (importance[j] + 1e-11).sum()
        score = 1 - sum(-x * math.log(x) / math.log(factors) for x in p)
        disentanglement += score * importance[j].sum() / importance.sum()
    for k in range(factors):
        p = (importance[:, k] + 1e-11) / (importance[:, k] + 1e-11).sum()
        score = 1 - sum(-x * math.log(x) / math.log(codes) for x in p)
        completeness += score * importance[:, k].sum() / importance.sum()
    return disentanglement, completeness
