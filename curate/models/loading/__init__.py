"""Loading of weights: packages, the Hub, devices."""
