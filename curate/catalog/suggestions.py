"""Suggests the known word for an unknown one: an earlier name, a synonym of the field, or the nearest spelling."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

RENAMED = {
    "pair_quality": "translation_quality",
    "drift": "misalignment",
    "word_table": "lexicon",
    "imbalance": "language_imbalance",
    "vote": "self_consistency",
    "max_bad": "max_error_rate",
    "patience": "deadline",
    "alone": "exclusive",
    "blanks": "whitespace",
    "marks": "diacritics",
    "max_first_share": "max_position_bias",
    "max_longer_share": "max_length_bias",
    "max_obeys": "max_injection_rate",
    "audit_least": "min_audit_rows",
    "min_people": "min_annotators",
    "people": "annotators",
    "max_gap": "max_missing_sentence",
    "min_kinship": "min_name_similarity",
    "max_chatter": "max_commentary",
    "parts": "components",
    "audit": "judge-report",
}
"""Names of earlier versions (steps, models, keys, commands) → what they are called now."""

_MEANT = {
    "duplicates": "dedup dedupe deduplicate deduplication minhash lsh simhash semdedup exact",
    "contamination": "decontaminate decontamination benchmarks leakage",
    "language": "langid lid langdetect language_id language_identification lang languages",
    "cld2": "cld3",
    "min": "threshold cutoff min_similarity",
    "mine": "bitext bitext_mining mining",
    "misalignment": "alignment",
    "quality": "heuristics gopher toxicity",
    "shape": "format structure chat_format length",
    "redact": "pii anonymize anonymise mask",
    "keep": "filter where select threshold_filter",
    "split": "train_test_split",
    "translate": "mt backtranslation machine_translation",
    "code_switch": "codeswitch code_mixing codemix",
    "romanise": "transliterate transliteration romanize",
    "join": "merge lookup align_rows",
    "compose": "template templates reformat",
    "respond": "generate completion chat answer",
    "lexicon": "dictionary_induction",
    "align": "word_alignment pharaoh",
    "mix": "sample upsample temperature_sampling unimax",
    "arrange": "shuffle sort curriculum",
    "pair": "dpo preference",
    "judge": "ultrafeedback llm_judge rate",
    "reward": "reward_model rm",
    "self_consistency": "majority_vote vote voting",
    "labels": "annotations",
    "openai": "ollama tgi sglang litellm server",
    "anthropic": "claude",
    "gemini": "google generativelanguage",
    "llamacpp": "gguf llama.cpp",
    "seq2seq": "nllb m2m100 madlad marian opus-mt",
    "route": "pivot",
    "simalign": "awesome-align",
    "hub": "huggingface hf datasets",
    "parquet": "lmdb arrow",
    "max_error_rate": "max_errors error_rate",
    "license": "licence",
    "path": "path_or_name",
    "prompt": "prompt_template",
    "n": "num_generations num_samples",
    "sampling": "temperature max_tokens",
    "batch": "batch_size",
    "url": "api_base base_url",
    "token_env": "token",
    "workers": "num_proc",
    "steps": "pipeline filters",
    "from": "input source",
    "outputs": "output",
    "check": "validate lint",
    "build": "run make",
    "query": "sql",
    "publish": "push upload",
    "log": "history versions",
    "diff": "compare",
    "forget": "delete erase takedown",
    "gc": "clean prune",
    "plan": "dry-run",
    "verify": "fsck",
    "review": "annotate",
    "models": "probe",
    "fasttext": "langid lid langdetect language_id language_identification glotlid openlid",
    "to": "languages target_language",
    "min_score": "threshold",
    "translation_quality": "bitext comet qe quality_estimation bicleaner parallel_filter",
    "systran-align": "alignment fast_align eflomal",
    "splits": "train_test_split",
    "instruct": "self_instruct evol_instruct magpie generate",
    "trl": "dpo",
    "ensemble": "vote voting",
    "batch_tokens": "batch_size",
    "api_key": "token",
    "sources": "source",
    "show": "versions stats info list",
    "max": "threshold cutoff",
    "moses": "bitext opus",
    "components": "list plugins",
    "similarity": "labse laser sonar cosine semantic_similarity embedding threshold min_similarity",
    "sentence-transformers": "labse laser sonar embedding encoder",
    "model": "encoder model_name",
    "negatives": "hard_negatives hard_negative_mining triplets",
    "retrieve": "retrieval knn rag search nearest",
    "corrupt": "noise denoise denoising infilling",
    "recorded": "replay cassette mock fake",
}
"""What is called so here → words for it in other tools and papers."""

FIELD: dict[str, list[str]] = {}
"""Word → what may be meant by it, in order of preference."""
for _name, _words in _MEANT.items():
    for _word in _words.split():
        FIELD.setdefault(_word, []).append(_name)


def nearest(word: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` (or what it is called now) with the word of ``known`` that was meant, or nothing if none is near."""  # noqa: E501
    names = list(known)
    lower = {name.lower(): name for name in names}
    if RENAMED.get(word) in names:
        return f"; it is called '{RENAMED[word]}' now"
    plain = word.lower()
    for meant in FIELD.get(plain, FIELD.get(plain.replace("-", "_"), ())):
        if meant in lower:
            return f"; did you mean '{lower[meant]}'?"
    close = difflib.get_close_matches(plain, list(lower), n=1, cutoff=0.6)
    return f"; did you mean '{lower[close[0]]}'?" if close else ""
