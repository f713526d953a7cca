"""Files behind URLs: fetched into the user's cache, and known by what their server says of their content."""
