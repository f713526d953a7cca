"""Where weights come from and where they are computed: packages, the Hub, devices."""
