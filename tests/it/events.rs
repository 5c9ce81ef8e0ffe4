//! The stream of a user's events: order, replay, heart-beat.
