"""The forms in which trainers read rows, one module for each family of trainers."""
