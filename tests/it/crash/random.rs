//! Kills at random moments.
