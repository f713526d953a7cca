"""What each contender of ``orchestration.py`` runs: the same prompts from a file, asked at the same concurrency, the
answers counted and told.
"""

from __future__ import annotations

WORDS = [
    "Name a use for old newspapers",
    "पुराने अख़बार का एक उपयोग बताओ",
    "旧报纸有什么用处",
    "Taja matumizi ya magazeti ya zamani",
    "บอกวิธีใช้หนังสือพิมพ์เก่า",
]
MODEL = "bench/model"

# What every contender does before and after: its rows, its clock.
BEFORE = """
import json, os, sys, time
url, folder, concurrency, tokens = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
rows = [json.loads(line) for line in open(folder + "/prompts.jsonl", encoding="utf-8")]
def tell(answers):
    print("\\nRESULT " + json.dumps({"seconds": time.perf_counter() - started, "answers": answers}), flush=True)
"""
START = "\nstarted = time.perf_counter()\n"
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TELEMETRY_ENABLED": "0",
    "NEMO_TELEMETRY_ENABLED": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
}
"""Nobody tells anybody else of this, nobody waits for the network."""
CONTENDERS = {
    "bare loop": (
        """
import asyncio, httpx2


async def main():
    places = asyncio.Semaphore(concurrency)
    limits = httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    async with httpx2.AsyncClient(timeout=300, limits=limits) as client:

        async def one(row):
            async with places:
                body = {
                    "model": "bench/model",
                    "messages": [{"role": "user", "content": row["instruction"]}],
                    "max_tokens": tokens,
                    "temperature": 0.0,
                }
                answer = (await client.post(url + "/v1/chat/completions", json=body)).json()
                return answer["choices"][0]["message"]["content"]

        return await asyncio.gather(*map(one, rows))
"""
        + START
        + """
answers = asyncio.run(main())
with open(folder + "/bare.jsonl", "w") as file:
    for row, answer in zip(rows, answers): file.write(json.dumps({**row, "answer": answer}) + "\\n")
tell(len(answers))
"""
    ),
    "curate build": (
        """
import yaml, curate

if __name__ == "__main__":  # its workers start afresh
    catalog = {
        "version": 1,
        "models": {
            "writer": {
                "use": "openai",
                "url": url,
                "model": "bench/model",
                "concurrency": concurrency,
                "start_concurrency": concurrency,
            }
        },
        "sources": {
            "prompts": {
                "use": "jsonl",
                "path": "prompts.jsonl",
                "kind": "prompt",
                "language": "und",
                "license": "CC0-1.0",
                "columns": {"prompt": "{instruction}"},
            }
        },
        "datasets": {
            "answers": {
                "from": "prompts",
                "steps": [
                    {
                        "respond": {
                            "model": "writer",
                            "sampling": {"max_tokens": tokens, "temperature": 0.0},
                            "on_length": "keep",
                        }
                    }
                ],
            }
        },
    }
    open(folder + "/catalog.yaml", "w").write(yaml.safe_dump(catalog, allow_unicode=True))
    started = time.perf_counter()
    built = curate.build(folder + "/catalog.yaml")
    tell(sum(one.rows for one in built))
"""
    ),
    "respond alone": (
        """
import collections, pathlib
import polars as pl
from curate.generation.respond.step import Respond
from curate.models.openai.model import OpenAI
from curate.rows import Kind, schema, with_ids
from curate.steps import Rows
import pyarrow as pa, pyarrow.parquet as pq


class Context:
    threads, memory, seed, draw = 1, 1 << 28, 0, 0
    loaded = None

    def model(self, name):
        if self.loaded is None:
            self.loaded = spec.load(cache=pathlib.Path(folder) / "cache", threads=1)
        return self.loaded

    def model_name(self, name):
        return spec.name_and_revision()

    def is_open(self, language):
        return True

    def advance(self, rows):
        pass

    def warn(self, message):
        pass


spec = OpenAI(url=url, model="bench/model", concurrency=concurrency, start_concurrency=concurrency)
lineage = {"source": "s", "source_id": "", "license": "CC0-1.0", "parents": [], "makers": []}
target = pa.schema([field for field in schema(Kind.PROMPT) if field.name != "id"])
table = pa.Table.from_pylist(
    [
        {
            "prompt": [{"role": "user", "content": row["instruction"]}],
            "language": "und",
            "group_id": "",
            "scores": [],
            "attributes": [],
            "lineage": lineage,
        }
        for row in rows
    ],
    target,
)
step, context = (
    Respond(model="writer", sampling={"max_tokens": tokens, "temperature": 0.0}, on_length="keep"),
    Context(),
)
"""
        + START
        + """
prompts = Rows(Kind.PROMPT, with_ids(Kind.PROMPT, table))
made = []
for start in range(0, len(prompts), step.batch):
    made += [one.table for one in step.make(Rows(Kind.PROMPT, prompts.table.slice(start, step.batch)), context)]
whole = pa.concat_tables(made)
pq.write_table(whole, folder + "/alone.parquet")
tell(len(whole))
"""
    ),
    "distilabel": (
        """
from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration

if __name__ == "__main__":
    llm = OpenAILLM(
        model="bench/model",
        base_url=url + "/v1",
        api_key="none",
        timeout=300,
        generation_kwargs={"max_new_tokens": tokens, "temperature": 0.0},
    )
    with Pipeline("bench", cache_dir=folder + "/distilabel") as pipeline:
        load = LoadDataFromDicts(data=rows, batch_size=max(concurrency, 50))
        load >> TextGeneration(llm=llm, input_batch_size=concurrency)
    started = time.perf_counter()
    made = pipeline.run(use_cache=False)
    tell(sum(1 for row in made["default"]["train"] if row["generation"]))
"""
    ),
    "data-designer": (
        """
import pandas as pd
import data_designer.config as dd
from data_designer.interface import DataDesigner

provider = dd.ModelProvider(name="bench", endpoint=url + "/v1", provider_type="openai", api_key="none")
model = dd.ModelConfig(
    alias="writer",
    model="bench/model",
    provider="bench",
    skip_health_check=True,
    inference_parameters=dd.ChatCompletionInferenceParams(
        max_parallel_requests=concurrency, max_tokens=tokens, temperature=0.0
    ),
)
builder = dd.DataDesignerConfigBuilder(model_configs=[model])
pd.DataFrame(rows).to_parquet(folder + "/seed.parquet")
builder.with_seed_dataset(dd.LocalFileSeedSource(path=folder + "/seed.parquet"))
builder.add_column(dd.LLMTextColumnConfig(name="answer", prompt="{{ instruction }}", model_alias="writer"))
designer = DataDesigner(artifact_path=folder + "/designer", model_providers=[provider])
"""
        + START
        + """
made = designer.create(builder, num_records=len(rows)).load_dataset()
tell(int(made["answer"].notna().sum()))
"""
    ),
    "bespoke": (
        """
os.environ["CURATOR_CACHE_DIR"] = folder + "/bespoke"
os.environ["CURATOR_DISABLE_RICH_DISPLAY"] = "1"
# It counts tokens with a vocabulary from the network, of which litellm brings a copy.
import importlib.util

os.environ["TIKTOKEN_CACHE_DIR"] = (
    importlib.util.find_spec("litellm").submodule_search_locations[0] + "/litellm_core_utils/tokenizers"
)
from bespokelabs import curator


class Answer(curator.LLM):
    def prompt(self, row):
        return row["instruction"]

    def parse(self, row, response):
        return {**row, "answer": response}


llm = Answer(
    model_name="bench/model",
    backend="openai",
    generation_params={"max_tokens": tokens, "temperature": 0.0},
    backend_params={
        "base_url": url + "/v1",
        "api_key": "none",
        "max_concurrent_requests": concurrency,
        "max_requests_per_minute": 10**8,
        "max_tokens_per_minute": 10**11,
        "request_timeout": 300,
        "invalid_finish_reasons": ["content_filter"],
    },
)
"""
        + START
        + """
made = llm(rows)
made = getattr(made, "dataset", made)
tell(sum(1 for row in made if row["answer"]))
"""
    ),
}
OURS = ("bare loop", "respond alone", "curate build")
# What is known already: three builds of the same rows, the last one reading the kept answers in another way.
KNOWN = (
    CONTENDERS["curate build"]
    .replace(
        "    tell(",
        """
    def told(what):
        global started
        calls = json.loads(urllib.request.urlopen(url + "/told").read())["calls"]
        print("STEP " + json.dumps([what, time.perf_counter() - started, calls]), flush=True)
        started = time.perf_counter()
    import urllib.request
    told("first build")
    curate.build(folder + "/catalog.yaml"); told("the same again, in the same process")
    subprocess.run([sys.executable, "-m", "curate.cli", "build"], cwd=folder, check=True, capture_output=True)
    told("the same again, `curate build`")
    catalog["datasets"]["answers"]["steps"][0]["respond"]["strip"] = False
    open(folder + "/catalog.yaml", "w").write(yaml.safe_dump(catalog, allow_unicode=True))
    curate.build(folder + "/catalog.yaml"); told("kept answers read in another way (`strip: false`)")
    tell(""",
    )
    .replace("import yaml, curate", "import subprocess, yaml, curate")
)
