"""Conversations in the notations of published data: messages, transcripts, tools, media, trees, rated answers."""
