"""LLMs behind OpenAI-compatible servers: requests, rate limits, retries, costs."""
