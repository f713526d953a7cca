"""Makes new prompts from seed prompts, round by round."""
