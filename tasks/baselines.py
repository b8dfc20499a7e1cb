"""What ordinary methods make of a set that a task asks about, scored by the task itself, for comparison.

    python -m tasks.baselines data/cars-1a2b3c4d            → baselines.json beside the records, and a table

    of rows     mean · ridge · gradient boosting (scikit-learn's defaults, nothing tuned; absent values are filled or kept apart)
    of series   naive (the last value) · seasonal naive (the value of a season before) · ets (additive trend and season, fitted by
                statsmodels to all that was measured before a window, which is more than the window shows)

They answer with numbers as they are, not with text, so no encoding rounds them. scikit-learn and statsmodels are no
dependencies of this project: pip install scikit-learn statsmodels.
"""

import argparse
import importlib
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ntil.data.example import Example, read_examples, read_manifest
from ntil.data.task import Item, Task, aggregate
from ntil.errors import UserError, guard, run_command
from ntil.io import write_json
from tasks.forecast import ForecastTask, Values, future, history
from tasks.quantities import recorded
from tasks.regression import RegressionTask

FILE = "baselines.json"
Answers = dict[str, list[Any]]  # of each method, one for each example


def baselines(folder: Path) -> dict[str, Any]:
    """Split → method → metric, of the set's val and test."""
    manifest = read_manifest(folder)
    config = manifest.get("config", {})
    train = read_examples(folder, "train")
    splits = {name: read_examples(folder, name) for name in ("val", "test") if manifest["counts"].get(name)}
    task: Task
    if manifest.get("builder") == "table":
        task = RegressionTask(encoding="decimal", places=9)
        answered = {
            name: of_rows(list(config["columns"].values()), train, examples)
            for name, examples in splits.items()
        }
    elif manifest.get("builder") == "series":
        task = ForecastTask(
            encoding="fixed", horizon=config["horizon"], digits=config["digits"], places=config["places"]
        )
        known = stitched([*train, *(one for examples in splits.values() for one in examples)])
        answered = {name: of_series(config["period"], known, examples) for name, examples in splits.items()}
    else:
        raise UserError(
            f"{folder} is a set of {manifest.get('builder')!r}; baselines are of rows of a table, and of series."
        )
    return {
        name: {method: _scored(task, splits[name], answers) for method, answers in methods.items()}
        for name, methods in answered.items()
    }


def of_rows(columns: Sequence[str], train: Sequence[Example], examples: Sequence[Example]) -> Answers:
    """columns: the names by which the queries say each value, in their order."""
    compose, dummy, ensemble, impute, linear, pipeline, preprocessing = map(
        _needed,
        (
            *("sklearn.compose", "sklearn.dummy", "sklearn.ensemble", "sklearn.impute"),
            *("sklearn.linear_model", "sklearn.pipeline", "sklearn.preprocessing"),
        ),
    )
    frame = pd.DataFrame([told(columns, str(one.query)) for one in [*train, *examples]])
    numeric = [name for name in columns if pd.to_numeric(frame[name], errors="coerce").notna().mean() > 0.5]
    words = [name for name in columns if name not in numeric]
    frame[numeric] = frame[numeric].apply(pd.to_numeric, errors="coerce")
    y = np.array([float(recorded(one, "value")) for one in train])
    filled = pipeline.make_pipeline(impute.SimpleImputer(add_indicator=True), preprocessing.StandardScaler())
    kinds = preprocessing.OneHotEncoder(handle_unknown="ignore", sparse_output=False)

    def made(model: Any, numbers: Any) -> Any:
        return pipeline.make_pipeline(
            compose.ColumnTransformer([("n", numbers, numeric), ("w", kinds, words)]), model
        )

    methods = {
        "mean": made(dummy.DummyRegressor(), filled),
        "ridge": made(linear.Ridge(), filled),
        "gradient boosting": made(ensemble.HistGradientBoostingRegressor(random_state=0), "passthrough"),
    }
    inside, asked = frame.iloc[: len(train)], frame.iloc[len(train) :]
    return {
        name: [Decimal(repr(float(value))) for value in model.fit(inside, y).predict(asked)]
        for name, model in methods.items()
    }


def told(columns: Sequence[str], query: str) -> dict[str, str]:
    """The values of a row by the names that its text gives them."""
    starts = []
    at = 0
    for place, name in enumerate(columns):
        mark = f"{', ' if place else ''}{name} "
        at = query.index(mark, at)
        starts.append((at, at + len(mark)))
        at += len(mark)
    ends = [start for start, _ in starts[1:]] + [len(query)]
    return {name: query[start:end] for name, (_, start), end in zip(columns, starts, ends, strict=True)}


def stitched(examples: Sequence[Example]) -> dict[int, float]:
    """Place in the series → its value, from all windows that show it."""
    known: dict[int, float] = {}
    for one in examples:
        shown, after, origin = history(one), future(one), int(one.meta["origin"])
        values = [*shown, *after]
        known |= {origin - len(shown) + step: float(value) for step, value in enumerate(values)}
    return known


def of_series(period: int, known: dict[int, float], examples: Sequence[Example]) -> Answers:
    smoothing = _needed("statsmodels.tsa.holtwinters")
    answers: Answers = {"naive": [], "seasonal naive": [], "ets": []}
    for one in examples:
        origin, horizon = int(one.meta["origin"]), len(future(one))
        shown = [float(value) for value in history(one)]
        answers["naive"].append([shown[-1]] * horizon)
        answers["seasonal naive"].append([shown[-period + step % period] for step in range(horizon)])
        past = [value for place, value in sorted(known.items()) if place < origin]
        model = smoothing.ExponentialSmoothing(past, trend="add", seasonal="add", seasonal_periods=period)
        answers["ets"].append([float(value) for value in model.fit().forecast(horizon)])
    return {name: [Values(Decimal(repr(v)) for v in row) for row in rows] for name, rows in answers.items()}


def _scored(task: Task, examples: Sequence[Example], answers: Sequence[Any]) -> dict[str, float | None]:
    return aggregate(
        task, [Item(one, found, task.score(found, one)) for one, found in zip(examples, answers, strict=True)]
    )


def _needed(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise UserError(
            f"{module.split('.')[0]} is missing: pip install scikit-learn statsmodels (the extra `baselines`)"
        ) from None


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tasks.baselines",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="a built data set, of a table or a series")
    folder = parser.parse_args(arguments).folder
    return guard(lambda: report(folder))


def report(folder: Path) -> int:
    """Print the baselines of a set, and write them beside its records."""
    found = baselines(folder)
    for split, methods in found.items():
        for method, metrics in methods.items():
            shown = ", ".join(
                f"{name} {'–' if value is None else format(value, '.3f')}" for name, value in metrics.items()
            )
            print(f"{split}  {method}: {shown}")
    write_json(
        folder / FILE, {"records_sha256": read_manifest(folder).get("records_sha256"), "splits": found}
    )
    return 0


if __name__ == "__main__":
    run_command(main)
