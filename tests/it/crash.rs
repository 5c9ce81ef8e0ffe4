//! `kill -9` at every boundary of the journal and at random moments: nothing lost, nothing twice.
