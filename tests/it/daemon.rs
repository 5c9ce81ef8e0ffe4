//! The server in the background, its end, and the second one that is refused.
