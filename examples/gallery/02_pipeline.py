"""
Pipelines, cross-validation, groups and weights
===============================================

A recommended pipeline is made of scikit-learn and LightGBM objects. It goes wherever a pipeline goes.
"""

# %%
# Customers come with several rows each. Rows of one customer must not stand on both sides of a split.
import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, cross_val_score

import autometa

rng = np.random.default_rng(0)
n_customers = 80
customer = np.repeat(np.arange(n_customers), 4)
taste = rng.normal(size=n_customers)[customer]
X = pd.DataFrame(
    {
        "price": rng.gamma(2.0, 10.0, len(customer)),
        "weekday": rng.choice(["mon", "tue", "wed", "thu", "fri"], len(customer)),
        "visits": rng.poisson(3 + np.exp(0.5 * taste)),
        "region": rng.choice(["north", "south"], len(customer)),
    }
)
y = pd.Series(20 + 6 * taste + 0.3 * X["price"] + rng.normal(size=len(customer)), name="spent")

# %%
# Recommendations take seconds, and nothing is fitted.
rec = autometa.recommend(X, y, k=5)
rec

# %%
# The pipeline takes the table as it is: numbers, text and missing cells.
pipeline = rec[0].pipeline
scores = cross_val_score(pipeline, X, y, groups=customer, cv=GroupKFold(4), scoring="r2")
print(f"R2 {scores.mean():.3f}, higher is better; folds {scores.round(3)}")

# %%
# A search heeds groups and weights in every fold. Here the newest rows count three times.
weight = np.where(np.arange(len(X)) > len(X) / 2, 3.0, 1.0)
result = autometa.tune(X, y, groups=customer, sample_weight=weight, n_trials=6, random_state=0)
result.leaderboard[["rank", "algorithm", "score", "origin", "state"]]
