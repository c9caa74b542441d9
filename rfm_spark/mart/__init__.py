"""The mart: what dashboards read, in a database."""
