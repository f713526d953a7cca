"""Makes preference pairs by revising or spoiling an answer."""
