//! A message that comes while a turn runs: it waits, joins, or takes the turn's place.
