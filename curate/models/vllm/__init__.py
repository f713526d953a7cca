"""LLMs in a vLLM engine of this process."""
