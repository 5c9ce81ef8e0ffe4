//! Every limit of a turn, flipped.
