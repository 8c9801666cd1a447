"""Two sets of tables over the same figure, compared curve by curve.

A curve of a skill table is one injected layer; its quantities are the relative accuracies on both
corpora. Where one of two such tables holds losses alone, as published ones do, a curve is one
corpus. A curve of a behaviour table is one behaviour at one injected layer (or set of layers); its
quantity is the matching score. Points are paired by coefficient, and where multipliers were chosen
(single and combined steering) by what was done with them. Asked for along the layer, a curve is one
behaviour at one coefficient, and its points are paired by layer. Of candidate directions a curve is
one position (`tables.compared_candidates`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import pandas as pd

from snakesteer.core.errors import StudyError
from snakesteer.core.labels import layer_order
from snakesteer.tables import compared_candidates
from snakesteer.tables.bootstrap import SEED, percentile_interval
from snakesteer.tables.categories import ALL, CATEGORY, MEAN, means_alone, without_categories
from snakesteer.tables.difference_intervals import may_be_zero, square_and_add
from snakesteer.tables.draws import without_draws
from snakesteer.tables.intervals import CONFIDENCE
from snakesteer.tables.items import Items, column_of
from snakesteer.tables.paired import (
    INDEPENDENT,
    PAIRED,
    over_points,
    resampled_ratios,
    same_items,
    with_paired,
)

SAMPLES = 2000
_SIDES = ("", "_against")  # endings of the columns of the first, and of what it is compared with
Along = Literal["coefficient", "layer"]

# Kind -> columns that say which curve, and which point of it.
_CURVE = {"skill": ["layer"], "losses": ["corpus"], "simultaneous": ["behaviour"]}
_POINT = {
    "skill": ["quantity", "coefficient"],
    "losses": ["quantity", "coefficient"],
    "single": ["direction"],
    "combined": ["direction", "combine", "weighted"],
}
PAIR_COLUMNS = [
    "sweep",
    "against",
    "kind",
    "curve",
    "quantity",
    "point",
    "coefficient",
    "coefficient_against",
    "value",
    "low",
    "high",
    "value_against",
    "low_against",
    "high_against",
    "difference",
    "difference_low",
    "difference_high",
    "within",
    "interval",
]
CURVE_COLUMNS = [
    "sweep",
    "against",
    "kind",
    "curve",
    "pairs",
    "outside",
    "statistic",
    "value",
    "value_against",
    "difference",
    "difference_low",
    "difference_high",
    "rank_agreement",
    "within",
    "verdict",
    "interval",
]


@dataclass(frozen=True)
class Scorecard:
    """`pairs` (columns `PAIR_COLUMNS`) and `curves` (`CURVE_COLUMNS`) of a comparison.

    Differences are the first set minus the one it is compared with; intervals are 95 %. `within`
    says whether a pair or a curve agrees, and is empty where that is unknown. `interval` says
    whether that of the difference is over the same items in both, "paired", or "independent".

    Columns of pairs, a row for each point that both curves have:
        sweep, against (text): The first table, and the one that it is compared with.
        kind (text): What is compared: `skill` (accuracies), `losses`, `candidates`, or the `kind`
            of a sweep of answers.
        curve (text): The curve: layer, corpus, behaviour, category, vector or position, whichever
            differ.
        quantity (text): What the values are: `matching score`, `target` or `other` with the corpus,
            or the name of the column.
        point (text): What was done at the point where the coefficient does not tell: a direction,
            or a layer. Else empty text.
        coefficient, coefficient_against (number): The coefficients of both.
        value, low, high (number): The value in the first table, with its interval.
        value_against, low_against, high_against (number): The value in the other table, with its
            interval.
        difference, difference_low, difference_high (number): `value` minus `value_against`, with an
            interval where both have one.
        within (true or false): Whether the difference can be 0. Empty without an interval.
        interval (text): `paired` if the interval of the difference is over the same items in both,
            else `independent`.

    Columns of curves, a row for each curve that both tables have:
        sweep, against, kind, curve (as tables.scorecard.Scorecard.pairs)
        pairs (whole number): Points that both curves have.
        outside (whole number): Points whose difference is not 0 within its interval.
        statistic (text): What `value` is: a mean of the quantity, or the area between the curve and
            the diagonal of a trade-off.
        value, value_against (number): The statistic of both.
        difference, difference_low, difference_high (number): `value` minus `value_against`, with an
            interval where points have one.
        rank_agreement (number): Spearman's rank correlation of both over the points. Empty where
            one side is constant.
        within (true or false): Whether the curves agree. Empty without intervals.
        verdict (text): The comparison in words.
        interval (as tables.scorecard.Scorecard.pairs)
    """

    pairs: pd.DataFrame
    curves: pd.DataFrame


def scorecard(
    tables: Sequence[pd.DataFrame],
    against: Sequence[pd.DataFrame],
    column: str | None = None,
    along: Along = "coefficient",
    by_category: bool = False,
    items: Sequence[tuple[Items | None, Items | None]] | None = None,
) -> Scorecard:
    """Compare tables with others, pair by pair; each is a whole skill or behaviour table, or one of
    candidate directions.

    Compared is a `column` of both, or if none is named the relative top-1 accuracies, losses,
    matching scores, log-odds of first tokens and divergences. Curves run `along` the coefficient or
    the layer. Of questions by category all together and the mean over categories are compared,
    and with `by_category` every category by itself, too.

    The difference of two values with intervals has the interval of the square-and-add method
    (Newcombe's, for matching scores). Where `items`, of both tables of each pair, say that both
    values are over the same questions or documents, it is the paired one (`tables.paired`), and so
    is that of a curve whose points all are. What was drawn several times counts by its mean, which
    has no interval. Raises StudyError for tables that do not show the same thing: different kinds,
    corpora, behaviours, splits or coefficients, or no common curve or point. It does so as well for
    tables without the column, without a common category if compared by category, and without a
    curve over the layer if compared along it.
    """
    pairs, curves = [], []
    of_items = items or [(None, None)] * len(tables)
    for own, other, read in zip(tables, against, of_items, strict=True):
        both = without_draws(own), without_draws(other)
        ours, theirs = _of_categories(*both) if by_category else _of_all_questions(*both)
        if any(map(compared_candidates.of_candidates, (ours, theirs))):
            cells, rows = compared_candidates.compare(ours, theirs, column)
            pairs.append(cells.assign(interval=INDEPENDENT)[PAIR_COLUMNS])
            curves += [row | {"interval": INDEPENDENT} for row in rows]
            continue
        kind = _same_kind(ours, theirs)
        if along == "layer" and kind != "grid":
            raise StudyError(
                f"{_name(ours)} and {_name(theirs)} are {kind} sweeps, which have no curve over "
                "the layer; compare them over the coefficient."
            )
        point = ["layer"] if along == "layer" else _POINT.get(kind, ["coefficient"])
        if kind not in ("skill", "losses"):
            ours, theirs = (
                table[table["split"].isin(other["split"])]
                for table, other in ((ours, theirs), (theirs, ours))
            )
        names = {"sweep": _name(ours), "against": _name(theirs), "kind": kind}
        left, right = (
            _values(side, kind, column, questions)
            for side, questions in zip((ours, theirs), read, strict=True)
        )
        columns = list(_CURVE.get(kind, ["layer", "behaviour"]))
        if along == "layer":
            left, right = (side[~side["unsteered"]] for side in (left, right))
            columns = ["coefficient", "behaviour"]
        if CATEGORY in left and CATEGORY in right:
            columns.append(CATEGORY)
        if any(_several_vectors(side, [*columns, "quantity", *point]) for side in (left, right)):
            columns.append("vector")
        shared = [curve for curve in left.groupby(columns, sort=False).groups]
        shared = [curve for curve in shared if curve in right.groupby(columns).groups]
        if not shared:
            raise StudyError(
                f"{names['sweep']} and {names['against']} have no {' and '.join(columns)} in "
                f"common ({_listed(left, columns)}; {_listed(right, columns)}); compare sweeps "
                "with the same ones."
            )
        for curve in shared:
            key = curve if isinstance(curve, tuple) else (curve,)
            own, other = (_of(side, columns, key) for side in (left, right))
            paired = _paired(own, other, kind, point, names)
            paired = paired.assign(**names, curve=_label(columns, key))
            pairs.append(paired[PAIR_COLUMNS])
            curves.append(_summary(paired, kind))
    return Scorecard(
        pd.concat(pairs, ignore_index=True),
        pd.DataFrame(curves, columns=CURVE_COLUMNS).astype({"within": "boolean"}),
    )


def _name(table: pd.DataFrame) -> str:
    return str(table["sweep"].iloc[0])


def _of_all_questions(*both: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows of both tables that are of all questions, and if both have categories the means over
    these."""
    if all(CATEGORY in table for table in both):
        return [means_alone(table) for table in both]
    found = [without_categories(table) for table in both]
    for table, own in zip(both, found, strict=True):
        if own.empty and len(table):
            raise StudyError(
                f"{_name(table)} has only categories of questions, which the other of "
                f"{' and '.join(map(_name, both))} lacks; compare it with a sweep `by_category`."
            )
    return found


def _of_categories(*both: pd.DataFrame) -> tuple[pd.DataFrame, ...]:
    """Both tables, which have a category in common."""
    held = [set(table[CATEGORY]) if CATEGORY in table else set() for table in both]
    if not set.intersection(*held) - {ALL, MEAN}:
        listed = [_first_of(sorted(own - {ALL, MEAN})) or "none" for own in held]
        raise StudyError(
            f"{' and '.join(map(_name, both))} have no category of questions in common "
            f"({'; '.join(listed)}); remove `by_category`, or compare sweeps over the same "
            "categories."
        )
    return both


def _same_kind(ours: pd.DataFrame, theirs: pd.DataFrame) -> str:
    """The kind of both tables, after a check that they show the same thing.

    Of splits one in common is enough: the default of the published grid search, alone, is measured
    on other questions than its cells.
    """
    for table in (ours, theirs):
        if table.empty:
            raise StudyError("a scorecard was given an empty table; compare sweeps with results.")
        if not {"role", "kind"}.intersection(table):
            raise StudyError(
                "a scorecard compares next_token or two_choice, or candidate directions, but "
                "was given a table of another measure; remove that sweep."
            )
    names = f"{_name(ours)} and {_name(theirs)}"
    kinds = ["skill" if "role" in table else str(table["kind"].iloc[0]) for table in (ours, theirs)]
    if kinds == ["skill", "skill"] and any(map(_has_losses_alone, (ours, theirs))):
        _check_losses(ours, theirs)
        return "losses"
    if kinds[0] != kinds[1]:
        raise StudyError(
            f"{names} are a {kinds[0]} and a {kinds[1]} sweep, which no figure shows together; "
            "compare sweeps of the same kind."
        )
    skill = kinds[0] == "skill"
    for aspect in ["corpus", "target corpus"] if skill else ["split"]:
        seen = [_seen(table, aspect) for table in (ours, theirs)]
        if seen[0] != seen[1] and (skill or not set(seen[0]) & set(seen[1])):
            raise StudyError(
                f"{names} cover different {aspect} values ({', '.join(seen[0])}; "
                f"{', '.join(seen[1])}); compare sweeps over the same."
            )
    return kinds[0]


def _has_losses_alone(table: pd.DataFrame) -> bool:
    return bool(table["top1"].isna().all())


def _check_losses(*tables: pd.DataFrame) -> None:
    """Published losses are of one injection, and are compared with those of one, wherever it is."""
    for table in tables:
        if len(table[["vector", "layer"]].drop_duplicates()) > 1:
            raise StudyError(
                f"{_name(table)} has several vectors or layers, but published losses have one of "
                "each; compare a sweep with one."
            )


def _seen(table: pd.DataFrame, aspect: str) -> list[str]:
    if aspect == "target corpus":
        table, aspect = table[table["role"] == "target"], "corpus"
    return sorted(set(table[aspect]))


def _values(
    table: pd.DataFrame, kind: str, column: str | None, items: Items | None
) -> pd.DataFrame:
    """A row per value: what it is of, `quantity`, `value`, `low`, `high`; `items` by question."""
    skill = kind == "skill"
    column = column or {"skill": "relative_top1", "losses": "nll"}.get(kind, "score")
    if column not in table or not pd.api.types.is_numeric_dtype(table[column]):
        raise StudyError(
            f"a scorecard compares the column {column}, which {_name(table)} lacks; name one of "
            f"{', '.join(table.select_dtypes('number'))}."
        )
    known = {"score": "matching score", "nll": "loss (nats per token)"}
    named = known.get(column, column.replace("_", " "))
    return table.assign(
        quantity=table["role"] + " " + table["corpus"] if skill else named,
        value=table[column].astype(float),
        low=table.get(f"{column}_low", np.nan),
        high=table.get(f"{column}_high", np.nan),
        items=pd.Series(column_of(table, items, column), index=table.index, dtype=object),
    )


def _of(side: pd.DataFrame, columns: list[str], key: tuple[Any, ...]) -> pd.DataFrame:
    mask = np.logical_and.reduce([side[c] == v for c, v in zip(columns, key, strict=True)])
    return side[mask]


def _several_vectors(side: pd.DataFrame, point: list[str]) -> bool:
    """Whether a point that these columns tell is there under several vectors."""
    return bool((side.groupby(point)["vector"].nunique() > 1).any())


def _label(columns: list[str], key: tuple[Any, ...]) -> str:
    said = []
    for column, value in zip(columns, key, strict=True):
        if column == "layer":
            said.append(f"layer {value}" if value else "")
        elif column == "coefficient":
            said.append(f"coefficient {value:+g}")
        else:
            said.append("mean over categories" if (column, value) == (CATEGORY, MEAN) else value)
    return ", ".join(filter(None, said))


def _listed(side: pd.DataFrame, columns: list[str]) -> str:
    keys = side[columns].drop_duplicates().itertuples(index=False, name=None)
    return _first_of([_label(columns, key) for key in keys])


def _first_of(names: list[str]) -> str:
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")


def _paired(
    own: pd.DataFrame, other: pd.DataFrame, kind: str, point: list[str], names: dict[str, str]
) -> pd.DataFrame:
    """The points that both curves have, with differences and their intervals."""
    if "coefficient" in point:
        _same_coefficients(own, other, names)
    values = ["coefficient", "value", "low", "high", "items"]
    kept = list(dict.fromkeys([*point, "quantity", *values]))
    pairs = own[kept].merge(other[kept], on=point, suffixes=("", "_against"))
    if pairs.empty:
        raise StudyError(
            f"{names['sweep']} and {names['against']} share no points ({_points(own, point)}; "
            f"{_points(other, point)}); compare sweeps with the same ones."
        )
    if "coefficient" in point:
        pairs["coefficient_against"] = pairs["coefficient"]
    pairs["point"] = _point_label(pairs, point)
    difference, low, high = square_and_add(
        (pairs["value"], pairs["low"], pairs["high"]),
        (pairs["value_against"], pairs["low_against"], pairs["high_against"]),
    )
    pairs = with_paired(
        pairs.assign(difference=difference, difference_low=low, difference_high=high)
    )
    return pairs.assign(within=may_be_zero(pairs["difference_low"], pairs["difference_high"]))


def _point_label(pairs: pd.DataFrame, point: list[str]) -> pd.Series | str:
    """What was done at each point: "add", "add weighted sum", or "layer 3"; "" where the
    coefficient says."""
    if point == ["layer"]:
        return "layer " + pairs["layer"]
    if point == _POINT["single"]:
        return pairs["direction"]
    if point == _POINT["combined"]:
        weighted = np.where(pairs["weighted"], " weighted ", " ")
        return pairs["direction"] + weighted + pairs["combine"]
    return ""


def _points(side: pd.DataFrame, point: list[str]) -> str:
    labels = _point_label(side, point)
    if isinstance(labels, str):
        labels = side["coefficient"].map("{:g}".format)
    return _first_of(list(dict.fromkeys(labels)))


def _same_coefficients(own: pd.DataFrame, other: pd.DataFrame, names: dict[str, str]) -> None:
    """Refuse curves of other coefficients: half of the shorter curve's must be in the other.

    Early stopping and its leaps end curves at different places, so that the lists need not agree.
    """
    ours, theirs = (sorted(set(side["coefficient"]) - {0.0}) for side in (own, other))
    shared = set(ours) & set(theirs)
    if len(shared) < min(len(ours), len(theirs)) / 2:
        listed = [", ".join(f"{value:g}" for value in side[:6]) for side in (ours, theirs)]
        raise StudyError(
            f"{names['sweep']} and {names['against']} have different coefficients ({listed[0]} "
            f"…; {listed[1]} …); compare sweeps with the same list."
        )


def _summary(pairs: pd.DataFrame, kind: str) -> dict[str, Any]:
    """The statistic of one curve, with the verdict in a line."""
    outside = int((~pairs["within"]).sum())
    row = {column: pairs[column].iloc[0] for column in ("sweep", "against", "kind", "curve")}
    row |= {"pairs": len(pairs), "outside": outside, "rank_agreement": _rank_agreement(pairs)}
    if kind == "skill" and pairs["quantity"].nunique() == 2:
        row |= {"statistic": "area between curve and diagonal"} | _areas(pairs)
    else:
        judged = of_target(pairs)
        row |= {"statistic": f"mean {judged['quantity'].iloc[0]}"} | _means(judged)
    apart = bool(row["difference_low"] > 0 or row["difference_high"] < 0)
    many = outside > len(pairs) / 20  # a twentieth of 95 % intervals miss by chance
    row["within"] = None if np.isnan(row["difference_low"]) else not (apart or many)
    each = zip(pairs["point"], pairs["difference"], strict=True)
    named = ", ".join(f"{point} {value:+.3f}" for point, value in each if kind == "single")
    row["verdict"] = _verdict(row, apart, many) + (f" ({named})" if named else "")
    if np.isnan(row["difference_low"]):
        row["verdict"] += _without_intervals(pairs, row["rank_agreement"])
    return row


def _without_intervals(pairs: pd.DataFrame, rank_agreement: float) -> str:
    """What is known of differences without intervals."""
    known = pairs.dropna(subset="difference")
    if known.empty:
        return ""
    largest = known.loc[known["difference"].abs().idxmax()]
    at = largest["point"] or f"coefficient {largest['coefficient']:+g}"
    ranks = "" if np.isnan(rank_agreement) else f", rank agreement {rank_agreement:.2f}"
    return (
        f"; it is {known['difference'].mean():+.3f} on average and {largest['difference']:+.3f} at "
        f"most ({at}){ranks}"
    )


def _verdict(row: Mapping[str, Any], apart: bool, many: bool) -> str:
    """Whether a curve differs as a whole (`apart`), at more points than chance gives, or not."""
    if np.isnan(row["difference_low"]):
        return "unknown: no point has an interval of its difference"
    whole = (
        f"the difference in {row['statistic']}, {row['difference']:+.3f} "
        f"({row['difference_low']:+.3f} to {row['difference_high']:+.3f}), "
        f"{'is not' if apart else 'may be'} 0"
    )
    points = f"{row['outside']} of {row['pairs']} points"
    match apart, many:
        case True, True:
            return f"differs: {whole}, and {points} differ"
        case True, False:
            return f"differs as a whole: {whole}, though only {points} differ"
        case False, True:
            return f"differs at points: {whole}, but {points} differ, more than one in 20"
    return f"agrees: {whole}, and {points} differ, at most one in 20"


def of_target(pairs: pd.DataFrame) -> pd.DataFrame:
    """Of a skill curve the pairs of its target corpus, of any other curve all pairs."""
    return pairs[(pairs["kind"] != "skill") | pairs["quantity"].str.startswith("target ")]


def _areas(pairs: pd.DataFrame) -> dict[str, Any]:
    """Area between each curve and the diagonal, over the points that both have.

    Positive above the diagonal; where coefficients have both signs, the sum of both halves' areas.
    Where all points of a corpus are over the same documents, the interval is that of a bootstrap
    that draws these for all of them. Else it takes each point as normal, with its own interval, and
    as independent of the others.
    """
    coefficients = np.unique(pairs["coefficient"])
    quantities = {
        str(quantity).split()[0]: rows.sort_values("coefficient")
        for quantity, rows in pairs.groupby("quantity")
    }
    paired = all(same_items(*rows["items"], *rows["items_against"]) for rows in quantities.values())
    drawn = (_paired_draws if paired else _independent_draws)(quantities)
    areas, samples = [], []
    for end in _SIDES:
        values = {name: rows[f"value{end}"].to_numpy()[None] for name, rows in quantities.items()}
        areas.append(float(_area(coefficients, values["target"], values["other"])[0]))
        of_side = drawn[end]
        samples.append(_area(coefficients, of_side["target"], of_side["other"]))
    value, value_other = areas
    spread = (samples[0] - samples[0].mean()) - (samples[1] - samples[1].mean())
    if paired:
        documents = min(len(rows["items"].iloc[0]) for rows in quantities.values())
        low, high = (
            ends[0] for ends in percentile_interval(spread[:, None], np.array([documents]))
        )
    else:
        tail = (1 - CONFIDENCE) / 2
        low, high = np.quantile(spread, [tail, 1 - tail])
    difference = value - value_other
    return {
        "value": value,
        "value_against": value_other,
        "difference": difference,
        "difference_low": difference + float(low),
        "difference_high": difference + float(high),
        "interval": PAIRED if paired else INDEPENDENT,
    }


def _independent_draws(quantities: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, np.ndarray]]:
    """By side and quantity draws of the values, [draws, points], each point by itself."""
    generator = np.random.default_rng(SEED)
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    drawn: dict[str, dict[str, np.ndarray]] = {end: {} for end in _SIDES}
    for end in _SIDES:
        for name, rows in quantities.items():
            deviation = (rows[f"high{end}"] - rows[f"low{end}"]).fillna(0).to_numpy() / (2 * z)
            value = rows[f"value{end}"].to_numpy()
            drawn[end][name] = value + deviation * generator.standard_normal((SAMPLES, len(value)))
    return drawn


