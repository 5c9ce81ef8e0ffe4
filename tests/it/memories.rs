//! Long-term memory over REST and through the tools.
