//! All integration tests in one binary: the real server over real sockets, against a model server of our own.

mod rest;
mod support;
