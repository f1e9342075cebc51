"""
A messy CSV
===========

Tables come as spreadsheets hand them over. autometa says what each column is read as, and why.
"""

# %%
# Semicolons, blanks around a name, three words for a missing cell, dates as text, an id, a column that never changes,
# and remarks in words: ``examples/make_messy.py`` makes such a table.
from pathlib import Path

import autometa
from autometa.tables import read_table

path = next(p for p in (Path("../messy.csv"), Path("examples/messy.csv")) if p.exists())
table = read_table(str(path))
table.frame.head(3)

# %%
# What was noticed while reading:
for issue in table.notices:
    print(issue)

# %%
# What the columns are taken for:
task = autometa.Task.from_frame(table.frame, "returned")
for name, kind in task.column_types.items():
    print(f"{name:10} {kind}")

# %%
# Each decision is a warning with a code. What stands first costs most when it is wrong.
for issue in task.warnings:
    print(issue)

# %%
# Recommended pipelines take the table as it is; every cast and encoding is one of their steps.
rec = autometa.recommend(table.frame.drop(columns="returned"), table.frame["returned"], k=3)
rec
