//! `/cancel` and `/stop` in under a second, whatever is in flight.
