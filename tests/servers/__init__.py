"""Servers on loopback that tests talk to: a Hub, language models of three protocols, files over HTTP."""
