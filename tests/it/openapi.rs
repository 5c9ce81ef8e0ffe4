//! The OpenAPI document and the routes are the same.
