//! Providers that fail: who is asked next, who is left out, and what is said.
