"""What all LLM clients share: chat templates, structured output, reasoning, seeds."""
