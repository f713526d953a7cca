"""``tool_use``: conversations in which a model calls tools."""

from curate.generation.tool_use.step import ToolUse

__all__ = ["ToolUse"]
