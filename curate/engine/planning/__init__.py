"""What has to run: looks results up by key, and makes tasks of what is missing."""
