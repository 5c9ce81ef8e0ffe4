//! Who may do what: keys, roles, users, rate limit and lock-out, hosts, origins, body caps.
