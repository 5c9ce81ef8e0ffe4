//! Every security and budget setting is read: flipping it changes what the server does.
