"""What the steps that make rows share: prompts, requests to models, few-shot examples, lineage."""
