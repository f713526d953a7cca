"""The known word that somebody meant: a name of an earlier version, a word of the field, or a slip of the pen."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

RENAMED = {
    # steps, models
    "pair_quality": "translation_quality", "drift": "misalignment", "word_table": "lexicon", "imbalance": "language_imbalance",
    "vote": "self_consistency",
    # keys
    "max_bad": "max_error_rate", "patience": "deadline", "alone": "exclusive", "blanks": "whitespace", "marks": "diacritics",
    "max_first_share": "max_position_bias", "max_longer_share": "max_length_bias", "max_obeys": "max_injection_rate",
    "audit_least": "min_audit_rows", "min_people": "min_annotators", "people": "annotators",
    "max_gap": "max_missing_sentence", "min_kinship": "min_name_similarity", "max_chatter": "max_commentary",
    # commands
    "parts": "components", "audit": "judge-report",
}  # fmt: skip
"""What was called so in earlier versions → what it is called now. A name with two successors stands in :data:`FIELD` too."""

FIELD = {
    # filters
    "dedup": ("duplicates",), "dedupe": ("duplicates",), "deduplicate": ("duplicates",), "deduplication": ("duplicates",), "minhash": ("duplicates",),
    "lsh": ("duplicates",), "simhash": ("duplicates",), "semdedup": ("duplicates",), "exact": ("duplicates",),
    "decontaminate": ("contamination",), "decontamination": ("contamination",), "benchmarks": ("contamination",), "leakage": ("contamination",),
    "langid": ("language", "fasttext"), "lid": ("language", "fasttext"), "langdetect": ("language", "fasttext"), "language_id": ("language", "fasttext"),
    "language_identification": ("language", "fasttext"), "glotlid": ("fasttext",), "openlid": ("fasttext",), "cld3": ("cld2",),
    "labse": ("similarity", "sentence-transformers"), "laser": ("similarity", "sentence-transformers"), "sonar": ("similarity", "sentence-transformers"),
    "cosine": ("similarity",), "semantic_similarity": ("similarity",), "embedding": ("similarity", "sentence-transformers"), "encoder": ("sentence-transformers", "model"),
    "bitext": ("mine", "translation_quality", "moses"), "bitext_mining": ("mine",), "mining": ("mine",), "comet": ("translation_quality",), "qe": ("translation_quality",),
    "quality_estimation": ("translation_quality",), "bicleaner": ("translation_quality",), "parallel_filter": ("translation_quality",), "alignment": ("misalignment", "systran-align"),
    "heuristics": ("quality",), "gopher": ("quality",), "toxicity": ("quality",), "format": ("shape",), "structure": ("shape",), "chat_format": ("shape",), "length": ("shape",),
    "pii": ("redact",), "anonymize": ("redact",), "anonymise": ("redact",), "mask": ("redact",), "train_test_split": ("split", "splits"),
    # generation
    "mt": ("translate",), "backtranslation": ("translate",), "machine_translation": ("translate",), "codeswitch": ("code_switch",), "code_mixing": ("code_switch",),
    "codemix": ("code_switch",), "transliterate": ("romanise",), "transliteration": ("romanise",), "romanize": ("romanise",), "self_instruct": ("instruct",),
    "evol_instruct": ("instruct",), "magpie": ("instruct",), "generate": ("respond", "instruct"), "completion": ("respond",), "chat": ("respond",), "answer": ("respond",),
    "dictionary_induction": ("lexicon",), "word_alignment": ("lexicon",), "sample": ("mix",), "upsample": ("mix",), "temperature_sampling": ("mix",), "unimax": ("mix",),
    "shuffle": ("arrange",), "sort": ("arrange",), "curriculum": ("arrange",),
    # preferences
    "dpo": ("pair", "trl"), "preference": ("pair",), "ultrafeedback": ("judge",), "llm_judge": ("judge",), "rate": ("judge",), "reward_model": ("reward",), "rm": ("reward",),
    "majority_vote": ("self_consistency",), "vote": ("self_consistency", "ensemble"), "voting": ("self_consistency", "ensemble"), "annotations": ("labels",),
    # models, sources, outputs
    "ollama": ("openai",), "tgi": ("openai",), "sglang": ("openai",), "litellm": ("openai",), "anthropic": ("openai",), "server": ("openai",), "gguf": ("llamacpp",),
    "llama.cpp": ("llamacpp",), "nllb": ("seq2seq",), "m2m100": ("seq2seq",), "madlad": ("seq2seq",), "marian": ("seq2seq",), "opus-mt": ("seq2seq",), "pivot": ("route",),
    "awesome-align": ("simalign",), "fast_align": ("systran-align",), "eflomal": ("systran-align",), "huggingface": ("hub",), "hf": ("hub",), "datasets": ("hub",), "opus": ("moses",),
    "lmdb": ("parquet",), "arrow": ("parquet",),
    # keys
    "threshold": ("min", "min_score", "max", "similarity"), "cutoff": ("min", "max"), "min_similarity": ("min", "similarity"), "max_errors": ("max_error_rate",),
    "error_rate": ("max_error_rate",), "licence": ("license",), "lang": ("language",), "languages": ("language", "to"), "target_language": ("to",), "model_name": ("model",),
    "path_or_name": ("path",), "prompt_template": ("prompt",), "num_generations": ("n",), "num_samples": ("n",), "temperature": ("sampling",), "max_tokens": ("sampling",),
    "batch_size": ("batch", "batch_tokens"), "api_base": ("url",), "base_url": ("url",), "token": ("token_env", "api_key"), "num_proc": ("workers",),
    "pipeline": ("steps",), "filters": ("steps",), "input": ("from",), "source": ("from", "sources"), "output": ("outputs",),
    # commands
    "validate": ("check",), "lint": ("check",), "run": ("build",), "make": ("build",), "sql": ("query",), "push": ("publish",), "upload": ("publish",), "history": ("log",),
    "versions": ("log", "show"), "compare": ("diff",), "delete": ("forget",), "erase": ("forget",), "takedown": ("forget",), "clean": ("gc",), "prune": ("gc",), "dry-run": ("plan",),
    "stats": ("show",), "info": ("show",), "list": ("show", "components"), "plugins": ("components",), "fsck": ("verify",), "annotate": ("review",), "probe": ("models",),
}  # fmt: skip
"""Words that other tools and papers use → what is meant here, by whichever of these is known at the place."""


def nearest(word: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` (or what it is called now) with the word of ``known`` that was meant, or nothing if none is near."""
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
