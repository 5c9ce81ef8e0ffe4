//! The bench of a coding job with everything real but the container: relay, gateway, model pool, engine, git. The
//! programs inside are processes of this machine.

mod account;
mod kit;
mod troubles;
mod work;
