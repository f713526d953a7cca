"""What is on disk: results, versions, manifests, locks, checksums."""
