"""What `snakesteer export` and `snakesteer import` do."""

from __future__ import annotations

import contextlib
import math
import re
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from snakesteer.core.errors import StudyError
from snakesteer.core.plugins import constant, file_of
from snakesteer.exports.export import beside, export
from snakesteer.exports.use import Use
from snakesteer.hub.manifest import manifest
from snakesteer.hub.named_model import named_model
from snakesteer.vectors.steering_vector import SteeringVector, read_vector


def export_file(given: Namespace) -> list[str]:
    """Write one vector as a file of another tool; what to tell of it, in sentences.

    Raises StudyError in one sentence for what cannot be read, or cannot be said in that format.
    """
    file = Path(given.file)
    vector = read_vector(file, position=given.position, draw=given.draw)
    if given.site is None and "site" not in vector.made:
        raise StudyError(
            f"{file} does not record the site where the vector was read; export the file of that "
            "name in results/<study>/vectors/, which does, or give --site."
        )
    ending = constant(file_of("exports", given.to), "ENDING")
    out = given.out or Path(f"{file.stem}{ending}")
    if out.resolve() == file.resolve():
        raise StudyError(f"{out} is the vector itself; name another file with --out.")
    _check_ending(out, ending)
    if not math.isfinite(given.coefficient):
        raise StudyError(f"--coefficient is {given.coefficient}; give a finite number.")
    chosen = {"position": given.position, "draw": given.draw}
    number = re.fullmatch(r"-\d+", given.positions)
    use = Use(
        given.operator, given.coefficient, int(given.positions) if number else given.positions
    )
    folder = _folder(vector, given.model, given.revision)
    with _writing(out):
        notes = export(
            vector,
            given.to,
            out,
            use=use,
            layers=given.layers,
            site=given.site,
            folder=folder,
            chosen={key: value for key, value in chosen.items() if value is not None},
        )
    return [*notes, f"Done: {out}, and next to it {beside(out).name}."]


def import_file(given: Namespace) -> list[str]:
    """Write the vector in a file of another tool as one of ours; what to tell of it, in sentences.

    Raises StudyError in one sentence for what cannot be read, or is not that model's.
    """
    from snakesteer.exports.importing import imported  # needs torch
    from snakesteer.exports.safetensors import ENDING, write

    if given.out.resolve() == given.file.resolve():
        raise StudyError(f"{given.out} is the file itself; name another one with --out.")
    _check_ending(given.out, ENDING)
    folder, revision = named_model(given.model, given.revision)
    vector = imported(
        given.file,
        manifest(folder, given.model, revision),
        tensor=given.tensor,
        layer=given.layer,
        offset=given.offset,
        site=given.site,
    )
    with _writing(given.out):
        write(vector, given.out)
    layers = ", ".join(map(str, vector.layers))
    return [f"It has directions at the layers {layers}.", f"Done: {given.out}."]


def _check_ending(out: Path, ending: str) -> None:
    """Refuse (StudyError) a name by which the file would be taken for one of another kind."""
    if ending and out.suffix != ending:
        raise StudyError(f"--out is {out}; name a file that ends in {ending}.")


@contextlib.contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StudyError(
            f"{out} cannot be written ({error.strerror}); give another path with --out."
        ) from None


def _folder(vector: SteeringVector, named: str | None, revision: str | None) -> Path | None:
    """The folder of a vector's model, as named or as the vector says; None if it is not here.

    Raises StudyError for a model that is named and is not here, or not the vector's.
    """
    if named is None:
        if not vector.model.get("source"):
            return None
        try:
            return named_model(vector.model["source"], vector.model.get("revision"))[0]
        except StudyError:
            return None
    folder, revision = named_model(named, revision)
    known, here = vector.model.get("fingerprint"), manifest(folder)["fingerprint"]
    if known and known != here:
        raise StudyError(
            f"the vector comes from the model {vector.model.get('source')} (fingerprint "
            f"{known[:12]}), not from {named} ({here[:12]}); name its own model."
        )
    return folder
