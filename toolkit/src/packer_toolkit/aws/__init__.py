"""Access to AWS: sessions, roles, identity and partitions."""
