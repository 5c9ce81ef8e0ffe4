//! Costs, users, keys, audit, health, metrics, files.
