"""The repositories of a study: whose files, at one commit, corpora and behaviours read."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from snakesteer.hub.http import is_address
from snakesteer.study.entries import Entry
from snakesteer.study.models import COMMIT


def tree_of(source: str, listing: str | None) -> str | None:
    """Where the tree of the commit at an address is: `listing`, or what a raw-file address at
    GitHub implies."""
    at_github = re.fullmatch(
        r"https://raw\.githubusercontent\.com/([\w.-]+/[\w.-]+)/([0-9a-f]{40})/?", source
    )
    if listing or not at_github:
        return listing
    return "https://api.github.com/repos/{}/git/trees/{}?recursive=1".format(*at_github.groups())


def refuse_unlisted(source: str, tree: str | None) -> None:
    """ValueError for an address without a tree, by which what is downloaded could be verified."""
    if is_address(source) and not tree:
        raise ValueError(
            f"source is the address {source}, and listing is missing; give the address of the "
            "commit's tree, so that downloads can be verified"
        )


def inside(path: str) -> str:
    """A path below the top of a repository; ValueError for any other."""
    parts = PurePosixPath(path).parts
    if "/".join(parts) != path or path.startswith("/") or ".." in parts or "\\" in path:
        raise ValueError(
            f"{path!r} is not a path in a repository; give it from the repository's top folder, "
            "as data/train.json"
        )
    return path


def _blob(given: str) -> str:
    if not re.fullmatch(COMMIT, given):
        raise ValueError(
            f"{given!r} is not a blob id; give its 40 hex digits: `git rev-parse COMMIT:PATH` "
            "prints them"
        )
    return given


PathInside = Annotated[str, AfterValidator(inside)]
BlobId = Annotated[str, AfterValidator(_blob)]


class GitRepository(Entry):
    """A git repository at one commit. Corpora name its files in `files`, and behaviours in
    `file`. Every file is verified against its git blob id."""

    EXAMPLE = """
        repositories:
          caa:
            source: https://raw.githubusercontent.com/nrimsky/CAA/48fe8dccfdf35ac60856ec2842952e19fac98f4c
            commit: 48fe8dccfdf35ac60856ec2842952e19fac98f4c
    """

    source: str = Field(
        description="An address of raw files that contains the commit, as "
        "https://raw.githubusercontent.com/OWNER/NAME/COMMIT. Or a folder: absolute, in the "
        "working directory, or in this repository; `~` is the home folder. It is a clone, "
        "which is read at the commit whatever is checked out, or a folder of the same "
        "structure.",
    )
    commit: Annotated[str, Field(pattern=COMMIT)] = Field(description="The commit, 40 hex digits.")
    listing: str | None = Field(
        None,
        description="For an address: where the commit's tree with its blob ids is, in the "
        "form of GitHub's API. Not needed for an address at GitHub.",
    )
    blobs: dict[PathInside, BlobId] = Field(
        {},
        description="Blob ids by path, for a folder that is not a clone. A file without "
        "one is used and reported as unverified.",
    )

    @model_validator(mode="after")
    def _verified(self) -> Self:
        if is_address(self.source) and self.commit not in self.source.split("/"):
            raise ValueError(
                f"source is the address {self.source}, which does not contain the commit "
                f"{self.commit}; replace the branch with it, as "
                "https://raw.githubusercontent.com/OWNER/NAME/COMMIT"
            )
        refuse_unlisted(self.source, self.tree)
        return self

    @property
    def tree(self) -> str | None:
        """Where the commit's tree is, of an address."""
        return tree_of(self.source, self.listing) if is_address(self.source) else None