def _paired_draws(quantities: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, np.ndarray]]:
    """By side and quantity draws of the values, [draws, points], each over the same documents at
    all points of both sides."""
    drawn: dict[str, dict[str, np.ndarray]] = {end: {} for end in _SIDES}
    for place, (name, rows) in enumerate(quantities.items()):
        samples = resampled_ratios([*rows["items"], *rows["items_against"]], SEED + place)
        for end, of_side in zip(_SIDES, np.split(samples, 2, axis=1), strict=True):
            drawn[end][name] = of_side
    return drawn


def _area(coefficients: np.ndarray, target: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Trapezoids of other minus target over target, [n, points] each, by ascending coefficient.

    The target falls on the way from 0, and so from right to left where coefficients are negative.
    """
    above = other - target
    outwards = np.where(coefficients[1:] > 0, 1, -1)
    fallen = (target[:, :-1] - target[:, 1:]) * outwards
    return ((above[:, 1:] + above[:, :-1]) / 2 * fallen).sum(axis=1)


def _means(pairs: pd.DataFrame) -> dict[str, Any]:
    """Mean of the differences of points with intervals. Its own is over the items where all points
    are of the same ones, and else takes points as independent. Of all points, without an interval,
    where none has one."""
    known = pairs.dropna(subset=["difference_low", "difference_high"])
    if known.empty:
        known = pairs
    count = len(known)
    difference = known["difference"].mean()
    below, above = (
        ((known["difference"] - known[end]) ** 2).sum(skipna=False)
        for end in ("difference_low", "difference_high")
    )
    low, high = difference - np.sqrt(below) / count, difference + np.sqrt(above) / count
    paired = (known["interval"] == PAIRED).all()
    over_items = over_points(known) if paired and count > 1 else None
    if over_items:
        low, high = over_items
    return {
        "value": pairs["value"].mean(),
        "value_against": pairs["value_against"].mean(),
        "difference": difference,
        "difference_low": low,
        "difference_high": high,
        "interval": PAIRED if over_items or (paired and count == 1) else INDEPENDENT,
    }


def _rank_agreement(pairs: pd.DataFrame) -> float:
    """Spearman's rank correlation of the two curves' values; NaN if one of them is constant."""
    ranks = pairs[["value", "value_against"]].rank().to_numpy()
    if len(ranks) < 2 or (ranks.std(axis=0) == 0).any():
        return float("nan")
    return float(np.corrcoef(ranks.T)[0, 1])


def sorted_curves(curves: pd.DataFrame) -> list[str]:
    """The curves' labels by depth of the layer in them, others as they come."""

    def depth(curve: str) -> tuple[int, ...]:
        word = curve.split(",")[0]
        return layer_order(word.removeprefix("layer ")) if word.startswith("layer ") else ()

    return sorted(dict.fromkeys(curves["curve"]), key=depth)
