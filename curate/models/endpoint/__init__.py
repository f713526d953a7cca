"""Language models behind HTTP endpoints: requests, rate limits, retries, costs; the same for every protocol."""
