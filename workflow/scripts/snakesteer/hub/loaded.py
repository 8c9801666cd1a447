"""What is known of a model that is in memory: where it was loaded from, and what lies there.

Weights in memory do not tell the fingerprint, which is that of files. So it is taken of the files
that the model was loaded from, where that costs next to nothing: of small ones, and of those that
the hub's cache keeps under the hash of their content.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from snakesteer.core.errors import StudyError
from snakesteer.hub.manifest import HASH, content, fingerprint, is_weights, sha256
from snakesteer.hub.model_folder import snapshot


@dataclass(frozen=True)
class Loaded:
    """A model in memory: its `source` (a folder, or a repository of the hub) and `revision`, as far
    as these are known, its depth and its width."""

    source: str | None
    revision: str | None
    n_layers: int
    hidden: int

    def described(self) -> dict[str, Any]:
        """What a vector that is made with it says of its model."""
        source = self.source
        return {
            "source": PurePath(source).name if source and _is_path(source) else source,
            "revision": self.revision,
            "fingerprint": self.fingerprint(),
            "hidden": self.hidden,
            "n_layers": self.n_layers,
        }

    def fingerprint(self, *, read: bool = False) -> str | None:
        """That of the files it was loaded from; None if they are not there.

        Large files are hashed only if they shall be `read`; it is None if they would have to be.
        """
        folder = self._folder()
        if folder is None:
            return None
        try:
            files = content(folder)
        except StudyError:
            return None
        hashes = {}
        for name in filter(is_weights, files):
            hashes[name] = files[name].rpartition(":")[2]
            if not HASH.fullmatch(hashes[name]):
                if not read:
                    return None
                hashes[name] = sha256(folder / name)
        return fingerprint(hashes)

    def refuse_vector(self, model: Mapping[str, Any], transfer: bool) -> None:
        """Refuse (StudyError) a vector of another model than this one, which `model` describes.

        Depth and width must be the same, as far as they are known. Without `transfer` the model
        must be the same, too: by its fingerprint, or where large files would have to be read for
        it, by the name that it was loaded under and its revision. Only if these differ they are
        read.
        """
        mine = self.source or "the model in memory"
        its = model.get("source") or "another model"
        for name, unit in (("n_layers", "layers"), ("hidden", "values in a state")):
            expected, found = model.get(name), getattr(self, name)
            if expected is not None and expected != found:
                raise StudyError(
                    f"The vector comes from {its} with {expected} {unit}, but {mine} has "
                    f"{found}; use a vector made with this model."
                )
        if transfer or self._is(model):
            return
        raise StudyError(
            f"The vector comes from {its}{_at(model.get('revision'))}, not from "
            f"{mine}{_at(self.revision)}; steer the model that it comes from, or allow this with "
            "transfer=True."
        )

    def _is(self, model: Mapping[str, Any]) -> bool:
        expected = None if model.get("adapter") else model.get("fingerprint")
        if expected and (found := self.fingerprint()):
            return bool(found == expected)
        named = _same_name(self.source, model.get("source"))
        revisions = {self.revision, model.get("revision")} - {None}
        if named and len(revisions) < 2:
            return True
        return bool(expected) and self.fingerprint(read=True) == expected

    def _folder(self) -> Path | None:
        if self.source is None:
            return None
        if Path(self.source).is_dir():
            return Path(self.source)
        return snapshot(self.source, self.revision) if self.revision else None


def _is_path(source: str) -> bool:
    """Whether a source is a folder of this machine, there or not, and no repository of the hub."""
    return PurePath(source).is_absolute() or Path(source).is_dir()


def _same_name(one: str | None, other: str | None) -> bool:
    """Whether one of two paths ends as the other does; so of what is not known."""
    if not one or not other:
        return True
    first, second = PurePath(one).parts, PurePath(other).parts
    shorter = min(len(first), len(second))
    return first[-shorter:] == second[-shorter:]


def _at(revision: str | None) -> str:
    return f" at {revision[:12]}" if revision else ""
