"""Datasets of the Hugging Face Hub, or local folders with the same layout; each split is read at a fixed commit.

Repositories are read through the ``datasets`` library, which runs no code of theirs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from curate.catalog.params import Runtime
from curate.redact import Redactor, secrets_of_environment
from curate.steps import Context, FailedRow, SourceError, Unit
from curate.unused import Unused
from sources.arrow import batch_records, decoders_of, lacks
from sources.base import Tabular
from sources.records import Need, Record

_COMMIT = re.compile(r"[0-9a-f]{40}")
_REPOSITORY = re.compile(r"[\w.-]+(/[\w.-]+)?")
_BATCH = 1_000
_TIMEOUT = 10.0
"""Seconds to wait for the Hub before reporting that it cannot be reached; the library itself would try for minutes."""


class Hub(Tabular):
    """A dataset of the Hugging Face Hub, or a local folder in one of the layouts that ``datasets`` knows."""

    tag: ClassVar[str] = "hub"
    summary: ClassVar[str] = (
        "rows from a dataset of the Hugging Face Hub or a local folder like one, through `datasets`"
    )
    padded: ClassVar[bool] = True

    # The state of a unit identifies repository, commit or files; the address may change without changing rows.
    dataset: Runtime[Annotated[str, Field(min_length=1)]]
    """A repository such as ``tatsu-lab/alpaca``, or a folder: an absolute path, or one that begins with ``./`` or
    ``../``."""
    config: str | None = None
    """The configuration (subset) of the dataset."""
    split: str | list[str] = "train"
    """The split, or several; each is one unit. Slices such as ``train[:10%]`` need ``streaming: false``."""
    revision: Runtime[str | None] = None
    """The commit (40 hexadecimal digits); a branch or tag (default ``main``) is resolved to one on every build."""
    data_files: str | list[str] | None = None
    """Files of the repository to read instead of those of its configuration."""
    data_dir: str | None = None
    """The folder of the repository to read."""
    streaming: Runtime[bool] = True
    """Whether rows are streamed; otherwise all files are first downloaded into the library's cache."""
    token_env: Runtime[str | None] = None
    """The *name* of the environment variable with the access token. Default: the library's own login."""

    @field_validator("split")
    @classmethod
    def _splits(cls, split: str | list[str]) -> str | list[str]:
        if not split or (isinstance(split, list) and len(set(split)) < len(split)):
            raise PydanticCustomError("split", "'split' is empty or names a split twice")
        return split

    @field_validator("token_env")
    @classmethod
    def _no_token(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise PydanticCustomError(
                "token", "'token_env' takes the name of an environment variable, such as HF_TOKEN"
            )
        if name is not None and name.startswith("hf_") and len(name) > 20:
            raise PydanticCustomError(
                "token", "'token_env' takes the name of an environment variable, never the token itself"
            )
        return name

    # ------------------------------------------------------------------------------------------------------------ where
    @cached_property
    def folder(self) -> Path | None:
        """The local folder; None for a repository."""
        path = Path(self.dataset).expanduser()
        if not (path.is_absolute() or self.dataset.startswith(("./", "../", "~"))):
            if not _REPOSITORY.fullmatch(self.dataset):
                raise SourceError(f"'{self.dataset}' is neither a repository (owner/name) nor a folder (./…)")
            return None
        if not path.is_dir():
            hint = "; a single file is read with 'use: parquet', 'jsonl', 'json' or 'csv'" if path.is_file() else ""
            raise SourceError(f"there is no folder {path}{hint}")
        return path

    @cached_property
    def commit(self) -> str:
        """The commit at which a repository is read.

        Raises:
            SourceError: it is not pinned and the Hub cannot tell.
        """
        if self.revision is not None and _COMMIT.fullmatch(self.revision):
            return self.revision
        return self._ask(self.revision)

    def _token(self) -> str | None:
        if self.token_env is None:
            return None
        token = os.environ.get(self.token_env)
        if not token:
            raise SourceError(f"the environment variable {self.token_env}, named by 'token_env', is not set")
        return token

    def _ask(self, revision: str | None) -> str:
        """Resolves a branch, tag or commit on the Hub, in one short request."""
        from huggingface_hub import HfApi

        try:
            commit = HfApi(token=self._token()).dataset_info(self.dataset, revision=revision, timeout=_TIMEOUT).sha
        except SourceError:
            raise
        except Exception as error:
            raise self._failed(error, f"dataset {self.dataset}", pin=not _COMMIT.fullmatch(revision or "")) from error
        if not commit:
            raise SourceError(f"the Hub names no commit for {self.dataset} at '{revision or 'main'}'")
        return str(commit)

    def _failed(self, error: BaseException, where: str, *, pin: bool = False) -> SourceError:
        """Converts exceptions of the libraries into one sentence."""
        from huggingface_hub import errors

        names = {kind.__name__ for kind in type(error).__mro__}
        if isinstance(error, errors.GatedRepoError):
            return SourceError(f"{where} is gated: accept its terms on its page, then name your token in 'token_env'")
        if isinstance(error, errors.RevisionNotFoundError):
            return SourceError(f"{where} has no revision '{self.revision or 'main'}'")
        if isinstance(error, errors.RepositoryNotFoundError) or "DatasetNotFoundError" in names:
            return SourceError(
                f"{where} does not exist, or is private and needs 'token_env' (the name of a variable with a token)"
            )
        if isinstance(error, (ConnectionError, TimeoutError)) or names & {
            "TransportError",
            "ConnectError",
            "TimeoutException",
            "NetworkError",
        }:
            advice = "; pin 'revision' to a commit (40 digits) to avoid this request" if pin else ""
            cached = "; with 'streaming: false' cached files are read offline" if self.streaming else ""
            return SourceError(f"{where}: the Hub cannot be reached ({_short(error)}){advice}{cached}")
        return SourceError(f"{where}: {_short(error)}")

    # ------------------------------------------------------------------------------------------------------------ units
    def units(self) -> Sequence[Unit]:
        splits = [self.split] if isinstance(self.split, str) else self.split
        folder = self.folder
        if folder is None:
            name = f"{self.dataset}/{self.config}" if self.config else self.dataset
            return [Unit(f"{name}/{split}", state=f"{self.dataset}@{self.commit}") for split in splits]
        files = self._local_files(folder)
        units = []
        for split in splits:
            base = re.split(r"[\[+]", split, maxsplit=1)[0].strip()
            if base not in files:
                raise SourceError(f"{folder.name} has no split '{base}'; it has {', '.join(files) or 'none'}")
            units.append(Unit(f"{folder.name}/{split}", tuple(files[base])))
        return units

    def _saved(self, folder: Path) -> bool:
        """Whether the folder was written by ``save_to_disk``."""
        return (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file()

    def _local_files(self, folder: Path) -> dict[str, list[Path]]:
        """Split → its files."""
        if self._saved(folder):
            parts = (
                {"train": folder}
                if (folder / "state.json").is_file()
                else {inner.name: inner for inner in sorted(folder.iterdir()) if (inner / "state.json").is_file()}
            )
            return {split: sorted(file for file in part.iterdir() if file.is_file()) for split, part in parts.items()}
        import datasets

        try:
            builder = datasets.load_dataset_builder(
                str(folder), self.config, data_files=self.data_files, data_dir=self.data_dir
            )
        except Exception as error:
            raise self._failed(error, folder.name) from error
        files_of: dict[str, list[Path]] = {}
        for split, files in (builder.config.data_files or {}).items():
            files_of[str(split)] = [Path(str(file).split("::")[-1].removeprefix("file://")) for file in files]
        return files_of

    # ---------------------------------------------------------------------------------------------------------- records
    def records(
        self, unit: Unit, columns: Mapping[str, Need] | None, context: Context | None
    ) -> Iterator[Record | FailedRow]:
        number = 0
        try:
            loaded = self._open(unit)
            whole = loaded.column_names is not None and lacks(columns, loaded.column_names)
            decoders = decoders_of(loaded.features.to_dict() if loaded.features is not None else None)
            # Raw Arrow tables: images and audio stay bytes, nothing is decoded.
            for table in loaded.with_format("arrow").iter(batch_size=_BATCH):
                for batch in table.to_batches():
                    yield from batch_records(batch, number, None if whole else columns, decoders, self.max_row_bytes)
                    number += batch.num_rows
                whole = False
        except (SourceError, GeneratorExit):
            raise
        except Exception as error:
            reached = f", after row {number - 1}" if number else ""
            raise self._failed(error, f"{unit.name}{reached}") from error

    def column_names(self, unit: Unit) -> Sequence[str]:
        return self._open(unit).column_names or ()

    def unused(self, name: str) -> Unused:
        return super().unused(name) if self.folder is not None else Unused()

    def _open(self, unit: Unit) -> Any:
        """Opens the split of a unit with ``datasets``."""
        import datasets

        split = (
            unit.name.removeprefix(f"{self.dataset}/").removeprefix(f"{self.config}/")
            if self.folder is None
            else unit.name.partition("/")[2]
        )
        if not self.streaming:
            datasets.disable_progress_bars()  # the build has its own
        if self.folder is not None:
            if self._saved(self.folder):
                saved = datasets.load_from_disk(str(self.folder))
                return saved[split] if isinstance(saved, datasets.DatasetDict) else saved
            return datasets.load_dataset(
                str(self.folder),
                self.config,
                split=split,
                data_files=self.data_files,
                data_dir=self.data_dir,
                streaming=self.streaming,
            )
        from huggingface_hub.constants import is_offline_mode

        commit = unit.state.rpartition("@")[2]
        if self.streaming or not is_offline_mode():
            self._ask(commit)  # fails in seconds; the library would retry for minutes
        return datasets.load_dataset(
            self.dataset,
            self.config,
            split=split,
            revision=commit,
            data_files=self.data_files,
            data_dir=self.data_dir,
            streaming=self.streaming,
            token=self._token(),
        )


def _short(error: BaseException) -> str:
    """The first line of an exception's message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return Redactor(secrets_of_environment())(lines[0] if lines else type(error).__name__)[:300]
