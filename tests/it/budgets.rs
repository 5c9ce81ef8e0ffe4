//! Tokens, money, tool calls and time hold, for each user and each turn.
