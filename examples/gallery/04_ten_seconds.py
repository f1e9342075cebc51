"""
Within ten seconds
==================

``timeout`` covers everything: reading, searching, and the fit on all rows.
"""

# %%
import time

from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split

import autometa

X, y = load_wine(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

start = time.perf_counter()
result = autometa.tune(X_train, y_train, timeout=10, random_state=0)
print(f"{time.perf_counter() - start:.1f} s of 10 s")

# %%
# The leaderboard says what was recommended, what was found, and what was left out for want of time.
result

# %%
# The model is fitted on all rows that were given.
print(f"accuracy on rows that nobody saw: {(result.model.predict(X_test) == y_test).mean():.3f}")

# %%
# Without a search at all: five recommended pipelines that vote.
ensemble = autometa.recommend(X_train, y_train).ensemble(k=5).fit(X_train, y_train)
print(f"the first five, voting: {(ensemble.predict(X_test) == y_test).mean():.3f}")
