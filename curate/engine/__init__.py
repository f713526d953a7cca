"""Engine: fingerprint, plan, store, run, executors and manifest."""
