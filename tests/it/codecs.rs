//! Both wire protocols from end to end.
