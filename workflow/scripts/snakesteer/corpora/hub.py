"""Documents streamed from dataset repositories of the hub, each at one commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from snakesteer.corpora.records import Record, Shard, draw
from snakesteer.errors import StudyError

SPLITS = ("train", "validation")
PATIENCE = 100_000  # records without one that passes the filter


def identity(settings: Mapping[str, Any], repository: str | Path) -> dict[str, Any]:
    """Nothing beside the settings, which name a commit."""
    return {}


def splits(
    settings: Mapping[str, Any], workers: int, repository: str | Path
) -> dict[str, list[tuple[str, str]]]:
    """The documents of a corpus by split as (id, text), in the order of `records.draw`.

    Only as much of each file is fetched as the documents take. Raises StudyError for what the hub
    refuses, an unknown configuration or split, and records that are not as they should be.
    """
    drawn = {}
    for split in SPLITS:
        place = settings["splits"][split]
        shards = _shards(place, f"splits.{split}")
        drawn[split] = draw(shards, settings, settings[split], place["skip"], PATIENCE)
    return drawn


def _shards(place: Mapping[str, Any], key: str) -> list[Shard]:
    """The files of a split, in the order of their names."""
    # Planning imports this module, and needs neither of them.
    from datasets import IterableDataset, load_dataset
    from datasets.exceptions import DataFilesNotFoundError, DatasetNotFoundError

    from snakesteer.hub import told

    repository, revision = place["repository"], place["revision"]
    with told(repository, revision, "dataset"):
        try:
            found = load_dataset(repository, place["config"], revision=revision, streaming=True)
        except DatasetNotFoundError as error:
            raise (error.__cause__ or error) from None
        except (ValueError, RuntimeError, DataFilesNotFoundError) as error:
            raise StudyError(
                f"{key}: {repository} at {revision} cannot be read ({_first_line(error)}); correct "
                "config, or name a dataset of data files."
            ) from None
    if place["split"] not in found:
        raise StudyError(
            f"{key}.split is {place['split']}, but {repository} has {', '.join(found)}; name one "
            "of those."
        )
    dataset: IterableDataset = found[place["split"]]
    return [partial(_read, dataset, number, place) for number in range(dataset.num_shards)]


def _read(dataset: Any, number: int, place: Mapping[str, Any]) -> Iterator[Record]:
    """The records of one file of a dataset."""
    from datasets.exceptions import DatasetGenerationError

    from snakesteer.hub import told

    repository, revision = place["repository"], place["revision"]
    named = f"{repository} split {place['split']} file {number + 1} of {dataset.num_shards}"
    count = 0
    with told(repository, revision, "dataset"):
        try:
            for record in dataset.shard(dataset.num_shards, number):
                count += 1
                yield f"{named} record {count}", record
        except (DatasetGenerationError, ValueError, TypeError) as error:
            raise StudyError(
                f"{named} cannot be read after record {count} ({_first_line(error)}); name another "
                "revision, or download the file, correct it and use `source: files`."
            ) from None


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
