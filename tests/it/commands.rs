//! Commands that are answered without a model.
