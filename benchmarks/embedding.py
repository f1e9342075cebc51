"""How alike are the results on a task and on its nearest neighbour? The learned embedding against raw meta-features.

    python benchmarks/embedding.py

For every task of the bundled metadata base, the neighbour is sought among the tasks of other families: by Euclidean
distance in standardised meta-features (the mean for what is missing), and in an embedding that was made without the
task's family. Printed: the mean Spearman correlation of the scores of all configurations that were run nearly
everywhere, for each metric.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from autometa import MetaModel
from autometa.metamodel.embedding import TaskEmbedding, centred_ranks
from autometa.metamodel.kernel import KernelSmoother
from autometa.metamodel.portfolio import fill_with_column_means
from autometa.metamodel.target import TargetModel

WIDELY_RUN = 0.9


def main() -> None:
    """Print the table."""
    rows = []
    for target, part in MetaModel.load().parts.items():
        raw, learned = raw_neighbours(part), learned_neighbours(part)
        for metric, levels in part.levels.items():
            widely_run = np.isfinite(levels).mean(axis=0) >= WIDELY_RUN
            ranks = centred_ranks(fill_with_column_means(levels[:, widely_run]))
            of_raw, of_learned = ((ranks * ranks[n]).sum(axis=1) for n in (raw, learned))
            gain = of_learned - of_raw
            error = gain.std() / np.sqrt(len(gain))
            rows.append([target, metric, of_raw.mean(), of_learned.mean(), gain.mean(), error])
    columns = ["target", "metric", "raw meta-features", "embedding", "difference", "error"]
    print(pd.DataFrame(rows, columns=columns).round(3).to_string(index=False))


def raw_neighbours(part: TargetModel) -> np.ndarray:
    """Nearest task of another family in standardised meta-features."""
    X = pd.DataFrame(part.metafeatures)
    Z = ((X - X.mean()) / X.std().replace(0, 1)).fillna(0).to_numpy()
    distances = ((Z[:, None] - Z) ** 2).sum(axis=-1)
    return np.where(part.families[:, None] != part.families, distances, np.inf).argmin(axis=1)


def learned_neighbours(part: TargetModel) -> np.ndarray:
    """Nearest task of another family in the embedding of the others."""
    nearest = np.zeros(len(part.families), dtype=int)
    for i, family in enumerate(part.families):
        others = np.flatnonzero(part.families != family)
        embedding = TaskEmbedding.fit(levels[others] for _, levels in part.filled.values())
        smoother = KernelSmoother(part.metafeatures[others], part.families[others])
        place = embedding.place(smoother.weights(part.metafeatures[[i]]))[0]
        nearest[i] = others[embedding.distances(place).argmin()]
    return nearest


if __name__ == "__main__":
    main()
