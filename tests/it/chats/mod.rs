//! The real binary on chat platforms: from what a person writes to what they see.

mod telegram;
