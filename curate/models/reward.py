"""``reward``: a reward model, a sequence classifier of the transformers library with one score per conversation.

Reward models for preference data are such classifiers (Ouyang et al. 2022). A conversation is formatted with the
model's own chat template, or, if it has none, as a pair of prompt and answer, as encoder-based ones were trained on.
Needs the extra ``torch``. Code from the Hub is never run (``trust_remote_code`` stays off).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from curate.catalog.params import Count, LanguageTag, Role, Runtime
from curate.catalog.suggestions import nearest
from curate.errors import ModelError
from curate.models.loading.devices import OnDevice
from curate.models.loading.supported import Supported
from curate.models.loading.weights import Weights
from curate.steps.models import Done, RewardModel

_LOG = logging.getLogger("curate.models")

Conversation = tuple[tuple[str, str], ...]
Scores = npt.NDArray[np.float32]
_NO_LIMIT = 1_000_000
"""A tokenizer without a maximum length reports a huge number."""


class Reward(OnDevice, Weights):
    """A reward model: an ``AutoModelForSequenceClassification``."""

    use: ClassVar[str] = "reward"
    role: ClassVar[Role | None] = Role.REWARD
    summary: ClassVar[str] = "reward model (sequence classifier of transformers): how good an answer is"

    model: Annotated[str, Field(min_length=1)]
    """``organisation/name`` on the Hub, or the path of a local folder (identified by its files' contents)."""
    revision: str | None = None
    """Commit of the Hub repository; a branch or tag is resolved, as for ``sentence-transformers``."""
    form: Literal["auto", "chat", "pair"] = "auto"
    """Input format: the model's ``chat`` template, or a ``pair`` of prompt and answer. ``auto``: the template, if there
    is one."""
    system: Literal["keep", "merge", "drop"] = "keep"
    """What to do with a system turn, which some templates do not support. ``merge`` prepends it to the first user
    turn."""
    label: Count | str | None = None
    """The output that is the score, by number or name; required if the model has several."""
    output: Literal["logit", "sigmoid", "softmax"] = "logit"
    """The raw output (``logit``), or a probability by ``sigmoid`` or by ``softmax`` over all outputs."""
    max_length: Annotated[int, Field(ge=8)] | None = None
    """Maximum length of a conversation in tokens; by default that of the model."""
    too_long: Literal["skip", "cut"] = "skip"
    """For longer conversations: ``skip`` gives no score; ``cut`` drops turns from the beginning (of a pair: the end of
    the prompt) until it fits. The answer is never cut."""
    dtype: Literal["float32", "float16", "bfloat16"] | None = None
    """Number format for computing; by default that of the weights."""
    languages: tuple[LanguageTag, ...] | None = None
    """The languages whose answers it can score; by default all, with a warning."""
    device: Runtime[str | None] = None
    """``cpu``, ``cuda``, ``cuda:1``, ``mps``; by default the fastest available."""
    batch_size: Runtime[Annotated[int, Field(ge=1)]] = 16
    """Conversations per forward pass; similar lengths are batched together."""

    def knows_language(self, language: str) -> bool | None:
        return None if self.languages is None else language in Supported(self.languages)

    def load(self, *, cache: Path | None, threads: int) -> RewardModel:
        """Loads the model. A score depends on its batch within the rounding error of the number format.

        Raises:
            ModelError: packages are missing, the model cannot be loaded, or its score output is ambiguous.
        """
        name = self.name_and_revision()
        try:
            import torch
            from transformers import AutoModelForSequenceClassification, AutoTokenizer
        except ImportError as error:
            raise ModelError(f"the model reward needs packages: pip install 'polycurate[torch]' ({error})") from error
        torch.set_num_threads(threads)
        folder = self._folder()
        where: dict[str, Any] = {"trust_remote_code": False, "local_files_only": folder is not None}
        if folder is None:
            where["revision"] = name.rpartition("@")[2]
        options: dict[str, Any] = {"dtype": getattr(torch, self.dtype)} if self.dtype else {}
        try:
            tokenizer = AutoTokenizer.from_pretrained(str(folder or self.model), **where)
            network, report = AutoModelForSequenceClassification.from_pretrained(
                str(folder or self.model), output_loading_info=True, **where, **options
            )
        except (OSError, ValueError, ImportError) as error:
            raise ModelError(f"the model {self.model} cannot be loaded: {error}") from error
        # For a base model the library adds a head of random weights and only logs it.
        missing = sorted(report.get("missing_keys", ()))
        if missing:
            raise ModelError(
                f"{self.model} is not a reward model: it has no weights for {', '.join(missing[:3])}, and random"
                " weights would give random scores"
            )
        form = self.form if self.form != "auto" else "chat" if getattr(tokenizer, "chat_template", None) else "pair"
        if form == "chat" and not getattr(tokenizer, "chat_template", None):
            raise ModelError(f"{self.model} has no chat template; set 'form: pair', or 'auto'")
        device = self.device or (
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
        return _Loaded(
            self, tokenizer, network.to(device).eval(), device, form, self._output(network.config), self._supports()
        )

    def _output(self, config: Any) -> int:
        """Which output is the score."""
        count = int(config.num_labels)
        names = {str(name): int(place) for place, name in (getattr(config, "id2label", None) or {}).items()}
        if self.label is None:
            if count == 1:
                return 0
            raise ModelError(f"{self.model} has {count} outputs ({', '.join(names)}); select the score with 'label:'")
        if isinstance(self.label, int):
            if not 0 <= self.label < count:
                raise ModelError(f"label: {self.model} has outputs 0 to {count - 1}, but not {self.label}")
            return self.label
        if self.label not in names:
            raise ModelError(
                f"label: {self.model} has no output '{self.label}'{nearest(self.label, list(names))}; it has"
                f" {', '.join(names)}"
            )
        return names[self.label]

    def _supports(self) -> Callable[[str], bool]:
        if self.languages is not None:
            return Supported(self.languages).__contains__
        _LOG.warning(f"the model {self.model} does not declare its languages, so all are scored. Set 'languages:'")
        return lambda language: True


class _Loaded:
    def __init__(
        self,
        given: Reward,
        tokenizer: Any,
        network: Any,
        device: str,
        form: str,
        output: int,
        supports: Callable[[str], bool],
    ) -> None:
        self.given, self.tokenizer, self.network, self.device = given, tokenizer, network, device
        self.form, self.output, self._supports = form, output, supports
        # The score is read at the last token, so padding must follow it and be known to the network.
        tokenizer.padding_side = "right"
        self._pad: int | None = tokenizer.pad_token_id
        if self._pad is not None:
            network.config.pad_token_id = self._pad
        longest = getattr(network.config, "max_position_embeddings", None) or _NO_LIMIT
        if getattr(network.config, "model_type", "") in ("roberta", "xlm-roberta", "camembert", "longformer"):
            longest -= 2  # their positions start after that of the padding
        self.longest = min(
            given.max_length or _NO_LIMIT, longest, int(getattr(tokenizer, "model_max_length", None) or _NO_LIMIT)
        )

    def supports(self, language: str) -> bool:
        return self._supports(language)

    def score(self, conversations: Sequence[Sequence[tuple[str, str]]], done: Done | None = None) -> Scores:
        """See :class:`curate.steps.models.RewardModel`."""
        asked: dict[Conversation, list[int]] = {}
        for place, turns in enumerate(conversations):
            one = tuple((role, content) for role, content in turns)
            if not one or one[-1][0] != "assistant":
                raise ModelError("a conversation to be scored must end with an answer")
            asked.setdefault(one, []).append(place)
        scores = np.full(len(conversations), np.nan, np.float32)
        given = list(asked)
        encoded = [(at, ids) for at, ids in enumerate(map(self._encoded, given)) if ids is not None]
        if done is not None and (left := len(conversations) - sum(len(asked[given[at]]) for at, _ in encoded)):
            done(left)
        encoded.sort(key=lambda one: (-len(one[1]["input_ids"]), one[0]))
        # Without a padding token a batch is one conversation.
        size = self.given.batch_size if self._pad is not None else 1
        for start in range(0, len(encoded), size):
            batch = encoded[start : start + size]
            for (at, _), value in zip(batch, self._values([ids for _, ids in batch]), strict=True):
                scores[asked[given[at]]] = value
            if done is not None:
                done(sum(len(asked[given[at]]) for at, _ in batch))
        return scores

    def _values(self, batch: list[dict[str, list[int]]]) -> Scores:
        import torch

        width = max(len(one["input_ids"]) for one in batch)
        fill = {"input_ids": self._pad or 0}
        tensors = {
            name: torch.tensor(
                [one[name] + [fill.get(name, 0)] * (width - len(one[name])) for one in batch], device=self.device
            )
            for name in batch[0]
        }
        with torch.inference_mode():
            logits = self.network(**tensors).logits.float()
        if self.given.output == "softmax":
            logits = logits.softmax(-1)
        values = logits[:, self.output]
        if self.given.output == "sigmoid":
            values = values.sigmoid()
        found: Scores = values.cpu().numpy().astype(np.float32)
        return found

    # --------------------------------------------------------------------------------------------------------- encoding
    def _encoded(self, turns: Conversation) -> dict[str, list[int]] | None:
        """The tokens of a conversation; None if it is too long."""
        turns = self._with_system(turns)
        if self.form == "pair":
            return self._pair(turns)
        while True:
            ids = self._chat(turns)
            if len(ids["input_ids"]) <= self.longest:
                return ids
            shorter = _shorter(turns) if self.given.too_long == "cut" else None
            if shorter is None:
                return None
            turns = shorter

    def _with_system(self, turns: Conversation) -> Conversation:
        if turns[0][0] != "system" or self.given.system == "keep":
            return turns
        first, rest = turns[0][1], turns[1:]
        if self.given.system == "drop" or not rest or rest[0][0] != "user":
            return rest or turns
        return (("user", f"{first}\n\n{rest[0][1]}"), *rest[1:])

    def _chat(self, turns: Conversation) -> dict[str, list[int]]:
        messages = [{"role": role, "content": content} for role, content in turns]
        from jinja2 import TemplateError

        try:
            text = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=False)
        except (TemplateError, ValueError, TypeError) as error:
            hint = "; set 'system: merge'" if turns[0][0] == "system" and self.given.system == "keep" else ""
            roles = " ".join(role for role, _ in turns)
            raise ModelError(
                f"the chat template of {self.given.model} does not accept the turns {roles}: {error}{hint}"
            ) from error
        return _lists(self.tokenizer(text, add_special_tokens=False, verbose=False))

    def _pair(self, turns: Conversation) -> dict[str, list[int]] | None:
        asked, answer = "\n\n".join(content for _, content in turns[:-1]), turns[-1][1]
        ids = _lists(self.tokenizer(asked, answer, verbose=False))
        if len(ids["input_ids"]) <= self.longest:
            return ids
        if self.given.too_long == "skip" or len(self.tokenizer("", answer, verbose=False)["input_ids"]) > self.longest:
            return None
        return _lists(self.tokenizer(asked, answer, truncation="only_first", max_length=self.longest))


def _lists(encoded: Any) -> dict[str, list[int]]:
    names = [name for name in ("input_ids", "attention_mask", "token_type_ids") if name in encoded]
    return {name: list(encoded[name]) for name in names}


def _shorter(turns: Conversation) -> Conversation | None:
    """The conversation without its first exchange, but with its system turn; None if only one exchange is left."""
    head = turns[:1] if turns[0][0] == "system" else ()
    rest = turns[len(head) :]
    users = [place for place, (role, _) in enumerate(rest) if role == "user" and place > 0]
    return (*head, *rest[users[0] :]) if users else None
