//! Questions to a person: asked once, answered once, bound to what was shown.
