//! What a conversation remembers over turns, clears and restarts.
