//! The live tree, as REST and the command line show it, and its restarts.
