"""Shared code of LLM clients: chat templates, structured output, reasoning, seeds."""
