"""LLMs in GGUF files, on an embedded llama.cpp server."""
