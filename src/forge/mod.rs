//! Git and the forges: TBD here.
