//! Pictures, sound, documents: what a provider takes goes there, files come back as links.
