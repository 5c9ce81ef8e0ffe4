//! What the model gets: a stable prefix, personas, memories, tools once.
