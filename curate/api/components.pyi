"""What components.py offers, with the parameters of all components that come with curate. Written by
`python -m tests.stubs`; do not edit it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, overload

class CatalogMethods:
    @overload
    def source(
        self,
        name: str, use: Literal["csv"],
        /,
        *,
        license: str,
        language: str,
        path: str | Path | Sequence[str | Path],
        max_error_rate: float = 0.01,
        key: str | None = None,
        group: str | None = None,
        translation_of: str | None = None,
        id: str | None = None,
        scores: Mapping[str, str] = ...,
        attributes: Mapping[str, str] | Sequence[str] = ...,
        empty: Sequence[str] = ...,
        normalize: Literal["nfc", "none"] = "nfc",
        strip: bool = True,
        only: Mapping[str, str | int | float | bool | Sequence[str | int | float | bool | None] | None] = ...,
        limit: int | None = None,
        sample: int | None = None,
        seed: int = 0,
        max_row_bytes: int = 16777216,
        kind: Literal["sft", "preference", "unpaired", "parallel", "document", "prompt"] | None = None,
        source_language: str | None = None,
        prompt_language: str | None = None,
        columns: Mapping[str, str] = ...,
        roles: Mapping[str, Literal["system", "user", "assistant", "tool"]] = ...,
        encoding: str | None = None,
        header: bool | Sequence[str] = True,
        quote: str = "\"",
        skip: int = 0,
        delimiter: str = ",",
        quoting: Literal["standard", "none"] = "standard",
    ) -> Self:
        """rows from CSV files (.csv; also .gz, .zst, .bz2, .xz)

        Args:
            license: Licence of the data: an SPDX identifier, ``unknown``, or ``"{column}"`` if each row has its
                own.
            language: Language of the answer (of the target side, of the text): a BCP-47 tag, ``"{column}"`` if each
                row has its own (a tag or an English name), or ``detect`` to label rows by the step ``detect_language``.
            path: A file, a folder (its files with a matching suffix at any depth), a pattern such as
                ``data/*.jsonl.gz``, a URL (``s3://``, ``hf://``, ``https://`` …; also of a folder or a pattern, where
                its files can be listed), an archive (``data.zip``, ``data.tar.gz``) or members of it
                (``data.zip/train/*.jsonl``), or a list.
            max_error_rate: The share of unreadable rows (0 to 1) above which the build stops.
            key: What identifies the same item in several languages, such as ``"{alpaca_id}"``; ``{@row}`` and
                ``{@line}`` are the row's position in its file (from 0 and from 1).
            group: Namespace of the keys: sources with the same namespace join.
            translation_of: The source whose rows of the same key these rows translate; they become the parents.
            id: The row's own identifier, for lineage.
            scores: Name → column with a number; null and empty mean no score, anything else makes the row
                unreadable.
            attributes: Name → template of text to keep with the row (lists and objects as JSON), or a list of
                columns.
            empty: Texts that mean empty, such as ``<noinput>``; compared with a column's whole text, without
                leading and trailing whitespace.
            normalize: Unicode normal form of all texts.
            strip: Whether leading and trailing whitespace is removed from texts.
            only: Column → the value, or values, that a row must have; other rows are skipped.
            limit: Read only the first rows of each file (or split), this many, after ``only``, unreadable ones
                included.
            sample: Read only this many rows of each file (or split), drawn at random after ``only``, unreadable
                ones included, in the file's order.
            seed: The seed of ``sample``: another number draws other rows.
            max_row_bytes: Rows larger than this (in bytes; in characters if text is decoded first) are quarantined
                unread.
            kind: The kind of rows to make.
            source_language: For parallel rows: the language of the source side, a tag or ``"{column}"``.
            prompt_language: For conversations whose prompt is in another language than the answer: its language, a
                tag or ``"{column}"``.
            columns: Target → column, template, or a text for every row in single quotes (``"'true'"``).
            roles: The data's own role names → ``user``, ``assistant``, ``system`` or ``tool``: ``{bing:
                assistant}``.
            encoding: Encoding of files without a byte order mark.
            header: Whether the first line has the column names; a list gives the names of a file without such a
                line.
            quote: The quote character around cells with the delimiter or line breaks; doubled inside.
            skip: Lines to skip at the beginning.
            delimiter: The character between cells.
            quoting: ``standard``: quoted cells may hold delimiters and line ends; ``none``: a quote is text and
                each line is a row.
        """

    @overload
    def source(
        self,
        name: str, use: Literal["dictd"],
        /,
        *,
        license: str,
        source_language: str,
        target_language: str,
        path: str | Path | Sequence[str | Path],
        max_error_rate: float = 0.01,
        key: str | None = None,
        group: str | None = None,
        translation_of: str | None = None,
        id: str | None = None,
        scores: Mapping[str, str] = ...,
        attributes: Mapping[str, str] | Sequence[str] = ...,
        empty: Sequence[str] = ...,
        normalize: Literal["nfc", "none"] = "nfc",
        strip: bool = True,
        only: Mapping[str, str | int | float | bool | Sequence[str | int | float | bool | None] | None] = ...,
        limit: int | None = None,
        sample: int | None = None,
        seed: int = 0,
        max_row_bytes: int = 16777216,
        direction: Literal["forward", "backward", "both"] = "forward",
        drop_identical: bool = True,
        take: Literal["words", "examples", "both"] = "words",
        glosses: bool | None = None,
        max_words: int | None = 6,
    ) -> Self:
        """word pairs (and translated examples) from dictd dictionaries such as FreeDict's

        Args:
            license: Licence of the data: an SPDX identifier, ``unknown``, or ``"{column}"`` if each row has its
                own.
            source_language: Language of the source side.
            target_language: Language of the target side.
            path: An ``.index`` file (or its ``.dict.dz``), a folder (its .index files at any depth), a pattern, or
                a list.
            max_error_rate: The share of unreadable rows (0 to 1) above which the build stops.
            key: What identifies the same item in several languages, such as ``"{alpaca_id}"``; ``{@row}`` and
                ``{@line}`` are the row's position in its file (from 0 and from 1).
            group: Namespace of the keys: sources with the same namespace join.
            translation_of: The source whose rows of the same key these rows translate; they become the parents.
            id: The row's own identifier, for lineage.
            scores: Name → column with a number; null and empty mean no score, anything else makes the row
                unreadable.
            attributes: Name → template of text to keep with the row (lists and objects as JSON), or a list of
                columns.
            empty: Texts that mean empty, such as ``<noinput>``; compared with a column's whole text, without
                leading and trailing whitespace.
            normalize: Unicode normal form of all texts.
            strip: Whether leading and trailing whitespace is removed from texts.
            only: Column → the value, or values, that a row must have; other rows are skipped.
            limit: Read only the first rows of each file (or split), this many, after ``only``, unreadable ones
                included.
            sample: Read only this many rows of each file (or split), drawn at random after ``only``, unreadable
                ones included, in the file's order.
            seed: The seed of ``sample``: another number draws other rows.
            max_row_bytes: Rows larger than this (in bytes; in characters if text is decoded first) are quarantined
                unread.
            direction: ``backward`` swaps the sides and their languages; ``both`` makes two rows of each pair.
            drop_identical: Whether pairs with the same word on both sides (ignoring case) are skipped, and counted
                in a warning.
            take: What makes rows: words with their translations, translated example phrases (in some dictionaries),
                or both.
            glosses: Whether the line after the translations of a sense is an explanation in the source language,
                which is skipped.
            max_words: Longer translations (in words) count as explanations and are skipped; ``null`` takes all.
        """

    @overload
    def source(
        self,
        name: str, use: Literal["dictionary"],
        /,
        *,
        license: str,
        source_language: str,
        target_language: str,
        path: str | Path | Sequence[str | Path],
        max_error_rate: float = 0.01,
        key: str | None = None,
        group: str | None = None,
        translation_of: str | None = None,
        id: str | None = None,
        scores: Mapping[str, str] = ...,
        attributes: Mapping[str, str] | Sequence[str] = ...,
        empty: Sequence[str] = ...,
        normalize: Literal["nfc", "none"] = "nfc",
        strip: bool = True,
        only: Mapping[str, str | int | float | bool | Sequence[str | int | float | bool | None] | None] = ...,
        limit: int | None = None,
        sample: int | None = None,
        seed: int = 0,
        max_row_bytes: int = 16777216,
        direction: Literal["forward", "backward", "both"] = "forward",
        drop_identical: bool = True,
        separator: str = "auto",
        source: int = 0,
        target: int = 1,
        width: int | None = None,
        alternatives: str | None = None,
        comment: str | None = None,
        skip: int = 0,
        encoding: str | None = None,
    ) -> Self:
        """word pairs from text files (MUSE, PanLex, TSV), a pair a line, also compressed

        Args:
            license: Licence of the data: an SPDX identifier, ``unknown``, or ``"{column}"`` if each row has its
                own.
            source_language: Language of the source side.
            target_language: Language of the target side.
            path: A file, a folder (its .txt, .tsv, .tab and .dic files at any depth), a pattern, or a list.
            max_error_rate: The share of unreadable rows (0 to 1) above which the build stops.
            key: What identifies the same item in several languages, such as ``"{alpaca_id}"``; ``{@row}`` and
                ``{@line}`` are the row's position in its file (from 0 and from 1).
            group: Namespace of the keys: sources with the same namespace join.
            translation_of: The source whose rows of the same key these rows translate; they become the parents.
            id: The row's own identifier, for lineage.
            scores: Name → column with a number; null and empty mean no score, anything else makes the row
                unreadable.
            attributes: Name → template of text to keep with the row (lists and objects as JSON), or a list of
                columns.
            empty: Texts that mean empty, such as ``<noinput>``; compared with a column's whole text, without
                leading and trailing whitespace.
            normalize: Unicode normal form of all texts.
            strip: Whether leading and trailing whitespace is removed from texts.
            only: Column → the value, or values, that a row must have; other rows are skipped.
            limit: Read only the first rows of each file (or split), this many, after ``only``, unreadable ones
                included.
            sample: Read only this many rows of each file (or split), drawn at random after ``only``, unreadable
                ones included, in the file's order.
            seed: The seed of ``sample``: another number draws other rows.
            max_row_bytes: Rows larger than this (in bytes; in characters if text is decoded first) are quarantined
                unread.
            direction: ``backward`` swaps the sides and their languages; ``both`` makes two rows of each pair.
            drop_identical: Whether pairs with the same word on both sides (ignoring case) are skipped, and counted
                in a warning.
            separator: The column separator: ``tab``, ``blank`` (any whitespace; neither side may then have two
                words), another text such as ``|||``, or ``auto``: a tab if most of the file's first lines have one,
                else whitespace.
            source: The column of the source word, from 0.
            target: The column of its translation.
            width: The number of columns of a line.
            alternatives: The separator of several translations in one cell, such as ``;``: each makes a row (on the
                source side too).
            comment: Lines that begin with this text are skipped, as are blank lines.
            skip: Lines to skip at the beginning (a header).
            encoding: Encoding of files without a byte order mark.
        """

    @overload
    def source(
        self,
        name: str, use: Literal["hub"],
        /,
        *,
        license: str,
        language: str,
        dataset: str,
        max_error_rate: float = 0.01,
        key: str | None = None,
        group: str | None = None,
        translation_of: str | None = None,
        id: str | None = None,
        scores: Mapping[str, str] = ...,
        attributes: Mapping[str, str] | Sequence[str] = ...,
        empty: Sequence[str] = ...,
        normalize: Literal["nfc", "none"] = "nfc",
        strip: bool = True,
        only: Mapping[str, str | int | float | bool | Sequence[str | int | float | bool | None] | None] = ...,
        limit: int | None = None,
        sample: int | None = None,
        seed: int = 0,
        max_row_bytes: int = 16777216,
        kind: Literal["sft", "preference", "unpaired", "parallel", "document", "prompt"] | None = None,
        source_language: str | None = None,
        prompt_language: str | None = None,
        columns: Mapping[str, str] = ...,
        roles: Mapping[str, Literal["system", "user", "assistant", "tool"]] = ...,
        config: str | None = None,
        split: str | Sequence[str] = "train",
        revision: str | None = None,
        data_files: str | Sequence[str] | None = None,
        data_dir: str | None = None,
        streaming: bool = True,
        token_env: str | None = None,
    ) -> Self:
        """rows from a dataset of the Hugging Face Hub or a local folder like one, through `datasets`

        Args:
            license: Licence of the data: an SPDX identifier, ``unknown``, or ``"{column}"`` if each row has its
                own.
            language: Language of the answer (of the target side, of the text): a BCP-47 tag, ``"{column}"`` if each
                row has its own (a tag or an English name), or ``detect`` to label rows by the step ``detect_language``.
            dataset: A repository such as ``tatsu-lab/alpaca``, or a folder: an absolute path, or one that begins
                with ``./`` or ``../``.
            max_error_rate: The share of unreadable rows (0 to 1) above which the build stops.
            key: What identifies the same item in several languages, such as ``"{alpaca_id}"``; ``{@row}`` and
                ``{@line}`` are the row's position in its file (from 0 and from 1).
            group: Namespace of the keys: sources with the same namespace join.
            translation_of: The source whose rows of the same key these rows translate; they become the parents.
            id: The row's own identifier, for lineage.
            scores: Name → column with a number; null and empty mean no score, anything else makes the row
                unreadable.
            attributes: Name → template of text to keep with the row (lists and objects as JSON), or a list of
                columns.
            empty: Texts that mean empty, such as ``<noinput>``; compared with a column's whole text, without
                leading and trailing whitespace.
            normalize: Unicode normal form of all texts.
            strip: Whether leading and trailing whitespace is removed from texts.
            only: Column → the value, or values, that a row must have; other rows are skipped.
            limit: Read only the first rows of each file (or split), this many, after ``only``, unreadable ones
                included.
            sample: Read only this many rows of each file (or split), drawn at random after ``only``, unreadable
                ones included, in the file's order.
            seed: The seed of ``sample``: another number draws other rows.
            max_row_bytes: Rows larger than this (in bytes; in characters if text is decoded first) are quarantined
                unread.
            kind: The kind of rows to make.
            source_language: For parallel rows: the language of the source side, a tag or ``"{column}"``.
            prompt_language: For conversations whose prompt is in another language than the answer: its language, a
                tag or ``"{column}"``.
            columns: Target → column, template, or a text for every row in single quotes (``"'true'"``).
            roles: The data's own role names → ``user``, ``assistant``, ``system`` or ``tool``: ``{bing:
                assistant}``.
            config: The configuration (subset) of the dataset.
            split: The split, or several; each is one unit.
            revision: The commit (40 hexadecimal digits); a branch or tag (default ``main``) is resolved to one on
                every build.
            data_files: Files of the repository to read instead of those of its configuration.
            data_dir: The folder of the repository to read.
            streaming: Whether rows are streamed; otherwise all files are first downloaded into the library's cache.
            token_env: The *name* of the environment variable with the access token.
        """

    @overload
    def source(
        self,
        name: str, use: Literal["json"],
        /,
        *,
        license: str,
        language: str,
        path: str | Path | Sequence[str | Path],
        max_error_rate: float = 0.01,
        key: str | None = None,
        group: str | None = None,
        translation_of: str | None = None,
        id: str | None = None,
        scores: Mapping[str, str] = ...,
        attributes: Mapping[str, str] | Sequence[str] = ...,
        empty: Sequence[str] = ...,
        normalize: Literal["nfc", "none"] = "nfc",
        strip: bool = True,
        only: Mapping[str, str | int | float | bool | Sequence[str | int | float | bool | None] | None] = ...,
        limit: int | None = None,
        sample: int | None = None,
        seed: int = 0,
        max_row_bytes: int = 16777216,
        kind: Literal["sft", "preference", "unpaired", "parallel", "document", "prompt"] | None = None,
        source_language: str | None = None,
        prompt_language: str | None = None,
        columns: Mapping[str, str] = ...,
        roles: Mapping[str, Literal["system", "user", "assistant", "tool"]] = ...,
        encoding: str | None = None,
        rows: str | None = None,
    ) -> Self:
        """rows from JSON files that are, or hold, one array (.json; also .gz, .zst, .bz2, .xz)

        Args:
            license: Licence of the data: an SPDX identifier, ``unknown``, or ``"{column}"`` if each row has its
                own.
            language: Language of the answer (of the target side, of the text): a BCP-47 tag, ``"{column}"`` if each
                row has its own (a tag or an English name), or ``detect`` to label rows by the step ``detect_language``.
            path: A file, a folder (its files with a matching suffix at any depth), a pattern such as
                ``data/*.jsonl.gz``, a URL (``s3://``, ``hf://``, ``https://`` …; also of a folder or a pattern, where
                its files can be listed), an archive (``data.zip``, ``data.tar.gz``) or members of it
                (``data.zip/train/*.jsonl``), or a list.
            max_error_rate: The share of unreadable rows (0 to 1) above which the build stops.
            key: What identifies the same item in several languages, such as ``"{alpaca_id}"``; ``{@row}`` and
                ``{@line}`` are the row's position in its file (from 0 and from 1).
            group: Namespace of the keys: sources with the same namespace join.
            translation_of: The source whose rows of the same key these rows translate; they become the parents.
            id: The row's own identifier, for lineage.
            scores: Name → column with a number; null and empty mean no score, anything else makes the row
                unreadable.
            attributes: Name → template of text to keep with the row (lists and objects as JSON), or a list of
                columns.
            empty: Texts that mean empty, such as ``<noinput>``; compared with a column's whole text, without
                leading and trailing whitespace.
            normalize: Unicode normal form of all texts.
            strip: Whether leading and trailing whitespace is removed from texts.
            only: Column → the value, or values, that a row must have; other rows are skipped.
            limit: Read only the first rows of each file (or split), this many, after ``only``, unreadable ones
                included.
            sample: Read only this many rows of each file (or split), drawn at random after ``only``, unreadable
                ones included, in the file's order.
            seed: The seed of ``sample``: another number draws other rows.
            max_row_bytes: Rows larger than this (in bytes; in characters if text is decoded first) are quarantined
                unread.
            kind: The kind of rows to make.
            source_language: For parallel rows: the language of the source side, a tag or ``"{column}"``.
            prompt_language: For conversations whose prompt is in another language than the answer: its language, a
                tag or ``"{column}"``.
            columns: Target → column, template, or a text for every row in single quotes (``"'true'"``).
            roles: The data's own role names → ``user``, ``assistant``, ``system`` or ``tool``: ``{bing:
                assistant}``.
            encoding: Encoding of files without a byte order mark.
            rows: The path of the array, if it is not at the top level: ``data``, ``results.items``, or
                ``data[].paragraphs`` for the arrays inside the elements of another.
        """

    @overload
    def source(
        self,
        name: str, use: Literal["jsonl"],
        /,
        *,
        license: str,
        language: str,
        path: str | Path | Sequence[str | Path],
        max_error_rate: float = 0.01,
        key: str | None = None,
        group: str | None = None,
        translation_of: str | None = None,
        id: str | None = None,
        scores: Mapping[str, str] = ...,
        attributes: Mapping[str, str] | Sequence[str] = ...,
        empty: Sequence[str] = ...,
        normalize: Literal["nfc", "none"] = "nfc",
        strip: bool = True,
        only: Mapping[str, str | int | float | bool | Sequence[str | int | float | bool | None] | None] = ...,
        limit: int | None = None,
        sample: int | None = None,
        seed: int = 0,
        max_row_bytes: int = 16777216,
        kind: Literal["sft", "preference", "unpaired", "parallel", "document", "prompt"] | None = None,
        source_language: str | None = None,
        prompt_language: str | None = None,
        columns: Mapping[str, str] = ...,
        roles: Mapping[str, Literal["system", "user", "assistant", "tool"]] = ...,
        encoding: str | None = None,
    ) -> Self:
        """rows from JSON Lines files (.jsonl, .ndjson; also .gz, .zst, .bz2, .xz)

        Args:
            license: Licence of the data: an SPDX identifier, ``unknown``, or ``"{column}"`` if each row has its
                own.
            language: Language of the answer (of the target side, of the text): a BCP-47 tag, ``"{column}"`` if each
                row has its own (a tag or an English name), or ``detect`` to label rows by the step ``detect_language``.
            path: A file, a folder (its files with a matching suffix at any depth), a pattern such as
                ``data/*.jsonl.gz``, a URL (``s3://``, ``hf://``, ``https://`` …; also of a folder or a pattern, where
                its files can be listed), an archive (``data.zip``, ``data.tar.gz``) or members of it
                (``data.zip/train/*.jsonl``), or a list.
            max_error_rate: The share of unreadable rows (0 to 1) above which the build stops.
            key: What identifies the same item in several languages, such as ``"{alpaca_id}"``; ``{@row}`` and
                ``{@line}`` are the row's position in its file (from 0 and from 1).
            group: Namespace of the keys: sources with the same namespace join.
            translation_of: The source whose rows of the same key these rows translate; they become the parents.
            id: The row's own identifier, for lineage.
            scores: Name → column with a number; null and empty mean no score, anything else makes the row
                unreadable.
            attributes: Name → template of text to keep with the row (lists and objects as JSON), or a list of
                columns.
            empty: Texts that mean empty, such as ``<noinput>``; compared with a column's whole text, without
                leading and trailing whitespace.
            normalize: Unicode normal form of all texts.
            strip: Whether leading and trailing whitespace is removed from texts.
            only: Column → the value, or values, that a row must have; other rows are skipped.
            limit: Read only the first rows of each file (or split), this many, after ``only``, unreadable ones
                included.
            sample: Read only this many rows of each file (or split), drawn at random after ``only``, unreadable
                ones included, in the file's order.
            seed: The seed of ``sample``: another number draws other rows.
            max_row_bytes: Rows larger than this (in bytes; in characters if text is decoded first) are quarantined
                unread.
            kind: The kind of rows to make.
            source_language: For parallel rows: the language of the source side, a tag or ``"{column}"``.
            prompt_language: For conversations whose prompt is in another language than the answer: its language, a
                tag or ``"{column}"``.
            columns: Target → column, template, or a text for every row in single quotes (``"'true'"``).
            roles: The data's own role names → ``user``, ``assistant``, ``system`` or ``tool``: ``{bing:
                assistant}``.
            encoding: Encoding of files without a byte order mark.
        """

    @overload
    def source(
        self,
        name: str, use: Literal["moses"],
        /,
        *,
        license: str,
        source_language: str,
        target_language: str,
        max_error_rate: float = 0.01,
        key: str | None = None,
        group: str | None = None,
        translation_of: str | None = None,
        id: str | None = None,
        scores: Mapping[str, str] = ...,
        attributes: Mapping[str, str] | Sequence[str] = ...,
        empty: Sequence[str] = ...,
        normalize: Literal["nfc", "none"] = "nfc",
        strip: bool = True,
        only: Mapping[str, str | int | float | bool | Sequence[str | int | float | bool | None] | None] = ...,
        limit: int | None = None,
        sample: int | None = None,
        seed: int = 0,
        max_row_bytes: int = 16777216,
        direction: Literal["forward", "backward", "both"] = "forward",
        source_path: str | Path | Sequence[str | Path] | None = None,
        target_path: str | Path | Sequence[str | Path] | None = None,
        path: str | Path | Sequence[str | Path] | None = None,
        encoding: str | None = None,
    ) -> Self:
        """sentence pairs from two line-aligned text files (Moses), also .gz, .zst, .bz2, .xz

        Args:
            license: Licence of the data: an SPDX identifier, ``unknown``, or ``"{column}"`` if each row has its
                own.
            source_language: Language of the source side.
            target_language: Language of the target side.
            max_error_rate: The share of unreadable rows (0 to 1) above which the build stops.
            key: What identifies the same item in several languages, such as ``"{alpaca_id}"``; ``{@row}`` and
                ``{@line}`` are the row's position in its file (from 0 and from 1).
            group: Namespace of the keys: sources with the same namespace join.
            translation_of: The source whose rows of the same key these rows translate; they become the parents.
            id: The row's own identifier, for lineage.
            scores: Name → column with a number; null and empty mean no score, anything else makes the row
                unreadable.
            attributes: Name → template of text to keep with the row (lists and objects as JSON), or a list of
                columns.
            empty: Texts that mean empty, such as ``<noinput>``; compared with a column's whole text, without
                leading and trailing whitespace.
            normalize: Unicode normal form of all texts.
            strip: Whether leading and trailing whitespace is removed from texts.
            only: Column → the value, or values, that a row must have; other rows are skipped.
            limit: Read only the first rows of each file (or split), this many, after ``only``, unreadable ones
                included.
            sample: Read only this many rows of each file (or split), drawn at random after ``only``, unreadable
                ones included, in the file's order.
            seed: The seed of ``sample``: another number draws other rows.
            max_row_bytes: Rows larger than this (in bytes; in characters if text is decoded first) are quarantined
                unread.
            direction: ``backward`` swaps the sides and their languages; ``both`` makes two rows of each pair.
            source_path: The source side: a file, a pattern or a list; files are paired with those of
                ``target_path`` in order.
            target_path: The target side.
            path: Instead of the two paths: the common prefix of both file names, which continue with a dot and the
                language (``corpus.en-de`` for ``corpus.en-de.en`` and ``corpus.en-de.de``; ISO 639-3 codes and
                compressed files are found too).
            encoding: Encoding of files without a byte order mark.
        """

    @overload
    def source(
        self,
        name: str, use: Literal["parallel-tsv"],
        /,
        *,
        license: str,
        source_language: str,
        target_language: str,
        path: str | Path | Sequence[str | Path],
        max_error_rate: float = 0.01,
        key: str | None = None,
        group: str | None = None,
        translation_of: str | None = None,
        id: str | None = None,
        scores: Mapping[str, str] = ...,
        attributes: Mapping[str, str] | Sequence[str] = ...,
        empty: Sequence[str] = ...,
        normalize: Literal["nfc", "none"] = "nfc",
        strip: bool = True,
        only: Mapping[str, str | int | float | bool | Sequence[str | int | float | bool | None] | None] = ...,
        limit: int | None = None,
        sample: int | None = None,
        seed: int = 0,
        max_row_bytes: int = 16777216,
        direction: Literal["forward", "backward", "both"] = "forward",
        source: int | str = 0,
        target: int | str = 1,
        header: bool | Sequence[str] = False,
        quoting: Literal["standard", "none"] = "none",
        delimiter: str = "\t",
        skip: int = 0,
        encoding: str | None = None,
    ) -> Self:
        """sentence pairs from two columns of TSV files (also compressed)

        Args:
            license: Licence of the data: an SPDX identifier, ``unknown``, or ``"{column}"`` if each row has its
                own.
            source_language: Language of the source side.
            target_language: Language of the target side.
            path: A file, a folder (its .tsv, .tab and .txt files at any depth), a pattern, or a list.
            max_error_rate: The share of unreadable rows (0 to 1) above which the build stops.
            key: What identifies the same item in several languages, such as ``"{alpaca_id}"``; ``{@row}`` and
                ``{@line}`` are the row's position in its file (from 0 and from 1).
            group: Namespace of the keys: sources with the same namespace join.
            translation_of: The source whose rows of the same key these rows translate; they become the parents.
            id: The row's own identifier, for lineage.
            scores: Name → column with a number; null and empty mean no score, anything else makes the row
                unreadable.
            attributes: Name → template of text to keep with the row (lists and objects as JSON), or a list of
                columns.
            empty: Texts that mean empty, such as ``<noinput>``; compared with a column's whole text, without
                leading and trailing whitespace.
            normalize: Unicode normal form of all texts.
            strip: Whether leading and trailing whitespace is removed from texts.
            only: Column → the value, or values, that a row must have; other rows are skipped.
            limit: Read only the first rows of each file (or split), this many, after ``only``, unreadable ones
                included.
            sample: Read only this many rows of each file (or split), drawn at random after ``only``, unreadable
                ones included, in the file's order.
            seed: The seed of ``sample``: another number draws other rows.
            max_row_bytes: Rows larger than this (in bytes; in characters if text is decoded first) are quarantined
                unread.
            direction: ``backward`` swaps the sides and their languages; ``both`` makes two rows of each pair.
            source: The column of the source side: its number from 0, or its name.
            target: The column of the target side.
            header: Whether the first line has the column names; a list gives the names of a file without such a
                line.
            quoting: ``none``: a quote is text and each line is a row; ``standard``: as in CSV.
            delimiter: The character between columns.
            skip: Lines to skip at the beginning.
            encoding: Encoding of files without a byte order mark.
        """

    @overload
    def source(
        self,
        name: str, use: Literal["parquet"],
        /,
        *,
        license: str,
        language: str,
        path: str | Path | Sequence[str | Path],
        max_error_rate: float = 0.01,
        key: str | None = None,
        group: str | None = None,
        translation_of: str | None = None,
        id: str | None = None,
        scores: Mapping[str, str] = ...,
        attributes: Mapping[str, str] | Sequence[str] = ...,
        empty: Sequence[str] = ...,
        normalize: Literal["nfc", "none"] = "nfc",
        strip: bool = True,
        only: Mapping[str, str | int | float | bool | Sequence[str | int | float | bool | None] | None] = ...,
        limit: int | None = None,
        sample: int | None = None,
        seed: int = 0,
        max_row_bytes: int = 16777216,
        kind: Literal["sft", "preference", "unpaired", "parallel", "document", "prompt"] | None = None,
        source_language: str | None = None,
        prompt_language: str | None = None,
        columns: Mapping[str, str] = ...,
        roles: Mapping[str, Literal["system", "user", "assistant", "tool"]] = ...,
    ) -> Self:
        """rows from Parquet files

        Args:
            license: Licence of the data: an SPDX identifier, ``unknown``, or ``"{column}"`` if each row has its
                own.
            language: Language of the answer (of the target side, of the text): a BCP-47 tag, ``"{column}"`` if each
                row has its own (a tag or an English name), or ``detect`` to label rows by the step ``detect_language``.
            path: A file, a folder (its files with a matching suffix at any depth), a pattern such as
                ``data/*.jsonl.gz``, a URL (``s3://``, ``hf://``, ``https://`` …; also of a folder or a pattern, where
                its files can be listed), an archive (``data.zip``, ``data.tar.gz``) or members of it
                (``data.zip/train/*.jsonl``), or a list.
            max_error_rate: The share of unreadable rows (0 to 1) above which the build stops.
            key: What identifies the same item in several languages, such as ``"{alpaca_id}"``; ``{@row}`` and
                ``{@line}`` are the row's position in its file (from 0 and from 1).
            group: Namespace of the keys: sources with the same namespace join.
            translation_of: The source whose rows of the same key these rows translate; they become the parents.
            id: The row's own identifier, for lineage.
            scores: Name → column with a number; null and empty mean no score, anything else makes the row
                unreadable.
            attributes: Name → template of text to keep with the row (lists and objects as JSON), or a list of
                columns.
            empty: Texts that mean empty, such as ``<noinput>``; compared with a column's whole text, without
                leading and trailing whitespace.
            normalize: Unicode normal form of all texts.
            strip: Whether leading and trailing whitespace is removed from texts.
            only: Column → the value, or values, that a row must have; other rows are skipped.
            limit: Read only the first rows of each file (or split), this many, after ``only``, unreadable ones
                included.
            sample: Read only this many rows of each file (or split), drawn at random after ``only``, unreadable
                ones included, in the file's order.
            seed: The seed of ``sample``: another number draws other rows.
            max_row_bytes: Rows larger than this (in bytes; in characters if text is decoded first) are quarantined
                unread.
            kind: The kind of rows to make.
            source_language: For parallel rows: the language of the source side, a tag or ``"{column}"``.
            prompt_language: For conversations whose prompt is in another language than the answer: its language, a
                tag or ``"{column}"``.
            columns: Target → column, template, or a text for every row in single quotes (``"'true'"``).
            roles: The data's own role names → ``user``, ``assistant``, ``system`` or ``tool``: ``{bing:
                assistant}``.
        """

    @overload
    def source(
        self,
        name: str, use: Literal["tmx"],
        /,
        *,
        license: str,
        source_language: str,
        target_language: str,
        path: str | Path | Sequence[str | Path],
        max_error_rate: float = 0.01,
        key: str | None = None,
        group: str | None = None,
        translation_of: str | None = None,
        id: str | None = None,
        scores: Mapping[str, str] = ...,
        attributes: Mapping[str, str] | Sequence[str] = ...,
        empty: Sequence[str] = ...,
        normalize: Literal["nfc", "none"] = "nfc",
        strip: bool = True,
        only: Mapping[str, str | int | float | bool | Sequence[str | int | float | bool | None] | None] = ...,
        limit: int | None = None,
        sample: int | None = None,
        seed: int = 0,
        max_row_bytes: int = 16777216,
        direction: Literal["forward", "backward", "both"] = "forward",
    ) -> Self:
        """sentence pairs from translation memories (.tmx, also compressed)

        Args:
            license: Licence of the data: an SPDX identifier, ``unknown``, or ``"{column}"`` if each row has its
                own.
            source_language: Language of the source side.
            target_language: Language of the target side.
            path: A file, a folder (its .tmx files at any depth), a pattern, or a list.
            max_error_rate: The share of unreadable rows (0 to 1) above which the build stops.
            key: What identifies the same item in several languages, such as ``"{alpaca_id}"``; ``{@row}`` and
                ``{@line}`` are the row's position in its file (from 0 and from 1).
            group: Namespace of the keys: sources with the same namespace join.
            translation_of: The source whose rows of the same key these rows translate; they become the parents.
            id: The row's own identifier, for lineage.
            scores: Name → column with a number; null and empty mean no score, anything else makes the row
                unreadable.
            attributes: Name → template of text to keep with the row (lists and objects as JSON), or a list of
                columns.
            empty: Texts that mean empty, such as ``<noinput>``; compared with a column's whole text, without
                leading and trailing whitespace.
            normalize: Unicode normal form of all texts.
            strip: Whether leading and trailing whitespace is removed from texts.
            only: Column → the value, or values, that a row must have; other rows are skipped.
            limit: Read only the first rows of each file (or split), this many, after ``only``, unreadable ones
                included.
            sample: Read only this many rows of each file (or split), drawn at random after ``only``, unreadable
                ones included, in the file's order.
            seed: The seed of ``sample``: another number draws other rows.
            max_row_bytes: Rows larger than this (in bytes; in characters if text is decoded first) are quarantined
                unread.
            direction: ``backward`` swaps the sides and their languages; ``both`` makes two rows of each pair.
        """

    @overload
    def source(
        self,
        name: str, use: Literal["tsv"],
        /,
        *,
        license: str,
        language: str,
        path: str | Path | Sequence[str | Path],
        max_error_rate: float = 0.01,
        key: str | None = None,
        group: str | None = None,
        translation_of: str | None = None,
        id: str | None = None,
        scores: Mapping[str, str] = ...,
        attributes: Mapping[str, str] | Sequence[str] = ...,
        empty: Sequence[str] = ...,
        normalize: Literal["nfc", "none"] = "nfc",
        strip: bool = True,
        only: Mapping[str, str | int | float | bool | Sequence[str | int | float | bool | None] | None] = ...,
        limit: int | None = None,
        sample: int | None = None,
        seed: int = 0,
        max_row_bytes: int = 16777216,
        kind: Literal["sft", "preference", "unpaired", "parallel", "document", "prompt"] | None = None,
        source_language: str | None = None,
        prompt_language: str | None = None,
        columns: Mapping[str, str] = ...,
        roles: Mapping[str, Literal["system", "user", "assistant", "tool"]] = ...,
        encoding: str | None = None,
        header: bool | Sequence[str] = True,
        quote: str = "\"",
        skip: int = 0,
        quoting: Literal["standard", "none"] = "none",
    ) -> Self:
        """rows from TSV files (.tsv, .tab; also .gz, .zst, .bz2, .xz)

        Args:
            license: Licence of the data: an SPDX identifier, ``unknown``, or ``"{column}"`` if each row has its
                own.
            language: Language of the answer (of the target side, of the text): a BCP-47 tag, ``"{column}"`` if each
                row has its own (a tag or an English name), or ``detect`` to label rows by the step ``detect_language``.
            path: A file, a folder (its files with a matching suffix at any depth), a pattern such as
                ``data/*.jsonl.gz``, a URL (``s3://``, ``hf://``, ``https://`` …; also of a folder or a pattern, where
                its files can be listed), an archive (``data.zip``, ``data.tar.gz``) or members of it
                (``data.zip/train/*.jsonl``), or a list.
            max_error_rate: The share of unreadable rows (0 to 1) above which the build stops.
            key: What identifies the same item in several languages, such as ``"{alpaca_id}"``; ``{@row}`` and
                ``{@line}`` are the row's position in its file (from 0 and from 1).
            group: Namespace of the keys: sources with the same namespace join.
            translation_of: The source whose rows of the same key these rows translate; they become the parents.
            id: The row's own identifier, for lineage.
            scores: Name → column with a number; null and empty mean no score, anything else makes the row
                unreadable.
            attributes: Name → template of text to keep with the row (lists and objects as JSON), or a list of
                columns.
            empty: Texts that mean empty, such as ``<noinput>``; compared with a column's whole text, without
                leading and trailing whitespace.
            normalize: Unicode normal form of all texts.
            strip: Whether leading and trailing whitespace is removed from texts.
            only: Column → the value, or values, that a row must have; other rows are skipped.
            limit: Read only the first rows of each file (or split), this many, after ``only``, unreadable ones
                included.
            sample: Read only this many rows of each file (or split), drawn at random after ``only``, unreadable
                ones included, in the file's order.
            seed: The seed of ``sample``: another number draws other rows.
            max_row_bytes: Rows larger than this (in bytes; in characters if text is decoded first) are quarantined
                unread.
            kind: The kind of rows to make.
            source_language: For parallel rows: the language of the source side, a tag or ``"{column}"``.
            prompt_language: For conversations whose prompt is in another language than the answer: its language, a
                tag or ``"{column}"``.
            columns: Target → column, template, or a text for every row in single quotes (``"'true'"``).
            roles: The data's own role names → ``user``, ``assistant``, ``system`` or ``tool``: ``{bing:
                assistant}``.
            encoding: Encoding of files without a byte order mark.
            header: Whether the first line has the column names; a list gives the names of a file without such a
                line.
            quote: The quote character around cells with the delimiter or line breaks; doubled inside.
            skip: Lines to skip at the beginning.
            quoting: ``none``: a quote is text and each line is a row; ``standard``: as in CSV (what spreadsheets
                write).
        """

    @overload
    def model(
        self,
        name: str, use: Literal["anthropic"],
        /,
        *,
        model: str,
        terms: str | None = None,
        url: str = "https://api.anthropic.com",
        revision: str = "",
        served_as: str | None = None,
        api_key: str | None = None,
        api_key_env: str | None = None,
        headers: Mapping[str, str] = ...,
        languages: Sequence[str] | None = None,
        reasoning: Literal["split", "keep"] = "split",
        temperature: float | Literal["sampling"] | None = "sampling",
        extra_body: Mapping[str, Any] = ...,
        context_length: int | None = None,
        price: Mapping[str, Any] | None = None,
        batch: bool = False,
        concurrency: int = 64,
        start_concurrency: int = 16,
        timeout: float = 300.0,
        retries: int = 6,
        deadline: float = 1800.0,
        max_failed: float = 0.5,
        structured: Literal["json_schema", "tool", "prompt", "none"] = "json_schema",
        prefill: bool = False,
    ) -> Self:
        """text generation by Anthropic's Messages API

        Args:
            model: Name of the model, under which its answers are cached: ``claude-sonnet-4-5-20250929``.
            terms: Terms under which its answers may be redistributed: an entry of the list of licences and terms
                (``openai-terms`` …), or ``none``.
            url: Address of the server, with or without ``/v1``.
            revision: Version that the server runs (a commit, a date), for lineage and cache keys; the protocol
                cannot report it.
            served_as: The server's own name for the model, if it differs (``--served-model-name``, a deployment).
            api_key: Sent as ``x-api-key``; write ``${ANTHROPIC_API_KEY}``.
            api_key_env: Name of an environment variable with the key, in place of ``api_key``: it is read when the
                model is loaded.
            headers: Additional HTTP headers, such as ``api-key`` for Azure; printed nowhere.
            languages: The languages the model supports; by default unspecified, and all are allowed.
            reasoning: ``split`` removes reasoning (``<think>…</think>``, harmony channels and the like, anywhere)
                from the answer; ``keep`` leaves it in.
            temperature: Overrides the temperature of a step's ``sampling``: ``null`` sends none, for models that
                reject it; a number is always sent, for models that accept one value only.
            extra_body: Additional fields of the JSON body, such as ``{thinking: {type: adaptive, display:
                summarized}}``, ``{output_config: {effort: low}}``.
            context_length: Context window in tokens (prompt and answer), for estimates of the maximum cost of a
                call.
            price: Price of its tokens.
            batch: Whether to send requests through the provider's batch interface, for half the price.
            concurrency: Maximum number of requests in flight; shared by all models at the same address.
            start_concurrency: Initial number of requests in flight.
            timeout: Seconds for one attempt, up to the last byte.
            retries: Maximum number of retries after a transient error; rate limits (429) do not count.
            deadline: Seconds for all attempts of one request.
            max_failed: Maximum share of the last 50 requests that may fail for good; above it the build stops.
            structured: How a JSON Schema is sent: as ``output_config.format`` (in the prompt where that cannot
                express it), as the input of a tool that the model must call, in the prompt, or not at all.
            prefill: Whether the model continues an assistant turn; those before Claude 4.6 do.
        """

    @overload
    def model(
        self,
        name: str, use: Literal["apertium"],
        /,
        *,
        terms: str | None = None,
        pairs: Sequence[str] | None = None,
        modes: Mapping[str, str] = ...,
        mark_unknown: bool = False,
        path: str | Path | None = None,
        timeout: float = 60.0,
        longest: int = 2000,
    ) -> Self:
        """Debian's rule-based translators, very fast; best between related languages

        Args:
            terms: Terms under which its answers may be redistributed: an entry of the list of licences and terms
                (``openai-terms`` …), or ``none``.
            pairs: Restricts it to these directions (``en-es``, ``pt-BR→es``); by default all installed ones.
            modes: Other modes for directions, such as ``{en-ca: eng-cat_iec2017}``.
            mark_unknown: Whether to put ``*`` before words that the dictionary lacks.
            path: A folder with unpacked packages (``apt-get download …; dpkg -x … tree``), for machines without
                root.
            timeout: Maximum seconds per sentence; then the programs are restarted.
            longest: Maximum number of characters per segment; longer sentences are split at a clause or space.
        """

    @overload
    def model(
        self,
        name: str, use: Literal["bergamot"],
        /,
        *,
        terms: str | None = None,
        path: str | Path | None = None,
        source: str | None = None,
        target: str | None = None,
        longest: int = 320,
        respell: bool = True,
    ) -> Self:
        """small neural translators on one core; English ↔ Portuguese packaged

        Args:
            terms: Terms under which its answers may be redistributed: an entry of the list of licences and terms
                (``openai-terms`` …), or ``none``.
            path: A folder with a Bergamot model (``model.….intgemm.alphas.bin``, its vocabulary ``….spm`` or
                ``tokenizer.json``, ``lex….bin``), identified by its files' contents.
            source: Source language of the folder's model; by default from its ``model_info.json``.
            target: Target language of the folder's model.
            longest: Maximum number of characters per segment; longer sentences are split at a clause or space.
            respell: Whether characters outside the vocabulary are replaced by equivalents (``“`` by ``"``) or
                copied (emoji, other scripts); otherwise the model translates them into arbitrary words.
        """

    @overload
    def model(
        self,
        name: str, use: Literal["cld2"],
        /,
        *,
        terms: str | None = None,
        max_chars: int = 4000,
    ) -> Self:
        """more than 150 languages, light and very fast (pycld2)

        Args:
            terms: Terms under which its answers may be redistributed: an entry of the list of licences and terms
                (``openai-terms`` …), or ``none``.
            max_chars: Maximum number of characters read from the start of a text.
        """

    @overload
    def model(
        self,
        name: str, use: Literal["e5-multilingual"],
        /,
        *,
        terms: str | None = None,
        variant: Literal["original", "enpt"] = "original",
        languages: Sequence[str] = ...,
        batch_size: int = 32,
    ) -> Self:
        """Sentence encoder multilingual-e5-small, packaged with its weights; for languages that ``use-multilingual`` lacks.

        Args:
            terms: Terms under which its answers may be redistributed: an entry of the list of licences and terms
                (``openai-terms`` …), or ``none``.
            variant: ``enpt`` is the same network with the vocabulary of English and Portuguese only: a third of the
                memory.
            languages: Additional languages to assess, although the model was not trained for them.
            batch_size: Texts encoded between two writes to the cache (a few seconds of work).
        """

    @overload
    def model(
        self,
        name: str, use: Literal["eld"],
        /,
        *,
        terms: str | None = None,
        max_chars: int = 4000,
    ) -> Self:
        """sixty languages, light and very fast (eldc)

        Args:
            terms: Terms under which its answers may be redistributed: an entry of the list of licences and terms
                (``openai-terms`` …), or ``none``.
            max_chars: Maximum number of characters read from the start of a text.
        """

    @overload
    def model(
        self,
        name: str, use: Literal["ensemble"],
        /,
        *,
        terms: str | None = None,
        members: Sequence[str] = ...,
        mode: Literal["weighted", "agreement"] = "weighted",
        quorum: int = 2,
        languages: Sequence[str] | None = None,
        rarity: float = 2.0,
        abstain: float = 0.3,
        groups: Literal["split", "name"] = "split",
        sure: float = 0.6,
        scripts: bool = True,
        weights: Mapping[str, Any] = ...,
        calibration: str | None = None,
        max_chars: int = 4000,
    ) -> Self:
        """several identifiers as one: weighted or agreed, with scripts, groups and abstention

        Args:
            terms: Terms under which its answers may be redistributed: an entry of the list of licences and terms
                (``openai-terms`` …), or ``none``.
            members: Names of other models that identify languages; a name that is not in the catalog means the
                installed model of that name.
            mode: ``weighted``: by measured weights; ``agreement``: only if all identifiers that know the language
                agree.
            quorum: Number of identifiers that must return a language for ``agreement``; where fewer know it, all of
                those, but at least one.
            languages: Restricts the result to these languages.
            rarity: Prior penalty, in natural logarithms, on rare languages against common ones; 0 for a corpus
                where all are equally likely.
            abstain: Minimum probability of the best language (or group); below it the ensemble abstains.
            groups: ``split``: always one language.
            sure: Minimum probability of a language within its group (with ``groups: name``).
            scripts: Whether a script that only one language uses decides alone.
            weights: Overrides: identifier → language (or ``default``) → factor on its measured weight; 0 excludes
                it.
            calibration: A file of weights instead of the shipped ones, as written by ``benchmarks/language_id.py
                fit``; identified by its content.
            max_chars: Maximum number of characters read from the start of a text.
        """

    @overload
    def model(
        self,
        name: str, use: Literal["fasttext"],
        /,
        *,
        terms: str | None = None,
        model: str | None = None,
        path: str | Path | None = None,
        repository: str | None = None,
        revision: str | None = None,
        file: str = "model.bin",
        max_chars: int = 4000,
    ) -> Self:
        """A fastText language identifier; the packaged lid.176 unless a file or a Hub repository is given.

        Args:
            terms: Terms under which its answers may be redistributed: an entry of the list of licences and terms
                (``openai-terms`` …), or ``none``.
            model: A name for the file, such as ``glotlid``.
            path: A fastText classifier (``.bin`` or ``.ftz``) with labels such as ``__label__de``,
                ``__label__deu_Latn``; identified by its content.
            repository: A Hub repository with the file, such as ``cis-lmu/glotlid``.
            revision: Its commit; a branch or tag is resolved, as for ``sentence-transformers``.
            file: The file in the repository.
            max_chars: Maximum number of characters read from the start of a text.
        """

    @overload
    def model(
        self,
        name: str, use: Literal["gemini"],
        /,
        *,
        model: str,
        terms: str | None = None,
        url: str = "https://generativelanguage.googleapis.com",
        revision: str = "",
        served_as: str | None = None,
        api_key: str | None = None,
        api_key_env: str | None = None,
        headers: Mapping[str, str] = ...,
        languages: Sequence[str] | None = None,
        reasoning: Literal["split", "keep"] = "split",
        temperature: float | Literal["sampling"] | None = "sampling",
        extra_body: Mapping[str, Any] = ...,
        context_length: int | None = None,
        price: Mapping[str, Any] | None = None,
        batch: bool = False,
        concurrency: int = 64,
        start_concurrency: int = 16,
        timeout: float = 300.0,
        retries: int = 6,
        deadline: float = 1800.0,
        max_failed: float = 0.5,
        structured: Literal["json_schema", "json_object", "prompt", "none"] = "json_schema",
        seeds: bool = True,
        logprobs: bool = False,
    ) -> Self:
        """text generation by Google's Gemini API

        Args:
            model: Name of the model, under which its answers are cached: ``gemini-2.5-flash``.
            terms: Terms under which its answers may be redistributed: an entry of the list of licences and terms
                (``openai-terms`` …), or ``none``.
            url: Address of the server, with or without ``/v1beta``.
            revision: Version that the server runs (a commit, a date), for lineage and cache keys; the protocol
                cannot report it.
            served_as: The server's own name for the model, if it differs (``--served-model-name``, a deployment).
            api_key: Sent as ``x-goog-api-key``; write ``${GEMINI_API_KEY}``.
            api_key_env: Name of an environment variable with the key, in place of ``api_key``: it is read when the
                model is loaded.
            headers: Additional HTTP headers, such as ``api-key`` for Azure; printed nowhere.
            languages: The languages the model supports; by default unspecified, and all are allowed.
            reasoning: ``split`` removes reasoning (``<think>…</think>``, harmony channels and the like, anywhere)
                from the answer; ``keep`` leaves it in.
            temperature: Overrides the temperature of a step's ``sampling``: ``null`` sends none, for models that
                reject it; a number is always sent, for models that accept one value only.
            extra_body: Additional fields of the JSON body, such as ``{safetySettings: […]}``, ``{generationConfig:
                {thinkingConfig: {includeThoughts: true}}}``.
            context_length: Context window in tokens (prompt and answer), for estimates of the maximum cost of a
                call.
            price: Price of its tokens.
            batch: Whether to send requests through the provider's batch interface, for half the price.
            concurrency: Maximum number of requests in flight; shared by all models at the same address.
            start_concurrency: Initial number of requests in flight.
            timeout: Seconds for one attempt, up to the last byte.
            retries: Maximum number of retries after a transient error; rate limits (429) do not count.
            deadline: Seconds for all attempts of one request.
            max_failed: Maximum share of the last 50 requests that may fail for good; above it the build stops.
            structured: How a JSON Schema is sent: as ``responseJsonSchema``, in the prompt with JSON as the type of
                the answer, in the prompt only, or not at all.
            seeds: Whether the model accepts a ``seed``; without it sampled answers cannot be reproduced.
            logprobs: Whether the model returns log-probabilities of its answers.
        """

    @overload
    def model(
        self,
        name: str, use: Literal["heliport"],
        /,
        *,
        terms: str | None = None,
        max_chars: int = 4000,
    ) -> Self:
        """220 languages, GPL-3.0 (heliport)

        Args:
            terms: Terms under which its answers may be redistributed: an entry of the list of licences and terms
                (``openai-terms`` …), or ``none``.
            max_chars: Maximum number of characters read from the start of a text.
        """

    @overload
    def model(
        self,
        name: str, use: Literal["lingua"],
        /,
        *,
        terms: str | None = None,
        max_chars: int = 1000,
        languages: Sequence[str] | None = None,
        accuracy: Literal["high", "low"] = "high",
    ) -> Self:
        """75 languages, accurate on short texts, 1.3 GB of memory (lingua-language-detector)

        Args:
            terms: Terms under which its answers may be redistributed: an entry of the list of licences and terms
                (``openai-terms`` …), or ``none``.
            max_chars: Maximum number of characters read from the start of a text; the time is proportional to it.
            languages: Restricts it to these languages (at least two), which saves memory; by default all 75.
            accuracy: ``low`` uses trigrams only: a fraction of the memory, much less accurate on short texts.
        """

    @overload
    def model(
        self,
        name: str, use: Literal["llamacpp"],
        /,
        *,
        terms: str | None = None,
        path: str | Path | None = None,
        packaged: Literal["smollm2", "gemma3-270m"] = "smollm2",
        accept_license: bool = False,
        model: str | None = None,
        languages: Sequence[str] | None = None,
        endpoint: Literal["chat", "completions"] | None = None,
        context: int = 2048,
        chat_template: str | None = None,
        system_role: bool = True,
        structured: Literal["json_schema", "json_object", "prompt", "none"] = "json_schema",
        reasoning: Literal["split", "keep"] = "split",
        extra_body: Mapping[str, Any] = ...,
        slots: int = 4,
        threads: int | None = None,
        gpu_layers: int | None = None,
        start_timeout: float = 300.0,
        timeout: float = 900.0,
        max_failed: float = 0.5,
    ) -> Self:
        """text generation from a GGUF file, embedded; packaged SmolLM2 for tests

        Args:
            terms: Terms under which its answers may be redistributed: an entry of the list of licences and terms
                (``openai-terms`` …), or ``none``.
            path: A GGUF file (of a split one, the first part), identified by its content.
            packaged: A model from the package index, used if no ``path`` is given.
            accept_license: Confirms that you accept the licence of a packaged model that requires it
                (``gemma3-270m``: Gemma Terms of Use).
            model: A name for the file, instead of its own.
            languages: The languages the model supports; by default English for the packaged models, and all for a
                file.
            endpoint: ``completions`` is for base models; the default fits the packaged model, and is ``chat`` for a
                file.
            context: Context window in tokens, for prompt and answer together.
            chat_template: A Jinja chat template instead of the file's own, or the name of one built into llama.cpp.
            system_role: Whether the chat template has a system role; if not, system turns are prepended to the next
                user turn.
            structured: How a JSON Schema is sent; ``json_schema`` constrains decoding.
            reasoning: ``split`` removes reasoning (``<think>…</think>``, harmony channels and the like, anywhere)
                from the answer; ``keep`` leaves it in.
            extra_body: Additional fields of the JSON body, such as ``{chat_template_kwargs: {enable_thinking:
                false}}``.
            slots: Number of requests processed concurrently; each needs memory for a whole context.
            threads: Number of threads; by default one per CPU, since one server serves the whole machine.
            gpu_layers: Number of layers on the GPU, with a llama.cpp built for one; by default as many as fit.
            start_timeout: Maximum seconds for loading.
            timeout: Seconds for one answer, up to the last byte.
            max_failed: Maximum share of the last 50 requests that may fail for good; above it the build stops.
        """

    @overload
    def model(
        self,
        name: str, use: Literal["openai"],
        /,
        *,
        url: str,
        model: str,
        terms: str | None = None,
        revision: str = "",
        served_as: str | None = None,
        api_key: str | None = None,
        api_key_env: str | None = None,
        headers: Mapping[str, str] = ...,
        languages: Sequence[str] | None = None,
        reasoning: Literal["split", "keep"] = "split",
        temperature: float | Literal["sampling"] | None = "sampling",
        extra_body: Mapping[str, Any] = ...,
        context_length: int | None = None,
        price: Mapping[str, Any] | None = None,
        batch: bool = False,
        concurrency: int = 64,
        start_concurrency: int = 16,
        timeout: float = 300.0,
        retries: int = 6,
        deadline: float = 1800.0,
        max_failed: float = 0.5,
        endpoint: Literal["chat", "completions"] = "chat",
        dialect: Literal["vllm", "llamacpp", "openai"] = "vllm",
        structured: Literal["json_schema", "json_object", "prompt", "none"] = "json_schema",
        system_role: bool = True,
        max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens",
        seeds: bool = True,
        logprobs: bool = False,
        prompt_logprobs: bool = False,
    ) -> Self:
        """text generation over HTTP: vLLM, llama.cpp, hosted

        Args:
            url: Address of the server, with or without ``/v1``: ``http://localhost:8000``.
            model: Name of the model, under which its answers are cached: ``Qwen/Qwen3-8B``.
            terms: Terms under which its answers may be redistributed: an entry of the list of licences and terms
                (``openai-terms`` …), or ``none``.
            revision: Version that the server runs (a commit, a date), for lineage and cache keys; the protocol
                cannot report it.
            served_as: The server's own name for the model, if it differs (``--served-model-name``, a deployment).
            api_key: Sent as ``Authorization: Bearer``; write ``${SOME_VARIABLE}``.
            api_key_env: Name of an environment variable with the key, in place of ``api_key``: it is read when the
                model is loaded.
            headers: Additional HTTP headers, such as ``api-key`` for Azure; printed nowhere.
            languages: The languages the model supports; by default unspecified, and all are allowed.
            reasoning: ``split`` removes reasoning (``<think>…</think>``, harmony channels and the like, anywhere)
                from the answer; ``keep`` leaves it in.
            temperature: Overrides the temperature of a step's ``sampling``: ``null`` sends none, for models that
                reject it; a number is always sent, for models that accept one value only.
            extra_body: Additional fields of the JSON body, such as ``{chat_template_kwargs: {enable_thinking:
                false}}``.
            context_length: Context window in tokens (prompt and answer), for estimates of the maximum cost of a
                call.
            price: Price of its tokens.
            batch: Whether to send requests through the provider's batch interface, for half the price.
            concurrency: Maximum number of requests in flight; shared by all models at the same address.
            start_concurrency: Initial number of requests in flight.
            timeout: Seconds for one attempt, up to the last byte.
            retries: Maximum number of retries after a transient error; rate limits (429) do not count.
            deadline: Seconds for all attempts of one request.
            max_failed: Maximum share of the last 50 requests that may fail for good; above it the build stops.
            endpoint: ``completions`` is for base models: turns are joined with blank lines, without a chat
                template.
            dialect: Whose extensions of the protocol the server supports: ``top_k``, ``min_p``, repetition
                penalties and continued assistant turns have other names or are not supported.
            structured: How a JSON Schema is sent: as ``response_format`` with or without the schema, in the prompt,
                or not at all.
            system_role: Whether the chat template has a system role; if not, system turns are prepended to the next
                user turn.
            max_tokens_field: Name of the field with the maximum length; OpenAI's reasoning models require the
                second.
            seeds: Whether the server accepts a ``seed``; without it sampled answers cannot be reproduced.
            logprobs: Whether the server returns log-probabilities of its answers (vLLM and llama.cpp do).
            prompt_logprobs: Whether its completions endpoint returns the prompt with log-probabilities (``echo``;
                vLLM does, llama.cpp does not).
        """

    @overload
    def model(
        self,
        name: str, use: Literal["recorded"],
        /,
        *,
        path: str | Path,
        model: str,
        terms: str | None = None,
        revision: str = "",
        languages: Sequence[str] | None = None,
    ) -> Self:
        """answers out of a file that `curate record` wrote, or a person

        Args:
            path: The recording (``.jsonl``, or ``.jsonl.zst``), identified by its content.
            model: Name of the model that gave the answers, as rows record it.
            terms: Terms under which its answers may be redistributed: an entry of the list of licences and terms
                (``openai-terms`` …), or ``none``.
            revision: Its version.
            languages: The languages the model supports; by default unspecified, and all are allowed.
        """

    @overload
    def model(
        self,
        name: str, use: Literal["reward"],
        /,
        *,
        model: str,
        terms: str | None = None,
        revision: str | None = None,
        device: str | None = None,
        form: Literal["auto", "chat", "pair"] = "auto",
        system: Literal["keep", "merge", "drop"] = "keep",
        label: int | str | None = None,
        output: Literal["logit", "sigmoid", "softmax"] = "logit",
        max_length: int | None = None,
        too_long: Literal["skip", "cut"] = "skip",
        dtype: Literal["float32", "float16", "bfloat16"] | None = None,
        languages: Sequence[str] | None = None,
        batch_size: int = 16,
    ) -> Self:
        """reward model (sequence classifier of transformers): how good an answer is

        Args:
            model: ``organisation/name`` on the Hub, or the path of a local folder (identified by its files'
                contents).
            terms: Terms under which its answers may be redistributed: an entry of the list of licences and terms
                (``openai-terms`` …), or ``none``.
            revision: Commit of the Hub repository; a branch or tag is resolved, as for ``sentence-transformers``.
            device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; by default the fastest available.
            form: Input format: the model's ``chat`` template, or a ``pair`` of prompt and answer.
            system: What to do with a system turn, which some templates do not support.
            label: The output that is the score, by number or name; required if the model has several.
            output: The raw output (``logit``), or a probability by ``sigmoid`` or by ``softmax`` over all outputs.
            max_length: Maximum length of a conversation in tokens; by default that of the model.
            too_long: For longer conversations: ``skip`` gives no score; ``cut`` drops turns from the beginning (of
                a pair: the end of the prompt) until it fits.
            dtype: Number format for computing; by default that of the weights.
            languages: The languages whose answers it can score; by default all, with a warning.
            batch_size: Conversations per forward pass; similar lengths are batched together.
        """

    @overload
    def model(
        self,
        name: str, use: Literal["route"],
        /,
        *,
        through: Sequence[str],
        terms: str | None = None,
        edges: Mapping[str, Any] = ...,
        prefer: Literal["quality", "cost"] = "quality",
        max_hops: int = 3,
        via: Sequence[str] | None = None,
        min_quality: float = 0.0,
    ) -> Self:
        """a chain of translators chosen by quality and cost for each pair

        Args:
            through: Names of other translators in the catalog.
            terms: Terms under which its answers may be redistributed: an entry of the list of licences and terms
                (``openai-terms`` …), or ``none``.
            edges: Overrides: model → pair (``en-pt``, ``pt-BR→es``, or ``default``) → ``{quality: 0.9, cost: 20}``.
            prefer: ``quality``: the best path, the cheaper of equal ones; ``cost``: the cheapest path, the better
                of equal ones.
            max_hops: Maximum number of translations in a row.
            via: Languages that a path may pass through; by default all.
            min_quality: Minimum quality of a path; a pair without one is not supported.
        """

    @overload
    def model(
        self,
        name: str, use: Literal["sentence-transformers"],
        /,
        *,
        terms: str | None = None,
        device: str | None = None,
        model: str = "sentence-transformers/LaBSE",
        revision: str | None = None,
        prompt: str = "",
        max_length: int | None = None,
        max_chars: int | None = 512,
        dtype: Literal["float32", "float16", "bfloat16"] | None = None,
        languages: Sequence[str] | None = None,
        absolute: bool | None = None,
        batch_size: int = 64,
    ) -> Self:
        """A sentence encoder of the sentence-transformers library.

        Args:
            terms: Terms under which its answers may be redistributed: an entry of the list of licences and terms
                (``openai-terms`` …), or ``none``.
            device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; by default the fastest available.
            model: ``organisation/name`` on the Hub, or the path of a local folder (identified by its files'
                contents).
            revision: Commit of the Hub repository.
            prompt: Prefix of every text, such as ``"query: "``, for models trained with one.
            max_length: Maximum number of tokens per segment; longer ones are truncated.
            max_chars: Longer texts are split at ends of sentences into segments of at most this many characters,
                whose vectors are averaged by length.
            dtype: Number format for computing; by default that of the weights.
            languages: The supported languages.
            absolute: Whether a cosine means the same in every language; by default yes, but not for models of the
                E5 family.
            batch_size: Texts per forward pass.
        """

    @overload
    def model(
        self,
        name: str, use: Literal["seq2seq"],
        /,
        *,
        model: str,
        terms: str | None = None,
        device: str | None = None,
        revision: str | None = None,
        engine: Literal["auto", "ctranslate2", "transformers"] = "auto",
        family: Literal["auto", "nllb", "m2m100", "madlad", "opus", "mbart50"] = "auto",
        tokenizer: str | None = None,
        sources: Sequence[str] | None = None,
        targets: Sequence[str] | None = None,
        codes: Mapping[str, str] = ...,
        beam_size: int = 4,
        max_tokens: int = 256,
        max_source_tokens: int = 400,
        longest: int = 800,
        length_penalty: float = 1.0,
        repetition_penalty: float = 1.0,
        no_repeat_ngram: int = 0,
        compute: Literal["default", "float32", "float16", "bfloat16", "int8", "int8_float32", "int8_float16", "int8_bfloat16"] = "default",
        batch_tokens: int = 4096,
    ) -> Self:
        """NLLB, M2M-100, MADLAD-400, OPUS-MT, mBART-50 by CTranslate2 or transformers

        Args:
            model: ``organisation/name`` on the Hub, or the path of a local folder (identified by its files'
                contents): a model as saved by transformers or by ``ct2-transformers-converter``.
            terms: Terms under which its answers may be redistributed: an entry of the list of licences and terms
                (``openai-terms`` …), or ``none``.
            device: ``cpu``, ``cuda``, ``cuda:1``; by default the fastest available.
            revision: Commit of the Hub repository; a branch or tag is resolved, as for ``sentence-transformers``.
            engine: ``auto``: by the format of the folder.
            family: How languages are encoded; ``auto``: as the model's files say.
            tokenizer: Folder or Hub name of the vocabulary, for a converted model without one; ``name@commit`` pins
                one on the Hub.
            sources: Source languages; by default all in its vocabulary.
            targets: Target languages.
            codes: Overrides of the model's language codes: ``{ar: ary_Arab}``.
            beam_size: Beam size; 1 is greedy and fastest.
            max_tokens: Maximum length of a segment's translation in tokens.
            max_source_tokens: Maximum length of a segment in tokens; longer ones are split.
            longest: Maximum number of characters per segment; longer sentences are split at a clause or space.
            length_penalty: Length penalty: above 1 favours longer translations, below 1 shorter ones.
            repetition_penalty: Repetition penalty: above 1 discourages repeated tokens.
            no_repeat_ngram: Forbids repeated n-grams of this length; 0 allows all.
            compute: Number format for computing; the ``int8`` forms are CTranslate2's.
            batch_tokens: Tokens per forward pass, including padding.
        """

    @overload
    def model(
        self,
        name: str, use: Literal["simalign"],
        /,
        *,
        model: str,
        terms: str | None = None,
        revision: str | None = None,
        device: str | None = None,
        method: Literal["argmax", "itermax", "match"] = "argmax",
        rounds: int = 2,
        layer: int = 8,
        by: Literal["subword", "word"] = "subword",
        min_similarity: float = 0.0,
        distortion: float = 0.0,
        batch_size: int = 32,
    ) -> Self:
        """word aligner by contextual vectors of a multilingual model (SimAlign); learns nothing

        Args:
            model: A local folder with a transformers model (identified by its files' contents), or
                ``organisation/name`` on the Hub, such as ``google-bert/bert-base-multilingual-cased``.
            terms: Terms under which its answers may be redistributed: an entry of the list of licences and terms
                (``openai-terms`` …), or ``none``.
            revision: Commit of the Hub repository; a branch or tag is resolved, as for ``sentence-transformers``.
            device: ``cpu``, ``cuda``, ``mps``; by default the fastest available.
            method: ``argmax``: mutually best links, the most precise; ``itermax``: repeated on the remaining units,
                up to ``rounds`` times; ``match``: the matching with the maximum sum, the most complete.
            rounds: Rounds of ``itermax``.
            layer: Layer whose vectors are compared (0: before the first); the published choice for 12 layers is 8.
            by: Whether to compare subwords, linking words if any of their subwords are linked, or the means of
                words.
            min_similarity: Links with a lower cosine are left out.
            distortion: Penalty on the distance from the diagonal (0: none).
            batch_size: Pairs per forward pass.
        """

    @overload
    def model(
        self,
        name: str, use: Literal["systran-align"],
        /,
        *,
        terms: str | None = None,
        symmetrize: Literal["intersection", "union", "grow-diag", "grow-diag-final", "grow-diag-final-and", "forward", "backward"] = "intersection",
        iterations: int = 5,
        favor_diagonal: bool = True,
        tension: float = 4.0,
        optimize_tension: bool = True,
        variational_bayes: bool = True,
        alpha: float = 0.01,
        longest: int = 200,
        timeout: float = 7200.0,
    ) -> Self:
        """statistical word aligner (fast_align), learned from the pairs it is given; any language

        Args:
            terms: Terms under which its answers may be redistributed: an entry of the list of licences and terms
                (``openai-terms`` …), or ``none``.
            symmetrize: How the links of both directions are merged: ``intersection`` is the most precise, ``union``
                the most complete; ``grow-diag``, ``grow-diag-final`` and ``grow-diag-final-and`` (Koehn et al. 2005)
                are between; ``forward`` and ``backward`` use one direction only.
            iterations: Iterations of expectation maximisation.
            favor_diagonal: Whether words at similar positions are more likely to be aligned.
            tension: Initial strength of that preference.
            optimize_tension: Whether the strength is optimised during training.
            variational_bayes: Whether a Dirichlet prior keeps rare words from aligning to everything.
            alpha: Strength of the Dirichlet prior.
            longest: Maximum number of units per side; longer pairs are not aligned.
            timeout: Timeout of the training in seconds.
        """

    @overload
    def model(
        self,
        name: str, use: Literal["use-multilingual"],
        /,
        *,
        terms: str | None = None,
        languages: Sequence[str] = ...,
        max_chars: int = 512,
        batch_size: int = 1024,
    ) -> Self:
        """The multilingual Universal Sentence Encoder, packaged with its weights.

        Args:
            terms: Terms under which its answers may be redistributed: an entry of the list of licences and terms
                (``openai-terms`` …), or ``none``.
            languages: Additional languages to assess although the model was not trained for them, such as ``ca``;
                use lower thresholds for them.
            max_chars: Longer texts are split at ends of sentences into segments of at most this many characters,
                whose vectors are averaged by length.
            batch_size: Texts encoded between two writes to the cache.
        """

    @overload
    def model(
        self,
        name: str, use: Literal["vllm"],
        /,
        *,
        terms: str | None = None,
        model: str | None = None,
        path: str | Path | None = None,
        revision: str | None = None,
        dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto",
        quantization: str | None = None,
        max_model_len: int | None = None,
        chat_template: str | None = None,
        chat_template_kwargs: Mapping[str, Any] = ...,
        reasoning: Literal["split", "keep"] = "split",
        seed: int = 0,
        batch_invariant: bool = False,
        languages: Sequence[str] | None = None,
        options: Mapping[str, Any] = ...,
        tensor_parallel_size: int = 1,
        gpu_memory_utilization: float | None = None,
        max_num_seqs: int | None = None,
        enforce_eager: bool = False,
        separate_process: bool = False,
    ) -> Self:
        """text generation by vLLM's offline engine in this process (GPU)

        Args:
            terms: Terms under which its answers may be redistributed: an entry of the list of licences and terms
                (``openai-terms`` …), or ``none``.
            model: ``organisation/name`` on the Hub, or the path of a local folder (identified by its files'
                contents); with ``path``, only a name for display.
            path: A local folder with the model, identified by its files' contents; may come from the environment.
            revision: Commit of the Hub repository.
            dtype: Number format for computing; by default that of the weights (float32 weights: float16 on a GPU).
            quantization: Quantization of the weights (``awq``, ``gptq``, ``fp8``, …), if the model does not declare
                it, or to be applied.
            max_model_len: Context window in tokens, for prompt and answer together; by default that of the model.
            chat_template: Jinja text, or a file with it, instead of the model's own template.
            chat_template_kwargs: Further variables of the template, such as ``{enable_thinking: false}``.
            reasoning: ``split`` removes reasoning (``<think>…</think>``, harmony channels and the like, anywhere)
                from the answer; ``keep`` leaves it in.
            seed: The engine's seed.
            batch_invariant: Whether answers must not depend on the other requests of a batch, even by rounding
                (vLLM's batch-invariant kernels; slower, NVIDIA GPUs from Hopper on).
            languages: The languages the model supports; by default all.
            options: Further engine arguments, by the names of ``vllm.EngineArgs``.
            tensor_parallel_size: GPUs that share each layer.
            gpu_memory_utilization: Share of each GPU's memory to use; vLLM's default is 0.92.
            max_num_seqs: Maximum number of requests in flight; by default vLLM chooses it for the device.
            enforce_eager: Starts faster and runs slower: no CUDA graphs, no compilation.
            separate_process: Whether the engine's core runs in its own process.
        """

    def _add(self, section: str, name: str, values: dict[str, Any]) -> Self: ...

class DatasetMethods:
    def align(
        self,
        *,
        max_error_rate: float = 0.05,
        model: str = "systran-align",
        dictionary: str | None = None,
        into: Literal["attributes", "rows"] = "attributes",
        as_: str = ...,
    ) -> Self:
        """links between the words of sentence pairs, as attributes or as rows of two words

        Args:
            max_error_rate: Maximum share of rows that may fail (0 to 1); above it the build stops.
            model: The word aligner.
            dictionary: Parallel rows whose entries (in either direction) the aligner gets too.
            into: Where links go.
            as_: name of its scores and reasons.
        """

    def arrange(
        self,
        *,
        max_error_rate: float = 0.05,
        by: Literal["language", "source", "item", "nothing"] = "language",
        batch: int = 64,
        order: Literal["shuffle", "turns", "keep"] = "shuffle",
        within: Literal["shuffle", "keep"] = "shuffle",
        as_: str = ...,
    ) -> Self:
        """rows in an order for trainers: batches of one language, source or item, shuffled or in turns

        Args:
            max_error_rate: Maximum share of rows that may fail (0 to 1); above it the build stops.
            by: What a batch has one of.
            batch: Rows per batch of the trainer (over all devices).
            order: The order of the batches (or items).
            within: How rows of a language become neighbours: shuffled, or in their order.
            as_: name of its scores and reasons.
        """

    def code_switch(
        self,
        *,
        to: str | Sequence[str] | Mapping[str, float],
        max_error_rate: float = 0.05,
        table: str | None = None,
        siblings: str | None = None,
        level: Literal["word", "phrase", "sentence"] = "word",
        ratio: float | Sequence[float] = 0.3,
        of: Literal["switchable", "words"] = "switchable",
        least: int = 1,
        longest: int = 4,
        fields: Sequence[str] | Literal["input", "all"] = "input",
        matrix: str | None = None,
        others: Literal["drop", "keep", "switch"] = "drop",
        each: bool = False,
        mix: bool = False,
        variants: int = 1,
        choice: Literal["best", "sample"] = "best",
        score: str | None = None,
        min_score: float = 0.0,
        same_script: bool = True,
        never: Sequence[str] = ...,
        names: bool = False,
        protect: Sequence[Literal["code", "inline_code", "url", "email", "latex", "markup", "placeholder", "symbol"]] = ...,
        capitals: bool = True,
        whitespace: bool | None = None,
        isolates: bool = False,
        unswitched: Literal["drop", "keep", "quarantine"] = "drop",
        keep_original: bool = False,
        record: bool = False,
        restore: bool = False,
        instruction: str | None = None,
        as_: str = ...,
    ) -> Self:
        """code-switched rows: words, phrases or sentences replaced by translations from a word table

        Args:
            to: The language to switch to, or several.
            max_error_rate: Maximum share of rows that may fail (0 to 1); above it the build stops.
            table: Parallel rows with the translations, in either direction: a dictionary, the output of
                ``lexicon``, or sentence pairs for ``level: sentence``.
            siblings: For ``level: sentence``: rows of the same kind that have the translation of a row under the
                same ``group_id``.
            level: The unit that is switched: single table entries, runs of neighbouring entries, or whole
                sentences.
            ratio: The share of switchable units to switch.
            of: What ``ratio`` is a share of: switchable words only, or all words.
            least: Minimum number of switches per row, where possible.
            longest: For ``level: phrase``: maximum number of neighbouring entries switched together.
            fields: The fields to switch: names, ``input`` (the prompt, the source side, a document's text) or
                ``all``.
            matrix: The matrix language, which is switched from; by default each row's own language.
            others: What to do with rows whose language is not ``matrix``: drop them, keep them unchanged, or switch
                them as if they were in it (a prompt in the matrix language whose answer is in another).
            each: Whether to make one row for each language of ``to`` instead of drawing one language per row.
            mix: Whether to draw a language for each word, so that one row may mix several.
            variants: Number of rows made from each row, by different draws; equal ones are made once.
            choice: Which of several translations to use: the one with the best score (of equals the first in the
                table), or one drawn by score.
            score: Name of the table's score; by default ``lexicon``.
            min_score: Minimum score of an entry; an entry without a score counts as 1.
            same_script: Whether a translation must have at least one letter of its language's script (dictionaries
                hold others too).
            never: Words that are never switched, such as ``the``.
            names: Whether to switch words that look like names: words with a capital in mid-sentence (except in
                languages that capitalise nouns) or with capitals inside.
            protect: Spans that are never changed.
            capitals: Whether to carry capitals over to the translation, where its script has them.
            whitespace: Whether to put a space between words of spaced scripts and letters of unspaced ones.
            isolates: Whether to put words of the other writing direction between isolating marks (U+2068, U+2069)
                for display.
            unswitched: What to do with rows in which nothing could be switched: drop them (counted in a warning),
                keep them unchanged and without scores of this step, or quarantine them.
            keep_original: Whether to keep the original rows too.
            record: Whether to list the switches in the attribute ``code_switch.switched``, a JSON list of ``[field,
                turn, start, from, to]`` with the start in code points of the new text.
            restore: Whether to make pairs for learning the reverse direction instead of switched rows, one for each
                switched text: parallel rows (switched → original), or conversations if ``instruction`` is set.
            instruction: For ``restore``: the user turn, with ``{text}`` for the switched text.
            as_: name of its scores and reasons.
        """

    def compose(
        self,
        *,
        into: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        max_error_rate: float = 0.05,
        weights: Sequence[float] | None = None,
        kind: Literal["sft", "preference", "unpaired", "parallel", "document", "prompt"] | None = None,
        directions: Literal["one", "both"] = "one",
        as_: str = ...,
    ) -> Self:
        """rows by templates from rows, without a model: other kinds, prompts, directions and languages

        Args:
            into: Field of the new row → a template: text with placeholders in braces.
            max_error_rate: Maximum share of rows that may fail (0 to 1); above it the build stops.
            weights: How often each form of a list is drawn, in any unit.
            kind: The kind of the new rows; by default that of the old ones.
            directions: ``both``: from each ``parallel`` row two new ones, the second with source and target
                exchanged.
            as_: name of its scores and reasons.
        """

    def contamination(
        self,
        *,
        against: Sequence[str],
        files: Mapping[str, Any] = ...,
        missing: Literal["error", "skip"] = "error",
        revisions: Mapping[str, str] = ...,
        languages: Sequence[str] | None = None,
        fields: Sequence[str] | None = None,
        short: float = 4.0,
        model: str | None = "use-multilingual",
        pivot: Sequence[str] = ...,
        meaning_in: Sequence[str] | None = None,
        passages: int = 6,
        max_chars: int = 1000,
        numbers: Literal["distinct", "ignore"] = "distinct",
        halves: bool = True,
        strict: bool = False,
        containment: float | None | Mapping[str, float | None] = 0.6,
        beside: float | None | Mapping[str, float | None] = 0.85,
        part: float | None | Mapping[str, float | None] = 13.0,
        translation: float | None | Mapping[str, float | None] = ...,
        paraphrase: float | None | Mapping[str, float | None] = 0.5,
        code: float | None | Mapping[str, float | None] = 0.5,
        context: Literal["keep", "drop"] = "keep",
        context_share: float = 0.5,
        unassessed: Literal["keep", "drop"] = "keep",
        as_: str = ...,
    ) -> Self:
        """Benchmark items in training rows: verbatim, edited, split, embedded, translated.

        Args:
            against: Benchmarks of the registry (``xquad``, ``mgsm``, …), or sources and datasets of the catalog,
                whose prompts, texts or sides become items.
            files: Local files to read a benchmark from instead of the Hub: a path, a pattern, several, or one for
                each language.
            missing: What to do when a benchmark cannot be read: stop, or continue and report it as *not checked*.
            revisions: The commit of a benchmark's repository, to override the registry's.
            languages: Only the items in these languages.
            fields: The fields searched for items.
            short: Items with fewer words (of five Latin letters; a Chinese character is three letters, a number a
                word) match only if they are a whole text, line or sentence, unchanged.
            model: The encoder that finds translations and paraphrases; null: they are not searched.
            pivot: The preferred languages for comparing items by meaning: the first that an item has, then any that
                the encoder supports.
            meaning_in: The fields searched for translations.
            passages: How many parts of a text are compared by meaning: the whole, its lines, the questions among
                its sentences.
            max_chars: Longer texts are cut to this length before encoding.
            numbers: ``distinct``: an item with other numbers is another item.
            halves: Also find items cut in two, each half verbatim as a line in a row of its own.
            strict: Stop if the encoder does not support a row's language, instead of warning and leaving the row
                not assessed.
            containment: Minimum share of an item that makes a row contaminated.
            beside: The same for rows that also have the benchmark's context (``context_share``): other questions
                about a paragraph share many words with the item and are legitimate.
            part: Minimum verbatim run, in words of five Latin letters, that makes a row contaminated whatever the
                share, unless it has the context.
            translation: Minimum probability of a translation, by the row's language: lower where the embedded
                encoder is weaker.
            paraphrase: Minimum probability of a paraphrase in the item's own language.
            code: Minimum probability of an item's program in other words.
            context: Whether to drop rows that have a benchmark's context but none of its questions.
            context_share: Minimum share of a context that counts as having it.
            unassessed: What to do with rows that were not compared with every item.
            as_: name of its scores and reasons.
        """

    def converse(
        self,
        *,
        assistant: str,
        user: str,
        max_error_rate: float = 0.05,
        rounds: int | Sequence[int] = ...,
        n: int = 1,
        start: Literal["row", "user"] = "row",
        goal: str | None | Mapping[str, str | None] = None,
        persona: str | None | Mapping[str, str | None] = None,
        style: str | None | Mapping[str, str | None] = None,
        language: str | Sequence[str] | None = None,
        user_language: str | None = None,
        mix: str | None = None,
        system: str | None | Mapping[str, str | None] = None,
        keep_system: bool = True,
        instruct_language: bool = True,
        sampling: Mapping[str, Any] = ...,
        user_sampling: Mapping[str, Any] = ...,
        end: str = "[END]",
        broken: Literal["quarantine", "keep"] = "quarantine",
        retries: int = 1,
        strict: bool = False,
        as_: str = ...,
    ) -> Self:
        """conversations of several turns between a simulated user and a model

        Args:
            assistant: The model that answers.
            user: The model that plays the user.
            max_error_rate: Maximum share of rows that may fail (0 to 1); above it the build stops.
            rounds: Number of user messages with their answers: one number, or the least and the most, drawn for
                each row by the seed.
            n: Number of conversations for each row.
            start: ``row``: the row's own turns, up to its last user turn, begin the conversation.
            goal: What the user wants, with ``{prompt}``, ``{text}``, ``{attribute.NAME}`` and ``{language_name}``.
            persona: Who the user is, with the same placeholders: ``"{attribute.persona}"``, ``a nurse from
                Kisumu``.
            style: How the user writes: ``short, with typing errors``, ``formal and detailed``.
            language: Language of the assistant, and of the user if ``user_language`` is not set; several languages
                give conversations in each.
            user_language: Language of the user, if it is another one.
            mix: A second language that the user mixes into the first one (code-switching).
            system: A system prompt for the assistant, by its language, with the same placeholders.
            keep_system: Whether the row keeps the assistant's system prompt.
            instruct_language: Whether to tell the assistant, in its language, which language to answer in where it
                is not the user's.
            sampling: Sampling parameters of the assistant.
            user_sampling: Sampling parameters of the user.
            end: What the user writes to end the conversation.
            broken: What to do with a conversation in which a message could not be had (no answer, cut off, empty):
                quarantine it, or keep the rounds before it if there is at least one.
            retries: How often an unusable message is requested again, with the complaint.
            strict: Whether a language that is not in a model's ``languages`` stops the build.
            as_: name of its scores and reasons.
        """

    def corrupt(
        self,
        *,
        max_error_rate: float = 0.05,
        field: str | None = None,
        shuffle: int = 0,
        drop: float = 0.0,
        replace: float = 0.0,
        mask: float = 0.0,
        span: float = 0.0,
        mask_text: str = "<mask>",
        as_: str = ...,
    ) -> Self:
        """a text damaged at random (words moved, left out, replaced, masked), to learn to restore it

        Args:
            max_error_rate: Maximum share of rows that may fail (0 to 1); above it the build stops.
            field: The field to damage.
            shuffle: How far a word may move, in words (Lample et al. 2018); 0: not at all.
            drop: The share of words left out.
            replace: The share of words replaced by another word of the text.
            mask: The share of words masked.
            span: Mean length of a masked span in words, drawn from a Poisson distribution and at least 1; each span
                gets one mask (Lewis et al. 2020, BART: 3). 0: each word is masked by itself.
            mask_text: The mask; ``{number}`` counts from 0 (``<extra_id_{number}>``).
            as_: name of its scores and reasons.
        """

    def detect_language(
        self,
        *,
        max_error_rate: float = 0.05,
        model: str = "ensemble",
        fields: Sequence[str] | None = None,
        by: Literal["row", "message"] = "row",
        min: float | None | Mapping[str, float | None] = 0.5,
        min_letters: int = 20,
        only: Sequence[str] = ...,
        unclear: Literal["und", "keep", "quarantine"] = "und",
        mask: Sequence[Literal["code", "inline_code", "url", "email", "markup", "latex", "placeholder"]] = ...,
        as_: str = ...,
    ) -> Self:
        """rows labelled with the language that an identifier finds

        Args:
            max_error_rate: Maximum share of rows that may fail (0 to 1); above it the build stops.
            model: The language identifier.
            fields: The fields whose language is the row's.
            by: ``row``: the messages of the fields together.
            min: Minimum probability (0 to 1) of a language; with less it is unclear.
            min_letters: With fewer letters the language is unclear.
            only: Label only rows with these labels, such as ``[und]``.
            unclear: What to do with rows whose language is unclear: label them ``und``, keep their label, or
                quarantine them.
            mask: What is left out of the texts; as for ``language``.
            as_: name of its scores and reasons.
        """

    def duplicates(
        self,
        *,
        method: Literal["exact", "minhash", "semantic", "cross_lingual"] = "exact",
        fields: Sequence[str] | None = None,
        across: Literal["language", "all"] = "language",
        scope: Literal["all", "source", "group"] = "all",
        unicode: Literal["nfkc", "nfc", "none"] = "nfkc",
        case: Literal["fold", "keep"] = "fold",
        whitespace: Literal["collapse", "remove", "keep"] | None = None,
        punctuation: Literal["keep", "ignore"] | None = None,
        digits: Literal["keep", "fold"] | None = None,
        diacritics: Literal["keep", "ignore"] | None = None,
        quotes: Literal["keep", "fold"] | None = None,
        joiners: Literal["keep", "ignore"] | None = None,
        html: Literal["keep", "strip"] | None = None,
        similarity: float | None | Mapping[str, float | None] = None,
        measure: Literal["jaccard", "edits"] = "edits",
        shingle: Mapping[str, int] | int | None = None,
        num_perm: int = 128,
        bands: Sequence[int] | None = None,
        numbers: Literal["distinct", "ignore"] = "distinct",
        negation: Literal["distinct", "ignore"] = "distinct",
        words: Literal["distinct", "ignore"] = "distinct",
        linkage: Literal["star", "connected"] = "star",
        model: str | Sequence[str] | None = None,
        max_chars: int = 2000,
        margin: float = 1.3,
        mutual: bool = True,
        neighbours: int = 4,
        pairs: Mapping[str, float] = ...,
        calibration: str | Path | None = None,
        trust: Literal["weak", "trusted"] = "weak",
        groups: Literal["exclude", "include"] = "exclude",
        lexical: float = 0.0,
        search: Literal["auto", "exact", "approximate"] = "auto",
        strict: bool = False,
        allow_uncalibrated: bool = False,
        keep: Literal["first", "longest", "shortest", "best"] | Mapping[str, Any] | Sequence[Literal["first", "longest", "shortest", "best"] | Mapping[str, Any]] = "first",
        by: str | None = None,
        source_order: Sequence[str] = ...,
        against: str | None = None,
        action: Literal["drop", "mark"] = "drop",
        as_: str = ...,
    ) -> Self:
        """Deduplication: exact, near (MinHash), semantic, cross-lingual.

        Args:
            method: ``exact``: equal after the normalisations below.
            fields: The fields that must all be alike.
            across: Whether rows in different languages may be duplicates (``all``) or not (``language``).
            scope: Where duplicates are searched: among all rows, within each source, or within each item
                (``group_id``: several answers or translations of one thing).
            unicode: ``nfkc`` makes full-width and half-width forms, ligatures and presentation forms equal (also x²
                and x2); ``nfc`` only different encodings of the same character.
            case: ``fold`` ignores case (full Unicode folding, ß = ss; in Turkish, Azerbaijani, Gagauz and Crimean
                Tatar I = ı and İ = i).
            whitespace: ``collapse``: each run of whitespace becomes one space; leading and trailing whitespace and
                invisible characters (zero-width space, direction marks, soft hyphen) are removed.
            punctuation: ``ignore`` removes characters of category P, except ``# @ % & * / \\`` and one that
                precedes a digit (3.5, -4, 10:30).
            digits: ``fold`` makes the digits of all scripts equal (٣ = ३ = 3).
            diacritics: ``ignore`` removes Arabic tashkeel and tatweel and Hebrew points; marks of other scripts are
                always compared.
            quotes: ``fold`` makes quotation marks, apostrophes and dashes of all shapes equal.
            joiners: ``ignore`` removes zero-width joiners, non-joiners and variation selectors: they are spelling
                in Persian and Indic scripts, noise elsewhere.
            html: ``strip`` decodes entities and removes tags that come in pairs or are line breaks; a single
                ``<b>`` is text and stays.
            similarity: Minimum similarity (0 to 1) in every field: edits or Jaccard for ``minhash`` (default 0.8),
                cosine for ``semantic`` (0.92) and ``cross_lingual`` (0.65).
            measure: For ``minhash``.
            shingle: Characters (graphemes) in a shingle: one number, or one for each Unicode script (``{default: 5,
                Han: 3}``).
            num_perm: Permutations in a MinHash signature; 128 take 256 bytes a row.
            bands: Number of bands, and permutations in each band.
            numbers: ``distinct``: rows with different numbers, operators or currencies are never duplicates.
            negation: ``distinct``: rows that differ in a negating word are never duplicates, in the languages that
                have a list of such words; for ``minhash`` not if it is in an added or missing stretch of words.
            words: For ``cross_lingual``.
            linkage: ``star``: a row is dropped only if it is similar to the kept row itself.
            model: The encoder for ``semantic`` and ``cross_lingual``.
            max_chars: Longer texts are cut to this length before encoding.
            margin: For ``cross_lingual``: minimum ratio of a pair's cosine to the mean cosine of both to their
                nearest neighbours in the other language. 0 turns it off.
            mutual: For ``cross_lingual``: whether both rows must be each other's nearest neighbour (within a cosine
                of 0.02) among their candidates.
            neighbours: How many nearest neighbours enter the margin, and how many candidates each row is compared
                with across languages.
            pairs: For ``cross_lingual``: minimum cosine of a language pair, such as ``{en/zh: 0.55}``; overrides
                ``similarity``.
            calibration: For ``cross_lingual``: a file that ``curate calibrate`` wrote for this model.
            trust: The minimum trust that the calibration must give a language pair for its rows to be compared.
            groups: For ``cross_lingual``: whether rows of one item (``group_id``), which are meant to be
                translations of each other, are duplicates too (``include``).
            lexical: For ``semantic``: minimum share of shingles (Jaccard) that two rows must also have in common.
            search: ``exact`` compares all pairs, ``approximate`` searches a graph (``pip install
                'polycurate[mine]'``); ``auto`` uses the graph above 150,000 texts of one language.
            strict: Stop if the encoder does not support a language, instead of warning and leaving its rows not
                assessed.
            allow_uncalibrated: Allow an encoder whose cosines have no absolute meaning (the e5 family).
            keep: Which row of a cluster is kept: ``first`` in order, ``longest``, ``shortest``, ``{score: name,
                order: greatest}``, ``{sources: [most trusted, …]}``, ``best`` (the greatest score ``by``), or a list of
                these, where each breaks the ties of those before it.
            by: The score for ``keep: best``.
            source_order: Sources whose rows are kept before others', the most trusted first; sources not listed
                rank last.
            against: A source or dataset to compare with, as if its rows came first: rows that duplicate one of them
                are dropped; the rows of ``against`` are not added.
            action: ``mark`` keeps all rows and only writes the cluster attributes, for a later step or for
                inspection.
            as_: name of its scores and reasons.
        """

    def instruct(
        self,
        *,
        model: str,
        max_error_rate: float = 1.0,
        method: Literal["seeds", "personas", "passages"] = "seeds",
        languages: Sequence[str] | None = None,
        total: int | None = None,
        per_request: int = 5,
        round: int = 256,
        max_requests: int | None = None,
        seeds: int = 6,
        seeds_from: str | None = None,
        own: int = 2,
        seed_language: Literal["same", "prefer", "any"] = "prefer",
        pool: int = 2000,
        personas: str | None = None,
        about: Sequence[str] | None | Mapping[str, Sequence[str] | None] = None,
        passage_chars: int = 4000,
        passage_parts: int = 1,
        answers: bool | None = None,
        with_input: bool = False,
        evidence: bool = False,
        sampling: Mapping[str, Any] = ...,
        prompt: str | Sequence[Mapping[str, str]] | None | Mapping[str, Any] = None,
        max_similarity: float = 0.7,
        against: str | Sequence[str] | None = None,
        blocklist: Sequence[str] | None | Mapping[str, Sequence[str] | None] = None,
        min_letters: float = 12,
        max_chars: int = 4000,
        retries: int = 1,
        strict: bool = False,
        max_failed: float = 0.5,
        as_: str = ...,
    ) -> Self:
        """new prompts (or questions with answers) from seeds, personas or passages, without near-duplicates

        Args:
            model: The language model that writes.
            max_error_rate: Maximum share of rows from which something was refused (0 to 1).
            method: What new instructions are based on: examples drawn from the rows (Self-Instruct, Wang et al.
                2023), a person who might ask (Ge et al. 2024), or a passage that has the answer.
            languages: The languages to write in; by default those of the rows (for the package's personas: of the
                seeds).
            total: Number of rows to make in each language; required for ``seeds``.
            per_request: Number of instructions per request.
            round: Maximum number of requests per language sent together.
            max_requests: Maximum number of requests per language; by default four times what ``total`` needs if
                nothing is refused.
            seeds: Number of example instructions per request.
            seeds_from: Other rows to take the examples from; by default the step's own rows, if they are prompts or
                conversations.
            own: Number of instructions from earlier rounds that each request shows too.
            seed_language: Whether examples must be in the language that is written, should be (``prefer``), or may
                be in any.
            pool: Maximum number of seeds per language to draw examples from, sampled by the seed.
            personas: Rows that each describe a person; by default the step's own rows if they are documents, else
                the package's list.
            about: Topics.
            passage_chars: Maximum length of a passage (or persona) in characters; a longer one is cut after a
                paragraph or sentence.
            passage_parts: Maximum number of parts that a longer passage is cut into; the rest is left out.
            answers: Whether to write answers too: rows are ``sft``, else ``prompt``.
            with_input: Whether an instruction may come with separate input, which is put below it.
            evidence: For passages: whether each answer must come with a quotation.
            sampling: Sampling parameters.
            prompt: Your own prompt, by the language that is written.
            max_similarity: Similarity (Dice coefficient of character n-grams, 0 to 1) from which an instruction is
                refused as a near-duplicate of one in the rows, in ``against``, or accepted before it. 1 refuses only
                equal ones.
            against: Further rows that new instructions must differ from: an existing dataset, a benchmark.
            blocklist: Words and phrases that no instruction may contain (tasks that need more than text: ``graph``,
                ``draw``).
            min_letters: Minimum length of an instruction, in Latin letters (a Han character counts 3, kana and
                Hangul 2).
            max_chars: Maximum length of an instruction with its input, in characters.
            retries: How often an answer without any usable item is requested again, with the complaint.
            strict: Whether a language that is not in the model's ``languages`` stops the build.
            max_failed: Maximum share of requests without any result; above it (of 20 or more) the build stops.
            as_: name of its scores and reasons.
        """

    def join(
        self,
        *,
        into: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        max_error_rate: float = 0.05,
        weights: Sequence[float] | None = None,
        kind: Literal["sft", "preference", "unpaired", "parallel", "document", "prompt"] | None = None,
        other: str | None = None,
        by: str = "item",
        pairs: Sequence[str] | Mapping[str, float] | None = None,
        per_row: int | None = None,
        lines: bool = False,
        as_: str = ...,
    ) -> Self:
        """rows by templates from rows that belong together: an item in two languages, two datasets, lines of a document

        Args:
            into: Field of the new row → a template: text with placeholders in braces.
            max_error_rate: Maximum share of rows that may fail (0 to 1); above it the build stops.
            weights: How often each form of a list is drawn, in any unit.
            kind: The kind of the new rows; by default that of the old ones.
            other: The source or dataset with the other rows.
            by: What both rows have in common.
            pairs: The languages of the row and of the other one: ``[en/sw, de/en]`` for all of these, ``{en/sw: 2,
                de/en: 1}`` to draw one of them by weight for each item (each value of ``by``).
            per_row: Maximum number of partners of a row, drawn by the seed; with ``lines``, of rows that make one,
                and more make several.
            lines: Whether all rows that belong together make one row, a line of each; for parallel rows and
                documents.
            as_: name of its scores and reasons.
        """

    def judge(
        self,
        *,
        model: str | Sequence[str],
        method: Literal["pairwise", "direct", "reference"],
        rubric: Literal["auto", "helpfulness", "translation"] | Mapping[str, Any] | Sequence[Mapping[str, Any]] = "auto",
        apart: bool = False,
        instructions: Literal["own", "english"] = "own",
        prompt: str | Sequence[Mapping[str, str]] | None | Mapping[str, Any] = None,
        explain: bool = True,
        constrain: bool = False,
        ties: bool = True,
        reference: str | None = None,
        reference_language: str | None = None,
        max_chars: int = 8000,
        strip_markdown: bool = False,
        sampling: Mapping[str, Any] = ...,
        samples: int = 1,
        scoring: Literal["verdict", "logprobs"] = "verdict",
        top_logprobs: int = 20,
        retries: int = 1,
        strict: bool = False,
        allow_self: bool = False,
        audit_rows: int = 200,
        min_audit_rows: int = 20,
        probes: int = 10,
        families: Mapping[str, Sequence[str]] = ...,
        gold: str | None = None,
        gold_score: str = "gold",
        agreement: Literal["kappa", "accuracy", "spearman"] = "kappa",
        min_agreement: float | None | Mapping[str, float | None] = None,
        min_consistency: float | None | Mapping[str, float | None] = 0.3,
        max_position_bias: float | None | Mapping[str, float | None] = 0.9,
        max_length_bias: float | None | Mapping[str, float | None] = 0.9,
        max_failures: float | None | Mapping[str, float | None] = 0.5,
        max_injection_rate: float | None | Mapping[str, float | None] = 0.5,
        min_margin: float | None | Mapping[str, float | None] = None,
        min: float | None | Mapping[str, float | None] = None,
        max_spread: float | None | Mapping[str, float | None] = None,
        unjudged: Literal["keep", "drop"] = "drop",
        as_: str = ...,
    ) -> Self:
        """pairs or answers judged by language models or by a reference; judges are audited for bias first

        Args:
            model: The judge: a language model, several as a jury, or (for ``reference``) a sentence encoder.
            method: ``pairwise``: which of two answers is better.
            rubric: The criteria: a rubric of the package, or your own.
            apart: Whether each criterion gets a request of its own; always so with ``explain: false``.
            instructions: Whether the judge is prompted in the row's language, where the package has a text for it,
                or in English.
            prompt: Your own template, with ``{prompt}``, ``{first}`` and ``{second}`` (direct: ``{answer}``),
                ``{criteria}``, ``{reference}``, ``{form}`` (how to answer).
            explain: Whether the judge gives a reason first, as JSON; if not, it gives the verdict alone.
            constrain: Whether a pairwise verdict without a reason is requested as JSON too.
            ties: Whether the judge may call a tie.
            reference: Rows with reference answers, found by ``group_id``.
            reference_language: The language of the references; by default the row's own, else English.
            max_chars: Maximum length of a text shown to a judge, in characters; a longer one is cut, with a
                warning.
            strip_markdown: Whether to remove headings, bullets and emphasis from the answers that are shown.
            sampling: Sampling parameters.
            samples: Number of answers per judge and question; their mean counts.
            scoring: ``logprobs``: the expected value over the probabilities of labels or levels (as in G-Eval), if
                the model returns them.
            top_logprobs: Number of most likely tokens in which labels are looked for; many servers return 20 at
                most.
            retries: How often an unusable answer is requested again, with the complaint.
            strict: Whether a language that is not in a judge's ``languages`` stops the build.
            allow_self: Whether a model may judge rows that it helped to make.
            audit_rows: Number of rows per language in the audit; their verdicts are reused. 0: no audit.
            min_audit_rows: Minimum number of observations for a limit to reject a judge.
            probes: Number of these answers that get a planted note with a verdict (prompt injection); each costs
                further requests. 0: none.
            families: Model families: family → words in model names.
            gold: Rows judged by people: preference rows, or rows with a score ``gold_score``.
            gold_score: The score with people's judgment, or else that of the step ``labels``; of a preference row
                (where it may be left out) above 0 if ``chosen`` is better.
            agreement: The measure for ``min_agreement``: Cohen's κ of first / tie / second, the share of pairs
                judged alike (a tie counts half), or the rank correlation of grades.
            min_agreement: Minimum agreement with people; a judge below it is not used for that language.
            min_consistency: Minimum share of pairs with the same verdict in both orders.
            max_position_bias: Maximum share of answers that name the answer shown first, or that name the one shown
                second.
            max_length_bias: Maximum share of decided pairs in which the longer answer wins, or in which the shorter
                one does.
            max_failures: Maximum share of rows without a usable verdict.
            max_injection_rate: Maximum share of planted notes that the judge follows.
            min_margin: Minimum difference of a pair; below it, it is a tie.
            min: Minimum score; for pairs that were not judged pairwise, of the chosen answer.
            max_spread: Maximum difference between judges.
            unjudged: What to do with rows without a usable verdict.
            as_: name of its scores and reasons.
        """

    def keep(
        self,
        *,
        scores: Mapping[str, Any] = ...,
        attributes: Mapping[str, Any] = ...,
        language: Sequence[str] | Mapping[str, Any] | None = None,
        prompt_language: Sequence[str] | Mapping[str, Any] | None = None,
        source: Sequence[str] | Mapping[str, Any] | None = None,
        any: Sequence[Mapping[str, Any]] = ...,
        complete: Sequence[str] | None = None,
        unassessed: Literal["keep", "drop"] = "keep",
        as_: str = ...,
    ) -> Self:
        """Rows by conditions on scores, attributes, languages, sources and complete items.

        Args:
            scores: Score → the values that are kept: ``{self_consistency.agreement: {max: 0.4}}``.
            attributes: Attribute → the values that are kept, ``[a, b]``, or dropped, ``{not: [a, b]}``.
            language: The languages that are kept, or ``{not: […]}``.
            prompt_language: The same for the language of the prompt, or of the source side of a pair.
            source: The sources whose rows are kept, or ``{not: […]}``.
            any: Alternatives, of which a row has to meet one: ``[{scores: {judge: {min: 7}}}, {source:
                [people]}]``.
            complete: Keep only items (``group_id``) that have, after the other conditions, a row in each of these
                languages: exactly one, the first.
            unassessed: What to do with a row that lacks a score.
            as_: name of its scores and reasons.
        """

    def labels(
        self,
        *,
        files: str | Path | Sequence[str | Path],
        annotators: Sequence[str] | None = None,
        min: float | None | Mapping[str, float | None] = 0.0,
        min_rating: float | None | Mapping[str, float | None] = None,
        min_agreement: float = 0.0,
        min_annotators: int = 0,
        as_: str = ...,
    ) -> Self:
        """human labels, joined by row id: scores, and which rows to keep

        Args:
            files: One or several files of labels (.jsonl or .parquet), written by ``curate review import``.
            annotators: Only labels of these annotators are used.
            min: Minimum score of a labelled row; below it, it is ``bad`` (a preference row: ``reversed``).
            min_rating: Minimum mean rating of rated rows.
            min_agreement: Minimum share of annotators with the most frequent verdict; below it, a row is ``split``.
            min_annotators: Minimum number of annotators per row; below it, a row is ``unlabelled``. 1 keeps only
                labelled rows.
            as_: name of its scores and reasons.
        """

    def language(
        self,
        *,
        model: str = "ensemble",
        fields: Sequence[str] | None = None,
        level: Literal["row", "message"] = "row",
        min: float | None | Mapping[str, float | None] = 0.3,
        min_script: float | None | Mapping[str, float | None] = 0.3,
        min_letters: int = 20,
        sure: float | None | Mapping[str, float | None] = 0.5,
        abstain: Literal["keep", "drop"] = "keep",
        unsupported: Literal["keep", "drop"] = "keep",
        mask: Sequence[Literal["code", "inline_code", "url", "email", "markup", "latex", "placeholder"]] = ...,
        accept: Mapping[str, Sequence[str]] = ...,
        mixture: bool = False,
        mixture_share: float = 0.1,
        mixture_probability: float = 0.5,
        min_expected_share: float | None | Mapping[str, float | None] = None,
        allow_mixture: Sequence[Sequence[str]] = ...,
        as_: str = ...,
    ) -> Self:
        """Language and script of each row, with abstention and mixtures.

        Args:
            model: The language identifier.
            fields: The fields to check.
            level: Whether the messages of a field are judged together or each by itself (the worst counts).
            min: Minimum probability (0 to 1) of the expected language.
            min_script: Minimum share (0 to 1) of letters in the scripts of the expected language; for Chinese also
                of simplified or traditional characters as the tag says.
            min_letters: With fewer letters the step abstains unless a language has a probability of 0.98 and, if it
                is not the expected one, the text is in another script or has at least three words; and with fewer than
                3 letters always.
            sure: A row is dropped for its language only if some other language has at least this probability (0 to
                1).
            abstain: What to do with rows that cannot be judged: too few letters (numbers, names, code), or only
                labels that the script of the text contradicts.
            unsupported: What to do with rows whose language the identifier does not support (the script is still
                checked).
            mask: What is removed before identification: ``code`` (fenced, or lines that look like program code),
                ``inline_code``, ``url``, ``email``, ``markup``, ``latex``, ``placeholder``.
            accept: Labels that also count as a language: ``{yue: [zh], sw: [rw]}``; a tag also applies to its more
                specific forms.
            mixture: Also identify sentence by sentence (clause by clause, script by script).
            mixture_share: Minimum share (0 to 1) of the identified letters that makes a language part of the
                mixture.
            mixture_probability: Minimum probability of a segment's label; below it the segment counts for no
                language.
            min_expected_share: Minimum share (0 to 1) of a row's identified letters in the expected language (needs
                ``mixture``).
            allow_mixture: Intended mixtures, such as ``[[hi-Latn, en]]``: a row whose mixture has two or more
                languages, all of them in one of these sets, is not dropped for its language or script (needs
                ``mixture``).
            as_: name of its scores and reasons.
        """

    def language_imbalance(
        self,
        *,
        max_error_rate: float = 0.05,
        dominant: str = "en",
        mirrored: bool = True,
        same_model: bool = True,
        by: str | None = None,
        min_margin: float | None | Mapping[str, float | None] = 0.0,
        max_length_ratio: float | None | Mapping[str, float | None] = None,
        per_prompt: int = 1,
        round: int = 1,
        as_: str = ...,
    ) -> Self:
        """preference rows: the dominant language's answer, translated, over the model's direct one

        Args:
            max_error_rate: Maximum share of rows that may fail (0 to 1); above it the build stops.
            dominant: The language that the model knows best.
            mirrored: Whether to make rows in the dominant language too; they need its answers in other languages,
                translated into it.
            same_model: Whether both answers must come from one model; otherwise the pair says something about
                models too.
            by: A score that must be higher for the chosen answer; by default nothing is compared.
            min_margin: Minimum difference of that score.
            max_length_ratio: Maximum ratio of the lengths of the two answers.
            per_prompt: Maximum number of pairs per item and language, if there are several answers.
            round: The training round.
            as_: name of its scores and reasons.
        """

    def lexicon(
        self,
        *,
        max_error_rate: float = 0.05,
        method: Literal["align", "dictionary"] = "align",
        model: str = "systran-align",
        dictionary: str | None = None,
        dictionary_weight: float = 1.0,
        confirmed: bool = False,
        weight: str | None = None,
        measure: Literal["dice", "geometric", "forward", "backward"] = "dice",
        min_count: float | None = None,
        min_score: float | None = None,
        top: int | None = 5,
        max_words: int | None = None,
        drop_identical: bool = True,
        chunk: int = 500000,
        as_: str = ...,
    ) -> Self:
        """a scored bilingual word table, induced from sentence pairs by a word aligner or taken from a dictionary

        Args:
            max_error_rate: Maximum share of rows that may fail (0 to 1); above it the build stops.
            method: What the rows are: sentence pairs whose words are to be aligned, or entries of a dictionary.
            model: The word aligner (method ``align``).
            dictionary: Parallel rows whose entries (in either direction) are counted too.
            dictionary_weight: The count of an entry of ``dictionary``; 0 uses the dictionary for word segmentation
                only.
            confirmed: Whether to keep only pairs that were aligned and are in ``dictionary`` too.
            weight: For ``method: dictionary``: name of the score used as an entry's count; by default each entry
                counts 1.
            measure: The measure that becomes the score ``lexicon`` and ranks translations.
            min_count: Minimum count of a pair, unless it is in ``dictionary``.
            min_score: Minimum score of a pair.
            top: Maximum number of translations of a word, best first; ``null`` keeps all.
            max_words: Maximum length of a phrase in words, on either side.
            drop_identical: Whether to drop words that are the same on both sides (ignoring case).
            chunk: Number of sentence pairs aligned at a time.
            as_: name of its scores and reasons.
        """

    def mine(
        self,
        *,
        max_error_rate: float = 0.05,
        source_language: str = "en",
        to: Sequence[str] | None = None,
        model: str = "use-multilingual",
        field: str | None = None,
        split: Literal["none", "line", "sentence"] = "none",
        score: Literal["ratio", "distance", "absolute"] = "ratio",
        min: float | None | Mapping[str, float | None] = None,
        k: int = 4,
        direction: Literal["max", "intersection", "both", "forward", "backward"] = "max",
        most: int | None | Mapping[str, int | None] = None,
        neighbours: Literal["auto", "exact", "approximate"] = "auto",
        min_letters: float = 5,
        max_chars: int = 1000,
        max_length_ratio: float = 3.0,
        copies: Literal["drop", "keep"] = "drop",
        strict: bool = False,
        as_: str = ...,
    ) -> Self:
        """parallel pairs mined from text in several languages, by margin

        Args:
            max_error_rate: Maximum share of rows that may fail (0 to 1); above it the build stops.
            source_language: The language that all others are paired with.
            to: The languages to pair with it; by default all others in the rows.
            model: The sentence encoder.
            field: The field to mine; by default ``text`` of documents and ``prompt`` of other kinds.
            split: How texts are split: not at all (each text is one sentence), into lines, or into sentences by the
                rules of the language.
            score: The score: ``ratio`` or ``distance`` of the cosine to the mean cosine of the neighbours, or the
                cosine (``absolute``).
            min: Minimum score, by target language.
            k: Number of nearest neighbours in a margin, and of candidates of each sentence.
            direction: ``forward``: the best target of each source sentence.
            most: Maximum number of pairs per target language, best first.
            neighbours: ``approximate`` misses a few in a thousand; ``auto`` uses it above 20 thousand million
                comparisons.
            min_letters: Minimum length of a sentence in Latin letters (a Han character counts three).
            max_chars: Maximum length of a sentence in characters.
            max_length_ratio: Maximum ratio of the lengths of the two sides (in Latin letters, ten added to both).
            copies: Whether a sentence may be paired with itself (equal except for case, whitespace and
                punctuation).
            strict: Whether an unsupported language stops the build.
            as_: name of its scores and reasons.
        """

    def misalignment(
        self,
        *,
        between: Literal["parents", "sides"] | None = None,
        fields: Sequence[str] | None = None,
        max_chars: int = 2000,
        encoder: str | None = None,
        max_shift: int | None = None,
        min_rows: int = 20,
        change: float = 15.0,
        action: Literal["report", "drop"] = "report",
        as_: str = ...,
    ) -> Self:
        """Detects rows shifted against their translations or parents by a constant number of lines.

        Args:
            between: What is compared: a row with its first parent, or source with target.
            fields: The fields to compare, together.
            max_chars: Longer texts are cut to this length.
            encoder: A sentence encoder, for texts without numbers and names that are all of similar length.
            max_shift: The largest shift to search for, in either direction.
            min_rows: Shorter stretches are not reported; their rows are unsure.
            change: The cost of a change of shift, in nats: a higher value finds less, with more certainty.
            action: ``report`` warns and keeps all rows; ``drop`` also drops the rows of the stretches
                (``misalignment``).
            as_: name of its scores and reasons.
        """

    def mix(
        self,
        *,
        by: str = "language",
        rows: int | None = None,
        weights: Mapping[str, float] | None = None,
        balance: Literal["weights", "natural", "temperature", "uniform"] | None = None,
        temperature: float = 3.3,
        only: Sequence[str] | None = None,
        caps: int | Mapping[str, int | None] = ...,
        max_repeats: float = 1.0,
        shortage: Literal["fill", "shrink", "short", "error"] = "fill",
        items: Literal["any", "once"] = "any",
        choose: str = "random",
        replace: Mapping[str, Any] | None = None,
        as_: str = ...,
    ) -> Self:
        """Mixture of languages, sources or attributes by weights, temperature or UniMax, at constant size, nested.

        Args:
            by: What the shares refer to: ``language``, ``prompt_language`` (of a pair, the language of its source),
                ``source``, ``dataset`` (the dataset or source in ``from`` that a row came from), or ``attribute.NAME``.
            rows: Total rows (repeats counted).
            weights: Share of each, in any unit (``{en: 90, default: 2}``); ``default`` applies to those not named,
                which are otherwise excluded.
            balance: ``natural``: in proportion to the available rows; ``temperature``: to the power of
                1/``temperature`` of that; ``uniform``: equal shares (UniMax where some have too few).
            temperature: 1 is natural, 100 nearly uniform.
            only: The only languages (sources, values) in the mixture.
            caps: Maximum rows of each language (source, value), repeats counted; for all, or by name with
                ``default``.
            max_repeats: How often a row may be repeated where a share is larger than the available rows.
            shortage: What to do when there are too few rows for a share: ``fill`` gives the rest to the others,
                ``shrink`` makes the mixture smaller and keeps the shares, ``short`` leaves that share unfilled,
                ``error`` stops.
            items: ``once``: at most one row of each item (``group_id``), in one of its languages.
            choose: ``random`` by item and seed, ``first`` in order, or the name of a score, greatest first.
            replace: Instead of shares: one language, with some of its items replaced by rows in other languages.
            as_: name of its scores and reasons.
        """

    def negatives(
        self,
        *,
        max_error_rate: float = 0.05,
        n: int = 1,
        choice: Literal["random", "nearest"] = "random",
        among: str = "all",
        into: Literal["attributes", "rows"] = "attributes",
        model: str = "use-multilingual",
        max_share: float = 0.95,
        as_: str = ...,
    ) -> Self:
        """wrong answers out of other rows: random or hard, as attributes or as labelled rows

        Args:
            max_error_rate: Maximum share of rows that may fail (0 to 1); above it the build stops.
            n: Number of negatives of each row.
            choice: ``random``, or ``nearest``: those most similar to the question (hard negatives), by the encoder.
            among: The rows that negatives are from: ``all``, those that were made from the same ``parent`` (answers
                to one prompt, words of one sentence), or those for which a template, such as
                ``"{attribute.sentence}"``, gives the same text.
            into: Where negatives go.
            model: The encoder, for ``choice: nearest``.
            max_share: With ``choice: nearest``, the largest cosine of a negative with the question, as a share of
                the right answer's: what is nearer may be right too (Moreira et al. 2024, NV-Retriever).
            as_: name of its scores and reasons.
        """

    def pair(
        self,
        *,
        max_error_rate: float = 0.05,
        by: str | None = None,
        choose: Literal["best_worst", "best_random", "best_rest", "neighbours", "threshold", "all"] = "best_worst",
        min_margin: float | None | Mapping[str, float | None] = 0.0,
        good: float | None | Mapping[str, float | None] = None,
        bad: float | None | Mapping[str, float | None] = None,
        per_prompt: int | None = None,
        max_candidates: int = 64,
        make: Literal["preference", "unpaired", "judgments"] = "preference",
        judgment: str = "judge.reasons",
        judgment_form: str | None | Mapping[str, str | None] = "{judgment}",
        chosen_models: Sequence[str] = ...,
        rejected_models: Sequence[str] = ...,
        chosen_sources: Sequence[str] = ...,
        rejected_sources: Sequence[str] = ...,
        same_model: Literal["any", "only", "never"] = "any",
        translated: Literal["any", "same", "never_chosen"] = "any",
        max_length_ratio: float | None | Mapping[str, float | None] = None,
        balance_length: bool = False,
        as_: str = ...,
    ) -> Self:
        """preference rows from scored answers to the same prompt

        Args:
            max_error_rate: Maximum share of rows that may fail (0 to 1); above it the build stops.
            by: The score that says which answer is better (``judge``, ``reward``, ``self_consistency`` …; higher is
                better).
            choose: ``best_worst``: the widest margin.
            min_margin: Minimum difference of scores.
            good: For ``threshold`` and ``unpaired``: the minimum score of a good answer.
            bad: For ``threshold`` and ``unpaired``: the maximum score of a bad answer.
            per_prompt: Maximum number of pairs per prompt; by default 1 for ``best_worst``, ``best_random`` and
                ``threshold``, else unlimited.
            max_candidates: Maximum number of answers per prompt to pair, sampled by the seed.
            make: ``unpaired``: single answers with a label, good or bad (KTO), by ``good`` and ``bad`` or, without
                them, from the pairs.
            judgment: For ``make: judgments``: the attribute with the written judgment of an answer.
            judgment_form: For ``make: judgments``: a template for the answer, by the row's language, with
                ``{judgment}`` and optionally ``{score}`` (of ``by``).
            chosen_models: Only answers of these models are chosen (on-policy: the model to be trained); by default
                any.
            rejected_models: Only answers of these models are rejected.
            chosen_sources: Only unmodified answers from these sources (without any model in their lineage) are
                chosen.
            rejected_sources: The same for rejected answers.
            same_model: Whether both answers of a pair must come from one model (``only``) or from two (``never``).
            translated: Guards against a preference for translationese: ``same`` pairs translated answers with
                translated ones and native with native; ``never_chosen`` never chooses a translated answer over a native
                one.
            max_length_ratio: Maximum ratio of the lengths of the two answers (characters without combining marks).
            balance_length: Whether to drop pairs until, in each language and at every ratio of lengths, longer and
                shorter answers are chosen equally often.
            as_: name of its scores and reasons.
        """

    def quality(
        self,
        *,
        checks: Sequence[Literal["ratios", "function_words", "refusals", "identity", "boilerplate", "markup", "encoding", "private", "secrets", "injection", "hidden", "lists"]] = ...,
        fields: Mapping[str, Sequence[str]] = ...,
        packs: Sequence[str | Path] = ...,
        lists: Mapping[str, str | Path] = ...,
        private_kinds: Sequence[str] = ...,
        max_symbols: float | None | Mapping[str, float | None] = 0.6,
        max_digits: float | None | Mapping[str, float | None] = None,
        max_bullets: float | None | Mapping[str, float | None] = None,
        max_ellipses: float | None | Mapping[str, float | None] = 0.5,
        max_line_repeats: float | None | Mapping[str, float | None] = 0.7,
        max_run: float | None | Mapping[str, float | None] = 60.0,
        min_function_words: float | None | Mapping[str, float | None] = None,
        max_refusal: float | None | Mapping[str, float | None] = 0.5,
        max_assistant: float | None | Mapping[str, float | None] = 0.5,
        max_cutoff: float | None | Mapping[str, float | None] = 0.5,
        max_names: float | None | Mapping[str, float | None] = None,
        max_boilerplate: float | None | Mapping[str, float | None] = 1.0,
        max_markup: float | None | Mapping[str, float | None] = 2.0,
        max_mojibake: float | None | Mapping[str, float | None] = 0.0,
        private: Literal["report", "drop"] = "report",
        secrets: Literal["report", "drop"] = "drop",
        max_injection: float | None | Mapping[str, float | None] = 0.5,
        max_template: float | None | Mapping[str, float | None] = 0.0,
        max_hidden: float | None | Mapping[str, float | None] = 0.0,
        max_encoded: float | None | Mapping[str, float | None] = 200.0,
        max_listed: float | None | Mapping[str, float | None] = 0.0,
        unassessed: Literal["keep", "drop"] = "keep",
        as_: str = ...,
    ) -> Self:
        """Defects in texts: refusals, AI disclosure, boilerplate, private data, secrets, prompt injection, per language.

        Args:
            checks: The checks to run; a check that is not listed costs nothing.
            fields: The fields of a check: ``{refusals: [response, prompt]}``.
            packs: Files of your own packs.
            lists: Files of unwanted words and phrases, one a line, by language (``und``: every language).
            private_kinds: What counts as private data: ``email``, ``phone``, ``iban``, ``card``, ``ip``,
                ``national_id``.
            max_symbols: Maximum share of punctuation and symbols.
            max_digits: Maximum share of digits.
            max_bullets: Maximum share of lines that are list items.
            max_ellipses: Maximum share of lines that end with an ellipsis.
            max_line_repeats: Maximum share of lines that repeat an earlier line.
            max_run: Maximum run of one letter or symbol.
            min_function_words: Minimum frequency of the language's most frequent words; 1 is a typical text.
            max_refusal: 0.5 drops answers that start with a refusal; 0 also drops those with one further down.
            max_assistant: 0.5 drops answers that start with an AI disclosure ("As an AI …"); 0 also drops those
                with one further down.
            max_cutoff: 0.5 drops answers that mention a training cutoff or that they cannot look things up.
            max_names: Maximum number of names of models and their vendors; a text about them has many for good
                reason.
            max_boilerplate: Maximum number of boilerplate phrases of web pages (cookie notices, newsletters); one
                phrase is often the topic of the text.
            max_markup: Maximum number of leftover tags and entities.
            max_mojibake: Maximum number of spans decoded with a wrong encoding.
            private: Whether to drop rows with private data; the step ``redact`` replaces it instead.
            secrets: Whether to drop rows with keys and passwords.
            max_injection: 0.5 drops texts that give orders to a model that reads them (prompt injection).
            max_template: Maximum number of chat-template tokens.
            max_hidden: Maximum number of invisible spans.
            max_encoded: Maximum length of a Base64 string that hides text.
            max_listed: Maximum number of matches of your own lists.
            unassessed: What to do with rows whose language has no pack.
            as_: name of its scores and reasons.
        """

    def realign(
        self,
        *,
        max_error_rate: float = 1.0,
        encoder: str | None = None,
        as_: str = ...,
    ) -> Self:
        """shifted parallel rows with the right source again, found by the order of all rows

        Args:
            max_error_rate: Maximum share of rows whose source is not found (0 to 1); above it the build stops.
            encoder: A sentence encoder, for texts without numbers and names that are all of similar length.
            as_: name of its scores and reasons.
        """

    def redact(
        self,
        *,
        max_error_rate: float = 0.05,
        what: Sequence[Literal["email", "phone", "iban", "card", "ip", "national_id", "api_key", "private_key", "jwt", "password"]] = ...,
        fields: Sequence[str] | None = None,
        template: str = "[{kind}_{number}]",
        labels: Mapping[str, str] = ...,
        as_: str = ...,
    ) -> Self:
        """personal data (addresses, numbers with a check digit) and keys become typed placeholders

        Args:
            max_error_rate: Maximum share of rows that may fail (0 to 1); above it the build stops.
            what: The kinds of data to replace.
            fields: The fields to redact; by default all.
            template: The replacement: ``{kind}`` is the label, ``{number}`` counts the different values of a kind
                within the row from 1.
            labels: The value of ``{kind}``: ``{email: CORREO}``; by default the kind in capitals.
            as_: name of its scores and reasons.
        """

    def respond(
        self,
        *,
        model: str | Sequence[str],
        max_error_rate: float = 0.05,
        n: int = 1,
        sampling: Mapping[str, Any] = ...,
        language: str | Sequence[str] | None = None,
        instruct_language: Literal["auto", "never", "own", "english"] = "auto",
        instruct_in: Literal["system", "user"] = "system",
        system: str | None | Mapping[str, str | None] = None,
        system_over: bool = False,
        keep_system: bool = False,
        prompt: str | Sequence[Mapping[str, str]] | None | Mapping[str, Any] = None,
        examples: str | None = None,
        examples_count: int = 3,
        examples_choice: Literal["random", "nearest", "first"] = "random",
        examples_encoder: str | None = None,
        examples_language: Literal["answer", "row"] = "answer",
        examples_pool: int = 2000,
        examples_chars: int = 4000,
        prefix: str | None | Mapping[str, str | None] = None,
        keep_prefix: bool = True,
        response_format: Mapping[str, Any] | None = None,
        reasoning: Literal["drop", "message", "attribute", "inline"] = "drop",
        reasoning_tags: Sequence[str] = ...,
        on_length: Literal["quarantine", "keep", "drop"] = "quarantine",
        strip: bool = True,
        logprob: bool = False,
        top_logprobs: int = 0,
        retries: int = 1,
        strict: bool = False,
        as_: str = ...,
    ) -> Self:
        """n answers to each prompt by one or several language models

        Args:
            model: The model that answers.
            max_error_rate: Maximum share of rows that may fail (0 to 1); above it the build stops.
            n: Number of answers per model and prompt.
            sampling: Sampling parameters.
            language: Language of the answers; several languages give one answer in each.
            instruct_language: Whether to tell the model which language to answer in: in that language (``own``), in
                ``english``, or ``never``.
            instruct_in: Which turn has that instruction.
            system: A system prompt, by the language of the answer.
            system_over: Whether it replaces a row's own system turn.
            keep_system: Whether the new row keeps the system turn that the model got: that system prompt, or the
                row's own, with the sentence that asks for the language.
            prompt: A template for the last user turn: a text or a list of turns, with ``{prompt}``.
            examples: Answered rows that are shown to the model as few-shot examples, as turns before the prompt.
            examples_count: Number of examples.
            examples_choice: How examples are chosen: ``random`` by the seed, the ``nearest`` (by
                ``examples_encoder``, else by shared character n-grams), or the ``first``.
            examples_encoder: An encoder to find the nearest examples by meaning.
            examples_language: Whether examples are in the language of the answer or of the row.
            examples_pool: Maximum number of candidate examples per language, sampled by the seed (for ``first``,
                the first ones).
            examples_chars: Maximum length of an example (question and answer together) in characters; longer rows
                are skipped.
            prefix: A text that every answer begins with; the model continues it.
            keep_prefix: Whether the prefix is part of the answer in the row.
            response_format: A JSON Schema that answers must satisfy.
            reasoning: Whether reasoning before the answer is dropped, kept as the message's ``reasoning``, as the
                attribute ``respond.reasoning``, or in the text before the answer.
            reasoning_tags: The tags around the reasoning, for servers that do not return it separately.
            on_length: What to do with an answer cut off at ``sampling.max_tokens``: quarantine it, keep it, or drop
                it with a warning only.
            strip: Whether to strip whitespace around an answer.
            logprob: Whether to keep the mean natural log-probability of the answer's tokens (≤ 0) as the score
                ``respond.logprob``.
            top_logprobs: Number of most likely tokens to keep for each token of an answer, with their
                log-probabilities, for distillation: the attribute ``respond.logprobs``.
            retries: How often an unusable answer is requested again, with the complaint.
            strict: Whether a language that is not in a model's ``languages`` stops the build.
            as_: name of its scores and reasons.
        """

    def retrieve(
        self,
        *,
        pool: str,
        max_error_rate: float = 0.05,
        k: int = 3,
        field: str | None = None,
        pool_field: str | None = None,
        answer: str | None = None,
        languages: Literal["same", "other", "any"] = "same",
        model: str = "use-multilingual",
        as_: str = ...,
    ) -> Self:
        """the most similar texts of a pool, in the same or other languages, as attributes

        Args:
            pool: The source or dataset whose texts are retrieved.
            max_error_rate: Maximum share of rows that may fail (0 to 1); above it the build stops.
            k: How many.
            field: What of a row is compared.
            pool_field: What of a row of the pool is compared, and retrieved.
            answer: A field of the pool's rows that is retrieved with it, such as ``response``.
            languages: The languages of the texts: that of the row, others only, or any.
            model: The encoder.
            as_: name of its scores and reasons.
        """

    def revise(
        self,
        *,
        max_error_rate: float = 0.05,
        mode: Literal["critique", "inject", "contrast"] = "critique",
        into: Literal["trajectory", "preference", "answer"] = "trajectory",
        model: str | None = None,
        critics: str | Sequence[str] | None = None,
        perspectives: Sequence[str] = ...,
        correct: Literal["model", "chosen"] = "model",
        rounds: int = 1,
        errors: Sequence[Literal["number", "swap", "operator", "negation", "drop"] | Literal["model"]] = ...,
        n: int = 1,
        sampling: Mapping[str, Any] = ...,
        templates: Mapping[str, Any] = ...,
        instructions: Literal["own", "english"] = "own",
        layout: Literal["user", "self", "inline"] = "user",
        marker: str | None | Mapping[str, str | None] = None,
        question: str | None | Mapping[str, str | None] = None,
        tell: bool = True,
        by: Literal["judge", "reference", "answer", "none"] | None = None,
        judge: str | Sequence[str] | None = None,
        encoder: str | None = None,
        reference: str | None = None,
        reference_language: str | None = None,
        answer: Literal["number", "option", "boxed", "text", "json"] = "number",
        min_margin: float | None | Mapping[str, float | None] = None,
        allow_self: bool = False,
        worse: Literal["drop", "keep", "turn"] = "drop",
        unchanged: Literal["drop", "keep"] = "drop",
        unassessed: Literal["drop", "keep"] = "drop",
        on_length: Literal["quarantine", "drop"] = "quarantine",
        reasoning_tags: Sequence[str] = ...,
        retries: int = 1,
        strict: bool = False,
        as_: str = ...,
    ) -> Self:
        """a first answer, a critique and a corrected answer; kept if a check says the correction is better

        Args:
            max_error_rate: Maximum share of rows that may fail (0 to 1); above it the build stops.
            mode: How a correction is made.
            into: ``trajectory``: a conversation with the first answer, the critique and the correction.
            model: The model that corrects, and does everything that no other model is set for.
            critics: The models that criticise (for ``contrast``, that answer too); by default ``model``.
            perspectives: Points of view, each with its own critique (for ``contrast``, its own answer):
                ``general``, ``facts``, ``reasoning``, ``instructions``, ``language``, or a sentence of your own.
            correct: ``chosen``: the chosen answer of a preference row is the correction; the critic sees it and
                says what the rejected one lacks.
            rounds: Maximum number of critiques and corrections; it ends earlier if nothing is found wrong.
            errors: The errors that ``inject`` may insert: another ``number``, a ``swap`` of two numbers, the
                opposite ``operator``, an opposite word (``negation``, in languages with a list), an omitted step
                (``drop``), or an error that the ``model`` invents.
            n: For ``inject``: number of wrong versions of each answer, each with another error (the model's first).
            sampling: Sampling parameters; temperature 0 corrects best (Liu et al. 2024).
            templates: Your own prompts instead of the package's ``critique``, ``correct``, ``inject``, ``solve`` or
                ``contrast``.
            instructions: Whether models are prompted in the row's language, where the package has a text for it, or
                in English.
            layout: The layout of a trajectory.
            marker: The text before a correction in an ``inline`` trajectory; by default the package's, in 29
                languages, else English.
            question: The user's request for a second look in a ``self`` trajectory; by default the package's, as
                for ``marker``.
            tell: Whether an ``inline`` trajectory says what is wrong, or has the marker only.
            by: How a correction is checked: by a ``judge`` (each asked in both orders), by similarity to a
                ``reference`` answer (``encoder``), by whether its final ``answer`` is the reference's, or not at all.
            judge: The judges; not the model that corrects.
            encoder: The sentence encoder for ``by: reference``.
            reference: Rows with the right answers, found by ``group_id``; by default, for preference rows, the
                chosen answer.
            reference_language: The language of the references; by default the row's own, else English.
            answer: For ``by: answer``: the form of a final answer, see ``self_consistency``.
            min_margin: Minimum margin of a better correction.
            allow_self: Whether a model may judge its own corrections.
            worse: What to do with corrections that are not better: drop them (counted in a warning), keep them with
                their verdict, or (``turn``, preference rows only) choose the first answer over those that the check
                calls worse.
            unchanged: What to do with answers in which nothing was found wrong.
            unassessed: What to do with corrections that could not be checked: no reference, or a language that the
                encoder does not support.
            on_length: What to do with a row whose correction was cut off at ``sampling.max_tokens``.
            reasoning_tags: The tags around the reasoning, for servers that do not return it separately.
            retries: How often an unusable answer is requested again, with the complaint.
            strict: Whether a language that is not in a model's ``languages`` stops the build.
            as_: name of its scores and reasons.
        """

    def reward(
        self,
        *,
        model: str,
        translator: str | None = None,
        translate_to: str | None = None,
        translate: Literal["always", "unsupported"] = "always",
        max_chars: int = 100000,
        strict: bool = False,
        min: float | None | Mapping[str, float | None] = None,
        max: float | None | Mapping[str, float | None] = None,
        min_margin: float | None | Mapping[str, float | None] = None,
        reversed: Literal["keep", "drop"] = "drop",
        unassessed: Literal["keep", "drop"] = "keep",
        as_: str = ...,
    ) -> Self:
        """scores of a reward model, for answers in their own language or translated into its language

        Args:
            model: The reward model.
            translator: A translator, for ``translate_to``.
            translate_to: The language that prompt and answer are translated into before they are scored.
            translate: For ``translate_to``: translate all rows in other languages, or only those in languages that
                the reward model does not know.
            max_chars: Maximum length of a conversation in characters; longer ones are not assessed (``too long``).
            strict: Whether a language that can neither be scored nor translated stops the build.
            min: Minimum score of an answer (for preference rows: of the chosen one), by language.
            max: Maximum score of an answer, or of the chosen one.
            min_margin: For preference rows: minimum lead of the chosen answer.
            reversed: What to do with preference rows whose rejected answer has the higher score.
            unassessed: What to do with rows without a score.
            as_: name of its scores and reasons.
        """

    def rewrite(
        self,
        *,
        model: str,
        prompt: str | Sequence[Mapping[str, str]] | None | Mapping[str, Any],
        max_error_rate: float = 0.05,
        fenced: bool = True,
        field: str | None = None,
        response_format: Mapping[str, Any] | None = None,
        into: Mapping[str, str] = ...,
        each: str | None = None,
        kind: Literal["sft", "preference", "unpaired", "parallel", "document", "prompt"] | None = None,
        language: str | None = None,
        source_language: str | None = None,
        n: int = 1,
        sampling: Mapping[str, Any] = ...,
        keep_original: bool = False,
        group: Literal["parent", "own"] = "parent",
        unchanged: Literal["keep", "quarantine"] = "keep",
        on_length: Literal["quarantine", "keep", "drop"] = "quarantine",
        reasoning: Literal["drop", "attribute"] = "drop",
        reasoning_tags: Sequence[str] = ...,
        strip: bool = True,
        retries: int = 1,
        strict: bool = False,
        as_: str = ...,
    ) -> Self:
        """texts of a row replaced, or another kind of row made from it, with your own prompt

        Args:
            model: The language model.
            prompt: The prompt: a text or a list of turns, for all rows or by the row's language.
            max_error_rate: Maximum share of rows that may fail (0 to 1); above it the build stops.
            fenced: Whether to put texts of the row between fences (``<response>`` … ``</response>``).
            field: The text of the row that the answer replaces; by default the one in the row's language
                (``response``, ``target``, ``text`` …).
            response_format: A JSON Schema that answers must satisfy.
            into: Where the parts of the answer go: ``{response: answer.text, attribute.topic: answer.topic, chosen:
                row.response}``.
            each: A list in the answer (``answer.items``).
            kind: The kind of the new rows; by default that of the old ones.
            language: The language of the new rows; by default that of the row.
            source_language: For new ``parallel`` rows: the language of their source side; by default that of the
                row.
            n: Number of answers for each row.
            sampling: Sampling parameters.
            keep_original: Whether to keep the original rows too, before the new ones.
            group: Whether a new row belongs to the item of its row (and to its side of a split), or is an item of
                its own.
            unchanged: What to do with a new row that equals the old one.
            on_length: What to do with an answer cut off at ``sampling.max_tokens`` (a structured one is never
                kept).
            reasoning: Whether reasoning before the answer is dropped, or kept as the attribute
                ``rewrite.reasoning``.
            reasoning_tags: The tags around the reasoning, for servers that do not return it separately.
            strip: Whether to strip whitespace around an answer.
            retries: How often an unusable answer is requested again, with the complaint.
            strict: Whether a language that is not in the model's ``languages`` stops the build.
            as_: name of its scores and reasons.
        """

    def romanise(
        self,
        *,
        max_error_rate: float = 0.05,
        scheme: Literal["auto", "uroman", "iso15919", "iast", "itrans", "hk", "slp1", "velthuis", "wx"] = "auto",
        form: Literal["row", "pair", "prompt-both"] = "row",
        fields: Sequence[str] | None = None,
        only: Sequence[str] | None = None,
        keep_original: bool | None = None,
        template: str = "{native}\n\n{latin}",
        digits: Literal["latin", "native"] = "latin",
        protect: Sequence[Literal["code", "inline_code", "url", "email", "latex", "markup", "placeholder", "symbol"]] = ...,
        kanji: Literal["refuse", "chinese"] = "refuse",
        min_round_trip: float = 0.95,
        max_left: float = 0.05,
        as_: str = ...,
    ) -> Self:
        """rows in Latin letters: as new rows, as pairs, or both scripts in one prompt

        Args:
            max_error_rate: Maximum share of rows that may fail (0 to 1); above it the build stops.
            scheme: The transliteration scheme: ``uroman`` for every script; ``iso15919``, ``iast``, ``itrans``,
                ``hk``, ``slp1``, ``velthuis`` or ``wx`` for Indic ones.
            form: ``row``: the row in Latin letters.
            fields: The fields to romanise; by default the main fields of the kind.
            only: The languages whose rows are romanised; by default all.
            keep_original: Whether to keep the native rows beside the new ones; by default only for ``form: row``.
            template: The template of a ``prompt-both`` turn.
            digits: ``latin`` writes the digits of other scripts as 0 to 9, ``native`` leaves them.
            protect: Spans that are never changed.
            kanji: What to do with Japanese rows that have kanji, since uroman reads every Han character as Mandarin
                (東京 becomes ``dongjing``): ``refuse`` stops the build, ``chinese`` accepts that reading.
            min_round_trip: Minimum ``round_trip``; rows below it are quarantined.
            max_left: Maximum share of letters left in another script; rows above it are quarantined.
            as_: name of its scores and reasons.
        """

    def self_consistency(
        self,
        *,
        answer: Literal["number", "option", "boxed", "text", "json"] = "number",
        field: str = "answer",
        announced: bool = False,
        markers: Sequence[str] | None | Mapping[str, Sequence[str] | None] = None,
        decimal: Literal[".", ","] | None | Mapping[str, Literal[".", ","] | None] = None,
        percent: Literal["unit", "share"] = "unit",
        digits: int | None = None,
        max_chars: int = 200,
        gold_attribute: str | None = None,
        gold: str | None = None,
        across: Literal["language", "group"] = "language",
        count: Literal["rows", "languages"] = "rows",
        weights: str | None = None,
        min_votes: int = 2,
        min_agreement: float | None | Mapping[str, float | None] = 0.0,
        min_margin: float | None | Mapping[str, float | None] = 0.0,
        no_answer: Literal["keep", "drop"] = "drop",
        losers: Literal["keep", "drop"] = "keep",
        wrong: Literal["keep", "drop"] = "keep",
        as_: str = ...,
    ) -> Self:
        """self-consistency: final answers of several samples vote, within a language or across all languages of an item

        Args:
            answer: The form of a final answer.
            field: For ``answer: json``: the name of the value, or the path to it (``result.value``).
            announced: Whether only announced answers count (*The answer is*, ``####``, ``\\\\boxed``).
            markers: Texts that announce an answer in your data, by language, instead of the known ones.
            decimal: The decimal sign, ``.`` or ``,``, by language, instead of the usual one.
            percent: Whether 50 % is 50 (``unit``) or 0.5 (``share``).
            digits: Decimals that numbers are rounded to before they are compared; by default they are not rounded.
            max_chars: Maximum length of a short text answer, in characters.
            gold_attribute: Name of the attribute with the right answer.
            gold: A source or dataset with the right answers, found by item (``group_id``), preferably in the row's
                language: in its attribute ``gold_attribute``, or else as the final answers of its rows.
            across: Which answers vote together: those to one prompt in one ``language``, or all of an item
                (``group_id``), in any language.
            count: For ``across: group``: whether each row has one vote, or each language has one, shared by its
                rows.
            weights: Name of a score that weights the votes, such as ``reward`` or ``respond.logprob``.
            min_votes: Minimum number of rows with an answer per prompt.
            min_agreement: Minimum share of the votes for the most voted answer; rows of other prompts are dropped.
            min_margin: Minimum lead of the most voted answer over the second.
            no_answer: What to do with rows without a final answer.
            losers: Whether to keep rows whose answer is not the most voted one (for pairs), or to drop them (for
                training on consensus).
            wrong: Whether to keep rows whose answer is not that of the reference.
            as_: name of its scores and reasons.
        """

    def shape(
        self,
        *,
        roles: bool = True,
        tools: bool = True,
        media: bool = True,
        require_system: bool = False,
        allow_system: bool = True,
        allow_empty: bool = False,
        allow_equal: bool = False,
        min_chars: int | None | Mapping[str, int | None] = None,
        max_chars: int | None | Mapping[str, int | None] = None,
        min_prompt_chars: int | None | Mapping[str, int | None] = None,
        max_prompt_chars: int | None | Mapping[str, int | None] = None,
        min_response_chars: int | None | Mapping[str, int | None] = None,
        max_response_chars: int | None | Mapping[str, int | None] = None,
        min_turns: int | None | Mapping[str, int | None] = None,
        max_turns: int | None | Mapping[str, int | None] = None,
        max_repetition: float | None | Mapping[str, float | None] = 0.6,
        max_loop: int | None | Mapping[str, int | None] = 8,
        max_replacement: int | None | Mapping[str, int | None] = 0,
        max_controls: int | None | Mapping[str, int | None] = 0,
        repetition_in: Sequence[str] | None = None,
        as_: str = ...,
    ) -> Self:
        """Chat structure: role order, empty messages, tool calls, lengths, repetition, broken characters.

        Args:
            roles: Drop rows whose messages are out of order: system only first, then user and assistant
                alternating, tool messages only after an assistant's; a conversation starts with the user and ends with
                the assistant, a prompt ends with the user or a tool, an answer starts and ends with the assistant.
            tools: Drop rows whose calls of tools do not fit: ``tools.unknown`` (a tool that is not among the row's
                ``tools``), ``tools.arguments`` (not a JSON object), ``tools.schema`` (arguments that the tool's
                parameters do not allow), ``tools.unanswered`` (a call that later messages, but no result, follow),
                ``tools.result`` (a result of no call).
            media: Drop rows with another number of ``<image>``, ``<audio>`` or ``<video>`` in their texts than
                references.
            require_system: Drop rows without a system message.
            allow_system: If false, drop rows with a system message (Gemma's chat template, for example, does not
                support one).
            allow_empty: Keep rows with a message or side that holds only whitespace, control, zero-width and filler
                characters.
            allow_equal: Keep preferences whose two answers, and pairs whose two sides, are equal except for
                whitespace.
            min_chars: Minimum length of all texts of the row together.
            max_chars: Maximum length of all texts of the row together.
            min_prompt_chars: Minimum length of the prompt (of the source side of a pair).
            max_prompt_chars: Maximum length of the prompt (of the source side of a pair).
            min_response_chars: Minimum length of each answer (of the target side, of a document's text).
            max_response_chars: Maximum length of each answer (of the target side, of a document's text).
            min_turns: Minimum number of messages, without the system message and the rejected answer.
            max_turns: Maximum number of messages, without the system message and the rejected answer.
            max_repetition: Maximum share (0 to 1) of a text that repeats, in long pieces, what the same text said
                before; see :func:`filters.repetition.repetition`.
            max_loop: How often one piece (a word, a line, a sentence) may occur in direct succession.
            max_replacement: Maximum number of U+FFFD (what a decoder writes for broken bytes) and noncharacters in
                a row.
            max_controls: Maximum number of control characters, except tab and line breaks, in a row.
            repetition_in: The fields checked for repetition and loops.
            as_: name of its scores and reasons.
        """

    def similarity(
        self,
        *,
        model: str | Sequence[str] = "use-multilingual",
        between: Literal["parents", "sides"] | None = None,
        fields: Sequence[str] | None = None,
        combine: Literal["mean", "min"] = "mean",
        measure: Literal["cosine", "margin"] = "cosine",
        neighbours: int = 4,
        pool: int = 2000,
        max_chars: int = 2000,
        min: float | Literal["calibrated"] | None | Mapping[str, float | Literal["calibrated"] | None] = None,
        max: float | None | Mapping[str, float | None] = None,
        unassessed: Literal["keep", "drop"] = "keep",
        calibration: str | Path | None = None,
        trust: Literal["weak", "trusted"] = "weak",
        strict: bool = False,
        allow_uncalibrated: bool = False,
        as_: str = ...,
    ) -> Self:
        """Cross-lingual similarity of a row and its parent, or of a pair's two sides.

        Args:
            model: The sentence encoder; or several in order of preference, such as ``[labse, use-multilingual,
                e5-multilingual]``: for each language pair the first that knows both languages, with cosines on one
                scale (that of ``use-multilingual``).
            between: What is compared: a row with its first parent (of a row that ``redact`` or ``detect_language``
                changed, that of the row before), or source with target.
            fields: The fields to compare with the parent's of the same name.
            combine: How the fields' similarities are combined: ``mean``, weighted by length (of both texts), or
                ``min``.
            measure: ``cosine`` (-1 to 1), or ``margin``: the cosine divided by the mean cosine of both texts to
                their ``neighbours`` nearest neighbours in the other language (ratio margin of Artetxe and Schwenk
                2019).
            neighbours: How many nearest neighbours enter the margin.
            pool: How many rows of each language pair are searched for neighbours: those with the smallest ids,
                which is a random sample and the same on every run.
            max_chars: Longer texts are cut to this length before encoding.
            min: Minimum similarity.
            max: Maximum similarity: above it the text was copied rather than translated.
            unassessed: What to do with rows that have a counterpart but could not be compared.
            calibration: A file that ``curate calibrate`` wrote for this model, for ``min: calibrated``.
            trust: The minimum trust that the calibration must give a language pair for its rows to be judged.
            strict: Stop if the encoder does not support a language, or cannot judge a language pair, instead of
                warning and leaving the rows unscored.
            allow_uncalibrated: Allow an encoder whose cosines have no absolute meaning (the e5 family).
            as_: name of its scores and reasons.
        """

    def split(
        self,
        *,
        shares: Mapping[str, Any],
        together: Sequence[Literal["prompt", "parent"]] = ...,
        attributes: Sequence[str] = ...,
        as_: str = ...,
    ) -> Self:
        """Leak-free splits: items, prompts, passages and clusters are never divided, across languages.

        Args:
            shares: Split → share; the shares must add up to 1.
            together: What connects rows besides their item.
            attributes: Attributes whose equal values connect rows: ``duplicates.cluster_id`` of an earlier step
                with ``action: mark``, or an attribute from the source, such as ``document``.
            as_: name of its scores and reasons.
        """

    def tool_use(
        self,
        *,
        assistant: str,
        max_error_rate: float = 0.05,
        user: str | None = None,
        simulator: str | None = None,
        tools: str | None | Mapping[str, str | None] = None,
        start: Literal["row", "user"] = "row",
        parallel: float = 0.0,
        no_tool: float = 0.0,
        missing: float = 0.0,
        steps: int = 3,
        n: int = 1,
        language: str | None = None,
        system: str | None | Mapping[str, str | None] = None,
        keep_system: bool = True,
        sampling: Mapping[str, Any] = ...,
        user_sampling: Mapping[str, Any] = ...,
        retries: int = 2,
        strict: bool = False,
        as_: str = ...,
    ) -> Self:
        """conversations with checked calls of each row's tools, their results, and an answer

        Args:
            assistant: The model that calls tools and answers.
            max_error_rate: Maximum share of rows that may fail (0 to 1); above it the build stops.
            user: The model that writes requests (``start: user``).
            simulator: The model that makes up what tools return, and the tools of ``tools``.
            tools: A description of the tools to make for rows that have none, with ``{prompt}``,
                ``{attribute.NAME}`` and ``{language_name}``: ``"{attribute.domain}"``, ``tools of a railway``.
            start: ``row``: the row's last user turn, with the turns before it, is the request.
            parallel: Share (0 to 1) of rows whose request needs several calls at once (``start: user``).
            no_tool: Share (0 to 1) of rows whose request no tool can fulfil: the answer must call none (``start:
                user``).
            missing: Share (0 to 1) of rows whose request leaves out a required argument: the answer must ask for it
                and call nothing (``start: user``).
            steps: The most steps in which tools are called before the answer.
            n: Number of conversations for each row.
            language: Language of the conversation.
            system: A system prompt for the assistant, with ``{language_name}`` and ``{attribute.NAME}``.
            keep_system: Whether the row keeps the system prompt.
            sampling: Sampling parameters of the assistant and the simulator.
            user_sampling: Sampling parameters of the user.
            retries: How often a reply is requested again, with the complaint: one that is no JSON, calls an unknown
                tool, or whose arguments the tool's JSON Schema does not allow.
            strict: Whether a language that is not in a model's ``languages`` stops the build.
            as_: name of its scores and reasons.
        """

    def translate(
        self,
        *,
        to: str | Sequence[str],
        model: str,
        max_error_rate: float = 0.05,
        source: str | None = None,
        keep_original: bool = True,
        fields: Sequence[str] | None = None,
        roles: Sequence[Literal["system", "user", "assistant", "tool"]] = ...,
        tool_descriptions: bool = False,
        protect: Sequence[Literal["code", "inline_code", "url", "email", "latex", "markup", "placeholder", "symbol"]] = ...,
        unwrap: bool = True,
        glossary: Mapping[str, Any] = ...,
        glossary_from: str | None = None,
        checks: Sequence[Literal["text", "spans", "omission", "runaway", "copy", "numbers", "script", "language", "repetition", "commentary", "layout", "glossary", "brackets"]] = ...,
        min_ratio: float | None | Mapping[str, float | None] = 0.5,
        max_ratio: float | None | Mapping[str, float | None] = 2.0,
        lid: str | None = None,
        retries: int = 1,
        back_translation: Literal["none", "score", "column"] = "none",
        back_model: str | None = None,
        back_encoder: str | None = None,
        sampling: Mapping[str, Any] = ...,
        prompt: str | Sequence[Mapping[str, str]] | None | Mapping[str, Any] = None,
        instructions: str | None | Mapping[str, str | None] = None,
        formality: Literal["formal", "informal"] | None | Mapping[str, Literal["formal", "informal"] | None] = None,
        examples: str | None = None,
        examples_count: int = 3,
        examples_choice: Literal["random", "nearest", "first"] = "nearest",
        examples_pool: int = 2000,
        max_chars: int = 3000,
        strict: bool = False,
        as_: str = ...,
    ) -> Self:
        """rows translated by a translator or a language model, and checked

        Args:
            to: The target languages.
            model: A translator or a language model.
            max_error_rate: Maximum share of rows that may fail (0 to 1); above it the build stops.
            source: The language of the rows, overriding the language they are labelled with.
            keep_original: Whether to keep the original rows beside their translations.
            fields: The fields to translate; all by default.
            roles: The roles whose turns are translated, with their reasoning.
            tool_descriptions: Also translate what the descriptions of the row's tools and of their parameters say.
            protect: What stays untranslated: ``code`` (blocks), ``inline_code``, ``url`` (and paths), ``email``,
                ``latex``, ``markup`` (tags), ``placeholder`` (``{name}``, ``%s``, ``${x}`` …), ``symbol`` (emoji,
                operators, ``snake_case``, letters of foreign scripts).
            unwrap: Whether a sentence broken over several lines is translated as one and then broken again at about
                the same places.
            glossary: Translations of terms, by target language: ``{pt: {machine learning: aprendizado de
                máquina}}``.
            glossary_from: Parallel rows used as glossary entries (source and target).
            checks: The checks on each translation: ``text`` (broken characters), ``spans`` (protected spans lost or
                doubled), ``omission``, ``runaway``, ``copy`` (left untranslated), ``numbers``, ``script``, ``language``
                (needs ``lid``), ``repetition``, ``commentary`` (*Here is the translation*), ``layout`` (lines and list
                marks; language models only), ``glossary`` (language models only), ``brackets`` (unmatched brackets and
                quotation marks).
            min_ratio: Minimum length of a translation divided by the usual length for the language pair, by target
                language.
            max_ratio: Maximum length of a translation divided by the usual length, by target language.
            lid: A language identifier for the check ``language``.
            retries: How often a translation that fails a check is requested again.
            back_translation: ``score`` translates each translation back and compares it with the original (score
                ``back``); ``column`` also keeps it (attribute ``back``).
            back_model: The model for back-translation; by default ``model``.
            back_encoder: An encoder to compare original and back-translation by cosine.
            sampling: Sampling parameters of a language model.
            prompt: Your own prompt for a language model, by target language.
            instructions: Additional instructions for a language model, by target language.
            formality: The form of address a language model uses, by target language.
            examples: Parallel rows that a language model is shown as few-shot examples.
            examples_count: Number of examples.
            examples_choice: How examples are chosen: the ``nearest`` by shared character n-grams, ``random`` by the
                seed, or the ``first``.
            examples_pool: Maximum number of candidate examples per language, sampled by the seed.
            max_chars: Approximate maximum of characters in one request to a language model; longer rows are split
                over several requests.
            strict: Whether a language pair that the model does not support stops the build.
            as_: name of its scores and reasons.
        """

    def translation_quality(
        self,
        *,
        checks: Sequence[Literal["length", "sentences", "ending", "copied", "script", "language", "repetition", "numbers", "names", "placeholders", "negation", "encoding", "commentary", "alignment", "similarity"]] = ...,
        between: Literal["parents", "sides"] | None = None,
        fields: Sequence[str] | None = None,
        max_chars: int = 20000,
        aligner: str | None = None,
        table: str | None = None,
        pool: int = 20000,
        min_pool: int = 1000,
        encoder: str | Sequence[str] | None = None,
        identifier: str | None = None,
        min: float | None | Mapping[str, float | None] = 0.5,
        min_length: float | None | Mapping[str, float | None] = 0.3,
        max_length: float | None | Mapping[str, float | None] = 3.5,
        min_sentences: float | None | Mapping[str, float | None] = None,
        max_missing_sentence: float | None | Mapping[str, float | None] = 2.9,
        min_ending: float | None | Mapping[str, float | None] = None,
        max_copied: float | None | Mapping[str, float | None] = 0.7,
        max_left: float | None | Mapping[str, float | None] = 0.7,
        min_script: float | None | Mapping[str, float | None] = 0.3,
        min_language: float | None | Mapping[str, float | None] = 0.05,
        max_loop: float | None | Mapping[str, float | None] = 6.0,
        max_repetition: float | None | Mapping[str, float | None] = None,
        max_numbers: float | None | Mapping[str, float | None] = None,
        max_names: float | None | Mapping[str, float | None] = None,
        min_placeholders: float | None | Mapping[str, float | None] = None,
        max_negation: float | None | Mapping[str, float | None] = None,
        max_encoding: float | None | Mapping[str, float | None] = 0.0,
        max_commentary: float | None | Mapping[str, float | None] = 0.0,
        min_alignment: float | None | Mapping[str, float | None] = None,
        min_similarity: float | None | Mapping[str, float | None] = None,
        min_coverage: float | None | Mapping[str, float | None] = None,
        min_name_similarity: float | None | Mapping[str, float | None] = ...,
        unassessed: Literal["keep", "drop"] = "keep",
        require: Sequence[Literal["length", "sentences", "ending", "copied", "script", "language", "repetition", "numbers", "names", "placeholders", "negation", "encoding", "commentary", "alignment", "similarity"]] = ...,
        strict: bool = False,
        as_: str = ...,
    ) -> Self:
        """Translation quality: lengths, copies, numbers, names, negations, markup, commentary, alignment.

        Args:
            checks: The checks to run.
            between: What is compared: a row with its first parent, or source with target.
            fields: The fields to compare with the parent's of the same name.
            max_chars: Longer texts are cut to this length.
            aligner: A word aligner for ``alignment`` (``systran-align``).
            table: A lexicon (as ``lexicon`` makes it) or a dictionary of parallel rows, for ``alignment`` in
                addition to or instead of an aligner.
            pool: How many pairs of each language pair the aligner is trained on: those with the smallest ids, the
                same on every run.
            min_pool: With fewer pairs of a language pair nothing is learnt, and there is no ``alignment``.
            encoder: A sentence encoder whose cosines have an absolute meaning, for ``similarity`` and ``coverage``;
                or several in order of preference, such as ``[labse, use-multilingual, e5-multilingual]``: for each
                language pair the first that knows both languages, with cosines on one scale (that of
                ``use-multilingual``).
            identifier: A language identifier (``fasttext``) for ``identified``.
            min: Minimum ``score``, or ``form`` where there is no ``score``.
            min_length: Minimum ``length``: below it something is missing.
            max_length: Maximum ``length``: above it something was added.
            min_sentences: Minimum ``sentences``.
            max_missing_sentence: Maximum ``missing_sentence``: above it one side most likely has a sentence that
                the other has not.
            min_ending: Minimum ``ending``: 1 drops targets that are cut off.
            max_copied: Maximum ``copied``.
            max_left: Maximum ``left``.
            min_script: Minimum ``script``.
            min_language: Minimum ``identified``.
            max_loop: Maximum ``loop``.
            max_repetition: Maximum ``repetition``.
            max_numbers: Maximum ``numbers``.
            max_names: Maximum ``names``.
            min_placeholders: Minimum ``placeholders``: 1 drops rows that lost or gained one.
            max_negation: Maximum ``negation``.
            max_encoding: Maximum ``encoding``.
            max_commentary: Maximum ``commentary``: 1 keeps all.
            min_alignment: Minimum ``alignment``.
            min_similarity: Minimum ``similarity``; the step of that name has more options.
            min_coverage: Minimum ``coverage``.
            min_name_similarity: Minimum ``name_similarity``: below it a name was most likely replaced.
            unassessed: What to do with rows without ``score``, because nothing compared the meaning of both sides:
                ``keep`` or ``drop`` them.
            require: Drop rows for which one of these checks could not be made because of their languages
                (``unassessed``).
            strict: Stop if a model does not support a language, instead of warning and leaving the score null.
            as_: name of its scores and reasons.
        """

    @overload
    def output(
        self,
        output: Literal["alpaca"],
        /,
        *,
        format: Literal["parquet", "jsonl", "json"] = "json",
        compression: Literal["zstd", "snappy", "gzip", "none"] | None = None,
        rows_per_file: int | None = None,
        meta: Sequence[Literal["id", "language", "prompt_language", "group_id", "source", "source_id", "license", "parents", "version"]] = ...,
        meta_in: Literal["column", "file"] = "column",
        scores: Sequence[str] = ...,
        attributes: Sequence[str] = ...,
        system: Literal["keep", "drop", "merge"] = "keep",
        add_system: str | None = None,
        history: bool = True,
        system_column: bool = True,
        as_: str = ...,
    ) -> Self:
        """Alpaca: instruction, input, output, with system and history.

        Args:
            format: ``json`` (one array, as in Alpaca itself), ``jsonl``, or ``parquet``.
            compression: Default: ``zstd`` for Parquet and ``none`` for JSON.
            rows_per_file: Maximum rows of a file; null: each split is one file.
            meta: The fields of the column ``meta``; with an empty list, and no scores and attributes, there is no
                such column.
            meta_in: ``column``: ``meta`` in each row.
            scores: Scores to include in ``meta``, by name (``similarity.score``); a trailing ``*`` matches any
                suffix.
            attributes: Attributes to include in ``meta``, by name; a trailing ``*`` matches any suffix.
            system: System messages: ``keep`` them, ``drop`` them, or ``merge`` each into the user message that
                follows (for models whose template does not support them).
            add_system: A system message for conversations without one.
            history: Write earlier turns into ``history`` (pairs of request and answer).
            system_column: Write system messages into ``system``.
            as_: name of its folder.
        """

    @overload
    def output(
        self,
        output: Literal["axolotl"],
        /,
        *,
        format: Literal["parquet", "jsonl", "json"] = "parquet",
        compression: Literal["zstd", "snappy", "gzip", "none"] | None = None,
        rows_per_file: int | None = 250000,
        meta: Sequence[Literal["id", "language", "prompt_language", "group_id", "source", "source_id", "license", "parents", "version"]] = ...,
        meta_in: Literal["column", "file"] = "column",
        scores: Sequence[str] = ...,
        attributes: Sequence[str] = ...,
        system: Literal["keep", "drop", "merge"] = "keep",
        add_system: str | None = None,
        template_file: str | Path | None = None,
        task: Literal["sft", "multimodal", "dpo", "kto", "reward", "completion"] | None = None,
        as_: str = ...,
    ) -> Self:
        """Axolotl: SFT, DPO, KTO, reward models, completion, with the YAML part.

        Args:
            format: Parquet has types; for ``jsonl`` (a row a line) and ``json`` (one array) readers guess them.
            compression: Default: ``zstd`` for Parquet and ``none`` for JSON.
            rows_per_file: Maximum rows of a file; null: each split is one file.
            meta: The fields of the column ``meta``; with an empty list, and no scores and attributes, there is no
                such column.
            meta_in: ``column``: ``meta`` in each row.
            scores: Scores to include in ``meta``, by name (``similarity.score``); a trailing ``*`` matches any
                suffix.
            attributes: Attributes to include in ``meta``, by name; a trailing ``*`` matches any suffix.
            system: System messages: ``keep`` them, ``drop`` them, or ``merge`` each into the user message that
                follows (for models whose template does not support them).
            add_system: A system message for conversations without one.
            template_file: The chat template that renders the text for KTO, and in which DPO answers must be found:
                a Jinja file, a ``tokenizer_config.json``, or a model's folder.
            task: The task.
            as_: name of its folder.
        """

    @overload
    def output(
        self,
        output: Literal["beir"],
        /,
        *,
        format: Literal["parquet", "jsonl", "json"] = "jsonl",
        compression: Literal["zstd", "snappy", "gzip", "none"] | None = None,
        rows_per_file: None = None,
        meta: Sequence[Literal["id", "language", "prompt_language", "group_id", "source", "source_id", "license", "parents", "version"]] = ...,
        meta_in: Literal["file"] = "file",
        scores: Sequence[str] = ...,
        attributes: Sequence[str] = ...,
        system: Literal["keep", "drop", "merge"] = "keep",
        add_system: str | None = None,
        negatives_from: str = "negatives",
        as_: str = ...,
    ) -> Self:
        """Retrieval sets in BEIR's layout: corpus, queries, relevance, hard negatives.

        Args:
            format: The layout has JSON Lines only.
            compression: Default: ``zstd`` for Parquet and ``none`` for JSON.
            rows_per_file: The layout has one file of each sort.
            meta: The fields of the column ``meta``; with an empty list, and no scores and attributes, there is no
                such column.
            meta_in: ``file``: in ``rows/<split>.jsonl``.
            scores: Scores to include in ``meta``, by name (``similarity.score``); a trailing ``*`` matches any
                suffix.
            attributes: Attributes to include in ``meta``, by name; a trailing ``*`` matches any suffix.
            system: System messages: ``keep`` them, ``drop`` them, or ``merge`` each into the user message that
                follows (for models whose template does not support them).
            add_system: A system message for conversations without one.
            negatives_from: Label of the step that made hard negatives.
            as_: name of its folder.
        """

    @overload
    def output(
        self,
        output: Literal["distillation"],
        /,
        *,
        format: Literal["parquet", "jsonl", "json"] = "parquet",
        compression: Literal["zstd", "snappy", "gzip", "none"] | None = None,
        rows_per_file: int | None = 250000,
        meta: Sequence[Literal["id", "language", "prompt_language", "group_id", "source", "source_id", "license", "parents", "version"]] = ...,
        meta_in: Literal["column", "file"] = "column",
        scores: Sequence[str] = ...,
        attributes: Sequence[str] = ...,
        system: Literal["keep", "drop", "merge"] = "keep",
        add_system: str | None = None,
        logprobs_from: str = "respond",
        as_: str = ...,
    ) -> Self:
        """Conversations with the teacher's log-probabilities, for distillation.

        Args:
            format: Parquet has types; for ``jsonl`` (a row a line) and ``json`` (one array) readers guess them.
            compression: Default: ``zstd`` for Parquet and ``none`` for JSON.
            rows_per_file: Maximum rows of a file; null: each split is one file.
            meta: The fields of the column ``meta``; with an empty list, and no scores and attributes, there is no
                such column.
            meta_in: ``column``: ``meta`` in each row.
            scores: Scores to include in ``meta``, by name (``similarity.score``); a trailing ``*`` matches any
                suffix.
            attributes: Attributes to include in ``meta``, by name; a trailing ``*`` matches any suffix.
            system: System messages: ``keep`` them, ``drop`` them, or ``merge`` each into the user message that
                follows (for models whose template does not support them).
            add_system: A system message for conversations without one.
            logprobs_from: Label of the step that kept them.
            as_: name of its folder.
        """

    @overload
    def output(
        self,
        output: Literal["llama-factory"],
        /,
        *,
        format: Literal["parquet", "jsonl", "json"] = "parquet",
        compression: Literal["zstd", "snappy", "gzip", "none"] | None = None,
        rows_per_file: int | None = 250000,
        meta: Sequence[Literal["id", "language", "prompt_language", "group_id", "source", "source_id", "license", "parents", "version"]] = ...,
        meta_in: Literal["column", "file"] = "column",
        scores: Sequence[str] = ...,
        attributes: Sequence[str] = ...,
        system: Literal["keep", "drop", "merge"] = "keep",
        add_system: str | None = None,
        stage: Literal["sft", "dpo", "rm", "kto", "pt"] | None = None,
        template: str | None = None,
        as_: str = ...,
    ) -> Self:
        """LLaMA-Factory: SFT, DPO, reward, KTO, pre-training, with dataset_info.json.

        Args:
            format: Parquet has types; for ``jsonl`` (a row a line) and ``json`` (one array) readers guess them.
            compression: Default: ``zstd`` for Parquet and ``none`` for JSON.
            rows_per_file: Maximum rows of a file; null: each split is one file.
            meta: The fields of the column ``meta``; with an empty list, and no scores and attributes, there is no
                such column.
            meta_in: ``column``: ``meta`` in each row.
            scores: Scores to include in ``meta``, by name (``similarity.score``); a trailing ``*`` matches any
                suffix.
            attributes: Attributes to include in ``meta``, by name; a trailing ``*`` matches any suffix.
            system: System messages: ``keep`` them, ``drop`` them, or ``merge`` each into the user message that
                follows (for models whose template does not support them).
            add_system: A system message for conversations without one.
            stage: The training stage.
            template: LLaMA-Factory's name of the model's template (``qwen3``, ``llama3`` …), for the configuration.
            as_: name of its folder.
        """

    @overload
    def output(
        self,
        output: Literal["openai"],
        /,
        *,
        format: Literal["parquet", "jsonl", "json"] = "jsonl",
        compression: Literal["zstd", "snappy", "gzip", "none"] | None = None,
        rows_per_file: int | None = None,
        meta: Sequence[Literal["id", "language", "prompt_language", "group_id", "source", "source_id", "license", "parents", "version"]] = ...,
        meta_in: Literal["column", "file"] = "file",
        scores: Sequence[str] = ...,
        attributes: Sequence[str] = ...,
        system: Literal["keep", "drop", "merge"] = "keep",
        add_system: str | None = None,
        as_: str = ...,
    ) -> Self:
        """OpenAI's fine-tuning files (JSON Lines), supervised and preference.

        Args:
            format: The server accepts only JSON Lines.
            compression: Default: ``zstd`` for Parquet and ``none`` for JSON.
            rows_per_file: Maximum rows of a file; null: each split is one file.
            meta: The fields of the column ``meta``; with an empty list, and no scores and attributes, there is no
                such column.
            meta_in: ``file``: in ``rows/<split>.jsonl``, line by line as the data.
            scores: Scores to include in ``meta``, by name (``similarity.score``); a trailing ``*`` matches any
                suffix.
            attributes: Attributes to include in ``meta``, by name; a trailing ``*`` matches any suffix.
            system: System messages: ``keep`` them, ``drop`` them, or ``merge`` each into the user message that
                follows (for models whose template does not support them).
            add_system: A system message for conversations without one.
            as_: name of its folder.
        """

    @overload
    def output(
        self,
        output: Literal["parquet"],
        /,
        *,
        format: Literal["parquet", "jsonl", "json"] = "parquet",
        compression: Literal["zstd", "snappy", "gzip", "none"] | None = None,
        rows_per_file: int | None = 250000,
        meta: Sequence[Literal["id", "language", "prompt_language", "group_id", "source", "source_id", "license", "parents", "version"]] = ...,
        meta_in: Literal["column", "file"] = "column",
        scores: Sequence[str] = ...,
        attributes: Sequence[str] = ...,
        system: Literal["keep", "drop", "merge"] = "keep",
        add_system: str | None = None,
        layout: Literal["native", "payload"] = "native",
        as_: str = ...,
    ) -> Self:
        """Parquet files, all columns or payload and meta; read by datasets, DuckDB, Polars, pandas.

        Args:
            format: Parquet has types; for ``jsonl`` (a row a line) and ``json`` (one array) readers guess them.
            compression: Default: ``zstd`` for Parquet and ``none`` for JSON.
            rows_per_file: Maximum rows of a file; null: each split is one file.
            meta: The fields of the column ``meta``; with an empty list, and no scores and attributes, there is no
                such column.
            meta_in: ``column``: ``meta`` in each row.
            scores: Scores to include in ``meta``, by name (``similarity.score``); a trailing ``*`` matches any
                suffix.
            attributes: Attributes to include in ``meta``, by name; a trailing ``*`` matches any suffix.
            system: System messages: ``keep`` them, ``drop`` them, or ``merge`` each into the user message that
                follows (for models whose template does not support them).
            add_system: A system message for conversations without one.
            layout: All columns unchanged (``system``, ``meta``, ``scores`` and ``attributes`` are then ignored), or
                payload and ``meta``.
            as_: name of its folder.
        """

    @overload
    def output(
        self,
        output: Literal["sentence-transformers"],
        /,
        *,
        format: Literal["parquet", "jsonl", "json"] = "parquet",
        compression: Literal["zstd", "snappy", "gzip", "none"] | None = None,
        rows_per_file: int | None = 250000,
        meta: Sequence[Literal["id", "language", "prompt_language", "group_id", "source", "source_id", "license", "parents", "version"]] = ...,
        meta_in: Literal["column", "file"] = "file",
        scores: Sequence[str] = ...,
        attributes: Sequence[str] = ...,
        system: Literal["keep", "drop", "merge"] = "keep",
        add_system: str | None = None,
        negatives: int = 0,
        negatives_from: str = "negatives",
        score: str | None = None,
        label: str | None = None,
        as_: str = ...,
    ) -> Self:
        """sentence-transformers: pairs, triplets, n-tuples, scored and labelled pairs, in column order.

        Args:
            format: Parquet has types; for ``jsonl`` (a row a line) and ``json`` (one array) readers guess them.
            compression: Default: ``zstd`` for Parquet and ``none`` for JSON.
            rows_per_file: Maximum rows of a file; null: each split is one file.
            meta: The fields of the column ``meta``; with an empty list, and no scores and attributes, there is no
                such column.
            meta_in: ``file``: in ``rows/<split>.jsonl``, line by line as the data.
            scores: Scores to include in ``meta``, by name (``similarity.score``); a trailing ``*`` matches any
                suffix.
            attributes: Attributes to include in ``meta``, by name; a trailing ``*`` matches any suffix.
            system: System messages: ``keep`` them, ``drop`` them, or ``merge`` each into the user message that
                follows (for models whose template does not support them).
            add_system: A system message for conversations without one.
            negatives: The number of negatives of each row out of its attributes; a row with fewer is skipped.
            negatives_from: Label of the step that made them.
            score: The score for the column ``score``, such as ``similarity.score``; a row without it is skipped.
            label: The attribute for the column ``label`` (``true`` or ``false``, 1 or 0), such as
                ``negatives.label``; a row without it is skipped.
            as_: name of its folder.
        """

    @overload
    def output(
        self,
        output: Literal["sharegpt"],
        /,
        *,
        format: Literal["parquet", "jsonl", "json"] = "jsonl",
        compression: Literal["zstd", "snappy", "gzip", "none"] | None = None,
        rows_per_file: int | None = None,
        meta: Sequence[Literal["id", "language", "prompt_language", "group_id", "source", "source_id", "license", "parents", "version"]] = ...,
        meta_in: Literal["column", "file"] = "column",
        scores: Sequence[str] = ...,
        attributes: Sequence[str] = ...,
        system: Literal["keep", "drop", "merge"] = "keep",
        add_system: str | None = None,
        names: Mapping[str, str] = ...,
        as_: str = ...,
    ) -> Self:
        """ShareGPT: conversations of from and value.

        Args:
            format: ``jsonl``, ``json`` (one array), or ``parquet``.
            compression: Default: ``zstd`` for Parquet and ``none`` for JSON.
            rows_per_file: Maximum rows of a file; null: each split is one file.
            meta: The fields of the column ``meta``; with an empty list, and no scores and attributes, there is no
                such column.
            meta_in: ``column``: ``meta`` in each row.
            scores: Scores to include in ``meta``, by name (``similarity.score``); a trailing ``*`` matches any
                suffix.
            attributes: Attributes to include in ``meta``, by name; a trailing ``*`` matches any suffix.
            system: System messages: ``keep`` them, ``drop`` them, or ``merge`` each into the user message that
                follows (for models whose template does not support them).
            add_system: A system message for conversations without one.
            names: Names of the roles, if not ``system``, ``human``, ``gpt`` and ``observation``.
            as_: name of its folder.
        """

    @overload
    def output(
        self,
        output: Literal["torchtune"],
        /,
        *,
        format: Literal["parquet", "jsonl", "json"] = "parquet",
        compression: Literal["zstd", "snappy", "gzip", "none"] | None = None,
        rows_per_file: int | None = 250000,
        meta: Sequence[Literal["id", "language", "prompt_language", "group_id", "source", "source_id", "license", "parents", "version"]] = ...,
        meta_in: Literal["column", "file"] = "column",
        scores: Sequence[str] = ...,
        attributes: Sequence[str] = ...,
        system: Literal["keep", "drop", "merge"] = "keep",
        add_system: str | None = None,
        as_: str = ...,
    ) -> Self:
        """torchtune: chat, preference and completion datasets, with the YAML part.

        Args:
            format: Parquet has types; for ``jsonl`` (a row a line) and ``json`` (one array) readers guess them.
            compression: Default: ``zstd`` for Parquet and ``none`` for JSON.
            rows_per_file: Maximum rows of a file; null: each split is one file.
            meta: The fields of the column ``meta``; with an empty list, and no scores and attributes, there is no
                such column.
            meta_in: ``column``: ``meta`` in each row.
            scores: Scores to include in ``meta``, by name (``similarity.score``); a trailing ``*`` matches any
                suffix.
            attributes: Attributes to include in ``meta``, by name; a trailing ``*`` matches any suffix.
            system: System messages: ``keep`` them, ``drop`` them, or ``merge`` each into the user message that
                follows (for models whose template does not support them).
            add_system: A system message for conversations without one.
            as_: name of its folder.
        """

    @overload
    def output(
        self,
        output: Literal["trl"],
        /,
        *,
        format: Literal["parquet", "jsonl", "json"] = "parquet",
        compression: Literal["zstd", "snappy", "gzip", "none"] | None = None,
        rows_per_file: int | None = 250000,
        meta: Sequence[Literal["id", "language", "prompt_language", "group_id", "source", "source_id", "license", "parents", "version"]] = ...,
        meta_in: Literal["column", "file"] = "column",
        scores: Sequence[str] = ...,
        attributes: Sequence[str] = ...,
        system: Literal["keep", "drop", "merge"] = "keep",
        add_system: str | None = None,
        trainer: Literal["sft", "dpo", "kto", "reward", "grpo", "rloo"] | None = None,
        messages: Literal["messages", "prompt_completion"] = "messages",
        prompt: Literal["explicit", "implicit"] = "explicit",
        margin: str | None = None,
        as_: str = ...,
    ) -> Self:
        """TRL: SFT, DPO, KTO, Reward, GRPO, in the conversational form.

        Args:
            format: Parquet has types; for ``jsonl`` (a row a line) and ``json`` (one array) readers guess them.
            compression: Default: ``zstd`` for Parquet and ``none`` for JSON.
            rows_per_file: Maximum rows of a file; null: each split is one file.
            meta: The fields of the column ``meta``; with an empty list, and no scores and attributes, there is no
                such column.
            meta_in: ``column``: ``meta`` in each row.
            scores: Scores to include in ``meta``, by name (``similarity.score``); a trailing ``*`` matches any
                suffix.
            attributes: Attributes to include in ``meta``, by name; a trailing ``*`` matches any suffix.
            system: System messages: ``keep`` them, ``drop`` them, or ``merge`` each into the user message that
                follows (for models whose template does not support them).
            add_system: A system message for conversations without one.
            trainer: The trainer to configure.
            messages: SFT rows as whole conversations, or as ``prompt`` (everything before the last answer) and
                ``completion`` (only this is trained on).
            prompt: Preferences with the prompt in its own column, or as the beginning of both conversations.
            margin: The score for the column ``margin``, used by the Reward trainer's loss (``pair.margin``).
            as_: name of its folder.
        """

    @overload
    def output(
        self,
        output: Literal["verl"],
        /,
        *,
        format: Literal["parquet", "jsonl", "json"] = "parquet",
        compression: Literal["zstd", "snappy", "gzip", "none"] | None = None,
        rows_per_file: int | None = 250000,
        meta: Sequence[Literal["id", "language", "prompt_language", "group_id", "source", "source_id", "license", "parents", "version"]] = ...,
        meta_in: Literal["column", "file"] = "column",
        scores: Sequence[str] = ...,
        attributes: Sequence[str] = ...,
        system: Literal["keep", "drop", "merge"] = "keep",
        add_system: str | None = None,
        template_file: str | Path | None = None,
        task: Literal["sft", "rl", "reward"] | None = None,
        ground_truth: str | None = None,
        reward_style: Literal["rule", "model"] = "rule",
        data_source: str | None = None,
        ability: str = "",
        as_: str = ...,
    ) -> Self:
        """verl: multi-turn SFT, RL with ground truth, reward models.

        Args:
            format: Parquet has types; for ``jsonl`` (a row a line) and ``json`` (one array) readers guess them.
            compression: Default: ``zstd`` for Parquet and ``none`` for JSON.
            rows_per_file: Maximum rows of a file; null: each split is one file.
            meta: The fields of the column ``meta``; with an empty list, and no scores and attributes, there is no
                such column.
            meta_in: ``column``: ``meta`` in each row.
            scores: Scores to include in ``meta``, by name (``similarity.score``); a trailing ``*`` matches any
                suffix.
            attributes: Attributes to include in ``meta``, by name; a trailing ``*`` matches any suffix.
            system: System messages: ``keep`` them, ``drop`` them, or ``merge`` each into the user message that
                follows (for models whose template does not support them).
            add_system: A system message for conversations without one.
            template_file: The chat template for conversations that the trainer reads as text: a Jinja file, a
                ``tokenizer_config.json``, or a model's folder with one of them.
            task: The task.
            ground_truth: RL: the reference that the reward compares an answer with: ``response`` (the last answer
                of an SFT row) or the name of an attribute.
            reward_style: RL: ``rule``, which needs ``ground_truth``, or ``model``, which does not.
            data_source: RL: the name by which verl selects the reward function (``openai/gsm8k`` …).
            ability: RL: the skill (``math`` …); verl passes it on.
            as_: name of its folder.
        """

    def step(self, step: str, /, **parameters: Any) -> Self:
        """Adds a step by its name, such as one of a plug-in that editors do not know."""

    def _append(self, what: str, name: str, parameters: dict[str, Any]) -> Self: ...
