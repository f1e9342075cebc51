"""
Your own Optuna study
=====================

You have an objective and a search space of your own. Two lines make the study begin where experience says.
"""

# %%
# The objective is yours: any ranges, any names.
import optuna
from lightgbm import LGBMClassifier
from optuna.distributions import FloatDistribution, IntDistribution
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import cross_val_score

import autometa

optuna.logging.set_verbosity(optuna.logging.ERROR)
X, y = load_breast_cancer(return_X_y=True, as_frame=True)


def objective(trial: optuna.Trial) -> float:
    """Return the mean log loss over three folds, with its sign turned: higher is better."""
    model = LGBMClassifier(
        n_estimators=60,
        learning_rate=trial.suggest_float("lr", 0.01, 0.3, log=True),
        num_leaves=trial.suggest_int("num_leaves", 4, 64),
        verbosity=-1,
    )
    return float(cross_val_score(model, X, y, cv=3, scoring="neg_log_loss").mean())


# %%
# ``warm_start`` enqueues recommendations. Your space is a part of LightGBM's: they are good beside your 60 rounds, and
# beside the library's defaults of the rest. What does not fit into your ranges is clipped, and the report says so. No
# score of another table enters the study.
space = {"lr": FloatDistribution(0.01, 0.3, log=True), "num_leaves": IntDistribution(4, 64)}
study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
report = autometa.warm_start(
    study,
    X,
    y,
    algorithm="lightgbm",
    k=4,
    space=space,
    rename={"learning_rate": "lr"},
    fixed={"n_estimators": 60},
    metric="log_loss",
)
report

# %%
# The study runs as ever. Afterwards the report says what became of each suggestion.
study.optimize(objective, n_trials=6)
report.update(study)

# %%
# Over autometa's own space, ``MetaSampler`` goes further: it adapts to every result.
sampler = autometa.MetaSampler(X, y, seed=0)
optuna.create_study(direction="maximize", sampler=sampler)
